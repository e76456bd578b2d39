"""Billing: what payments grant, what a subscription's state means, and what is taken back.

Messages arrive twice, late and in any order. So facts about money add up and are named by the
payment, and of two states of a subscription the later one counts, whichever arrives first.
"""

from dataclasses import replace
from datetime import datetime

from scrip.domain import grants as buckets
from scrip.domain.account import (
    PAYMENT_GRACE,
    SUBSCRIPTIONS_MAX,
    Account,
    Hold,
    Quota,
    Subscription,
)
from scrip.domain.catalog import Catalog, Plan
from scrip.domain.commands import FollowSubscription, PayPeriod, Purchase, TakeBack
from scrip.domain.entries import Entry, EntryType
from scrip.domain.errors import PaymentNotFoundError
from scrip.domain.grants import Allocation, Grant, GrantKind
from scrip.domain.holds import give_back, release_dead, release_own
from scrip.domain.payments import DisputeOutcome, Payment
from scrip.domain.posting import Draft, Paid, Posting
from scrip.domain.quotas import grant_difference
from scrip.domain.settle import (
    expire,
    keep_held_rollover,
    plan_grants,
    roll_over,
    rolled_over,
    set_quota,
)


def purchase(draft: Draft, command: Purchase) -> Posting:
    """Grant bought credits; at the limit of grants they join another purchase."""
    draft.make_room()
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
    """Grant the allowance of a paid period.

    A payment that extends the paid time opens a period. One for the same time, for an upgrade,
    raises the allowance. One for a past period grants what it bought, and no more.
    """
    account, plan = draft.account, catalog.plan(command.plan_id)
    quota = Quota(plan_id=plan.plan_id)
    for own in (account.next_quota, account.quota):
        # An admin's overrides for this plan stay, in force or pending.
        if own is not None and own.plan_id == plan.plan_id:
            quota = own
            break
    begun = max(account.begins(account.period), draft.now - PAYMENT_GRACE)
    if command.end > (account.paid_until or begun):
        entry = _open_paid_period(draft, command, catalog, quota)
    elif account.paid_until and command.end > account.anchor:
        entry = _raise_allowance(draft, command, catalog, quota)
    else:
        entry = _grant_gone_period(draft, command, plan, quota.allowance(plan))
    return draft.posting(entry=entry, payment=(None, _payment(command, entry)))


def follow_subscription(draft: Draft, command: FollowSubscription) -> Posting:
    """Record a subscription's state. An older state never overwrites a newer one."""
    reported = Subscription(
        subscription_id=command.subscription_id,
        status=command.status,
        ended=command.ended,
        at=command.at,
        plan_after=command.plan_after,
    )
    draft.account = replace(
        draft.account, subscriptions=_with_subscription(draft.account.subscriptions, reported)
    )
    return draft.posting()


def take_back(draft: Draft, command: TakeBack, paid: Paid | None) -> Posting:
    """Set a disputed payment's credits aside, release them, or take back what was returned.

    Raises:
        PaymentNotFoundError: the account has no such payment.
    """
    if paid is None or paid.payment.account_id != command.account_id:
        raise PaymentNotFoundError(command.payment_id)
    payment, expiry = paid.payment, paid.expiry
    updated = _updated(payment, command)
    if updated == payment:
        return draft.posting()
    for entry in draft.entries:
        if entry.entry_id == f"expiry:{payment.grant_id}":
            expiry = entry
    if command.dispute_id is not None:
        updated = _dispute(draft, command, payment, updated)
    updated = _claw_back(draft, command, updated, expiry)
    if updated.is_returned and draft.account.paid_by == updated.payment_id:
        # The months to come are no longer paid for.
        draft.account = replace(draft.account, paid_until=draft.account.period_end)
    after = replace(updated, version=payment.version + 1)
    return draft.posting(payment=(payment, after))


def _open_paid_period(draft: Draft, command: PayPeriod, catalog: Catalog, quota: Quota) -> Entry:
    account, ending = draft.account, draft.plan
    began = account.begins(account.period)
    start = min(command.start, draft.now)
    opened = replace(account, anchor=start, period=0, paid_until=command.end)
    carried = rolled_over(account.grants, ending, opened, command.entry_id)
    plans = plan_grants(account)
    expire(draft, plans_end=max(start, began))
    draft.account = replace(
        draft.account,
        anchor=start,
        period=0,
        paid_until=command.end,
        paid_by=command.entry_id,
        next_quota=None,
        subscriptions=_paid_subscriptions(account.subscriptions, command),
        # Usage from before the payment arrived may belong to its period.
        used=account.used if start < began else 0,
    )
    set_quota(draft, quota, catalog)
    roll_over(draft, carried)
    keep_held_rollover(draft, ending, plans)
    entry = _grant_period(draft, command, quota.allowance(draft.plan), draft.account.allowance_end)
    expire(draft)
    release_dead(draft, draft.now)
    return entry


