"""The month of usage that `scrip seed` generates."""

from datetime import UTC, date, datetime, timedelta

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip.domain.catalog import QUANTITY
from scrip.domain.commands import Adjust, Consume, Purchase, Refund
from scrip_cli.seed.life import TimedCommand, account_ids, commands_on, is_used, opened_at

FEATURES = [feature for feature in DEFAULT_CATALOG.features.values() if is_used(feature)]
FIRST = date(2026, 10, 22)
DAYS = [FIRST + timedelta(days=n) for n in range(30)]


def month(seed: int, account_id: str) -> list[TimedCommand]:
    return [one for day in DAYS for one in commands_on(seed, account_id, day, FEATURES)]


def test_a_day_is_the_same_for_any_order_of_the_features() -> None:
    for day in DAYS:
        lived = commands_on(1, "demo-001", day, FEATURES)
        assert lived == commands_on(1, "demo-001", day, FEATURES[::-1])
    assert month(1, "demo-001") != month(2, "demo-001")


def test_commands_follow_the_sign_up_in_order_and_use_each_key_once() -> None:
    for account_id in account_ids(20):
        lived = month(1, account_id)
        times = [opened_at(1, account_id, FIRST), *(one.at for one in lived)]
        assert times == sorted(times)
        assert times[-1] < datetime(2026, 11, 21, tzinfo=UTC)
        keys = [one.command.entry_id for one in lived]
        assert len(keys) == len(set(keys))


def test_the_month_has_every_kind_of_command() -> None:
    commands = [one.command for account_id in account_ids(20) for one in month(1, account_id)]
    assert {type(command) for command in commands} == {Consume, Refund, Adjust, Purchase}
    used = {(one.account_id, one.entry_id) for one in commands if isinstance(one, Consume)}
    assert all(entry_id.startswith("user:") for _, entry_id in used)
    refunds = [one for one in commands if isinstance(one, Refund)]
    assert all((one.account_id, one.refunds) in used and one.reason for one in refunds)
    assert len(refunds) < len(used) / 10


def test_every_use_can_be_charged() -> None:
    for account_id in account_ids(20):
        for use in (one.command for one in month(1, account_id)):
            if isinstance(use, Consume):
                feature = DEFAULT_CATALOG.feature(use.feature or "")
                usage = use.usage or {QUANTITY: use.quantity or 0}
                assert 0 < feature.price(usage) < 250, "10 000 credits of welcome last a while"
