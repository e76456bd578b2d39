"""The rules: what a command does to an account, as a pure function of both, the catalog and a time.

decide(account, command, catalog=..., now=...) -> Posting, or a refusal
"""

from collections import Counter
from dataclasses import replace
from datetime import datetime

from scrip.domain import billing, errors, holds, moving, quotas, spending
from scrip.domain import grants as buckets
from scrip.domain.account import Account, AccountStatus
from scrip.domain.catalog import Catalog
from scrip.domain.clocks import OwnClock, check_not_too_far
from scrip.domain.commands import (
    Adjust,
    AdjustAction,
    CaptureHold,
    CloseAccount,
    Command,
    Consume,
    ConsumeBatch,
    ExtendHold,
    FollowSubscription,
    GiveUp,
    OpenAccount,
    OpenHold,
    PayTerms,
    Purchase,
    Refund,
    ReleaseHold,
    Renew,
    ResetAnchor,
    ResetUsage,
    SetClock,
    SetFrozen,
    SetQuota,
    TakeBack,
)
from scrip.domain.entitlement import entitled
from scrip.domain.entries import GENESIS_HASH, ActorType, Entry, EntryType, iso
from scrip.domain.grants import (
    GRANTS_MAX,
    NEVER,
    RETURNED_MAX,
    Allocation,
    Grant,
    GrantKind,
    refund_expiry,
)
from scrip.domain.periods import month_start
from scrip.domain.posting import ENTRIES_MAX, Draft, Paid, Posting, Refundable
from scrip.domain.settle import advance, settle
from scrip.domain.terms import Term

SIGNUP_ENTRY_ID = "signup:grant"
"""The entry of the sign-up grant. No caller's key has a colon, so no caller can take its name."""

SETTLED_ENTRIES_MAX = 50
"""If more entries have come due, one or several `Renew` commands book them first.

A command needs room for its own entries: a batch for 25, a deduction for the ends of holds.
"""

CHANGED_ENTRIES_MAX = 60
"""If a payment changes more than that, the rest is booked by the postings that follow.

The terms that leave the account with it need room, too.
"""

GRANT_ENTRY_TYPES = {
    GrantKind.ADMIN: EntryType.ADMIN_GRANT,
    GrantKind.PROMO: EntryType.PROMO,
    GrantKind.REFERRAL: EntryType.REFERRAL,
}
"""The kinds of grant that an admin can give, and the type of their entries."""


class PostingTooLongError(Exception):
    """What has come due and the command together do not fit into one transaction."""


def decide(  # noqa: C901 - a case for each kind of command
    account: Account | None,
    command: Command,
    *,
    catalog: Catalog,
    now: datetime,
    refundable: Refundable | None = None,
    paid: Paid | None = None,
    past: tuple[Term, ...] = (),
) -> Posting:
    """Return what a command does to an account when the stack's clock shows `now`.

    `account` is None if it does not exist. `refundable` is the entry that a refund names, None if
    the account has no such entry. `paid` is the payment that the command `reads_payment`. `past`
    are the account's terms that are over, for a command that `reads_terms`.

    Raises:
        RefusalError: the rules do not allow it; one of the command's `refusals`.
        PostingTooLongError: a `Renew` has to book first what has come due.
    """
    match account, command:
        case None, OpenAccount():
            posting = _open(command, catalog, now)
        case None, _:
            raise errors.AccountNotFoundError(command.account_id)
        case Account(), OpenAccount():
            posting = Posting(before=account, after=account)
        case Account(status=AccountStatus.CLOSED), CloseAccount() | Renew():
            posting = Posting(before=account, after=account)
        case Account(status=AccountStatus.CLOSED), GiveUp():
            posting = moving.left_behind(account, command, paid)
        case Account(status=AccountStatus.CLOSED), _:
            raise errors.AccountClosedError
        case Account(), SetClock():
            posting = _set_clock(account, command, catalog, now)
        case Account(), _:
            now = account.time(now)
            draft = settle(account, catalog, now)
            if len(draft.entries) > SETTLED_ENTRIES_MAX:
                if not isinstance(command, Renew):
                    raise PostingTooLongError
                draft = settle(account, catalog, now, SETTLED_ENTRIES_MAX)
            if command.reads_terms:
                draft.entries_max = CHANGED_ENTRIES_MAX
                draft.recall(past)
            posting = _carry_out(draft, command, catalog, refundable, paid)
    _check(posting)
    if posting.size > ENTRIES_MAX:
        assert not isinstance(command, Renew), posting
        raise PostingTooLongError
    return posting