def _raise_allowance(draft: Draft, command: PayPeriod, catalog: Catalog, quota: Quota) -> Entry:
    allowance = quota.allowance(catalog.plan(quota.plan_id))
    given = draft.account.plan_grant
    if allowance >= (given.amount if given else 0):
        set_quota(draft, quota, catalog)
    entry = grant_difference(draft, allowance, command)
    return entry or draft.enter(command.entry_id, EntryType.PLAN, 0, command=command)


def _grant_gone_period(draft: Draft, command: PayPeriod, plan: Plan, amount: int) -> Entry:
    """Grant the credits of a past period: they expire at once, except what rolls over."""
    account = draft.account
    entry = _grant_period(draft, command, amount, command.end)
    carried: tuple[Grant, ...] = ()
    if account.paid_until and command.end == account.begins(account.period):
        kept = [grant for grant in draft.account.grants if grant.kind is not GrantKind.PLAN]
        gone = [
            grant
            for grant in draft.account.grants
            if (grant.kind, grant.expires_at) == (GrantKind.PLAN, command.end)
        ]
        carried = rolled_over((*kept, *gone), plan, account, command.entry_id)
    expire(draft)
    roll_over(draft, carried)
    return entry


def _grant_period(draft: Draft, command: PayPeriod, amount: int, expires_at: datetime) -> Entry:
    if not amount:
        return draft.enter(command.entry_id, EntryType.PLAN, 0, command=command)
    return draft.grant(
        command.entry_id,
        EntryType.PLAN,
        GrantKind.PLAN,
        amount,
        effective_at=min(command.start, draft.now),
        grant_expires_at=expires_at,
        command=command,
        source=command.entry_id,
    )


def _paid_subscriptions(
    known: tuple[Subscription, ...],
    command: PayPeriod,
) -> tuple[Subscription, ...]:
    """Return an account's subscriptions with that of a payment, if it is not known yet."""
    if any(one.subscription_id == command.subscription_id for one in known):
        return known
    paid = Subscription(
        subscription_id=command.subscription_id,
        status="active",
        ended=False,
        at=command.start,
        plan_after=command.plan_after,
    )
    return _with_subscription(known, paid)


def _with_subscription(
    known: tuple[Subscription, ...],
    reported: Subscription,
) -> tuple[Subscription, ...]:
    """Return the latest subscriptions with a reported state of one, if that is its latest."""
    of_one = [one for one in known if one.subscription_id == reported.subscription_id]
    others = [one for one in known if one.subscription_id != reported.subscription_id]
    latest = max((reported, *of_one), key=lambda one: one.order)
    ordered = sorted((*others, latest), key=lambda one: (not one.ended, one.order))
    return tuple(ordered[-SUBSCRIPTIONS_MAX:])


def _payment(command: Purchase | PayPeriod, entry: Entry) -> Payment:
    """Return the record of a payment, by which a refund or a dispute finds its credits."""
    return Payment(
        payment_id=command.entry_id,
        account_id=command.account_id,
        grant_id=entry.allocations[0].grant_id if entry.allocations else "",
        credits=entry.amount,
        money=command.money,
    )


def _updated(payment: Payment, command: TakeBack) -> Payment:
    """Return a payment with the fact that a command reports."""
    if command.returned is not None:
        return payment.with_returned(command.returned)
    if command.refund_id is not None:
        return payment.with_refund(command.refund_id, command.money)
    assert command.dispute_id is not None, command
    assert command.outcome is not None, command
    return payment.with_dispute(command.dispute_id, command.outcome, command.money)


def _hold_id(payment: Payment, dispute_id: str) -> str:
    return f"{payment.payment_id}:{dispute_id}"


def _holds(draft: Draft, payment: Payment) -> list[Hold]:
    """Return the holds on a payment's credits."""
    ids = {_hold_id(payment, dispute_id) for dispute_id in payment.disputes}
    return [hold for hold in draft.account.holds if hold.hold_id in ids]


