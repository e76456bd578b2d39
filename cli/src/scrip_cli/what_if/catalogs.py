"""The catalogs of the past, from the audit records of their edits."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from scrip.domain.catalog import Catalog, Feature
from scrip.domain.entries import Entry
from scrip.domain.posting import AuditRecord
from scrip.ledger import CATALOG_SECONDS
from scrip.store.items import feature_before, plan_before

EDITED_AROUND = timedelta(seconds=2 * CATALOG_SECONDS)
"""How far from an edit the other catalog may have been in use.

Processes keep the catalog for a while, and their clocks differ.
"""


class Catalogs:
    """The catalogs of a stack, by time."""

    def __init__(self, current: Catalog, edits: Sequence[AuditRecord]) -> None:
        """Undo the edits of the current catalog one by one; they come oldest first."""
        self._times = [edit.recorded_at for edit in edits]
        self._catalogs = [current]
        self._versions: dict[tuple[str, int], Feature] = {}
        self._remember(current.features.values())
        for edit in reversed(edits):
            catalog = self._catalogs[-1]
            if edit.action.startswith("feature.") and (feature := feature_before(edit)):
                self._remember([feature])
                features = {**catalog.features, feature.feature_id: feature}
                catalog = replace(catalog, features=features)
            elif edit.action.startswith("plan.") and (plan := plan_before(edit)):
                catalog = replace(catalog, plans={**catalog.plans, plan.plan_id: plan})
            self._catalogs.append(catalog)
        self._catalogs.reverse()

    def at(self, now: datetime, entries: Iterable[Entry]) -> Iterator[Catalog]:
        """Yield the catalogs that may have been in use at an instant, the likeliest first.

        A command's own entries say which version of a feature it was.
        """
        used = {
            feature.feature_id: feature
            for entry in entries
            if (feature := self._versions.get((entry.feature or "", entry.feature_version or 0)))
        }
        places = dict.fromkeys(
            bisect_right(self._times, now + shift)
            for shift in (timedelta(), -EDITED_AROUND, EDITED_AROUND)
        )
        for place in places:
            catalog = self._catalogs[place]
            yield replace(catalog, features={**catalog.features, **used}) if used else catalog

    def _remember(self, features: Iterable[Feature]) -> None:
        for feature in features:
            self._versions[feature.feature_id, feature.version] = feature
