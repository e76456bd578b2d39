"""Items of the catalog: reading all of them, loading the first ones, and editing one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ulid import ULID

from scrip.domain.catalog import Catalog, Plan
from scrip.domain.errors import (
    AlreadyExistsError,
    FeatureNotFoundError,
    NewerVersionError,
    StaleVersionError,
)
from scrip.observability import logger
from scrip.store.client import IS_NEW, ConditionFailedError, putting
from scrip.store.items import (
    audit_item,
    audit_of,
    feature_before,
    feature_in,
    feature_item,
    feature_of,
    plan_item,
    plan_of,
    read_item,
)
from scrip.store.keys import CATALOG, FEATURE_PREFIX, PLAN_PREFIX, catalog_audit_key

if TYPE_CHECKING:
    from scrip.domain.catalog import Feature
    from scrip.domain.editing import Edit
    from scrip.domain.posting import AuditRecord
    from scrip.store.client import Table

# Holds if the plan or feature has not been edited since it was read.
SAME_VERSION = "#version = :seen"


def read_catalog(table: Table) -> Catalog:
    """Return all plans and features, without those that were damaged by hand, which are logged.

    Raises:
        NewerVersionError: a newer version wrote one of them.
    """
    catalog, _ = examine_catalog(table)
    catalog.check_is_whole()
    return catalog


def examine_catalog(table: Table) -> tuple[Catalog, list[str]]:
    """Return all plans and features, and the sort keys of those that cannot be read.

    One round trip for each megabyte. The range of keys excludes the audit records of the same
    partition, which grow without bound. Strongly consistent: anyone who reads an account on a plan
    can then read the plan.
    """
    plans: dict[str, Plan] = {}
    features: dict[str, Feature] = {}
    unreadable: list[str] = []
    found = table.query_all(
        "pk = :pk AND sk BETWEEN :first AND :last",
        {":pk": CATALOG, ":first": FEATURE_PREFIX, ":last": f"{PLAN_PREFIX}\uffff"},
        ConsistentRead=True,
    )
    is_partial = False
    for wire in found:
        key = wire["sk"]["S"]
        try:
            item = read_item(wire)
            if key.startswith(PLAN_PREFIX):
                plan = plan_of(item)
                plans[plan.plan_id] = plan
            elif key.startswith(FEATURE_PREFIX):
                feature = feature_of(item)
                features[feature.feature_id] = feature
        except ValueError:
            # One item that was damaged by hand must not stop what does not need it.
            logger.exception("left out of the catalog", extra={"key": key})
            unreadable.append(key)
        except NewerVersionError:
            # Nor must one that a newer version wrote.
            logger.warning("a newer version wrote it", extra={"key": key})
            unreadable.append(key)
            is_partial = True
    return Catalog(plans=plans, features=features, is_partial=is_partial), unreadable


@dataclass(frozen=True, slots=True)
class FeatureVersion:
    """A feature as an edit left it; `edit` is None for one that came with the stack."""

    feature: Feature
    edit: AuditRecord | None


def read_versions(table: Table, feature_id: str) -> list[FeatureVersion]:
    """Return all versions of a feature, newest first, from the audit records of its edits.

    One round trip for each megabyte of the catalog's audit records.

    Raises:
        FeatureNotFoundError: there is no such feature.
    """
    first, last = catalog_audit_key(""), catalog_audit_key("~")
    found = table.query_all(
        "pk = :pk AND sk BETWEEN :first AND :last",
        {
            ":pk": CATALOG,
            ":first": first["sk"],
            ":last": last["sk"],
            ":kind": "feature.",
            ":id": feature_id,
        },
        where="begins_with(#action, :kind) AND #after.feature_id = :id",
        ConsistentRead=True,
    )
    versions: list[FeatureVersion] = []
    for record in map(audit_of, found):
        if not versions and (original := feature_before(record)):
            versions.append(FeatureVersion(original, None))
        versions.append(FeatureVersion(feature_in(record), record))
    if not versions:
        feature = read_catalog(table).features.get(feature_id)
        if feature is None:
            raise FeatureNotFoundError(feature_id)
        versions.append(FeatureVersion(feature, None))
    return versions[::-1]


def read_edits(table: Table) -> list[AuditRecord]:
    """Return the audit records of all edits of plans and features, oldest first.

    One round trip for each megabyte of them.
    """
    first, last = catalog_audit_key(""), catalog_audit_key("~")
    found = table.query_all(
        "pk = :pk AND sk BETWEEN :first AND :last",
        {":pk": CATALOG, ":first": first["sk"], ":last": last["sk"]},
        ConsistentRead=True,
    )
    return sorted(map(audit_of, found), key=lambda record: record.recorded_at)


def load_catalog(table: Table, catalog: Catalog) -> list[str]:
    """Put the plans and features that do not exist yet; return their keys."""
    loaded = []
    items = [plan_item(plan) for plan in catalog.plans.values()]
    items += [feature_item(feature) for feature in catalog.features.values()]
    for item in items:
        try:
            table.put(item, IS_NEW)
        except ConditionFailedError:
            continue
        loaded.append(item["sk"])
    return loaded


def commit_edit(table: Table, edit: Edit) -> None:
    """Write an edit and its audit record, both or neither. One round trip.

    Raises:
        AlreadyExistsError, StaleVersionError: another edit was faster.
        NewerVersionError: it was one by a newer version.
        BusyError: the edit may have been written; read the catalog to find out.
    """
    item = plan_item(edit.after) if isinstance(edit.after, Plan) else feature_item(edit.after)
    condition, values = (
        (SAME_VERSION, {":seen": edit.before.version}) if edit.before else (IS_NEW, None)
    )
    record = audit_item(catalog_audit_key(str(ULID())), edit.audit)
    try:
        table.transact(putting(item, condition, values, return_old=True), putting(record))
    except ConditionFailedError as exc:
        [current, _] = exc.items
        if current is None:
            raise
        if edit.before is None:
            raise AlreadyExistsError from exc
        raise StaleVersionError(read_item(current)["version"]) from exc
