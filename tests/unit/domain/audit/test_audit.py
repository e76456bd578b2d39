"""What an audit finds in a life that went well, which is nothing, and in one tampered with."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scrip.domain.account import AccountStatus, Hold
from scrip.domain.audit.audit import audit
from scrip.domain.audit.books import StoredEntry
from scrip.domain.audit.checkpoint import Checkpoint
from scrip.domain.audit.checks import check
from scrip.domain.audit.checks.check import Checks
from scrip.domain.audit.findings import Code
from scrip.domain.catalog import Price
from scrip.domain.commands import AdjustAction
from scrip.domain.entries import EntryType
from scrip.domain.grants import Allocation, GrantKind
from scrip.domain.payments import Dispute, DisputeOutcome, Refund, RefundStatus
from scrip.domain.terms import Lot
from scrip.domain.usage import DayUsage
from tests.unit.domain.examples import (
    DAY,
    NOW,
    adjust,
    close,
    consume,
    dispute,
    opening,
    pay_period,
    refund,
    refund_of_money,
)
from tests.unit.domain.lives import Life, lived, lived_with_holds, lived_with_terms


def edit_account(**changed: object) -> Callable[[Life], None]:
    return lambda life: life.change(**changed)


def edit_entry(entry_id: str, **changed: object) -> Callable[[Life], None]:
    return lambda life: life.edit(entry_id, **changed)


def edit_grant(index: int, **changed: object) -> Callable[[Life], None]:
    def edit(life: Life) -> None:
        assert life.account
        grants = list(life.account.grants)
        grants[index] = replace(grants[index], **changed)  # type: ignore[arg-type]
        life.change(grants=tuple(grants))

    return edit


def edit_payment(payment_id: str, **changed: object) -> Callable[[Life], None]:
    def edit(life: Life) -> None:
        life.payments[payment_id] = replace(life.payments[payment_id], **changed)  # type: ignore[arg-type]

    return edit


def edit_term(**changed: object) -> Callable[[Life], None]:
    def edit(life: Life) -> None:
        assert life.account
        life.change(terms=tuple(replace(term, **changed) for term in life.account.terms))  # type: ignore[arg-type]

    return edit


def edit_usage(change: Callable[[DayUsage], DayUsage]) -> Callable[[Life], None]:
    def edit(life: Life) -> None:
        life.usage[NOW.date()] = change(life.usage[NOW.date()])

    return edit


def remove_entry(entry_id: str) -> Callable[[Life], None]:
    def remove(life: Life) -> None:
        del life.entries[entry_id]

    return remove


def remove_newest(life: Life) -> None:
    del life.entries["c5"]


def insert_behind_the_newest(life: Life) -> None:
    newest = life.entries["c5"]
    entry = replace(newest, entry_id="x", seq=newest.seq + 1, previous_hash=newest.hash)
    life.entries["x"] = entry
    life.rehash("x")


def insert_in_the_middle(life: Life) -> None:
    life.entries["x"] = replace(life.entries["c2"], entry_id="x")
    life.rehash("x")


def swap_two(life: Life) -> None:
    first, second = life.entries["c1"], life.entries["c2"]
    life.edit("c1", seq=second.seq)
    life.edit("c2", seq=first.seq)


def edit_and_hash_one(life: Life) -> None:
    life.edit("c2", reason="another")
    life.rehash("c2")


def edit_and_hash_all(life: Life) -> None:
    life.edit("c2", reason="another")
    life.rehash()


def cheapen_and_hash_all(life: Life) -> None:
    """Make a use cheaper, and its entry in itself all right."""
    use = life.entries["c1"]
    allocation = Allocation(use.allocations[0].grant_id, 3)
    life.edit("c1", amount=-3, cost=3, allocations=(allocation,))
    life.seal()


def give_credits_and_hash_all(life: Life) -> None:
    """Give credits as an admin would, in an entry that has all that an entry needs."""
    newest, grant = life.entries["c5"], life.entries["a1"]
    assert life.account
    life.entries["x"] = replace(
        grant,
        entry_id="x",
        seq=newest.seq + 1,
        balance_after=newest.balance_after + grant.amount,
        held_after=newest.held_after,
        debt_after=newest.debt_after,
        recorded_at=newest.recorded_at,
    )
    life.usage[newest.recorded_at.date()] = life.usage[newest.recorded_at.date()].with_entries(
        [life.entries["x"]],
    )
    life.change(
        granted_total=life.account.granted_total + grant.amount,
        grants=tuple(
            replace(
                one,
                remaining=one.remaining + grant.amount,
                amount=one.amount + grant.amount,
            )
            if one.grant_id == grant.allocations[0].grant_id
            else one
            for one in life.account.grants
        ),
    )
    life.seal()


def grant_a_period_twice(life: Life) -> None:
    """Put the clock's plan entry a second time, under the period's other name."""
    [granted] = [entry for name, entry in life.entries.items() if name == "period:2026-02-28"]
    newest = life.entries["c5"]
    life.entries["x"] = replace(
        granted,
        entry_id="period:2026-02-28T12:00:00.000Z",
        seq=newest.seq + 1,
        balance_after=newest.balance_after + granted.amount,
    )
    life.seal()


def add_a_second_plan_grant(life: Life) -> None:
    assert life.account
    [granted] = [grant for grant in life.account.grants if grant.kind is GrantKind.PLAN]
    life.change(grants=(*life.account.grants, replace(granted, grant_id="x")))


def refund_too_much(life: Life) -> None:
    life.edit("r1", cost=21, amount=21)
    life.seal()


def rename_a_period(life: Life) -> None:
    granted = life.entries.pop("period:2026-02-28")
    life.entries["period:2026-03-01"] = replace(granted, entry_id="period:2026-03-01")
    life.seal()


def draw_twice_what_is_there(life: Life) -> None:
    use = life.entries["c1"]
    life.edit("c1", allocations=(Allocation(use.allocations[0].grant_id, 10**6),))
    life.seal()


def refund_what_is_not_there(life: Life) -> None:
    life.edit("r1", refunds="x")
    life.refunded["x"] = life.refunded.pop("c2")
    life.seal()


def free_a_hold(life: Life) -> None:
    life.change(holds=())


def hold_more(life: Life) -> None:
    assert life.account
    grant = life.account.grants[0]
    hold = Hold(hold_id="x", allocations=(Allocation(grant.grant_id, 1),))
    life.change(holds=(*life.account.holds, hold))


def cheapen_a_payment(life: Life) -> None:
    """Let a payment of which nothing went back say another price than its entry."""
    life.edit("stripe:pi_1", metadata={"money": 500, "currency": "usd"})
    life.seal()
    edit_payment("stripe:pi_1", money=5)(life)


def rename_a_hold(life: Life) -> None:
    assert life.account
    [hold] = life.account.holds
    life.change(holds=(replace(hold, hold_id="x"),))


def reopen_after_closing(life: Life) -> None:
    life.do(close(), NOW + 42 * DAY)
    life.change(status=AccountStatus.ACTIVE)


def keep_a_grant_after_closing(life: Life) -> None:
    assert life.account
    grant = life.account.grants[0]
    life.do(close(), NOW + 42 * DAY)
    life.change(grants=(replace(grant, remaining=0),))


TAMPERED = {
    # kind of tampering: (what somebody does, the code that names it, what it is about)
    "an entry's amount": (edit_entry("c1", amount=-1), Code.ENTRY_HASH_WRONG, "entry c1"),
    "an entry's reason": (edit_entry("a1", reason="gift"), Code.ENTRY_HASH_WRONG, "entry a1"),
    "an entry's metadata": (
        edit_entry("c2", metadata={"n": 1}),
        Code.ENTRY_HASH_WRONG,
        "entry c2",
    ),
    "an entry's time": (
        edit_entry("c2", recorded_at=NOW),
        Code.ENTRY_HASH_WRONG,
        "entry c2",
    ),
    "an entry's debt": (edit_entry("a1", debt_after=5), Code.DEBT_WRONG, "entry a1"),
    "what an entry holds": (edit_entry("c2", held_after=5), Code.HELD_WRONG, "entry c2"),
    "an entry's balance": (
        edit_entry("c2", balance_after=5),
        Code.BALANCE_WRONG,
        "entry c2",
    ),
    "an entry's type": (
        edit_entry("a1", type=EntryType.FREEZE),
        Code.TYPE_WRONG,
        "entry a1",
    ),
    "the first entry removed": (remove_entry("signup:grant"), Code.ENTRY_MISSING, "seq 1"),
    "an entry in the middle removed": (remove_entry("c1"), Code.ENTRY_MISSING, "seq 3"),
    "the last entry removed": (remove_newest, Code.ENTRY_MISSING, "seq 21"),
    "an entry inserted at the end": (
        insert_behind_the_newest,
        Code.ENTRY_BEYOND_ACCOUNT,
        "entry x",
    ),
    "an entry inserted in the middle": (insert_in_the_middle, Code.SEQ_REPEATED, "seq 4"),
    "two entries swapped": (swap_two, Code.ENTRY_HASH_WRONG, "entry c1"),
    "one hash recomputed": (edit_and_hash_one, Code.CHAIN_BROKEN, "entry r1"),
    "all hashes recomputed": (edit_and_hash_all, Code.NEWEST_HASH_WRONG, "account"),
    "a use made cheaper, hashes and account too": (
        cheapen_and_hash_all,
        Code.BALANCE_WRONG,
        "entry c1",
    ),
    "credits given, hashes and account too": (
        give_credits_and_hash_all,
        Code.AUDIT_RECORD_WRONG,
        "entry x",
    ),
    "a period granted twice, hashes and account too": (
        grant_a_period_twice,
        Code.PERIOD_GRANTED_TWICE,
        "entry period:2026-02-28T12:00:00.000Z",
    ),
    "a second plan grant of the period": (
        add_a_second_plan_grant,
        Code.PERIOD_GRANTED_TWICE,
        "account",
    ),
    "a period renamed, hashes and account too": (
        rename_a_period,
        Code.PERIOD_MISNAMED,
        "entry period:2026-03-01",
    ),
    "more drawn on a grant than there is, hashes and account too": (
        draw_twice_what_is_there,
        Code.GRANT_OVERDRAWN,
        "entry c1",
    ),
    "a use whose price gives another cost": (
        edit_entry("c1", usage={"input": 31}, price={"input": Price(cost=1)}),
        Code.PRICE_WRONG,
        "entry c1",
    ),
    "a use with a price for what it does not count": (
        edit_entry("c1", usage={"input": 30}, price={"output": Price(cost=1)}),
        Code.PRICE_WRONG,
        "entry c1",
    ),
    "a use that says another cost": (
        edit_entry("c1", cost=29),
        Code.COST_WRONG,
        "entry c1",
    ),
    "an entry's allocations": (
        edit_entry("c1", allocations=()),
        Code.ENTRY_NOT_EXPLAINED,
        "entry c1",
    ),
    "more refunded than was taken, hashes and account too": (
        refund_too_much,
        Code.REFUND_TOO_LARGE,
        "entry r1",
    ),
    "a refund of an entry that is not there, hashes and account too": (
        refund_what_is_not_there,
        Code.REFUND_TOO_LARGE,
        "entry x",
    ),
    "the account's hash": (edit_account(hash=bytes(32)), Code.NEWEST_HASH_WRONG, "account"),
    "the account's debt": (edit_account(debt=3), Code.DEBT_WRONG, "account"),
    "the account's counter of grants": (
        edit_account(granted_total=1),
        Code.COUNTER_WRONG,
        "granted_total",
    ),
    "the account's counter of use": (
        edit_account(consumed_total=1),
        Code.COUNTER_WRONG,
        "consumed_total",
    ),
    "what was used in the period": (edit_account(used=1), Code.COUNTER_WRONG, "used"),
    "an account frozen by hand": (
        edit_account(status=AccountStatus.FROZEN),
        Code.STATUS_WRONG,
        "account",
    ),
    "an account closed by hand": (
        edit_account(status=AccountStatus.CLOSED),
        Code.STATUS_WRONG,
        "account",
    ),
    "a closed account opened by hand": (reopen_after_closing, Code.STATUS_WRONG, "account"),
    "a grant in a closed account": (keep_a_grant_after_closing, Code.STATUS_WRONG, "account"),
    "what a grant has left": (edit_grant(0, remaining=1), Code.GRANT_WRONG, "grant g1"),
    "a grant's amount": (edit_grant(0, amount=51), Code.GRANT_WRONG, "grant g1"),
    "a grant's source": (edit_grant(0, source="c1"), Code.GRANT_WRONG, "grant g1"),
    "a grant's time": (edit_grant(0, granted_at=NOW - DAY), Code.GRANT_WRONG, "grant g1"),
    "a hold freed": (free_a_hold, Code.HELD_WRONG, "account"),
    "a hold's id": (rename_a_hold, Code.HELD_WRONG, "hold stripe:pi_1:stripe:dp_1"),
    "more held": (hold_more, Code.HELD_WRONG, "grant g1"),
    "a refunded total": (
        lambda life: life.refunded.update(c2=0),
        Code.REFUNDED_TOTAL_WRONG,
        "refunded total of c2",
    ),
    "a refunded total of nothing": (
        lambda life: life.refunded.update(c1=0),
        Code.REFUNDED_TOTAL_WRONG,
        "refunded total of c1",
    ),
    "a refunded total removed": (
        lambda life: life.refunded.clear(),
        Code.REFUNDED_TOTAL_WRONG,
        "refunded total of c2",
    ),
    "a refunded total invented": (
        lambda life: life.refunded.update(c1=1),
        Code.REFUNDED_TOTAL_WRONG,
        "refunded total of c1",
    ),
    "the credits of a use": (
        edit_usage(lambda day: replace(day, uses=(replace(day.uses[0], credits=1),))),
        Code.USAGE_WRONG,
        "usage of 2026-01-31",
    ),
    "how much a day's entries changed the balance": (
        edit_usage(
            lambda day: replace(day, lines=tuple(replace(one, amount=1) for one in day.lines))
        ),
        Code.USAGE_WRONG,
        "usage of 2026-01-31",
    ),
    "what a day has counted": (
        edit_usage(lambda day: replace(day, counted=((1, 40),))),
        Code.USAGE_WRONG,
        "usage of 2026-01-31",
    ),
    "the usage of a day removed": (
        lambda life: life.usage.pop(NOW.date()),
        Code.USAGE_NOT_COUNTED,
        "usage of 2026-01-31",
    ),
    "a payment's credits": (
        edit_payment("stripe:pi_1", credits=1),
        Code.PAYMENT_WRONG,
        "payment stripe:pi_1",
    ),
    "a payment's account": (
        edit_payment("stripe:pi_1", account_id="u2"),
        Code.PAYMENT_WRONG,
        "payment stripe:pi_1",
    ),
    "what was taken back of a payment": (
        edit_payment("stripe:pi_2", taken=0),
        Code.PAYMENT_WRONG,
        "payment stripe:pi_2",
    ),
    "what a payment has cost": (
        edit_payment("stripe:pi_2", money=10**6),
        Code.PAYMENT_WRONG,
        "payment stripe:pi_2",
    ),
    "money that went back of a payment": (
        edit_payment("stripe:pi_2", charges={}),
        Code.PAYMENT_WRONG,
        "payment stripe:pi_2",
    ),
    "a refund of a payment": (
        edit_payment("stripe:pi_1", refunds={"re_1": Refund(money=500)}),
        Code.PAYMENT_WRONG,
        "payment stripe:pi_1",
    ),
    "a payment's version": (
        edit_payment("stripe:pi_2", version=1),
        Code.PAYMENT_WRONG,
        "payment stripe:pi_2",
    ),
    "a payment that has left nothing behind": (
        edit_payment("stripe:pi_2", moved=1, account_id="u2"),
        Code.PAYMENT_WRONG,
        "payment stripe:pi_2",
    ),
    "a payment's expired credits": (
        edit_payment("stripe:pi_1", unspent=5),
        Code.PAYMENT_WRONG,
        "payment stripe:pi_1",
    ),
    "a payment's dispute removed": (
        edit_payment("stripe:pi_1", disputes={}),
        Code.PAYMENT_WRONG,
        "payment stripe:pi_1",
    ),
    "a payment's dispute won by hand": (
        edit_payment(
            "stripe:pi_1",
            disputes={"stripe:dp_1": Dispute(outcome=DisputeOutcome.WON, money=500)},
        ),
        Code.PAYMENT_WRONG,
        "payment stripe:pi_1",
    ),
    "the money of a purchase's entry": (
        cheapen_a_payment,
        Code.PAYMENT_WRONG,
        "payment stripe:pi_1",
    ),
    "a payment removed": (
        lambda life: life.payments.pop("stripe:pi_1"),
        Code.PAYMENT_WRONG,
        "payment stripe:pi_1",
    ),
    "an audit record removed": (
        lambda life: life.audited.remove("a2"),
        Code.AUDIT_RECORD_WRONG,
        "entry a2",
    ),
    "an audit record invented": (
        lambda life: life.audited.add("x"),
        Code.AUDIT_RECORD_WRONG,
        "entry x",
    ),
}


def test_a_life_with_something_of_everything_is_all_right() -> None:
    life = lived()
    types = {entry.type for entry in life.entries.values()}
    assert {"hold", "clawback", "rollover", "refund", "reset", "expiry"} <= types
    assert life.audit() == []


def test_a_refund_by_an_admin_may_be_older_than_the_records_of_refunds() -> None:
    life = lived()
    refunds = {entry.entry_id for entry in life.entries.values() if entry.type == "refund"}
    assert refunds <= life.audited
    life.audited -= refunds
    assert life.audit() == []


@pytest.mark.parametrize(("tamper", "code", "about"), TAMPERED.values(), ids=TAMPERED)
def test_what_was_tampered_with_is_named(
    tamper: Callable[[Life], object],
    code: Code,
    about: str,
) -> None:
    life = lived()
    tamper(life)
    assert (code, about) in {(found.code, found.about) for found in life.audit()}


def edit_hold(index: int, **changed: object) -> Callable[[Life], None]:
    def edit(life: Life) -> None:
        assert life.account
        holds = list(life.account.holds)
        holds[index] = replace(holds[index], **changed)  # type: ignore[arg-type]
        life.change(holds=tuple(holds))

    return edit


def end_hold(hold_id: str, entry_id: str) -> Callable[[Life], None]:
    return lambda life: life.hold_ends.update({hold_id: entry_id})


HOLDS_TAMPERED = {
    # kind of tampering: (what somebody does, the code that names it, what it is about)
    "when a hold ends": (
        edit_hold(0, expires_at=NOW + 9 * DAY),
        Code.HELD_WRONG,
        "hold h1",
    ),
    "which credits a hold has": (
        edit_hold(0, allocations=(Allocation("g1", 50),)),
        Code.HELD_WRONG,
        "grant g1",
    ),
    "how many credits a hold has": (
        edit_hold(0, allocations=(Allocation("g2", 51),)),
        Code.HELD_WRONG,
        "hold h1",
    ),
    "what a hold may use for nothing": (edit_hold(1, uncharged=40), Code.HELD_WRONG, "hold h7"),
    "the end of a hold removed, captured in part": (
        lambda life: life.hold_ends.pop("h2"),
        Code.HOLD_END_WRONG,
        "entry p2",
    ),
    "the end of a hold removed, captured whole": (
        lambda life: life.hold_ends.pop("h3"),
        Code.HOLD_END_WRONG,
        "entry p3",
    ),
    "the end of a hold removed, released": (
        lambda life: life.hold_ends.pop("h4"),
        Code.HOLD_END_WRONG,
        "entry p4",
    ),
    "another hold's end": (end_hold("h2", "p4"), Code.HOLD_END_WRONG, "end of hold h2"),
    "an end by an entry that is not there": (
        end_hold("h6", "x"),
        Code.HOLD_END_WRONG,
        "end of hold h6",
    ),
    "a capture that was not the last": (
        end_hold("h5", "p5"),
        Code.HOLD_END_WRONG,
        "end of hold h5",
    ),
    "the end of an open hold": (end_hold("h7", "p4"), Code.HOLD_END_WRONG, "end of hold h7"),
}


def test_a_life_with_holds_is_all_right() -> None:
    life = lived_with_holds()
    assert life.account
    assert [hold.hold_id for hold in life.account.holds] == ["h1", "h7"]
    assert life.hold_ends == {"h2": "p2", "h3": "p3", "h4": "p4"}
    assert life.audit() == []
    life.do(close(), NOW + DAY)
    assert life.audit() == []


@pytest.mark.parametrize(("tamper", "code", "about"), HOLDS_TAMPERED.values(), ids=HOLDS_TAMPERED)
def test_what_was_tampered_with_of_holds_is_named(
    tamper: Callable[[Life], object],
    code: Code,
    about: str,
) -> None:
    life = lived_with_holds()
    tamper(life)
    assert (code, about) in {(found.code, found.about) for found in life.audit()}


TERMS_TAMPERED: dict[str, tuple[Callable[[Life], None], Code, str]] = {
    "what went back of a term": (
        edit_term(back=None),
        Code.TERM_WRONG,
        "term stripe:in_1:0",
    ),
    "what is disputed of a term": (
        edit_term(disputed=(1, 2)),
        Code.TERM_WRONG,
        "term stripe:in_1:0",
    ),
    "what a month of a term has brought": (
        edit_term(lots={0: Lot(allowance=2_000, booked=3_000)}),
        Code.TERM_WRONG,
        "term stripe:in_1:0",
    ),
    "what was spent of a month": (
        edit_term(lots={0: Lot(allowance=2_000, booked=1_500, spent=1_000)}),
        Code.TERM_WRONG,
        "term stripe:in_1:0",
    ),
    "a term that nobody paid for": (
        edit_term(payment_id="stripe:in_9"),
        Code.TERM_WRONG,
        "term stripe:in_9:0",
    ),
}
"""Changes of a life with terms."""


def test_a_life_with_terms_has_no_findings() -> None:
    assert lived_with_terms().audit() == []


def test_credits_that_roll_over_when_their_dispute_is_won_have_no_findings() -> None:
    life = lived_with_terms()
    life.do(dispute(DisputeOutcome.OPEN, 1_500, payment_id="stripe:in_1"), NOW + DAY)
    life.do(dispute(DisputeOutcome.WON, 1_500, payment_id="stripe:in_1"), NOW + 40 * DAY)
    assert any(entry.type == "rollover" for entry in life.entries.values())
    assert life.audit() == []


@pytest.mark.parametrize(
    ("lasts", "returned", "failed"),
    [
        pytest.param(30 * DAY, 40 * DAY, 41 * DAY, id="of a term that was over"),
        pytest.param(365 * DAY, DAY / 2, 100 * DAY, id="after months without a change"),
    ],
)
def test_a_refund_that_fails_has_no_findings(
    lasts: timedelta, returned: timedelta, failed: timedelta
) -> None:
    life = Life()
    life.do(opening(), NOW)
    life.do(pay_period(NOW, NOW + lasts), NOW)
    life.do(consume(5), NOW + DAY / 4)
    refunded = refund_of_money("stripe:re_1", 2_000, "stripe:in_1")
    life.do(refunded, NOW + returned)
    life.do(replace(refunded, status=RefundStatus.FAILED), NOW + failed)
    assert life.audit() == []


@pytest.mark.parametrize(("tamper", "code", "about"), TERMS_TAMPERED.values(), ids=TERMS_TAMPERED)
def test_what_was_tampered_with_in_a_life_with_terms_is_named(
    tamper: Callable[[Life], object],
    code: Code,
    about: str,
) -> None:
    life = lived_with_terms()
    tamper(life)
    assert (code, about) in {(found.code, found.about) for found in life.audit()}


FOUND_OTHERWISE: dict[str, tuple[dict[str, Any], Code, str]] = {
    # kind of tampering: (what is found in its place, the code that names it, what it is about)
    "a chain rewritten from an entry that was proved": (
        {"checkpoint": Checkpoint(seq=3, hash=b"another")},
        Code.CHECKPOINT_WRONG,
        "entry c1",
    ),
    "an account set back to before what was proved": (
        {"checkpoint": Checkpoint(seq=99, hash=b"another")},
        Code.CHECKPOINT_WRONG,
        "checkpoint",
    ),
    "a checkpoint that nobody can read": (
        {"checkpoint": Checkpoint(seq=0, hash=b"")},
        Code.CHECKPOINT_WRONG,
        "checkpoint",
    ),
    "the account removed": ({"account": None}, Code.ACCOUNT_MISSING, "account"),
    "an account that nobody can read": (
        {"account": None, "unreadable": ("account",)},
        Code.ITEM_UNREADABLE,
        "account",
    ),
    "the balance": ({"balance": 10**6}, Code.BALANCE_WRONG, "account"),
    "an account that would be deleted": (
        {"unknown": frozenset({"purge_at"})},
        Code.UNKNOWN_ATTRIBUTE,
        "account",
    ),
    "an account that no sweep finds": ({"listed": False}, Code.DIRECTORY_WRONG, "account"),
    "an entry that no list shows": ({"unnumbered": ("x",)}, Code.ENTRY_WITHOUT_SEQ, "entry x"),
    "a name that leads to another account": (
        {"names": {"email:a@x.org": "u2"}},
        Code.ALIAS_WRONG,
        "alias email:a@x.org",
    ),
    "a name that leads nowhere": (
        {"names": {"email:a@x.org": None}},
        Code.ALIAS_WRONG,
        "alias email:a@x.org",
    ),
}


@pytest.mark.parametrize(
    ("found", "code", "about"),
    FOUND_OTHERWISE.values(),
    ids=FOUND_OTHERWISE,
)
def test_what_was_tampered_with_beside_the_entries_is_named(
    found: dict[str, Any],
    code: Code,
    about: str,
) -> None:
    assert (code, about) in {(told.code, told.about) for told in lived().audit(**found)}


def test_names_that_lead_to_their_account_are_all_right() -> None:
    assert lived().audit(names={"email:a@x.org": "u1"}) == []


def test_every_code_is_found_by_a_test() -> None:
    kinds = (
        *TAMPERED.values(),
        *HOLDS_TAMPERED.values(),
        *TERMS_TAMPERED.values(),
        *FOUND_OTHERWISE.values(),
    )
    of_the_stream = {Code.ENTRY_TAMPERED}  # tests/functional/test_events.py
    assert {code for _, code, _ in kinds} == set(Code) - of_the_stream


def test_every_check_reports_something_that_was_tampered_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported = set()

    def run(self: Checks[Any, Any], *given: Any) -> Iterator[Any]:
        for code, registered in self.registered:
            for wrong in registered(*given):
                reported.add(registered)
                yield code, wrong

    monkeypatch.setattr(Checks, "run", run)
    for make, kinds in (
        (lived, TAMPERED),
        (lived_with_holds, HOLDS_TAMPERED),
        (lived_with_terms, TERMS_TAMPERED),
    ):
        for tamper, _, _ in kinds.values():
            life = make()
            tamper(life)
            life.audit()
    for changed, _, _ in FOUND_OTHERWISE.values():
        lived().audit(**changed)
    kinds_of_checks = [one for one in vars(check).values() if isinstance(one, Checks)]
    assert reported == {one for kind in kinds_of_checks for _, one in kind.registered}


def test_the_documentation_tells_what_to_do_about_every_code() -> None:
    text = (Path(__file__).parents[4] / "docs/reference/audit.md").read_text()
    assert re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE) == sorted(Code)


@pytest.mark.parametrize(
    ("remove", "about"),
    [(("c1",), "seq 3"), (("c1", "c2"), "seq 3"), (("c5",), "seq 21"), (("c4", "c5"), "seq 19")],
)
def test_what_is_missing_is_told_once_and_nothing_that_follows_from_it(
    remove: tuple[str, ...],
    about: str,
) -> None:
    life = lived()
    for entry_id in remove:
        del life.entries[entry_id]
    first, *others = [(found.code, found.about) for found in life.audit()]
    assert first == (Code.ENTRY_MISSING, about)
    assert {code for code, _ in others} <= {Code.ENTRY_MISSING}


def test_of_an_entry_only_what_was_edited_is_told() -> None:
    life = lived()
    life.edit("a1", reason="gift")
    [found] = life.audit()
    assert (found.code, found.entry_id, found.seq) == (Code.ENTRY_HASH_WRONG, "a1", 7)


def test_entries_that_nobody_can_read_or_that_say_too_much_are_named() -> None:
    life = lived()
    stored = [
        StoredEntry(
            entry_id=name,
            seq=entry.seq,
            entry=None if name == "c2" else entry,
            unknown=frozenset({"purge_at"} if name == "a1" else ()),
        )
        for name, entry in life.entries.items()
    ]
    assert [(found.code, found.about) for found in life.audit(stored=stored)] == [
        (Code.ITEM_UNREADABLE, "entry c2"),
        (Code.UNKNOWN_ATTRIBUTE, "entry a1"),
    ]


def test_an_entry_is_late_for_the_usage_after_a_day_and_not_before() -> None:
    life = Life()
    life.do(opening(), NOW)
    life.usage.clear()
    stored = [
        StoredEntry(entry_id=name, seq=entry.seq, entry=entry)
        for name, entry in life.entries.items()
    ]
    for late, codes in (
        (timedelta(days=1), set()),
        (timedelta(days=1, milliseconds=1), {Code.USAGE_NOT_COUNTED}),
    ):
        found = audit(life.books(), stored, lambda _: {}, NOW + late)
        assert {one.code for one in found} == codes


def test_an_account_that_was_closed_with_credits_on_hold_is_all_right() -> None:
    life = lived()
    life.do(close(), NOW + 42 * DAY)
    assert life.audit() == []


def test_entries_are_read_once_and_none_behind_the_account() -> None:
    life = lived()
    seen = Counter[int]()

    def entries() -> Iterator[StoredEntry]:
        for entry in life.entries.values():
            seen[entry.seq] += 1
            yield StoredEntry(entry_id=entry.entry_id, seq=entry.seq, entry=entry)
        yield StoredEntry(entry_id="x", seq=22, entry=None)
        yield StoredEntry(entry_id="y", seq=23, entry=None)
        raise AssertionError("nothing is read behind what the account does not know")

    [found] = audit(life.books(), entries(), life.payments_of, NOW)
    assert (found.code, found.about) == (Code.ENTRY_BEYOND_ACCOUNT, "entry x")
    assert set(seen.values()) == {1}


def test_a_retired_grant_that_came_back_is_sound_whatever_joined_it_then() -> None:
    life = Life()
    commands = [
        opening("none", signup_credits=0),
        adjust(AdjustAction.ADD, 10, "a1"),
        consume(10, "c1"),  # the grant is exhausted, and retired
        refund("c1", 3, "r1"),  # it comes back
        adjust(AdjustAction.ADD, 20, "a2"),  # and 20 credits join it
        close(),
    ]
    for command in commands:
        life.do(command, NOW)
    [(grant_id, retired)] = life.retired.items()
    assert life.audit() == []

    life.retired[grant_id] = replace(retired, amount=11)
    assert [(one.code, one.about) for one in life.audit()] == [
        (Code.GRANT_WRONG, f"retired grant {grant_id}")
    ]
