"""What the table keeps of an account beside its entries, as far as a replay needs it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from scrip.domain.account import Account
from scrip.domain.entries import Entry
from scrip.domain.grants import Grant
from scrip.domain.payments import Payment
from scrip.domain.posting import AuditRecord
from scrip.domain.terms import Term

QUOTA_CHANGE = "quota.change"
"""The action of the audit records that a replay needs: such a change may write no entry."""


@dataclass(frozen=True, kw_only=True)
class Records:
    """An account as it is now, and what its entries leave out.

    - `refunded`: the entries of which something was refunded. `captured`: the holds that a call
      ended. `retired` grants and `terms` have left the account's item.
    - `quotas`: the audit records of changes of its quota, in order.
    - `find_entry` and `find_payment` return one by its ID, or None.
    """

    account: Account
    refunded: Collection[str] = frozenset()
    captured: Collection[str] = frozenset()
    retired: Mapping[str, Grant] = field(default_factory=dict)
    terms: Mapping[str, Term] = field(default_factory=dict)
    quotas: Sequence[AuditRecord] = ()
    find_entry: Callable[[str], Entry | None]
    find_payment: Callable[[str], Payment | None]

    def expiry(self, grant_id: str) -> datetime | None:
        """Return when a grant expires, or did; None if it never does, or left no trace of it.

        An entry does not say when its credits expire.
        """
        grant = self.account.grant(grant_id) or self.retired.get(grant_id)
        if grant is not None:
            return grant.expires_at
        entry = self.find_entry(f"expiry:{grant_id}")
        return entry.effective_at if entry else None

    def terms_of(self, payment_id: str) -> list[Term]:
        """Return the terms that a payment gave, in the order of its lines.

        Closing an account deletes those that were not over.
        """
        known = {term.term_id: term for term in (*self.terms.values(), *self.account.terms)}
        mine = [term for term in known.values() if term.payment_id == payment_id]
        return sorted(mine, key=lambda term: term.number)
