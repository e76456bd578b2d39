"""Invariants of every account at every moment, whatever commands it gets.

The checks do not use the product's rules: they read the entries as an outsider would, and compute
their own sums, hashes and remaining credits of each grant. Finally each account passes an audit.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from scrip.domain.commands import (
    Adjust,
    AdjustAction,
    CaptureHold,
    Command,
    Consume,
    ConsumeBatch,
    HoldLine,
    OpenHold,
    Refund,
    ReleaseHold,
    Renew,
    ResetAnchor,
    ResetUsage,
    SetFrozen,
    TakeBack,
    Use,
    entry_name,
    is_users,
)
from scrip.domain.decide import PostingTooLongError
from scrip.domain.entitlement import entitled, next_change
from scrip.domain.entries import CLOCK, Actor, Entry
from scrip.domain.grants import GrantKind
from scrip.domain.payments import DisputeOutcome, Payment
from scrip.domain.settle import settled
from tests.unit.domain.examples import (
    APP,
    CATALOG,
    USER,
    adjust,
    batch,
    capture,
    close,
    consume,
    dispute,
    do,
    extend,
    follow,
    freeze,
    hold,
    line,
    opening,
    pay_terms,
    purchase,
    quota,
    refund,
    refund_of_money,
    release,
    reset,
    returned,
    use,
)
from tests.unit.domain.lives import Life

if TYPE_CHECKING:
    from scrip.domain.account import Account
    from scrip.domain.catalog import Plan
    from scrip.domain.posting import Posting

IN = {
    *("signup", "plan", "rollover", "admin_grant", "promo", "referral", "refund", "purchase"),
    *("reset", "release"),
}
OUT = {"usage", "expiry", "admin_deduct", "clawback", "hold"}

ANSWERED = (
    Consume, ConsumeBatch, OpenHold, CaptureHold, ReleaseHold, Refund, Adjust, SetFrozen,
    ResetUsage,
)  # fmt: skip
"""The commands whose response shows the account as of one entry of their posting."""

MOVES = st.one_of(
    st.timedeltas(timedelta(0), timedelta(hours=3)),
    st.timedeltas(timedelta(days=1), timedelta(days=40)),
    st.sampled_from([timedelta(days=100), timedelta(days=500), timedelta(hours=-1)]),
)
AMOUNTS = st.one_of(st.integers(1, 60), st.integers(1, 3_000), st.just(10**12))


LINES = st.lists(
    st.builds(HoldLine, amount=AMOUNTS)
    | st.builds(HoldLine, feature=st.sampled_from(["chat", "tokens"]), quantity=AMOUNTS),
    max_size=25,
)
"""Several uses of a hold; none for one use."""


class LedgerMachine(RuleBasedStateMachine):
    """One account, a clock that moves arbitrarily, and callers who repeat themselves."""

    @initialize(
        plan_id=st.sampled_from(sorted(CATALOG.plans)),
        signup_credits=st.integers(0, 200),
        # Around the clock changes in March, October and November, and the ends of months.
        day=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
        second=st.integers(0, 86_399),
        time_zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia"]),
        reset_anchor=st.sampled_from(list(ResetAnchor)),
    )
    def open_account(
        self,
        plan_id: str,
        signup_credits: int,
        day: date,
        second: int,
        time_zone: str,
        reset_anchor: ResetAnchor,
    ) -> None:
        self.now = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=second)
        self.entries: list[Entry] = []
        self.done: list[Command] = []
        self.refunded: Counter[str] = Counter()
        self.payments: dict[str, Payment] = {}
        self.opened: dict[str, datetime] = {}
        self.ends: dict[str, datetime] = {}
        self.account: Account | None = None
        self.life = Life()
        self.keys = 0
        self.may_owe = CATALOG.plans[plan_id].overdraft_limit > 0
        self.execute(
            opening(
                plan_id,
                signup_credits=signup_credits,
                reset_anchor=reset_anchor,
                time_zone=time_zone,
            ),
        )

    def execute(self, command: Command) -> Posting | None:
        """Do what the ledger does around `decide`: skip repeated and refused commands."""
        taken = {entry.entry_id for entry in self.entries}
        if command.entry_id in taken and self.account is not None:
            return None
        usage = next(
            (entry for entry in self.entries if entry.entry_id == getattr(command, "refunds", "")),
            None,
        )
        refunded = self.refunded[usage.entry_id] if usage else 0
        paid = self.payments.get(getattr(command, "payment_id", ""))
        try:
            posting = do(self.account, command, self.now, of=usage, refunded=refunded, paid=paid)
        except command.refusals:  # any other refusal fails: the documentation does not list it
            return None
        except PostingTooLongError:
            renewal = Renew(account_id="u1", entry_id=self.key(), keyed=False, actor=CLOCK)
            assert self.execute(renewal)
            return self.execute(command)
        # With the account, a refunded total and an audit record it fits a transaction of 100 items.
        assert posting.size <= 97
        self.account = posting.after
        self.note(command, posting)
        self.life.write(posting)
        self.entries += posting.entries
        self.done.append(command)
        if posting.refund:
            refundable, total = posting.refund
            self.refunded[refundable.entry.entry_id] = total
        if posting.payment:
            before, payment = posting.payment
            assert before == self.payments.get(payment.payment_id)
            self.payments[payment.payment_id] = payment
            assert min(payment.taken, payment.owed, payment.left) >= 0
        return posting

    def note(self, command: Command, posting: Posting) -> None:
        """Note the starts of holds and the ends of grants; check the account in the response."""
        own = posting.entry
        if isinstance(command, ANSWERED) and own:
            last = next(e for e in posting.entries if e.entry_id == command.entry_ids[-1])
            shown = last.balance_left, last.held_after, last.debt_left
            assert shown == (posting.after.balance, posting.after.held, posting.after.debt)
        if isinstance(command, OpenHold) and own:
            self.opened[command.entry_id] = own.recorded_at
        for grant in posting.after.grants:
            self.ends[grant.grant_id] = grant.expires_at_or_never
        there = {grant.grant_id for grant in (*posting.after.grants, *posting.retired)}
        for grant in posting.before.grants if posting.before else ():
            if grant.grant_id not in there:
                # A payment may have ended it early.
                latest = max(self.now, posting.after.as_of)
                self.ends[grant.grant_id] = min(grant.expires_at_or_never, latest)

    def settled(self) -> tuple[Account, Plan]:
        """Return the account as it is now, and the plan in force."""
        assert self.account
        account = settled(self.account, CATALOG, self.now)
        return account, entitled(account, CATALOG, max(self.now, account.as_of)).plan

    def key(self) -> str:
        self.keys += 1
        return f"k{self.keys}"

    @rule(move=MOVES)
    def time_passes(self, move: timedelta) -> None:
        assume(self.now + move < datetime(2045, 1, 1, tzinfo=UTC))
        self.now += move

    @rule(offset=st.sampled_from([-1, 0, 1]))
    def time_reaches_a_change(self, offset: int) -> None:
        change = next_change(self.settled()[0])
        assume(change < datetime(2045, 1, 1, tzinfo=UTC))
        self.now = change + timedelta(milliseconds=offset)

    @rule(amount=AMOUNTS)
    def consume_an_amount(self, amount: int) -> None:
        before, plan = self.settled()
        posting = self.execute(consume(amount, self.key()))
        enough = plan.unlimited or amount <= before.available + plan.overdraft_limit
        assert (posting is not None) == (enough and before.status == "active")

    @rule(feature=st.sampled_from(["chat", "tokens", "retired"]), quantity=st.integers(1, 5_000))
    def use_a_feature(self, feature: str, quantity: int) -> None:
        self.execute(use(feature, quantity, self.key()))

    @rule(amounts=st.lists(AMOUNTS, min_size=1, max_size=25))
    def consume_a_batch(self, amounts: list[int]) -> None:
        posting = self.execute(batch(*(Use(amount=amount) for amount in amounts), key=self.key()))
        assert posting is None or len(posting.entries) >= len(amounts)

    @rule(
        amount=AMOUNTS,
        seconds=st.integers(1, 86_400),
        uses=LINES,
        actor=st.sampled_from([USER, APP]),
    )
    def open_a_hold(self, amount: int, seconds: int, uses: list[HoldLine], actor: Actor) -> None:
        before, plan = self.settled()
        asked: dict[str, Any] = {"lines": tuple(uses)} if uses else {"amount": amount}
        key = entry_name(actor, self.key())
        posting = self.execute(hold(key=key, expires_in=seconds, actor=actor, **asked))
        if posting:
            assert plan.unlimited or posting.after.available >= min(0, before.available)
            assert posting.after.balance == before.balance

    @rule(
        pick=st.randoms(use_true_random=False),
        amount=st.none() | AMOUNTS,
        uses=LINES,
        final=st.booleans(),
        excess=st.booleans(),
        seconds=st.integers(1, 86_400),
        what=st.sampled_from(["capture", "capture", "capture", "release", "extend", "extend"]),
        actor=st.sampled_from([USER, APP]),
    )
    def end_or_extend_a_hold(
        self,
        pick: object,
        amount: int | None,
        uses: list[HoldLine],
        seconds: int,
        what: str,
        actor: Actor,
        *,
        final: bool,
        excess: bool,
    ) -> None:
        assert self.account
        opened = [hold.hold_id for hold in self.account.holds if hold.expires_at]
        assume(opened)
        name = pick.choice(opened)  # type: ignore[attr-defined]
        key, by = entry_name(actor, self.key()), {"of": name, "actor": actor}
        match what:
            case "capture":
                asked: dict[str, Any] = {"lines": tuple(uses)} if uses else {"amount": amount}
                command: Command = capture(key=key, final=final, excess=excess, **asked, **by)
            case "release":
                command = release(key, **by)
            case _:
                command = extend(seconds, key, **by)
        before = self.account
        posting = self.execute(command)
        may_not = actor == USER and (not is_users(name) or before.status == "frozen")
        assert posting is None or not may_not
        if posting and (what == "release" or (what == "capture" and final)):
            assert posting.ended_hold == name
            assert posting.after.hold(name) is None

    @rule(pick=st.randoms(use_true_random=False), amount=st.none() | st.integers(1, 50))
    def refund_something(self, pick: object, amount: int | None) -> None:
        used = [entry for entry in self.entries if entry.type == "usage"]
        assume(used)
        of = pick.choice(used)  # type: ignore[attr-defined]
        assert self.account
        now = self.settled()[0]
        ended = {grant.grant_id for grant in self.account.grants if not now.grant(grant.grant_id)}
        names = [part.grant_id for part in of.allocations]
        taken = [self.now if name in ended else self.ends[name] for name in names]
        borrowed = -of.amount - sum(part.amount for part in of.allocations)
        posting = self.execute(refund(of.entry_id, amount, self.key()))
        if posting and posting.entry and posting.entry.amount and not borrowed:
            # Credits that never expire keep no expiry, whatever happened to their grant.
            given = {part.grant_id for part in posting.entry.allocations}
            ends = [
                grant.expires_at_or_never
                for grant in (*posting.after.grants, *posting.retired)
                if grant.grant_id in given
            ]
            assert max(ends, default=self.now) >= min(taken)

    @rule(
        action=st.sampled_from(list(AdjustAction)),
        amount=AMOUNTS,
        kind=st.sampled_from([GrantKind.ADMIN, GrantKind.PROMO, GrantKind.REFERRAL]),
        life=st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=90)),
    )
    def adjust_the_balance(
        self,
        action: AdjustAction,
        amount: int,
        kind: GrantKind,
        life: timedelta | None,
    ) -> None:
        adding, (before, _) = action is AdjustAction.ADD, self.settled()
        posting = self.execute(
            adjust(
                action,
                amount,
                self.key(),
                kind=kind if adding else GrantKind.ADMIN,
                expires_at=self.now + life if life and adding else None,
            ),
        )
        if action is AdjustAction.DEDUCT and before.status != "closed":
            own = [hold for hold in before.holds if is_users(hold.hold_id)]
            live = {grant.grant_id for grant in before.grants if not grant.ended}
            parts = [part for hold in own for part in hold.allocations]
            least = max(0, before.available) + sum(
                part.amount for part in parts if part.grant_id in live
            )
            if posting is None:
                assert amount > least or before.debt
            else:  # what was held over a month's end may roll over
                assert amount <= least + sum(hold.rolls_over for hold in own)

    @rule(frozen=st.booleans())
    def freeze_or_unfreeze(self, *, frozen: bool) -> None:
        self.execute(freeze(frozen=frozen))

    @rule(
        plan_id=st.none() | st.sampled_from(sorted(CATALOG.plans)),
        monthly_credits=st.none() | st.integers(0, 5_000),
        limits=st.none() | st.just({"storage_bytes": 10**9}),
    )
    def change_the_quota(
        self,
        plan_id: str | None,
        monthly_credits: int | None,
        limits: dict[str, int] | None,
    ) -> None:
        self.may_owe |= plan_id == "overdraft"
        command = quota(plan_id, monthly_credits=monthly_credits, limits=limits, key=self.key())
        shown = self.settled()[1]
        self.execute(command)
        # An override may change which of several plans shows, and is one of the plan that shows.
        is_same = plan_id is not None or shown == self.settled()[1]
        again = self.execute(replace(command, entry_id=self.key()))
        if is_same:
            assert again is None or (not again.entries and again.after == again.before)

    @rule()
    def reset_the_usage(self) -> None:
        self.execute(reset(self.key()))

    @rule(amount=AMOUNTS, money=st.sampled_from([0, 1, 500, 999]))
    def buy_credits(self, amount: int, money: int) -> None:
        self.execute(purchase(amount, f"stripe:{self.key()}", money))

    @rule(
        plan_ids=st.lists(st.sampled_from(sorted(CATALOG.plans)), min_size=1, max_size=3),
        subscription=st.sampled_from(["stripe:sub_1", "stripe:sub_2"]),
        begins=st.sampled_from([-40, -30, -3, 0, 0, 0, 2]),
        days=st.sampled_from([7, 28, 30, 31, 92, 365]),
        quantity=st.integers(1, 3),
        change=st.sampled_from([None, None, "prorated", "credited"]),
    )
    def pay_for_terms(
        self,
        plan_ids: list[str],
        subscription: str,
        begins: int,
        days: int,
        quantity: int,
        change: str | None,
    ) -> None:
        assert self.account
        known = [term for term in self.account.terms if term.subscription_id == subscription]
        # What is superseded or credited may have been spent, as an overdraft may.
        self.may_owe |= bool(known) or len(plan_ids) > 1 or "overdraft" in plan_ids
        start = max((term.end for term in known), default=self.now)
        start = (start if start > self.now - timedelta(days=40) else self.now) + timedelta(begins)
        lines = [
            line(
                start,
                start + timedelta(days),
                plan_id,
                quantity=quantity,
                prorated=change == "prorated",
            )
            for plan_id in plan_ids
        ]
        lines = [
            replace(one, item_id="" if subscription == "stripe:sub_1" else f"si_{number}")
            for number, one in enumerate(lines)
        ]
        if change == "credited" and known:
            old = known[-1]
            middle = old.start + (old.end - old.start) / 2
            credit = line(middle, old.end, old.plan_id, quantity=old.quantity, credited=True)
            lines.append(credit)
        payment_id = f"stripe:{self.key()}"
        self.execute(pay_terms(*lines, payment_id=payment_id, subscription_id=subscription))

    @rule(
        status=st.sampled_from(["active", "past_due", "canceled"]),
        subscription=st.sampled_from(["stripe:sub_1", "stripe:sub_2"]),
        ago=st.integers(0, 5),
    )
    def follow_a_subscription(self, status: str, subscription: str, ago: int) -> None:
        at = self.now - timedelta(days=ago)
        self.execute(follow(status, at, subscription_id=subscription))

    @rule(
        pick=st.randoms(use_true_random=False),
        money=st.integers(0, 600) | st.integers(0, 2_400),
        outcome=st.none() | st.sampled_from(list(DisputeOutcome)),
    )
    def take_a_payment_back(self, pick: object, money: int, outcome: DisputeOutcome | None) -> None:
        assume(self.payments)
        paid = pick.choice(sorted(self.payments))  # type: ignore[attr-defined]
        name = f"{paid}:{pick.randint(1, 2)}"  # type: ignore[attr-defined]
        self.may_owe = True
        if outcome is not None:
            self.execute(dispute(outcome, money, payment_id=paid, dispute_id=f"{name}:dispute"))
        elif money % 2:
            self.execute(returned(money, paid))
        else:
            self.execute(refund_of_money(f"{name}:refund", money, paid))

    @precondition(lambda self: self.keys > 20)
    @rule()
    def close_the_account(self) -> None:
        self.execute(close(self.key()))

    @rule(pick=st.randoms(use_true_random=False))
    def repeat_a_command(self, pick: object) -> None:
        before, known = self.account, dict(self.payments)
        command = pick.choice(self.done)  # type: ignore[attr-defined]
        is_written = command.entry_id in {entry.entry_id for entry in self.entries}
        posting = self.execute(command)
        if is_written:
            assert self.account == before
        if isinstance(command, TakeBack):
            assert self.payments == known
            # Whatever has expired by now, such as a hold, was ended by the clock.
            assert posting is None or not {"clawback", "hold", "release"} & {
                entry.type for entry in posting.entries if entry.actor != CLOCK
            }

    def teardown(self) -> None:
        if hasattr(self, "life"):
            assert self.life.audit() == []

    @invariant()
    @precondition(lambda self: hasattr(self, "account"))
    def the_books_balance(self) -> None:
        account, entries = self.account, self.entries
        assert account
        # 1, 2: the entries add up, one by one and all together.
        balance = 0
        for entry in entries:
            balance += entry.amount
            assert entry.balance_after == balance
        assert account.balance == balance
        # 3: no gap, and the chain is whole.
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        assert hash_chain([entry.to_json() for entry in entries]) == account.hash.hex()
        # 4, 10: grants, holds and debt add up to the balance.
        held = sum(part.amount for hold in account.holds for part in hold.allocations)
        assert sum(grant.remaining for grant in account.grants) + held - account.debt == balance
        assert (account.held, entries[-1].held_after if entries else 0) == (held, held)
        # No hold outlives its limit, nor keeps expired credits for long.
        for one in account.holds:
            if one.expires_at:
                life = timedelta(hours=24) if is_users(one.hold_id) else timedelta(days=7)
                assert one.expires_at <= self.opened[one.hold_id] + life
                for part in one.allocations:
                    end = self.ends[part.grant_id]
                    assert end.year > 9000 or one.expires_at <= end + timedelta(hours=24)
        # 5, and what the entries say is left in each grant is what is left.
        assert all(0 <= grant.remaining <= grant.amount for grant in account.grants)
        assert not any(grant.remaining for grant in account.grants if grant.ended)
        assert {
            grant.grant_id: grant.remaining for grant in account.grants if grant.remaining
        } == left_in_grants(entries)
        for entry in entries:
            drawn_on = [allocation.grant_id for allocation in entry.allocations]
            assert len(set(drawn_on)) == len(drawn_on)
        # 6: there is no debt without an overdraft or refunded money.
        if not self.may_owe:
            assert account.available >= 0
            assert account.debt == 0
        # 7: refunds never exceed what was taken.
        taken = {entry.entry_id: entry.cost or 0 for entry in entries if entry.type == "usage"}
        given_back: Counter[str] = Counter()
        for entry in entries:
            if entry.refunds:
                given_back[entry.refunds] += entry.cost or 0
        assert all(total <= taken[entry_id] for entry_id, total in given_back.items())
        # 8, 9: nothing took effect twice, no period was granted twice.
        assert len({entry.entry_id for entry in entries}) == len(entries)
        periods = [entry.entry_id for entry in entries if entry.entry_id.startswith("period:")]
        assert len(set(periods)) == len(periods)
        allowances = [
            grant.source
            for grant in account.grants
            if grant.kind in {"plan", "rollover"} and not grant.ended
        ]
        assert len(set(allowances)) == len(allowances)
        lots = [lot for term in account.terms for lot in term.lots.values()]
        assert all(0 <= lot.booked <= lot.allowance for lot in lots)
        # 11: credits enter and leave only by the permitted types of entry.
        assert all(entry.type in IN for entry in entries if entry.amount > 0)
        assert all(entry.type in OUT for entry in entries if entry.amount < 0)


def hash_chain(entries: list[dict[str, object]]) -> str:
    """Recompute the chain from entries as the API shows them; return the newest hash."""
    newest = "00" * 32
    for entry in entries:
        assert entry["previous_hash"] == newest
        hashed = {
            name: value
            for name, value in entry.items()
            if value is not None and name not in {"hash", "previous_hash"}
        }
        text = json.dumps(hashed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        newest = hashlib.sha256(bytes.fromhex(newest) + text.encode()).hexdigest()
        assert entry["hash"] == newest
    return newest


def left_in_grants(entries: list[Entry]) -> dict[str, int]:
    """Add up what each entry moved into and out of each grant."""
    left: Counter[str] = Counter()
    holds: dict[str, Counter[str]] = {}
    held_before = 0
    for entry in entries:
        direction = 1 if entry.type in IN else -1
        moved = {part.grant_id: part.amount for part in entry.allocations}
        hold = holds.setdefault(entry.hold_id or "", Counter())
        captured = held_before - entry.held_after if entry.type == "usage" else 0
        for grant_id, amount in moved.items():
            left[grant_id] += direction * amount
            if entry.hold_id and entry.type == "hold":
                hold[grant_id] += amount
            if entry.hold_id and entry.type == "release":
                hold[grant_id] -= amount
        # Captured credits left their grants earlier, and leave the hold in the order of arrival.
        for grant_id in list(hold):
            part = min(captured, hold[grant_id])
            hold[grant_id] -= part
            left[grant_id] += part
            captured -= part
        assert not captured
        assert min(hold.values(), default=0) >= 0
        held_before = entry.held_after
    return {grant_id: credits_ for grant_id, credits_ in left.items() if credits_}


LedgerMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
)
TestInvariants = LedgerMachine.TestCase
