"""Billing: what payments bring, what a subscription's state means, and what is taken back.

Messages arrive twice, late and in any order. So a payment of a subscription only adds terms, a
refund only says which share of them went back, and settling books what that changes. Of two states
of a subscription the later one counts, whichever arrives first.
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from scrip.domain import grants as buckets
from scrip.domain import moving
from scrip.domain.account import SUBSCRIPTIONS_MAX, Account, Hold, Subscription
from scrip.domain.catalog import Catalog
from scrip.domain.commands import (
    Command,
    FollowSubscription,
    GiveUp,
    PayTerms,
    Purchase,
    TakeBack,
)
from scrip.domain.entries import Entry, EntryType
from scrip.domain.errors import PaymentNotFoundError
from scrip.domain.grants import Allocation, Grant, GrantKind
from scrip.domain.holds import release_own, set_free
from scrip.domain.naming import Rank
from scrip.domain.payments import DisputeOutcome, Payment
from scrip.domain.posting import Draft, Paid, Posting
from scrip.domain.settle import advance
from scrip.domain.terms import Lot, Term

NOTHING = (0, 1)
"""The share of a payment's money that went back if all of it was reinstated."""


def purchase(draft: Draft, command: Purchase, paid: Paid | None) -> Posting:
    """Grant bought credits; at the limit of grants they join another purchase.

    `paid` is the payment if it comes from another account.

    Raises:
        PaymentTakenError: that account has not given it up for this one.
    """
    draft.make_room()
    entry = draft.grant(
        command.entry_id,
        EntryType.PURCHASE,
        GrantKind.PURCHASE,
        command.credits,
        command=command,
        source=command.payment_id,
    )
    payment = moving.taken_over(paid, _payment(command, entry))
    payment = _settle_purchase(draft, command, payment, None)
    for dispute_id, dispute in payment.disputes.items():
        if dispute.outcome is DisputeOutcome.OPEN:
            disputed = _disputed(draft, payment, payment)
            _set_aside(draft, command, payment, dispute_id, disputed)
    return draft.posting(entry=entry, payment=(paid.payment if paid else None, payment))


def pay_terms(draft: Draft, command: PayTerms, paid: Paid | None, catalog: Catalog) -> Posting:
    """Add the terms of a payment. Its own entry moves no credits; those of the months follow it.

    `paid` is the payment if it comes from another account.

    Raises:
        CatalogUnsoundError: the catalog lacks a plan.
        PaymentTakenError: that account has not given it up for this one.
    """
    entry = draft.enter(
        command.entry_id, EntryType.PLAN, 0, command=command, source=command.payment_id
    )
    payment = moving.taken_over(paid, _payment(command, entry))
    account = draft.account
    terms = tuple(
        Term(
            payment_id=command.entry_id,
            number=number,
            subscription_id=command.subscription_id,
            item_id=line.item_id,
            plan_id=catalog.plan(line.plan_id).plan_id,
            quantity=line.quantity,
            start=line.start,
            end=line.end,
            prorated=line.prorated,
            credited=line.credited,
            back=payment.share_back,
            disputed=payment.share_disputed,
        )
        for number, line in enumerate(command.lines)
        if line.quantity
    )
    draft.account = replace(
        account,
        terms=(*account.terms, *terms),
        subscriptions=_with_payment(account, command),
    )
    advance(draft, catalog, changed=True, command=command)
    return draft.posting(entry=entry, payment=(paid.payment if paid else None, payment))


def follow_subscription(draft: Draft, command: FollowSubscription, catalog: Catalog) -> Posting:
    """Record a subscription's state. An older state never overwrites a newer one."""
    reported = Subscription(
        subscription_id=command.subscription_id,
        status=command.status,
        ended=command.ended,
        at=command.at,
    )
    draft.account = replace(
        draft.account, subscriptions=_with_subscription(draft.account, reported)
    )
    advance(draft, catalog, changed=True, command=command)
    return draft.posting()


def give_up(draft: Draft, command: GiveUp, paid: Paid | None, catalog: Catalog) -> Posting:
    """Take away a payment or a subscription that is another account's.

    Raises:
        PaymentNotFoundError: the account has no such payment any more.
    """
    if command.payment_id is not None:
        return take_back(draft, command, paid, catalog)
    draft.account = moving.without_subscription(draft.account, command.subscription_id)
    return draft.posting()


