"""The edits that `scrip catalog` plans, and their order."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from scrip.domain.catalog import Catalog, Feature, Plan
from scrip.domain.editing import Editor
from scrip.domain.entries import Actor, ActorType
from scrip.domain.errors import DefaultPlanError, ProviderIdTakenError
from scrip_cli.catalog.changes import Change, changes_to

FREE = Plan(plan_id="free", name="Free", monthly_credits=100, version=3)
PRO = Plan(plan_id="pro", name="Pro", monthly_credits=2_000, provider_ids=("price",), version=7)
CHAT = Feature(feature_id="chat", name="Chat", cost=5, version=2)
CATALOG = Catalog(plans={"free": FREE, "pro": PRO}, features={"chat": CHAT})


def changes(*items: Plan | Feature, prune: bool = False) -> list[Change]:
    """Return the edits that make the catalog match a file with these items."""
    wanted = Catalog(
        plans={item.plan_id: item for item in items if isinstance(item, Plan)},
        features={item.feature_id: item for item in items if isinstance(item, Feature)},
    )
    editor = Editor(
        catalog=CATALOG,
        default_plan="free",
        actor=Actor(ActorType.ADMIN, "arn:aws:iam::1:user/anna"),
        reason="new prices",
        now=datetime(2026, 12, 1, tzinfo=UTC),
    )
    return changes_to(editor, wanted, prune=prune)


def test_an_item_that_matches_the_file_is_not_edited_whatever_its_version() -> None:
    assert changes(replace(FREE, version=1), replace(PRO, version=1), CHAT) == []
    assert changes() == []


def test_each_difference_is_one_edit_of_the_version_that_was_read() -> None:
    new = Feature(feature_id="music", name="Music", cost=9)
    priced, made = changes(FREE, replace(CHAT, cost=6, version=1), new)
    assert priced.to_json() == {
        "kind": "feature",
        "id": "chat",
        "action": "change",
        "fields": {"cost": {"before": 5, "after": 6}},
    }
    assert (priced.edit.before, priced.edit.after.version) == (CHAT, 3)
    assert priced.edit.audit.reason == "new prices"
    assert (made.action, made.edit.before, made.fields["cost"]) == ("create", None, (None, 9))


def test_an_item_that_is_not_in_the_file_is_kept_or_deactivated_with_prune() -> None:
    assert changes(FREE, CHAT) == []
    [pruned] = changes(FREE, CHAT, prune=True)
    assert (pruned.id, pruned.action, pruned.fields) == (
        "pro",
        "deactivate",
        {"active": (True, False)},
    )


def test_the_plan_of_new_accounts_cannot_be_deactivated() -> None:
    with pytest.raises(DefaultPlanError):
        changes(replace(FREE, active=False))
    with pytest.raises(DefaultPlanError):
        changes(PRO, CHAT, prune=True)


def test_a_providers_id_is_removed_from_one_plan_before_another_gets_it() -> None:
    team = Plan(plan_id="team", name="Team", monthly_credits=1, provider_ids=("price",))
    moved = changes(team, replace(PRO, provider_ids=()))
    assert [change.id for change in moved] == ["pro", "team"]
    with pytest.raises(ProviderIdTakenError):
        changes(team)
