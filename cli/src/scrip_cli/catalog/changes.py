"""The edits that make the catalog match a file, in an order in which each is allowed."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from scrip.domain.catalog import Catalog, CatalogItem, Plan
from scrip.domain.editing import Edit, Editor
from scrip.domain.errors import ProviderIdTakenError


@dataclass(frozen=True, slots=True)
class Change:
    """One edit, described for people and programs."""

    edit: Edit

    @property
    def kind(self) -> str:
        """What is edited: plan or feature."""
        return "plan" if isinstance(self.edit.after, Plan) else "feature"

    @property
    def id(self) -> str:
        """The ID of the plan or feature."""
        return id_of(self.edit.after)

    @property
    def action(self) -> str:
        """What is done to it: create, change or deactivate."""
        return self.edit.audit.action.partition(".")[2]

    @property
    def fields(self) -> dict[str, tuple[Any, Any]]:
        """The fields that differ, before and after; before is None for a new item."""
        before, after = self.edit.audit.before, self.edit.audit.after
        return {
            name: (before.get(name), value)
            for name, value in after.items()
            if name not in {"version", f"{self.kind}_id"} and before.get(name) != value
        }

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "kind": self.kind,
            "id": self.id,
            "action": self.action,
            "fields": {
                name: {"before": before, "after": after}
                for name, (before, after) in self.fields.items()
            },
        }


def changes_to(editor: Editor, wanted: Catalog, *, prune: bool) -> list[Change]:
    """Return the edits, in an order in which each is allowed.

    Items that are not wanted are left alone or, with `prune`, deactivated. A plan that takes over
    a provider's ID comes after the plan that gives it up.

    Raises:
        DefaultPlanError, ProviderIdTakenError: the rules for plans do not allow it.
    """
    pending: list[CatalogItem] = [*wanted.plans.values(), *wanted.features.values()]
    if prune:
        pending += [replace(item, active=False) for item in unlisted(editor.catalog, wanted)]
    changes: list[Change] = []
    while pending:
        postponed: list[CatalogItem] = []
        refusal: ProviderIdTakenError | None = None
        for item in pending:
            try:
                edit = _edit(editor, item)
            except ProviderIdTakenError as error:
                postponed.append(item)
                refusal = error
                continue
            if edit is not None:
                changes.append(Change(edit))
                editor = replace(editor, catalog=_with(editor.catalog, edit.after))
        if refusal is not None and len(postponed) == len(pending):
            raise refusal
        pending = postponed
    return changes


def with_changes(catalog: Catalog, changes: Iterable[Change]) -> Catalog:
    """Return the catalog that changes lead to."""
    for change in changes:
        catalog = _with(catalog, change.edit.after)
    return catalog


def unlisted(catalog: Catalog, wanted: Catalog) -> list[CatalogItem]:
    """Return the active items that are not wanted."""
    items: list[CatalogItem] = [
        *(plan for plan_id, plan in catalog.plans.items() if plan_id not in wanted.plans),
        *(item for id_, item in catalog.features.items() if id_ not in wanted.features),
    ]
    return [item for item in items if item.active]


def id_of(item: CatalogItem) -> str:
    """Return the ID of a plan or feature."""
    return item.plan_id if isinstance(item, Plan) else item.feature_id


def _edit(editor: Editor, item: CatalogItem) -> Edit | None:
    before: CatalogItem | None
    if isinstance(item, Plan):
        before = editor.catalog.plans.get(item.plan_id)
    else:
        before = editor.catalog.features.get(item.feature_id)
    if before is None:
        return editor.create(item)
    if asdict(before) == asdict(replace(item, version=before.version)):
        return None
    return editor.change(before, item, before.version)


def _with(catalog: Catalog, item: CatalogItem) -> Catalog:
    if isinstance(item, Plan):
        return replace(catalog, plans={**catalog.plans, item.plan_id: item})
    return replace(catalog, features={**catalog.features, item.feature_id: item})