def take_back(
    draft: Draft,
    command: TakeBack | GiveUp,
    paid: Paid | None,
    catalog: Catalog,
) -> Posting:
    """Set a disputed payment's credits aside, release them, or take back what was returned.

    Raises:
        PaymentNotFoundError: the account has no such payment.
    """
    if paid is None or paid.payment.account_id != command.account_id:
        raise PaymentNotFoundError(str(command.payment_id))
    payment, expiry, entries = paid.payment, paid.expiry, len(draft.entries)
    updated = _updated(payment, command)
    if updated == payment:
        advance(draft, catalog)  # lets go of the terms that are over
        return draft.posting()
    for entry in draft.entries:
        if entry.entry_id == f"expiry:{payment.grant_id}":
            expiry = entry
    disputed = _disputed(draft, payment, updated)
    if isinstance(command, TakeBack) and command.dispute_id is not None:
        is_new = command.dispute_id not in payment.disputes
        updated = _dispute(draft, command, updated, disputed, is_new=is_new)
    elif _terms(draft, payment):
        _free_excess(draft, command, payment, disputed)
    draft.account = _with_shares(draft.account, updated, expiry)
    if not _terms(draft, payment):
        updated = _settle_purchase(draft, command, updated, expiry)
    advance(draft, catalog, changed=True, command=command)
    if isinstance(command, GiveUp):
        draft.account = moving.without_subscription(draft.account, command.subscription_id)
    if payment.rank is Rank.TYPED:
        updated = _forgiven(draft, command, updated, draft.entries[entries:])
    after = replace(updated, version=payment.version + 1)
    return draft.posting(payment=(payment, after))


def _forgiven(
    draft: Draft, command: Command, payment: Payment, entries: Sequence[Entry]
) -> Payment:
    """Forgive what entries have made somebody owe by a payment that another's word has given.

    Returns the payment afterwards. What was forgiven does not come back if the money does.
    """
    owed = sum(
        -entry.amount - sum(part.amount for part in entry.allocations)
        for entry in entries
        if entry.type is EntryType.CLAWBACK
    )
    if not owed:
        return payment
    moving.forgive(draft, command, owed)
    mine = _terms(draft, payment)
    draft.account = replace(
        draft.account,
        terms=tuple(
            replace(term, forgiven=True) if term in mine else term for term in draft.account.terms
        ),
    )
    return payment if mine else replace(payment, forgiven=payment.forgiven + owed)


def _with_shares(account: Account, payment: Payment, expiry: Entry | None) -> Account:
    """Return an account whose terms know which share of their payment went back or is disputed.

    A payment with credits of its own is of a version that kept no terms. What it lost then joins
    the first month of its term with the first return that is heard of.
    """
    terms = []
    for term in account.terms:
        back, lots = payment.share_back, term.lots
        if term.payment_id != payment.entry_id:
            terms.append(term)
            continue
        if payment.credits:
            back = back or (term.back and NOTHING)
            if back and not term.back and not term.number:
                lots = {**lots, 0: _with_past(lots[0], payment, expiry)}
        terms.append(replace(term, back=back, disputed=payment.share_disputed, lots=lots))
    return replace(account, terms=tuple(terms))


def _with_past(lot: Lot, payment: Payment, expiry: Entry | None) -> Lot:
    """Return the first month of an old payment's term with what was taken back of it before."""
    if lot.allowance:
        return replace(
            lot,
            allowance=lot.allowance + payment.taken,
            booked=lot.booked - payment.owed,
            owed=lot.owed + payment.owed,
        )
    expired = payment.unspent - (expiry.amount if expiry else 0)
    return replace(
        lot,
        allowance=payment.credits,
        booked=payment.left,
        spent=lot.spent + payment.credits - payment.taken - expired,
        owed=payment.owed,
    )


def _with_payment(account: Account, command: PayTerms) -> tuple[Subscription, ...]:
    """Return an account's subscriptions with that of a payment, if it is not known yet."""
    known = account.subscriptions
    if any(one.subscription_id == command.subscription_id for one in known):
        return known
    at = min(line.start for line in command.lines)
    paid = Subscription(
        subscription_id=command.subscription_id, status="active", ended=False, at=at
    )
    return _with_subscription(account, paid)


def _with_subscription(account: Account, reported: Subscription) -> tuple[Subscription, ...]:
    """Return an account's subscriptions with a reported state of one, if that is its latest.

    Those with terms are kept, and the latest others.
    """
    known = account.subscriptions
    of_one = [one for one in known if one.subscription_id == reported.subscription_id]
    others = [one for one in known if one.subscription_id != reported.subscription_id]
    latest = max((reported, *of_one), key=lambda one: one.order)
    ordered = sorted((*others, latest), key=lambda one: (not one.ended, one.order))
    with_terms = {term.subscription_id for term in account.terms}
    return tuple(
        one
        for place, one in enumerate(reversed(ordered))
        if place < SUBSCRIPTIONS_MAX or one.subscription_id in with_terms
    )[::-1]


