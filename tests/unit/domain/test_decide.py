"""Examples of what each command does to an account."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from scrip.domain.account import AccountStatus
from scrip.domain.commands import AdjustAction, ResetAnchor
from scrip.domain.decide import decide
from scrip.domain.entries import Actor, ActorType, Entry, EntryType
from scrip.domain.errors import (
    AccountFrozenError,
    AccountNotFoundError,
    AlreadyRefundedError,
    CatalogUnsoundError,
    CostOutOfRangeError,
    DeductionTooLargeError,
    EntryNotFoundError,
    ExpiryInThePastError,
    InsufficientCreditsError,
    NotRefundableError,
    RefundTooLargeError,
    TooManyGrantsError,
    UnknownFeatureError,
)
from scrip.domain.grants import GRANTS_MAX, Allocation, GrantKind
from scrip.domain.settle import settled
from scrip.domain.spending import quote
from tests.unit.domain.examples import (
    CATALOG,
    DAY,
    NOW,
    adjust,
    close,
    consume,
    do,
    freeze,
    month_end,
    opened,
    opening,
    own_entry,
    refund,
    remaining,
    reset,
    use,
)


class TestOpenAccount:
    def test_an_account_opens_with_its_signup_grant_and_its_first_plan_grant(self) -> None:
        posting = do(None, opening("pro"))
        assert [(entry.type, entry.amount) for entry in posting.entries] == [
            (EntryType.SIGNUP, 50),
            (EntryType.PLAN, 2_000),
        ]
        assert posting.after.balance == 2_050
        assert month_end(posting.after) == datetime(2026, 2, 28, 12, tzinfo=UTC)

    def test_opening_it_again_changes_nothing(self) -> None:
        account = opened()
        posting = do(account, opening("pro"), NOW + 400 * DAY)
        assert posting.after == account
        assert not posting.entries

    def test_periods_may_begin_on_the_first_of_the_month_in_the_accounts_time_zone(self) -> None:
        command = opening(reset_anchor=ResetAnchor.MONTH, time_zone="Asia/Tokyo")
        assert do(None, command).after.anchor == datetime(2025, 12, 31, 15, tzinfo=UTC)

    def test_no_other_command_works_on_an_account_that_does_not_exist(self) -> None:
        with pytest.raises(AccountNotFoundError):
            do(None, consume(1))

    def test_an_account_cannot_open_on_a_plan_that_does_not_exist(self) -> None:
        with pytest.raises(CatalogUnsoundError):
            do(None, opening("gone"))


class TestConsume:
    @pytest.mark.parametrize("amount", [1, 149, 150])
    def test_all_available_credits_can_be_spent(self, amount: int) -> None:
        posting = do(opened(), consume(amount))
        assert own_entry(posting).amount == -amount
        assert posting.after.balance == 150 - amount
        assert posting.after.used == posting.after.consumed_total == amount

    def test_one_credit_more_is_refused_with_the_shortfall(self) -> None:
        account = opened()
        with pytest.raises(InsufficientCreditsError) as refused:
            do(account, consume(151))
        assert (refused.value.required, refused.value.available, refused.value.shortfall) == (
            151,
            150,
            1,
        )
        assert refused.value.next_reset_at == month_end(account)

    def test_grants_are_spent_by_priority_then_by_expiry(self) -> None:
        account = opened("none", signup_credits=10)
        for key, kind, days in (
            ("admin", GrantKind.ADMIN, 1),
            ("late", GrantKind.PROMO, 9),
            ("soon", GrantKind.PROMO, 2),
        ):
            expires_at = NOW + days * DAY
            command = adjust(AdjustAction.ADD, 10, key, kind=kind, expires_at=expires_at)
            account = do(account, command).after
        sources = {grant.grant_id: grant.source for grant in account.grants}
        entry = own_entry(do(account, consume(35)))
        assert [(sources[taken.grant_id], taken.amount) for taken in entry.allocations] == [
            ("soon", 10),
            ("late", 10),
            ("signup:grant", 10),
            ("admin", 5),
        ]

    @pytest.mark.parametrize(("quantity", "cost"), [(1, 1), (333, 1), (334, 2), (1_000, 3)])
    def test_a_price_is_rounded_up_to_whole_credits(self, quantity: int, cost: int) -> None:
        entry = own_entry(do(opened(), use("tokens", quantity)))
        assert (entry.cost, entry.amount, entry.feature_version) == (cost, -cost, 1)

    @pytest.mark.parametrize("feature", ["unknown", "retired"])
    def test_a_use_without_a_price_is_never_free(self, feature: str) -> None:
        with pytest.raises(UnknownFeatureError):
            do(opened("unlimited"), use(feature))

    def test_a_cost_above_the_largest_amount_is_refused(self) -> None:
        with pytest.raises(CostOutOfRangeError):
            do(opened("unlimited"), use("chat", 10**12))

    def test_a_frozen_account_spends_nothing_until_it_is_unfrozen(self) -> None:
        frozen = do(opened(), freeze()).after
        with pytest.raises(AccountFrozenError):
            do(frozen, consume(1))
        thawed = do(frozen, freeze(frozen=False)).after
        assert do(thawed, consume(1)).after.balance == 149

    def test_an_unlimited_plan_records_the_use_and_leaves_the_balance(self) -> None:
        posting = do(opened("unlimited", signup_credits=7), use("chat", 100))
        entry = own_entry(posting)
        assert (entry.amount, entry.cost, entry.allocations) == (0, 500, ())
        assert (posting.after.balance, posting.after.used) == (7, 500)

    def test_an_overdraft_becomes_debt_and_the_next_credit_pays_it_first(self) -> None:
        lent = do(opened("overdraft", signup_credits=0), consume(130)).after
        assert (lent.balance, lent.debt, lent.available) == (-30, 30, -30)
        with pytest.raises(InsufficientCreditsError):
            do(lent, consume(471))
        posting = do(lent, adjust(AdjustAction.ADD, 100))
        assert [entry.type for entry in posting.entries] == [
            EntryType.ADMIN_GRANT,
            EntryType.DEBT_SETTLED,
        ]
        assert (posting.after.balance, posting.after.debt) == (70, 0)
        assert own_entry(posting).debt_left == 0
        assert own_entry(do(lent, adjust(AdjustAction.ADD, 10))).debt_left == 20

    @pytest.mark.parametrize(("amount", "allowed"), [(150, True), (151, False)])
    def test_a_quote_predicts_a_consume(self, amount: int, *, allowed: bool) -> None:
        quoted = quote(opened(), CATALOG.plan("free"), consume(amount), CATALOG)
        assert (quoted.allowed, quoted.shortfall) == (allowed, 0 if allowed else 1)

    def test_a_quote_of_a_frozen_account_is_not_allowed(self) -> None:
        frozen = do(opened(), freeze()).after
        assert not quote(frozen, CATALOG.plan("free"), consume(1), CATALOG).allowed


class TestRefund:
    def test_credits_return_to_their_grants_last_taken_first(self) -> None:
        spent = do(opened(), consume(120))
        usage = own_entry(spent)
        assert usage.allocations == (Allocation("g2", 100), Allocation("g1", 20))
        first = do(spent.after, refund("c1", 30), of=usage)
        assert own_entry(first).allocations == (Allocation("g1", 20), Allocation("g2", 10))
        rest = do(first.after, refund("c1", key="r2"), of=usage, refunded=30)
        assert own_entry(rest).allocations == (Allocation("g2", 90),)
        assert rest.after.grants == opened().grants
        assert (rest.after.used, rest.after.consumed_total) == (0, 0)

    @pytest.mark.parametrize("amount", [39, 40])
    def test_a_refund_may_return_up_to_what_is_left(self, amount: int) -> None:
        spent = do(opened(), consume(50))
        posting = do(spent.after, refund("c1", amount), of=own_entry(spent), refunded=10)
        assert own_entry(posting).amount == amount

    def test_a_refund_of_more_than_is_left_is_refused_with_the_totals(self) -> None:
        spent = do(opened(), consume(50))
        with pytest.raises(RefundTooLargeError) as refused:
            do(spent.after, refund("c1", 41), of=own_entry(spent), refunded=10)
        error = refused.value
        assert (error.taken, error.refunded, error.refundable) == (50, 10, 40)

    def test_a_fully_refunded_use_cannot_be_refunded_again(self) -> None:
        spent = do(opened(), consume(50))
        with pytest.raises(AlreadyRefundedError):
            do(spent.after, refund("c1"), of=own_entry(spent), refunded=50)

    def test_credits_refunded_to_an_expired_grant_live_for_seven_days(self) -> None:
        spent = do(opened(signup_credits=0), consume(50))
        later = NOW + 40 * DAY
        posting = do(spent.after, refund("c1"), later, of=own_entry(spent))
        grant = next(grant for grant in posting.after.grants if grant.kind is GrantKind.REFUND)
        assert grant.remaining == 50
        assert grant.expires_at is not None
        assert 7 * DAY <= grant.expires_at - later < 7 * DAY + timedelta(hours=1)
        assert posting.after.used == 0

    def test_the_late_refunds_of_one_hour_share_a_grant(self) -> None:
        spent = do(opened(signup_credits=0), consume(50))
        account, later = spent.after, NOW + 40 * DAY
        for n in range(50):
            posting = do(
                account,
                refund("c1", 1, f"r{n}"),
                later + timedelta(minutes=n),
                of=own_entry(spent),
                refunded=n,
            )
            account = posting.after
        assert sum(grant.kind is GrantKind.REFUND for grant in account.grants) <= 2

    def test_late_refunds_for_a_week_fit_one_posting_when_they_expire_together(self) -> None:
        account = opened("none", signup_credits=0)
        usages: list[Entry] = []
        for n in range(120):
            lent = adjust(AdjustAction.ADD, 1, f"a{n}", expires_at=NOW + DAY)
            spent = do(do(account, lent).after, consume(1, f"c{n}"))
            account, usages = spent.after, [*usages, own_entry(spent)]
        later = NOW + 2 * DAY
        for n, usage in enumerate(usages):
            moment = later + n * timedelta(hours=1)
            account = do(account, refund(usage.entry_id, key=f"r{n}"), moment, of=usage).after
        assert account.balance == 120
        assert len(account.grants) <= GRANTS_MAX
        assert settled(account, CATALOG, later + 20 * DAY).balance == 0

    def test_a_refund_names_each_grant_once(self) -> None:
        lent = do(opened("overdraft", signup_credits=0), consume(130, "c1"))
        repaid = do(lent.after, adjust(AdjustAction.ADD, 30)).after
        back = do(repaid, refund("c1", 30), of=own_entry(lent)).after
        spent = do(back, consume(100, "c2"))
        posting = do(spent.after, refund("c2", key="r2"), of=own_entry(spent))
        allocations = own_entry(posting).allocations
        assert len({allocation.grant_id for allocation in allocations}) == len(allocations)
        assert (posting.after.balance, posting.after.debt) == (30, 0)

    def test_a_refund_of_unlimited_use_reduces_the_use_and_moves_no_credits(self) -> None:
        spent = do(opened("unlimited"), consume(30))
        posting = do(spent.after, refund("c1"), of=own_entry(spent))
        assert (own_entry(posting).amount, own_entry(posting).cost) == (0, 30)
        assert (posting.after.balance, posting.after.used) == (50, 0)

    def test_a_refund_of_an_overdraft_pays_the_remaining_debt(self) -> None:
        spent = do(opened("overdraft", signup_credits=0), consume(130))
        posting = do(spent.after, refund("c1"), of=own_entry(spent))
        assert (posting.after.balance, posting.after.debt) == (100, 0)

    def test_a_refund_by_an_admin_is_audited_and_one_by_a_service_is_not(self) -> None:
        spent = do(opened(), consume(50))
        asked = replace(refund("c1", 20), note="ticket 4711")
        audit = do(spent.after, asked, of=own_entry(spent), refunded=10).audit
        assert audit is not None
        assert (audit.action, audit.entry_id) == ("entry.refund", "r1")
        assert (audit.before, audit.after) == ({"refunded": 10}, {"refunded": 30})
        assert (audit.reason, audit.note) == ("failed", "ticket 4711")
        by_service = replace(refund("c1"), actor=Actor(ActorType.SERVICE, "app"))
        assert do(spent.after, by_service, of=own_entry(spent)).audit is None

    @pytest.mark.parametrize(("named", "kept"), [(None, "run-1"), ("ticket", "ticket")])
    def test_a_refund_has_the_reference_of_its_use_unless_it_names_its_own(
        self, named: str | None, kept: str
    ) -> None:
        spent = do(opened(), replace(consume(50), reference="run-1"))
        command = replace(refund("c1"), reference=named)
        assert own_entry(do(spent.after, command, of=own_entry(spent))).reference == kept

    def test_only_usage_is_refunded(self) -> None:
        signup = do(None, opening()).entries[0]
        with pytest.raises(NotRefundableError):
            do(opened(), refund("signup:grant"), of=signup)

    def test_an_entry_that_does_not_exist_cannot_be_refunded(self) -> None:
        with pytest.raises(EntryNotFoundError):
            do(opened(), refund("c1"))


class TestAdjust:
    def test_adding_creates_a_grant_of_the_requested_kind_and_expiry(self) -> None:
        command = adjust(AdjustAction.ADD, 10, kind=GrantKind.PROMO, expires_at=NOW + DAY)
        posting = do(opened(), command)
        assert own_entry(posting).type is EntryType.PROMO
        assert posting.after.grants[-1].expires_at == NOW + DAY
        assert do(posting.after, consume(1), NOW + DAY).entries[0].entry_id == "expiry:g3"

    @pytest.mark.parametrize("amount", [149, 150])
    def test_a_deduction_may_take_all_that_is_available(self, amount: int) -> None:
        posting = do(opened(), adjust(AdjustAction.DEDUCT, amount))
        assert posting.after.balance == 150 - amount

    def test_deducting_below_zero_is_refused(self) -> None:
        with pytest.raises(DeductionTooLargeError) as refused:
            do(opened(), adjust(AdjustAction.DEDUCT, 151))
        assert refused.value.shortfall == 1

    @pytest.mark.parametrize(("amount", "change"), [(0, -150), (149, -1), (150, 0), (151, 1)])
    def test_setting_a_balance_records_the_difference(self, amount: int, change: int) -> None:
        posting = do(opened(), adjust(AdjustAction.SET, amount))
        assert own_entry(posting).amount == change
        assert posting.after.balance == amount

    def test_every_adjustment_records_actor_reason_and_both_balances(self) -> None:
        audit = do(opened(), adjust(AdjustAction.ADD, 10)).audit
        assert audit is not None
        assert (audit.action, audit.actor.id, audit.reason) == ("adjustment.add", "a1", "support")
        assert (audit.before, audit.after) == ({"balance": 150}, {"balance": 160})

    def test_credits_cannot_be_added_expired(self) -> None:
        with pytest.raises(ExpiryInThePastError):
            do(opened(), adjust(AdjustAction.ADD, 10, expires_at=NOW))

    def test_grants_of_the_same_kind_and_expiry_are_merged(self) -> None:
        account = do(opened(), adjust(AdjustAction.ADD, 10)).after
        account = do(account, adjust(AdjustAction.ADD, 5, "a2")).after
        assert (account.grants[-1].amount, len(account.grants)) == (15, 3)

    def test_live_grants_are_limited(self) -> None:
        account = opened("none")
        for n in range(1, GRANTS_MAX):
            command = adjust(AdjustAction.ADD, 1, f"a{n}", expires_at=NOW + n * DAY)
            account = do(account, command).after
        assert len(account.grants) == GRANTS_MAX
        late = adjust(AdjustAction.ADD, 1, "a50", expires_at=NOW + 50 * DAY)
        with pytest.raises(TooManyGrantsError):
            do(account, late)
        assert do(account, adjust(AdjustAction.ADD, 1, "a50", expires_at=NOW + DAY)).entries
        # A new grant may replace an exhausted one.
        spent = do(account, consume(51)).after
        assert do(spent, late).after.balance == spent.balance + 1

    def test_grants_stay_within_the_limit_when_the_plans_grant_returns(self) -> None:
        account = opened("free", signup_credits=0)
        for n in range(1, GRANTS_MAX):
            command = adjust(AdjustAction.ADD, 1, f"a{n}", expires_at=NOW + (9_000 + n) * DAY)
            account = do(account, command).after
        for month in range(12):
            # The plan's exhausted grant is replaced by another, and returns next month.
            moment = account.begins(month)
            account = do(account, consume(100, f"c{month}"), moment).after
            more = adjust(
                AdjustAction.ADD, 1, f"m{month}", expires_at=NOW + month * DAY + 9_900 * DAY
            )
            with suppress(TooManyGrantsError):
                account = do(account, more, moment).after
        assert len(account.grants) <= GRANTS_MAX + 1

    def test_refunds_at_the_limit_of_grants_live_for_seven_days_too(self) -> None:
        account = opened("none", signup_credits=10)
        spent = do(account, consume(10, "c0"))
        account = do(spent.after, adjust(AdjustAction.ADD, 10)).after
        usages = [own_entry(spent)]
        for n in range(1, 60):
            command = adjust(AdjustAction.ADD, 1, f"b{n}", expires_at=NOW + (100 + n) * DAY)
            with suppress(TooManyGrantsError):
                account = do(account, command).after
        first = do(account, refund("c0", 4, "r1"), NOW, of=usages[0]).after
        later = NOW + 6 * DAY
        second = do(first, refund("c0", 6, "r2"), later, of=usages[0], refunded=4).after
        assert settled(second, CATALOG, later + 7 * DAY - DAY / 24).balance == second.balance
        assert len(second.grants) <= GRANTS_MAX + 1


class TestFreeze:
    def test_freezing_is_audited_and_has_an_entry_that_moves_no_credits(self) -> None:
        posting = do(opened(), freeze())
        assert posting.after.status is AccountStatus.FROZEN
        assert posting.audit is not None
        assert (posting.audit.before, posting.audit.after) == (
            {"status": "active"},
            {"status": "frozen"},
        )
        assert (own_entry(posting).type, own_entry(posting).amount) == (EntryType.FREEZE, 0)


def test_a_decision_returns_a_new_version_of_the_account() -> None:
    account = opened()
    assert (account.version, do(account, consume(1)).after.version) == (1, 2)


def test_the_request_hash_covers_the_content_and_not_the_actor() -> None:
    asked = consume(5)
    assert replace(asked, entry_id="other", keyed=False).request_hash == asked.request_hash
    assert consume(6).request_hash != asked.request_hash
    assert use("chat").request_hash != asked.request_hash


def test_the_balance_is_the_sum_of_what_grants_have_left() -> None:
    assert remaining(opened()) == {
        "signup:grant": 50,
        "period:2026-01-31T12:00:00.000Z": 100,
    }
    assert decide(opened(), consume(1), catalog=CATALOG, now=NOW).after.balance == 149


def test_a_note_changes_neither_the_request_nor_the_entry() -> None:
    for command in (adjust(AdjustAction.ADD, 10), freeze(), reset(), close()):
        noted = replace(command, note="ticket 4711")
        assert noted.request_hash == command.request_hash
        posting, plain = do(opened(), noted), do(opened(), command)
        assert posting.entries == plain.entries
        assert posting.audit is not None
        assert plain.audit is not None
        assert (posting.audit.note, plain.audit.note) == ("ticket 4711", None)
        assert replace(posting.audit, note=None) == plain.audit
