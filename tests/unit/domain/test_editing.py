"""Changes that an admin may make to the catalog."""

from dataclasses import replace

import pytest

from scrip.domain.catalog import Catalog, Plan
from scrip.domain.editing import Editor
from scrip.domain.errors import DefaultPlanError, ProviderIdTakenError, StaleVersionError
from tests.unit.domain.examples import ADMIN, CATALOG, NOW

EDITOR = Editor(catalog=CATALOG, default_plan="free", actor=ADMIN, reason="dearer", now=NOW)


@pytest.mark.parametrize("seen", [0, 2])
def test_only_the_current_version_can_be_replaced(seen: int) -> None:
    chat = EDITOR.feature("chat")
    with pytest.raises(StaleVersionError) as stale:
        EDITOR.change(chat, replace(chat, cost=6), seen)
    assert stale.value.version == 1
    assert EDITOR.change(chat, replace(chat, cost=6, version=7), 1).after.version == 2


def test_the_default_plan_can_be_changed_but_not_closed() -> None:
    free = EDITOR.plan("free")
    assert EDITOR.change(free, replace(free, monthly_credits=1), 1).audit.action == "plan.change"
    with pytest.raises(DefaultPlanError):
        EDITOR.change(free, replace(free, active=False), 1)
    with pytest.raises(DefaultPlanError):
        replace(EDITOR, default_plan="new").create(
            Plan(plan_id="new", name="New", monthly_credits=1, active=False),
        )


def test_a_provider_id_means_the_same_plan_whichever_was_read_first() -> None:
    one, other = (
        Plan(plan_id=name, name=name, monthly_credits=1, provider_ids=("price_1",))
        for name in ("one", "other")
    )
    for plans in ([one, other], [other, one]):
        catalog = Catalog(plans={plan.plan_id: plan for plan in plans}, features={})
        assert catalog.plan_named(["price_1"]) == one
        assert catalog.plan_named(["price_2"]) is None


def test_a_provider_id_stays_with_its_plan_even_if_that_is_closed() -> None:
    closed = replace(EDITOR.plan("pro"), provider_ids=("price_1", "price_2"), active=False)
    editor = replace(EDITOR, catalog=replace(CATALOG, plans={**CATALOG.plans, "pro": closed}))
    other = Plan(plan_id="other", name="Other", monthly_credits=1, provider_ids=("price_2",))
    with pytest.raises(ProviderIdTakenError) as taken:
        editor.create(other)
    assert (taken.value.provider_id, taken.value.plan_id) == ("price_2", "pro")
    assert editor.change(closed, replace(closed, provider_ids=("price_2",)), 1)
