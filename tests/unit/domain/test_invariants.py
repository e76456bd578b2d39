"""What holds at every moment for every account, whatever is done to it and whenever.

The checks know nothing of the rules: they read the entries as an outsider would, with their own
sums, their own hashes and their own idea of what is left in each grant.
"""

import hashlib
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from scrip.domain.commands import AdjustAction, Command, ResetAnchor
from scrip.domain.entries import Entry
from scrip.domain.errors import RefusalError
from scrip.domain.grants import GrantKind
from scrip.domain.posting import Posting
from scrip.domain.settle import settled
from tests.unit.domain.examples import (
    CATALOG,
    adjust,
    consume,
    do,
    freeze,
    opening,
    refund,
    use,
)

if TYPE_CHECKING:
    from scrip.domain.account import Account

IN = {"signup", "plan", "rollover", "admin_grant", "promo", "referral", "refund", "purchase"}
OUT = {"usage", "expiry", "admin_deduct", "clawback"}

MOVES = st.one_of(
    st.timedeltas(timedelta(0), timedelta(hours=3)),
    st.timedeltas(timedelta(days=1), timedelta(days=40)),
    st.sampled_from([timedelta(days=100), timedelta(days=500), timedelta(hours=-1)]),
)
AMOUNTS = st.one_of(st.integers(1, 60), st.integers(1, 3_000), st.just(10**12))


