"""The catalog's items: reading them all, loading a first set, and editing one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ulid import ULID

from scrip.domain.catalog import Catalog, Plan
from scrip.domain.errors import AlreadyExistsError, BusyError, StaleVersionError
from scrip.observability import logger
from scrip.store.client import Table, answered
from scrip.store.commit import RETRYABLE_REASONS
from scrip.store.items import (
    audit_item,
    feature_item,
    feature_of,
    from_wire,
    plan_item,
    plan_of,
    to_wire,
)
from scrip.store.keys import CATALOG, FEATURE_PREFIX, PLAN_PREFIX, catalog_audit_key

if TYPE_CHECKING:
    from scrip.domain.catalog import Feature
    from scrip.domain.editing import Edit

# Holds while nobody has made, or edited, an item of that id.
NOT_THERE = "attribute_not_exists(pk)"
# Holds while nobody has edited the plan or feature since it was read.
SAME_VERSION = "#version = :seen"


def read_catalog(table: Table) -> Catalog:
    """Return all plans and features but those that cannot be read, which are logged."""
    return examine_catalog(table)[0]


def examine_catalog(table: Table) -> tuple[Catalog, list[str]]:
    """Return all plans and features, and the sort keys of those that cannot be read.

    One round trip for a megabyte of them: the audit records of the same partition, which grow for
    ever, are out of the range of keys that is read. Strongly consistent, so that whoever finds an
    account on a plan finds the plan, too.
    """
    plans: dict[str, Plan] = {}
    features: dict[str, Feature] = {}
    unreadable: list[str] = []
    query: dict[str, Any] = {
        "TableName": table.name,
        "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
        "ExpressionAttributeValues": to_wire(
            {":pk": CATALOG, ":first": FEATURE_PREFIX, ":last": f"{PLAN_PREFIX}\uffff"},
        ),
        "ConsistentRead": True,
    }
    with answered():
        for page in table.client.get_paginator("query").paginate(**query):
            for item in map(from_wire, page["Items"]):
                try:
                    if item["sk"].startswith(PLAN_PREFIX):
                        plan = plan_of(item)
                        plans[plan.plan_id] = plan
                    elif item["sk"].startswith(FEATURE_PREFIX):
                        feature = feature_of(item)
                        features[feature.feature_id] = feature
                except ValueError:
                    # One item that was spoilt by hand must not stop what does not need it.
                    logger.exception("left out of the catalog", extra={"key": item["sk"]})
                    unreadable.append(item["sk"])
    return Catalog(plans=plans, features=features), unreadable


def load_catalog(table: Table, catalog: Catalog) -> list[str]:
    """Put the plans and features that are not there yet; return the keys of those."""
    loaded = []
    items = [plan_item(plan) for plan in catalog.plans.values()]
    items += [feature_item(feature) for feature in catalog.features.values()]
    for item in items:
        try:
            table.client.put_item(
                TableName=table.name,
                Item=to_wire(item),
                ConditionExpression=NOT_THERE,
            )
        except table.client.exceptions.ConditionalCheckFailedException:
            continue
        loaded.append(item["sk"])
    return loaded


def commit_edit(table: Table, edit: Edit) -> None:
    """Write an edit and its audit record, both or neither. One round trip.

    Raises:
        AlreadyExistsError, StaleVersionError: somebody was faster.
        BusyError: it may have been written; what the catalog says then tells.
    """
    item = plan_item(edit.after) if isinstance(edit.after, Plan) else feature_item(edit.after)
    put: Any = {
        "TableName": table.name,
        "Item": to_wire(item),
        "ConditionExpression": NOT_THERE,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    if edit.before:
        put |= {
            "ConditionExpression": SAME_VERSION,
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": to_wire({":seen": edit.before.version}),
        }
    record = to_wire(audit_item(catalog_audit_key(str(ULID())), edit.audit))
    actions: Any = [{"Put": put}, {"Put": {"TableName": table.name, "Item": record}}]
    try:
        with answered():
            table.client.transact_write_items(TransactItems=actions)
    except table.client.exceptions.TransactionCanceledException as exc:
        reasons = exc.response.get("CancellationReasons", [])
        if any(reason["Code"] in RETRYABLE_REASONS for reason in reasons):
            raise BusyError from exc
        if "Item" not in reasons[0]:
            raise
        if edit.before is None:
            raise AlreadyExistsError from exc
        raise StaleVersionError(from_wire(reasons[0]["Item"])["version"]) from exc