def _carry_out(  # noqa: C901, PLR0911, PLR0912 - a line for each command
    draft: Draft,
    command: Command,
    catalog: Catalog,
    refundable: Refundable | None,
    paid: Paid | None,
) -> Posting:
    if command.actor.type is ActorType.USER:
        spending.check_not_frozen(draft.account)
    match command:
        case Consume() | ConsumeBatch():
            return spending.consume(draft, command, catalog)
        case OpenHold():
            return holds.open_hold(draft, command, catalog)
        case ExtendHold():
            return holds.extend_hold(draft, command)
        case CaptureHold():
            return holds.capture_hold(draft, command, catalog)
        case ReleaseHold():
            return holds.release_hold(draft, command)
        case Refund():
            return _refund(draft, command, refundable)
        case Adjust():
            return _adjust(draft, command)
        case SetFrozen():
            return _set_frozen(draft, command)
        case CloseAccount():
            return _close(draft, command)
        case SetQuota():
            return quotas.change_quota(draft, command, catalog)
        case ResetUsage():
            return quotas.reset_usage(draft, command)
        case Purchase():
            return billing.purchase(draft, command, paid)
        case PayTerms():
            return billing.pay_terms(draft, command, paid, catalog)
        case FollowSubscription():
            return billing.follow_subscription(draft, command, catalog)
        case TakeBack():
            return billing.take_back(draft, command, paid, catalog)
        case GiveUp():
            return billing.give_up(draft, command, paid, catalog)
        case Renew():
            return draft.posting()
    raise TypeError(command)


def _open(command: OpenAccount, catalog: Catalog, now: datetime) -> Posting:
    account = Account(
        account_id=command.account_id,
        version=0,
        plan_id=command.plan_id,
        time_zone=command.time_zone,
        anchor=now,
        period=-1,
        allowance=0,
        as_of=now,
        seq_last=0,
        hash=GENESIS_HASH,
    )
    if command.reset_anchor is ResetAnchor.MONTH:
        account = replace(account, anchor=month_start(now, account.zone))
    draft = Draft(None, account, entitled(account, catalog, now), now)
    entry = None
    if command.signup_credits:
        entry = draft.grant(
            command.entry_id,
            EntryType.SIGNUP,
            GrantKind.SIGNUP,
            command.signup_credits,
            command=command,
        )
    advance(draft, catalog, changed=True)
    return draft.posting(entry=entry, welcomed=command.mailboxes)


def _refund(draft: Draft, command: Refund, refundable: Refundable | None) -> Posting:
    if refundable is None:
        raise errors.EntryNotFoundError(command.refunds)
    account, usage = draft.account, refundable.entry
    if usage.type is not EntryType.USAGE or usage.cost is None:
        raise errors.NotRefundableError(usage.entry_id, usage.type)
    left = usage.cost - refundable.refunded
    amount = left if command.amount is None else command.amount
    if not left:
        raise errors.AlreadyRefundedError(usage.cost, refundable.refunded, left)
    if amount > left:
        raise errors.RefundTooLargeError(usage.cost, refundable.refunded, left)
    # The counter may have been reset in between; a period's usage is never negative.
    in_period = usage.recorded_at >= draft.entitlement.start
    draft.account = replace(
        draft.account,
        used=max(0, account.used - amount) if in_period else account.used,
        consumed_total=account.consumed_total - amount,
    )
    entry = draft.enter(
        command.entry_id,
        EntryType.REFUND,
        amount if usage.amount else 0,
        allocations=_put_back(draft, command, refundable, amount) if usage.amount else (),
        command=command,
        feature=usage.feature,
        cost=amount,
        refunds=usage.entry_id,
        # So that what a reference cost is known with what was given back.
        reference=command.reference or usage.reference,
    )
    draft.settle_debt(entry)
    refunded = refundable.refunded + amount
    audit = None
    if command.actor.type is ActorType.ADMIN:
        before, after = {"refunded": refundable.refunded}, {"refunded": refunded}
        audit = draft.audit(command, "entry.refund", before, after, entry)
    return draft.posting(entry=entry, refund=(refundable, refunded), audit=audit)


