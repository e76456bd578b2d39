"""Billing: what payments bring, what a subscription's state means, and what comes back.

Messages come twice, late and in any order. So money facts add up and are named by the payment, and
of two states of a subscription the later one counts, whichever is heard first.
"""

from collections.abc import Container
from dataclasses import replace

from scrip.domain import grants as buckets
from scrip.domain.account import Hold, Quota, Subscription
from scrip.domain.catalog import Catalog
from scrip.domain.commands import FollowSubscription, PayPeriod, Purchase, TakeBack
from scrip.domain.entries import Entry, EntryType
from scrip.domain.errors import PaymentNotFoundError
from scrip.domain.grants import Allocation, Grant, GrantKind
from scrip.domain.payments import DisputeOutcome, Payment
from scrip.domain.posting import Draft, Paid, Posting
from scrip.domain.quotas import grant_difference
from scrip.domain.settle import expire, roll_over, rolled_over, set_quota

STATUS_ORDER = ("incomplete", "trialing", "active", "past_due", "unpaid", "canceled")
"""Of two states that the provider told for the same second, the one further on is the later."""


def purchase(draft: Draft, command: Purchase) -> Posting:
    """Let bought credits arrive; at the bound of grants they join another purchase."""
    draft.change(grants=buckets.with_room(draft.account.grants, draft.needed()))
    entry = draft.grant(
        command.entry_id,
        EntryType.PURCHASE,
        GrantKind.PURCHASE,
        command.credits,
        command=command,
        source=command.entry_id,
    )
    return draft.posting(entry=entry, payment=(None, _payment(command, entry)))


def pay_period(draft: Draft, command: PayPeriod, catalog: Catalog) -> Posting:
    """Let the allowance of a paid period arrive.

    A payment for longer than what is paid for opens a period. One for the same time, an upgrade's,
    raises the allowance. One for a period that has gone by brings what it bought, and no more.
    """
    account, plan = draft.account, catalog.plan(command.plan_id)
    quota = Quota(plan_id=plan.plan_id)
    if plan.plan_id == account.plan_id:
        quota = account.quota
    if command.end > (account.paid_until or draft.now):
        entry = _open_paid_period(draft, command, catalog, quota)
    elif account.paid_until and command.end > account.anchor:
        entry = _raise_allowance(draft, command, catalog, quota)
    else:
        entry = _grant_period(draft, command, quota.allowance(plan))
    return draft.posting(entry=entry, payment=(None, _payment(command, entry)))


def follow_subscription(draft: Draft, command: FollowSubscription) -> Posting:
    """Note how a subscription stands. An older state never overwrites a newer one.

    Of two subscriptions the account follows the one that lives; of two that live, the newer.
    """
    known = draft.account.subscription
    told = Subscription(
        subscription_id=command.subscription_id,
        status=command.status,
        ended=command.ended,
        at=command.at,
        plan_after=command.plan_after,
    )
    if known is None:
        follows = True
    elif known.subscription_id == told.subscription_id:
        follows = _order(told) > _order(known)
    else:
        follows = not told.ended and (known.ended or told.at > known.at)
    if follows:
        draft.change(subscription=told)
    return draft.posting()


def take_back(draft: Draft, command: TakeBack, paid: Paid | None) -> Posting:
    """Set a disputed payment's credits aside, free them again, or take back what was returned.

    Raises:
        PaymentNotFoundError: the account has no such payment.
    """
    if paid is None or paid.payment.account_id != command.account_id:
        raise PaymentNotFoundError(command.payment_id)
    payment, expired = paid.payment, paid.expired
    told = _told(payment, command)
    if told == payment:
        return draft.posting()
    for entry in draft.entries:
        if entry.entry_id == f"expiry:{payment.grant_id}":
            expired = -entry.amount
    if command.dispute_id is not None:
        if command.dispute_id not in payment.disputes:
            _set_aside(draft, command, payment)
        if command.outcome is not DisputeOutcome.OPEN:
            name = f"{command.dispute_id}:{command.outcome}"
            for hold in _holds(draft, {command.dispute_id}):
                expired += _set_free(draft, command, hold, hold.amount, name)
    _claw_back(draft, command, told, expired)
    after = replace(told, taken_back=told.credits_back, version=payment.version + 1)
    return draft.posting(payment=(payment, after))


def _open_paid_period(draft: Draft, command: PayPeriod, catalog: Catalog, quota: Quota) -> Entry:
    account, ending = draft.account, draft.plan
    began = account.begins(account.period)
    start = min(command.start, draft.now)
    opened = replace(account, anchor=start, period=0, paid_until=command.end)
    carried = rolled_over(account.grants, ending, opened, command.entry_id)
    expire(draft, plans_end=max(start, began))
    draft.change(
        anchor=start,
        period=0,
        paid_until=command.end,
        next_quota=None,
        subscription=_paid_subscription(account.subscription, command),
        # What was used before the payment was heard of may have been used in its period.
        used=account.used if start < began else 0,
    )
    set_quota(draft, quota, catalog)
    roll_over(draft, carried)
    return _grant_period(draft, command, quota.allowance(draft.plan))


def _raise_allowance(draft: Draft, command: PayPeriod, catalog: Catalog, quota: Quota) -> Entry:
    allowance = quota.allowance(catalog.plan(quota.plan_id))
    given = draft.account.plan_grant
    if allowance >= (given.amount if given else 0):
        set_quota(draft, quota, catalog)
    entry = grant_difference(draft, allowance, command)
    return entry or draft.enter(command.entry_id, EntryType.PLAN, 0, command=command)


