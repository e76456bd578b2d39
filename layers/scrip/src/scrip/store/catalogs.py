"""The catalog's items: reading them all, and loading a first set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrip.domain.catalog import Catalog
from scrip.observability import logger
from scrip.store.client import Table, answered
from scrip.store.items import feature_item, feature_of, from_wire, plan_item, plan_of, to_wire
from scrip.store.keys import CATALOG, FEATURE_PREFIX, PLAN_PREFIX

if TYPE_CHECKING:
    from scrip.domain.catalog import Feature, Plan

# Holds while nobody has made, or edited, an item of that id.
NOT_THERE = "attribute_not_exists(pk)"


def read_catalog(table: Table) -> Catalog:
    """Return all plans and features but those that cannot be read, which are logged."""
    plans: dict[str, Plan] = {}
    features: dict[str, Feature] = {}
    query: dict[str, Any] = {
        "TableName": table.name,
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": to_wire({":pk": CATALOG}),
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
    return Catalog(plans=plans, features=features)


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