def _put_back(
    draft: Draft,
    command: Refund,
    refundable: Refundable,
    amount: int,
) -> tuple[Allocation, ...]:
    """Return credits to the grants that they came from, last taken first.

    A retired grant is restored for them. Credits from a grant that has expired or been refilled
    since, or from an overdraft, go into a refund grant, which lives as long as the grant would
    have, or 7 days.
    """
    draft.make_room()
    usage, skipped = refundable.entry, refundable.refunded
    overdrawn = -usage.amount - sum(taken.amount for taken in usage.allocations)
    there = {grant.grant_id: grant for grant in draft.account.grants}
    retired = {
        grant.grant_id: replace(grant, remaining=0)
        for grant in (*refundable.retired, *draft.retired)
        if grant.grant_id not in there and grant.expires_at_or_never > draft.now
    }
    given: Counter[str] = Counter()
    homeless, ends = 0, list[datetime]()
    for taken in reversed((*usage.allocations, Allocation("", overdrawn))):
        part = max(0, min(taken.amount - skipped, amount))
        skipped = max(0, skipped - taken.amount)
        amount -= part
        back = retired.get(taken.grant_id)
        if back and part and buckets.live_count(there.values()) < RETURNED_MAX:
            there[back.grant_id] = back
        home = there.get(taken.grant_id)
        if home is not None and home.ended:
            home = None
        room = home.amount - home.remaining - draft.account.held_of(home.grant_id) if home else 0
        fitting = min(part, room)  # a reset may have refilled it meanwhile
        given[taken.grant_id] += fitting
        if part > fitting:
            homeless += part - fitting
            ends.append(_life_of(home or back, taken, draft.now))
    allocations = [Allocation(grant_id, part) for grant_id, part in given.items() if part]
    draft.account = replace(
        draft.account, grants=buckets.give_back(tuple(there.values()), allocations)
    )
    if homeless:
        grants, end = buckets.with_refund_until(draft.account.grants, max(ends))
        draft.account = replace(draft.account, grants=grants)
        placed = draft.place(GrantKind.REFUND, homeless, source=command.entry_id, expires_at=end)
        # Debt is paid out of the first allocation, so that it does not cost longer-lived credits.
        given = Counter({placed.grant_id: homeless}) + given
    return tuple(Allocation(grant_id, part) for grant_id, part in given.items() if part)


def _life_of(home: Grant | None, taken: Allocation, now: datetime) -> datetime:
    """Return when refunded credits expire that cannot return to their grant.

    They live as long as their grant would have; if it has expired, for a week, rounded up to the
    hour, so that the refunds of one bad hour share a grant. Credits that an overdraft lent had no
    grant and were paid back out of credits of any life, so they never expire.
    """
    if home is not None:
        return home.expires_at_or_never
    if not taken.grant_id:
        return NEVER
    return refund_expiry(now)


def _adjust(draft: Draft, command: Adjust) -> Posting:
    before = draft.account.balance
    if command.expires_at is not None and command.expires_at <= draft.now:
        raise errors.ExpiryInThePastError(command.expires_at)
    change = _change(draft, command)
    # A user's own holds do not stop an admin. Credits that a hold releases may expire at once, and
    # then a balance to be set needs another change.
    while -change > max(0, draft.account.available) and holds.release_own(draft, command):
        change = _change(draft, command)
    available = draft.account.available
    if -change > max(0, available):
        raise errors.DeductionTooLargeError(
            required=-change,
            available=available,
            shortfall=-change - available,
        )
    entry = _add(draft, command, change) if change > 0 else _deduct(draft, command, -change)
    audit = draft.audit(
        command,
        f"adjustment.{command.action}",
        {"balance": before},
        {"balance": draft.account.balance},
        entry,
    )
    return draft.posting(entry=entry, audit=audit)