def _grant_period(draft: Draft, command: PayPeriod, amount: int) -> Entry:
    """Give the credits of a paid period; those that come later than they live are gone at once."""
    if not amount:
        return draft.enter(command.entry_id, EntryType.PLAN, 0, command=command)
    start = min(command.start, draft.now)
    of_period = replace(draft.account, anchor=start, period=0, paid_until=command.end)
    entry = draft.grant(
        command.entry_id,
        EntryType.PLAN,
        GrantKind.PLAN,
        amount,
        effective_at=start,
        expires_at=of_period.allowance_end,
        command=command,
        source=command.entry_id,
    )
    expire(draft)
    return entry


def _paid_subscription(known: Subscription | None, command: PayPeriod) -> Subscription:
    """Return the subscription of a payment, which may be heard of before any state of it."""
    if known is not None and known.subscription_id == command.subscription_id:
        return known
    return Subscription(
        subscription_id=command.subscription_id,
        status="active",
        ended=False,
        at=command.start,
        plan_after=command.plan_after,
    )


def _order(subscription: Subscription) -> tuple[object, ...]:
    status = subscription.status
    rank = STATUS_ORDER.index(status) if status in STATUS_ORDER else len(STATUS_ORDER)
    return subscription.at, rank, status


def _payment(command: Purchase | PayPeriod, entry: Entry) -> Payment:
    """Return what is kept of a payment, so that a refund or a dispute of it finds its credits."""
    return Payment(
        payment_id=command.entry_id,
        account_id=command.account_id,
        grant_id=entry.allocations[0].grant_id if entry.allocations else "",
        credits=entry.amount,
        money=command.money,
    )


def _told(payment: Payment, command: TakeBack) -> Payment:
    if command.returned is not None:
        return payment.with_returned(command.returned)
    if command.refund_id is not None:
        return payment.with_refund(command.refund_id, command.money)
    assert command.dispute_id is not None, command
    assert command.outcome is not None, command
    return payment.with_dispute(command.dispute_id, command.outcome, command.money)


def _set_aside(draft: Draft, command: TakeBack, payment: Payment) -> None:
    """Hold what is left of a disputed payment's credits, without an end."""
    assert command.dispute_id is not None
    grant = draft.account.grant(payment.grant_id)
    held = min(grant.remaining, payment.credits - payment.taken_back) if grant else 0
    if held:
        allocations = (Allocation(payment.grant_id, held),)
        draft.change(
            grants=buckets.withdraw(draft.account.grants, allocations),
            holds=(*draft.account.holds, Hold(hold_id=command.dispute_id, allocations=allocations)),
        )
        draft.enter(
            f"{command.dispute_id}:opened",
            EntryType.HOLD,
            0,
            command=command,
            allocations=allocations,
            source=command.dispute_id,
        )


def _set_free(
    draft: Draft,
    command: TakeBack,
    hold: Hold,
    amount: int,
    entry_id: str,
) -> int:
    """Put held credits back into their grant; return how many expired with it meanwhile."""
    [held] = hold.allocations
    freed = (Allocation(held.grant_id, amount),)
    left = (Allocation(held.grant_id, held.amount - amount),)
    others = tuple(other for other in draft.account.holds if other is not hold)
    draft.change(
        holds=(*others, replace(hold, allocations=left)) if amount < hold.amount else others
    )
    gone = draft.account.grant(held.grant_id) is None
    if gone:
        grant = Grant(
            grant_id=held.grant_id,
            kind=GrantKind.PURCHASE,
            amount=amount,
            remaining=0,
            granted_at=draft.now,
            expires_at=draft.now,
            source=entry_id,
        )
        draft.change(grants=(*draft.account.grants, grant))
    draft.change(grants=buckets.give_back(draft.account.grants, freed))
    draft.enter(
        entry_id,
        EntryType.RELEASE,
        0,
        command=command,
        allocations=freed,
        source=hold.hold_id,
    )
    if not gone:
        return 0
    draft.change(grants=draft.account.grants[:-1])
    draft.enter(f"expiry:{entry_id}", EntryType.EXPIRY, -amount, allocations=freed)
    return amount


def _claw_back(draft: Draft, command: TakeBack, told: Payment, expired: int) -> None:
    """Take back credits: out of the payment's own grant, what is held of it included, then as debt.

    Nobody owes for credits that expired unspent.
    """
    due = told.credits_back - told.taken_back
    if due <= 0:
        return
    name = f"{told.payment_id}:clawback:{told.credits_back}"
    for hold in _holds(draft, told.disputes):
        grant = draft.account.grant(told.grant_id)
        short = min(hold.amount, due - (grant.remaining if grant else 0))
        if short > 0:
            expired += _set_free(draft, command, hold, short, f"{name}:{hold.hold_id}")
    grant = draft.account.grant(told.grant_id)
    taken = min(due, grant.remaining) if grant else 0
    owed = due - taken
    if grant is None:
        held = sum(hold.amount for hold in _holds(draft, told.disputes))
        owed = max(0, min(owed, told.credits - told.taken_back - expired - held))
    if taken + owed == 0:
        return
    allocations = (Allocation(told.grant_id, taken),) if taken else ()
    draft.change(
        grants=buckets.withdraw(draft.account.grants, allocations),
        debt=draft.account.debt + owed,
    )
    draft.enter(
        name,
        EntryType.CLAWBACK,
        -taken - owed,
        command=command,
        allocations=allocations,
        source=command.refund_id or command.dispute_id or told.payment_id,
    )


def _holds(draft: Draft, hold_ids: Container[str]) -> list[Hold]:
    return [hold for hold in draft.account.holds if hold.hold_id in hold_ids]