def _payment(command: Purchase | PayTerms, entry: Entry) -> Payment:
    """Return the record of a payment, by which a refund or a dispute finds what it brought."""
    return Payment(
        payment_id=command.payment_id,
        account_id=command.account_id,
        rank=command.rank,
        moved=command.moved,
        grant_id=entry.allocations[0].grant_id if entry.allocations else "",
        credits=entry.amount,
        money=command.money,
        currency=command.currency,
        presented_money=command.presented_money,
        presented_currency=command.presented_currency,
    )


def _updated(payment: Payment, command: TakeBack | GiveUp) -> Payment:
    """Return a payment with the fact that a command reports."""
    if isinstance(command, GiveUp):
        return replace(payment, to=command.to)
    if command.total is not None:
        return payment.with_total(
            command.charge_id, command.total, currency=command.currency, charged=command.charged
        )
    if command.refund_id is not None:
        return payment.with_refund(
            command.refund_id,
            command.money,
            status=command.status,
            currency=command.currency,
            charge_id=command.charge_id,
            charged=command.charged,
        )
    assert command.dispute_id is not None, command
    assert command.outcome is not None, command
    return payment.with_dispute(
        command.dispute_id,
        command.outcome,
        command.money,
        currency=command.currency,
        charge_id=command.charge_id,
        charged=command.charged,
    )


def _hold_id(payment: Payment, dispute_id: str) -> str:
    return f"{payment.entry_id}:{dispute_id}"


def _holds(draft: Draft, payment: Payment) -> list[Hold]:
    """Return the holds on a payment's credits."""
    ids = {_hold_id(payment, dispute_id) for dispute_id in payment.disputes}
    return [hold for hold in draft.account.holds if hold.hold_id in ids]


def _terms(draft: Draft, payment: Payment) -> list[Term]:
    return [term for term in draft.account.terms if term.payment_id == payment.entry_id]


def _disputed(draft: Draft, payment: Payment, updated: Payment) -> int:
    """Return how many of a payment's credits are disputed; `updated` says which share is.

    Of a purchase, what was taken back until now belongs to the share of `payment` that was
    returned. Of a term the disputed share is that of its last months, as if it were returned.
    """
    mine = _terms(draft, payment)
    if not mine:
        kept = 1 - Fraction(*(payment.share_back or (0, 1)))
        share = Fraction(*(updated.share_disputed or (0, 1)))
        return int(payment.left * share / kept) if kept else 0
    back, disputed = updated.share_back, updated.share_disputed
    shared = [replace(term, back=back, disputed=disputed) for term in mine]
    others = (term for term in draft.account.terms if term not in mine)
    terms = replace(draft.account, terms=(*others, *shared)).all_terms
    total = 0
    for term in shared:
        for month, lot in term.lots.items():
            due = terms.entitled(term, month, lot.allowance, draft.now)
            undisputed = terms.entitled(term, month, lot.allowance, draft.now, with_disputed=False)
            total += max(0, min(lot.booked, due) - undisputed)
    return total


def _dispute(
    draft: Draft,
    command: TakeBack,
    payment: Payment,
    disputed: int,
    *,
    is_new: bool,
) -> Payment:
    """Set credits aside when a dispute opens, and release them when it is closed.

    `disputed` are those of all open disputes. Returns the payment afterwards.
    """
    assert command.dispute_id is not None
    hold_id = _hold_id(payment, command.dispute_id)
    outcome = payment.disputes[command.dispute_id].outcome
    if outcome is DisputeOutcome.OPEN:
        if is_new:
            _set_aside(draft, command, payment, command.dispute_id, disputed)
        return payment
    expired = sum(
        set_free(
            draft,
            hold,
            hold.amount,
            f"{hold_id}:{outcome}",
            is_won=outcome is DisputeOutcome.WON,
            command=command,
        )
        for hold in draft.account.holds
        if hold.hold_id == hold_id
    )
    return replace(payment, unspent=payment.unspent + expired)


def _free_excess(draft: Draft, command: Command, payment: Payment, disputed: int) -> None:
    """Free what disputes hold beyond what is still disputed, because it was returned."""
    holds = _holds(draft, payment)
    excess = sum(hold.amount for hold in holds) - disputed
    for hold in holds:
        free = min(excess, hold.amount)
        if free > 0:
            excess -= free
            name = draft.unique_name(f"{hold.hold_id}:returned")
            set_free(draft, hold, free, name, command=command)