def _change(draft: Draft, command: Adjust) -> int:
    """Return by how much an adjustment changes the draft's balance."""
    return {
        AdjustAction.ADD: command.amount,
        AdjustAction.DEDUCT: -command.amount,
        AdjustAction.SET: command.amount - draft.account.balance,
    }[command.action]


def _add(draft: Draft, command: Adjust, amount: int) -> Entry:
    draft.make_room()
    grants_before = buckets.live_count(draft.account.grants)
    entry = draft.grant(
        command.entry_id,
        GRANT_ENTRY_TYPES[command.kind],
        command.kind,
        amount,
        command=command,
        grant_expires_at=command.expires_at,
    )
    if buckets.live_count(draft.account.grants) > max(GRANTS_MAX, grants_before):
        raise errors.TooManyGrantsError(GRANTS_MAX)
    return entry


def _deduct(draft: Draft, command: Adjust, amount: int) -> Entry:
    grants, allocations = buckets.draw(draft.account.grants, amount)
    draft.account = replace(draft.account, grants=grants)
    return draft.enter(
        command.entry_id,
        EntryType.ADMIN_DEDUCT,
        -amount,
        command=command,
        allocations=allocations,
    )


def _set_frozen(draft: Draft, command: SetFrozen) -> Posting:
    before = draft.account.status
    after = AccountStatus.FROZEN if command.frozen else AccountStatus.ACTIVE
    draft.account = replace(draft.account, status=after)
    entry_type = EntryType.FREEZE if command.frozen else EntryType.UNFREEZE
    entry = draft.enter(command.entry_id, entry_type, 0, command=command)
    audit = draft.audit(
        command,
        f"account.{entry_type}",
        {"status": before},
        {"status": after},
        entry,
    )
    return draft.posting(entry=entry, audit=audit)


def _set_clock(account: Account, command: SetClock, catalog: Catalog, now: datetime) -> Posting:
    """Set an account's own clock. What comes due by then is booked by the next command."""
    if account.clock and account.clock.now == command.now:
        return Posting(before=account, after=account)
    before = account.time(now)
    if command.now < before:
        raise errors.ClockBehindError(before)
    check_not_too_far(command.now, now)
    after = replace(account, clock=OwnClock(now=command.now, set_at=now))
    draft = Draft(account, after, entitled(account, catalog, before), before)
    audit = draft.audit(
        command, "clock.set", {"now": iso(before)}, {"now": iso(command.now)}, entry=None
    )
    return draft.posting(audit=audit)


def _close(draft: Draft, command: CloseAccount) -> Posting:
    """Close an account; its last entry says what was left."""
    before = draft.account
    grants, allocations = buckets.draw(before.grants, before.spendable)
    assert not any(grant.remaining for grant in grants), grants
    draft.account = replace(
        draft.account,
        status=AccountStatus.CLOSED,
        grants=(),
        holds=(),
        next_plan_id=None,
        terms=(),
        subscriptions=(),
    )
    entry = draft.enter(
        command.entry_id,
        EntryType.ADMIN_DEDUCT,
        -before.spendable - before.held,
        command=command,
        allocations=allocations,
    )
    audit = draft.audit(
        command,
        "account.close",
        {"status": before.status, "balance": before.balance},
        {"status": AccountStatus.CLOSED, "balance": draft.account.balance},
        entry,
    )
    return draft.posting(entry=entry, audit=audit)


def _check(posting: Posting) -> None:
    """Assert the invariants of a posting: entries explain the balance, grants are within bounds."""
    before, after = posting.before, posting.after
    balance, seq = (before.balance, before.seq_last) if before else (0, 0)
    for entry in posting.entries:
        seq, balance = seq + 1, balance + entry.amount
        assert (entry.seq, entry.balance_after) == (seq, balance), entry
    assert (after.seq_last, after.balance, after.debt >= 0) == (seq, balance, True), after
    assert all(0 <= grant.remaining <= grant.amount for grant in after.grants), after