class LedgerMachine(RuleBasedStateMachine):
    """One account, a clock that moves as it likes, and callers who repeat themselves."""

    @initialize(
        plan_id=st.sampled_from(sorted(CATALOG.plans)),
        signup_credits=st.integers(0, 200),
        # Around the changes of clocks in March, October and November, and the ends of months.
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
        self.account: Account | None = None
        self.keys = 0
        self.overdraft = CATALOG.plans[plan_id].overdraft_limit > 0
        self.carry_out(
            opening(
                plan_id,
                signup_credits=signup_credits,
                reset_anchor=reset_anchor,
                time_zone=time_zone,
            ),
        )

    def carry_out(self, command: Command) -> Posting | None:
        """Do what the ledger does around `decide`: nothing twice, nothing when refused."""
        taken = {entry.entry_id for entry in self.entries}
        if command.entry_id in taken and self.account is not None:
            return None
        usage = next(
            (entry for entry in self.entries if entry.entry_id == getattr(command, "refunds", "")),
            None,
        )
        refunded = self.refunded[usage.entry_id] if usage else 0
        try:
            posting = do(self.account, command, self.now, of=usage, refunded=refunded)  # type: ignore[arg-type]
        except RefusalError:
            return None
        # With the account, a refunded total and an audit record it fits a transaction of 100 items.
        assert len(posting.entries) <= 97
        self.account = posting.after
        self.entries += posting.entries
        self.done.append(command)
        if posting.refund:
            refundable, total = posting.refund
            self.refunded[refundable.entry.entry_id] = total
        return posting

    def key(self) -> str:
        self.keys += 1
        return f"k{self.keys}"

    @rule(move=MOVES)
    def time_passes(self, move: timedelta) -> None:
        assume(self.now + move < datetime(2045, 1, 1, tzinfo=UTC))
        self.now += move

    @rule(offset=st.sampled_from([-1, 0, 1]))
    def time_comes_to_the_boundary(self, offset: int) -> None:
        assert self.account
        self.now = self.account.period_end + timedelta(milliseconds=offset)

    @rule(amount=AMOUNTS)
    def consume_an_amount(self, amount: int) -> None:
        assert self.account
        before = settled(self.account, CATALOG, self.now)
        plan = CATALOG.plans[before.plan_id]
        posting = self.carry_out(consume(amount, self.key()))
        enough = plan.unlimited or amount <= before.available + plan.overdraft_limit
        assert (posting is not None) == (enough and before.status == "active")

    @rule(feature=st.sampled_from(["chat", "tokens", "retired"]), quantity=st.integers(1, 5_000))
    def use_a_feature(self, feature: str, quantity: int) -> None:
        self.carry_out(use(feature, quantity, self.key()))

    @rule(pick=st.randoms(use_true_random=False), amount=st.none() | st.integers(1, 50))
    def refund_something(self, pick: object, amount: int | None) -> None:
        used = [entry.entry_id for entry in self.entries if entry.type == "usage"]
        assume(used)
        self.carry_out(refund(pick.choice(used), amount, self.key()))  # type: ignore[attr-defined]

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
        adding = action is AdjustAction.ADD
        self.carry_out(
            adjust(
                action,
                amount,
                self.key(),
                kind=kind if adding else GrantKind.ADMIN,
                expires_at=self.now + life if life and adding else None,
            ),
        )

    @rule(frozen=st.booleans())
    def freeze_or_unfreeze(self, *, frozen: bool) -> None:
        self.carry_out(freeze(frozen=frozen))

    @rule(pick=st.randoms(use_true_random=False))
    def somebody_repeats_a_command(self, pick: object) -> None:
        before = self.account
        command = pick.choice(self.done)  # type: ignore[attr-defined]
        if self.carry_out(command) is not None:
            assert command.entry_id not in {entry.entry_id for entry in self.entries}
        else:
            assert self.account == before

    @invariant()
    @precondition(lambda self: hasattr(self, "account"))
    def the_books_are_right(self) -> None:
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
        # 4, 10: grants and debt make up the balance; nothing is held.
        assert sum(grant.remaining for grant in account.grants) - account.debt == balance
        assert all(entry.held_after == 0 for entry in entries)
        # 5, and what the entries say is left in each grant is what is left.
        assert all(0 <= grant.remaining <= grant.amount for grant in account.grants)
        assert {
            grant.grant_id: grant.remaining for grant in account.grants if grant.remaining
        } == left_in_grants(entries)
        for entry in entries:
            drawn_on = [allocation.grant_id for allocation in entry.allocations]
            assert len(set(drawn_on)) == len(drawn_on)
        # 6: nobody owes without an overdraft.
        if not self.overdraft:
            assert account.available >= 0
            assert account.debt == 0
        # 7: never more back than was taken.
        taken = {entry.entry_id: entry.cost or 0 for entry in entries if entry.type == "usage"}
        given_back: Counter[str] = Counter()
        for entry in entries:
            if entry.refunds:
                given_back[entry.refunds] += entry.cost or 0
        assert all(total <= taken[entry_id] for entry_id, total in given_back.items())
        # 8, 9: nothing took effect twice, no period was granted twice.
        assert len({entry.entry_id for entry in entries}) == len(entries)
        granted = [entry.effective_at for entry in entries if entry.type == "plan"]
        assert len(set(granted)) == len(granted)
        # 11: credits enter and leave only by the types that may.
        assert all(entry.type in IN for entry in entries if entry.amount > 0)
        assert all(entry.type in OUT for entry in entries if entry.amount < 0)


def hash_chain(entries: list[dict[str, object]]) -> str:
    """Recompute the chain from what the API shows, and return its newest hash."""
    newest = "00" * 32
    for entry in entries:
        assert entry["previous_hash"] == newest
        told = {
            name: value
            for name, value in entry.items()
            if value is not None and name not in {"hash", "previous_hash"}
        }
        text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        newest = hashlib.sha256(bytes.fromhex(newest) + text.encode()).hexdigest()
        assert entry["hash"] == newest
    return newest


def left_in_grants(entries: list[Entry]) -> dict[str, int]:
    """Add up what each entry moved into and out of each grant."""
    left: Counter[str] = Counter()
    for entry in entries:
        direction = 1 if entry.type in IN else -1
        for allocation in entry.allocations:
            left[allocation.grant_id] += direction * allocation.amount
    return {grant_id: credits_ for grant_id, credits_ in left.items() if credits_}


LedgerMachine.TestCase.settings = settings(
    max_examples=80,
    stateful_step_count=30,
    deadline=None,
)
TestInvariants = LedgerMachine.TestCase
