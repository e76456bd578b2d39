"""Checks of payments against the entries that name them."""

from collections.abc import Iterator

from scrip.domain.account import AccountStatus
from scrip.domain.audit.checks.check import AboutItem, compare, payment_checks, record_checks
from scrip.domain.audit.findings import Code
from scrip.domain.audit.tally import Tally
from scrip.domain.payments import DisputeOutcome, Payment
from scrip.domain.terms import Term


@record_checks.reporting(Code.PAYMENT_WRONG)
def payment_and_entry_exist(tally: Tally) -> Iterator[AboutItem]:
    """A payment's entry has its payment, and a clawback the payment's entry."""
    for name in sorted(tally.taken_back.keys() - tally.paid.keys()):
        yield f"payment {name}", "Credits were taken back, but no entry brought them."
    for name in sorted(tally.paid.keys() - tally.payments.keys()):
        yield f"payment {name}", "Its entry exists, but the payment is missing or unreadable."


@record_checks.reporting(Code.PAYMENT_WRONG)
def what_has_moved_was_taken_back(tally: Tally) -> Iterator[AboutItem]:
    """What a payment brought to an account that it has left was taken back, all of it."""
    if tally.account is None or tally.account.status is AccountStatus.CLOSED:
        return
    for name in sorted(tally.paid.keys() & tally.payments.keys()):
        if tally.has_moved(name):
            (amount, _), taken_back = tally.paid[name], tally.taken_back[name]
            yield from compare(f"payment {name}", "What it left behind", amount - taken_back, 0)


@payment_checks.reporting(Code.PAYMENT_WRONG)
def payment_is_what_its_entry_says(tally: Tally, payment: Payment) -> Iterator[AboutItem]:
    """A payment belongs to its entry's account and brought the same credits for the same money."""
    about, (amount, grant_id) = f"payment {payment.payment_id}", tally.paid[payment.entry_id]
    if payment.account_id != tally.books.account_id:
        yield about, f"It belongs to account {payment.account_id}."
    brought = f"{payment.credits} in grant {payment.grant_id or 'none'}"
    by_entry = f"{amount} in grant {grant_id or 'none'}"
    yield from compare(about, "The number of credits it brought", brought, by_entry)
    money = tally.money.get(payment.entry_id, payment.money)
    yield from compare(about, "The money it cost", payment.money, money)


@payment_checks.reporting(Code.PAYMENT_WRONG)
def payment_lost_what_its_entries_took(tally: Tally, payment: Payment) -> Iterator[AboutItem]:
    """A payment agrees with its clawbacks and with what expired while it was disputed."""
    about, name = f"payment {payment.payment_id}", payment.entry_id
    taken = payment.taken + payment.owed
    yield from compare(about, "The number of credits taken back", taken, tally.taken_back[name])
    expired = "The number of credits that expired while they were set aside"
    yield from compare(about, expired, payment.unspent, tally.unspent[name])
    if payment.version <= tally.clawbacks[name]:
        yield about, f"Its version is {payment.version}, after {tally.clawbacks[name]} clawbacks."


@payment_checks.reporting(Code.PAYMENT_WRONG)
def returned_money_took_its_credits_back(tally: Tally, payment: Payment) -> Iterator[AboutItem]:
    """The credits that returned money had bought were taken back, except what may be forgiven."""
    if payment.entry_id in _of_terms(tally):
        return
    bought, taken_back = payment.credits_back, tally.taken_back[payment.entry_id]
    if not 0 <= bought - taken_back <= _forgiven_max(tally, payment):
        sentence = f"The returned money had bought {bought} credits; {taken_back} were taken back."
        yield f"payment {payment.payment_id}", sentence


@payment_checks.reporting(Code.PAYMENT_WRONG)
def disputes_are_those_of_their_holds(tally: Tally, payment: Payment) -> Iterator[AboutItem]:
    """A dispute is open while its hold is, and ended as the entry that released the hold says."""
    for hold_id, (payment_id, dispute_id) in tally.disputes.items():
        if payment_id != payment.entry_id:
            continue
        dispute = payment.disputes.get(dispute_id)
        stored = dispute.outcome if dispute else "missing"
        is_open = hold_id in tally.open_holds
        outcome = tally.dispute_ends.get(hold_id, DisputeOutcome.OPEN if is_open else None)
        if outcome == DisputeOutcome.LOST and payment.credits and dispute and not dispute.money:
            continue  # until 0.2.0 it took nothing of a payment of a known price
        if (outcome, stored) == (DisputeOutcome.LOST, DisputeOutcome.WON):
            continue  # the money was reinstated afterwards
        expected = outcome or (stored if dispute else "over")
        yield from compare(f"payment {payment_id}", f"Its dispute {dispute_id}", stored, expected)


@payment_checks.reporting(Code.TERM_WRONG)
def terms_know_what_went_back(tally: Tally, payment: Payment) -> Iterator[AboutItem]:
    """The terms of a payment know which share of its money went back or is disputed.

    A term that was read from an old account learns that with the first return after it.
    """
    if payment.payment_id in tally.paid_before_terms:
        return
    for term in _of_terms(tally).get(payment.entry_id, ()):
        about = f"term {term.term_id}"
        yield from compare(about, "The share that went back", term.back, payment.share_back)
        yield from compare(about, "The disputed share", term.disputed, payment.share_disputed)


def _of_terms(tally: Tally) -> dict[str, list[Term]]:
    """Return the terms of the account, those that are over included, by payment."""
    now = tally.account.terms if tally.account else ()
    known = {term.term_id: term for term in (*tally.books.terms.values(), *now)}
    found: dict[str, list[Term]] = {}
    for term in known.values():
        found.setdefault(term.payment_id, []).append(term)
    return found


def _forgiven_max(tally: Tally, payment: Payment) -> int:
    """Return how many credits may be missing: none while the payment's grant exists.

    What expired with the grant, or while it was set aside, is gone without being spent.
    """
    account = tally.account
    if account is None or account.status is AccountStatus.CLOSED:
        return payment.credits
    if account.grant(payment.grant_id):
        return 0
    expired = tally.unspent[payment.entry_id] + tally.expired.get(payment.grant_id, 0)
    return expired + account.held_of(payment.grant_id)