def _dispute(draft: Draft, command: TakeBack, payment: Payment, updated: Payment) -> Payment:
    """Set credits aside when a dispute opens, and release them when it is closed.

    Returns the payment afterwards.
    """
    assert command.dispute_id is not None
    hold_id = _hold_id(payment, command.dispute_id)
    if command.dispute_id not in payment.disputes:
        _set_aside(draft, command, payment, hold_id)
    if command.outcome is DisputeOutcome.OPEN:
        return updated
    name = f"{hold_id}:{command.outcome}"
    expired = sum(
        _set_free(draft, command, hold, hold.amount, name)
        for hold in draft.account.holds
        if hold.hold_id == hold_id
    )
    return replace(updated, unspent=updated.unspent + expired)


def _set_aside(draft: Draft, command: TakeBack, payment: Payment, hold_id: str) -> None:
    """Hold what is left of a disputed payment's credits, without an expiry.

    The user's own holds on them end first, if needed.
    """
    grant = draft.account.grant(payment.grant_id)
    while grant and grant.remaining < payment.left:
        if not release_own(draft, command, payment.grant_id):
            break
        grant = draft.account.grant(payment.grant_id)
    held = min(grant.remaining, payment.left) if grant else 0
    if held:
        allocations = (Allocation(payment.grant_id, held),)
        draft.account = replace(
            draft.account,
            grants=buckets.withdraw(draft.account.grants, allocations),
            holds=(*draft.account.holds, Hold(hold_id=hold_id, allocations=allocations)),
        )
        draft.enter(
            f"{hold_id}:opened",
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
    """Return held credits to their grant; return how many had expired with it meanwhile."""
    [held] = hold.allocations
    left = (Allocation(held.grant_id, held.amount - amount),)
    others = tuple(other for other in draft.account.holds if other is not hold)
    draft.account = replace(
        draft.account,
        holds=(*others, replace(hold, allocations=left)) if amount < hold.amount else others,
    )
    freed = (Allocation(held.grant_id, amount),)
    entry = give_back(
        draft,
        freed,
        entry_id,
        pays_debt=False,
        command=command,
        source=hold.hold_id,
    )
    return entry.expired or 0


def _claw_back(draft: Draft, command: TakeBack, payment: Payment, expiry: Entry | None) -> Payment:
    """Take back credits: out of the payment's own grant and the holds on it, then as debt.

    If its grant has expired, what rolled over takes its place. What expired unspent is not owed.
    Returns the payment afterwards.
    """
    due = payment.credits_back - payment.taken - payment.owed
    if due <= 0:
        return payment
    name = f"{payment.payment_id}:clawback:{payment.credits_back}"
    holds = _holds(draft, payment)
    own = draft.account.grant(payment.grant_id)
    if own is None:
        own = _rolled_over_from(draft.account, expiry)
        left = -expiry.amount if expiry else 0
        # Others may have rolled over into the same grant.
        expired = max(0, left - own.amount) if own else left
        due = max(0, due - payment.unspent - expired - sum(hold.amount for hold in holds))
    else:
        for hold in holds:
            short = min(hold.amount, due - own.remaining)
            if short > 0:
                _set_free(draft, command, hold, short, f"{name}:{hold.hold_id}")
                own = draft.account.grant(payment.grant_id) or own
    if due <= 0:
        return payment
    taken = min(due, own.remaining) if own else 0
    allocations = (Allocation(own.grant_id, taken),) if own and taken else ()
    draft.account = replace(
        draft.account,
        grants=tuple(
            # Credits taken back count as never granted, for resets and upgrades alike.
            replace(grant, amount=grant.amount - taken)
            if grant.grant_id == payment.grant_id
            else grant
            for grant in buckets.withdraw(draft.account.grants, allocations)
        ),
        debt=draft.account.debt + due - taken,
    )
    draft.enter(
        name,
        EntryType.CLAWBACK,
        -due,
        command=command,
        allocations=allocations,
        source=command.refund_id or command.dispute_id or payment.payment_id,
    )
    return replace(payment, taken=payment.taken + taken, owed=payment.owed + due - taken)


def _rolled_over_from(account: Account, expiry: Entry | None) -> Grant | None:
    """Return the live grant that rolled over when a plan grant expired."""
    if expiry is None:
        return None
    rolled = (
        grant
        for grant in account.grants
        if grant.kind is GrantKind.ROLLOVER and grant.granted_at == expiry.effective_at
    )
    return next(rolled, None)