def _set_aside(
    draft: Draft,
    command: Command,
    payment: Payment,
    dispute_id: str,
    disputed: int,
) -> None:
    """Hold the disputed credits of a payment, as far as they are left, without an expiry.

    The user's own holds on them end first, if needed.
    """
    hold_id, mine = _hold_id(payment, dispute_id), _terms(draft, payment)
    wanted = disputed - sum(hold.amount for hold in _holds(draft, payment))
    grants = _grants(draft, payment, mine)
    while sum(grant.remaining for grant in grants) < wanted and any(
        release_own(draft, command, grant.grant_id) for grant in grants
    ):
        grants = _grants(draft, payment, mine)
    allocations = []
    for grant in grants:
        held = min(wanted, grant.remaining)
        wanted -= held
        if held > 0:
            allocations.append(Allocation(grant.grant_id, held))
    if allocations:
        hold = Hold(hold_id=hold_id, allocations=tuple(allocations))
        draft.account = replace(
            draft.account,
            grants=buckets.withdraw(draft.account.grants, allocations),
            holds=(*draft.account.holds, hold),
        )
        draft.enter(
            f"{hold_id}:opened",
            EntryType.HOLD,
            0,
            command=command,
            allocations=hold.allocations,
            source=dispute_id,
        )


def _grants(draft: Draft, payment: Payment, terms: list[Term]) -> list[Grant]:
    """Return the live grants of a payment: the purchase's own, or those of its terms' months."""
    lots = {term.lot_id(month) for term in terms for month in term.lots}
    return [
        grant
        for grant in reversed(draft.account.grants)
        if grant.grant_id == payment.grant_id or grant.lot_id in lots
    ]


def _settle_purchase(
    draft: Draft,
    command: Command,
    payment: Payment,
    expiry: Entry | None,
) -> Payment:
    """Take back what a payment itself brought, or restore it if a refund or a dispute was undone.

    Returns the payment afterwards.
    """
    due = payment.credits_back - payment.taken - payment.owed
    if due < 0:
        return _restore(draft, command, payment, -due)
    return _claw_back(draft, command, payment, expiry, due) if due else payment


def _restore(draft: Draft, command: Command, payment: Payment, amount: int) -> Payment:
    """Give back what a payment itself had brought: into its own grant, or in its place.

    What was forgiven is not owed, so it does not come back.
    """
    owed = max(0, payment.owed - amount)
    taken = payment.taken - (amount - (payment.owed - owed))
    forgiven = min(amount, payment.forgiven)
    restored = replace(payment, owed=owed, taken=taken, forgiven=payment.forgiven - forgiven)
    if amount == forgiven:
        return restored
    draft.make_room()
    name = draft.unique_name(f"{payment.entry_id}:restored")
    entry = draft.grant(
        name,
        EntryType.PURCHASE,
        GrantKind.PURCHASE,
        amount - forgiven,
        command=command,
        into=payment.grant_id,
        source=payment.payment_id,
    )
    return replace(restored, grant_id=entry.allocations[0].grant_id)


def _claw_back(
    draft: Draft,
    command: Command,
    payment: Payment,
    expiry: Entry | None,
    due: int,
) -> Payment:
    """Take back credits: out of the payment's own grant and the holds on it, then as debt.

    The grant of a period that was paid before terms were kept may have expired: then what rolled
    over takes its place, and what expired unspent is not owed. Version 0.2.0 has named clawbacks
    after numbers of credits, so a bare seq could be such a name.
    """
    name = draft.unique_name(f"{payment.entry_id}:clawback:seq")
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
                set_free(draft, hold, short, f"{name}:{hold.hold_id}", command=command)
                own = draft.account.grant(payment.grant_id) or own
    if due <= 0:
        return payment
    name = draft.unique_name(f"{payment.entry_id}:clawback:seq")
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
    )
    if own and own.grant_id == payment.grant_id and (lot := draft.account.lot(own.lot_id)):
        # The month of another payment's term, of which this one had raised the allowance.
        lot = replace(
            lot,
            allowance=lot.allowance - due,
            booked=lot.booked - due,
            owed=lot.owed + due - taken,
        )
        draft.put_lot(own.lot_id, lot)
    entry = draft.take(
        name,
        allocations,
        due - taken,
        command=command,
        source=_cause(command) or payment.payment_id,
    )
    if due > taken:
        draft.pay_owed(entry)
    return replace(payment, taken=payment.taken + taken, owed=payment.owed + due - taken)


def _cause(command: Command) -> str | None:
    """Return the refund or the dispute that a command reports, if it reports one."""
    return command.refund_id or command.dispute_id if isinstance(command, TakeBack) else None


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
