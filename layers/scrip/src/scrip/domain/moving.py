"""Moving: what is found to be another account's leaves the one and arrives in the other.

A payment has one owner at a time, and each step is one posting:

1. `GiveUp` takes back from the old account what the payment has brought, as if all of its money had
   been returned, and notes in the payment who is to have it.
2. The payment's own command, with `moved`, books it for the new account, which owns it from then.

A process may die in between. The next attempt finds the payment given up, and goes on.
What has gone back of its money so far moves with the payment.
"""

from dataclasses import replace

from scrip.domain.account import Account
from scrip.domain.commands import Command, GiveUp
from scrip.domain.entries import EntryType
from scrip.domain.errors import PaymentTakenError
from scrip.domain.grants import GrantKind
from scrip.domain.payments import Payment
from scrip.domain.posting import Draft, Paid, Posting

FORGIVEN = "nobody owes what somebody else's word has brought"


def without_subscription(account: Account, subscription_id: str | None) -> Account:
    """Return an account that does not follow a subscription any more, unless it has terms of it."""
    if any(
        term.subscription_id == subscription_id and not term.is_returned for term in account.terms
    ):
        return account
    left = tuple(one for one in account.subscriptions if one.subscription_id != subscription_id)
    return replace(account, subscriptions=left)


def left_behind(account: Account, command: GiveUp, paid: Paid | None) -> Posting:
    """Let a closed account's payment go. What it brought was lost when the account was closed."""
    if paid is None or paid.payment.account_id != command.account_id:
        return Posting(before=account, after=account)
    payment = paid.payment
    given_up = replace(payment, to=command.to, version=payment.version + 1)
    after = replace(account, version=account.version + 1)
    return Posting(before=account, after=after, payment=(payment, given_up))


def taken_over(paid: Paid | None, booked: Payment) -> Payment:
    """Return a payment as it is once it is booked for an account; `paid` is what it was before.

    Raises:
        PaymentTakenError: it is another account's, which has not given it up for this one.
    """
    if paid is None:
        return booked
    known = paid.payment
    if known.to != booked.account_id:
        raise PaymentTakenError(known.payment_id)
    return replace(
        booked,
        version=known.version + 1,
        charges=known.charges,
        refunds=known.refunds,
        disputes=known.disputes,
    )


def forgive(draft: Draft, command: Command, owed: int) -> None:
    """Pay what an account owes for something that the payer's word alone had given to it."""
    draft.grant(
        draft.unique_name("forgiven"),
        EntryType.PROMO,
        GrantKind.PROMO,
        owed,
        command=command,
        reason=FORGIVEN,
    )
