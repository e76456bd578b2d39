"""Checks of the account against its entries: grants, counters, status."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from scrip.domain.account import AccountStatus
from scrip.domain.audit.books import Books
from scrip.domain.audit.checks.check import INTO_GRANTS, NEW_CREDITS, Check
from scrip.domain.audit.findings import Code, Finding
from scrip.domain.entries import Entry, EntryType, iso
from scrip.domain.grants import Grant, GrantKind

ORIGINS = {
    GrantKind.ROLLOVER: EntryType.ROLLOVER,
    GrantKind.PLAN: EntryType.PLAN,
    GrantKind.SIGNUP: EntryType.SIGNUP,
    GrantKind.PROMO: EntryType.PROMO,
    GrantKind.REFERRAL: EntryType.REFERRAL,
    GrantKind.ADMIN: EntryType.ADMIN_GRANT,
    GrantKind.REFUND: EntryType.REFUND,
    GrantKind.PURCHASE: EntryType.PURCHASE,
}
"""The type of the entry that brings a grant of each kind."""

CLAWBACK = ":clawback:"
"""In the id of a clawback: behind the payment's, before what has gone back so far."""

USERS = "user:"
"""What the id of a hold begins with that a user's token opened."""

USER_HOLD_DAYS, SERVICE_HOLD_DAYS = 1, 7
"""How long a hold lives at most."""

OPENED = ":opened"
"""What the id of an entry ends with that opens a hold, behind the hold's id."""


class Held:
    """What each hold has of each grant by the entries, as they are taken one by one."""

    def __init__(self) -> None:
        """Know no hold yet."""
        self.holds: dict[str, Counter[str]] = {}
        self.held_after = 0

    def take(self, entry: Entry) -> Counter[str]:
        """Follow an entry, and return what it spent out of a hold, by grants."""
        released = self.held_after - entry.held_after
        self.held_after = entry.held_after
        spent: Counter[str] = Counter()
        match entry.type:
            case EntryType.HOLD:
                name = entry.hold_id or entry.entry_id.removesuffix(OPENED)
                self._add(name, {part.grant_id: part.amount for part in entry.allocations})
            case EntryType.RELEASE:
                name = entry.hold_id or entry.source or ""
                self._add(name, {part.grant_id: -part.amount for part in entry.allocations})
            case EntryType.USAGE if entry.hold_id:
                # A hold is spent in the order in which its credits came into it.
                for grant_id, amount in self.holds.get(entry.hold_id, {}).items():
                    spent[grant_id] = min(amount, released - spent.total())
                self._add(entry.hold_id, {name: -amount for name, amount in spent.items()})
            case EntryType.ADMIN_DEDUCT if released and not entry.held_after:
                self.holds.clear()  # closing an account takes what is held, and tells of no hold
        return spent

    def of_grants(self) -> Counter[str]:
        """Return what is held of each grant."""
        held: Counter[str] = Counter()
        for of_hold in self.holds.values():
            held.update(of_hold)
        return held

    def _add(self, hold_id: str, amounts: dict[str, int]) -> None:
        of_hold = self.holds.setdefault(hold_id, Counter())
        of_hold.update(amounts)
        if not any(of_hold.values()):
            del self.holds[hold_id]  # there may be millions of them


class Grants(Check):
    """What is left of each grant is what was brought, less what was drawn, held and expired."""

    def __init__(self, books: Books) -> None:
        """Look for the origins of the grants that the account has now, or that were retired."""
        super().__init__(books)
        grants = books.account.grants if books.account else ()
        self.grants = {grant.grant_id: grant for grant in grants}
        self.retired = {
            name: grant for name, grant in books.retired.items() if name not in self.grants
        }
        self.origins: dict[str, Entry] = {}
        self.brought: Counter[str] = Counter()
        self.brought_before: defaultdict[str, set[int]] = defaultdict(set)
        self.left: Counter[str] = Counter()
        self.held = Held()
        self.payment_grants: dict[str, str] = {}

    def take(self, entry: Entry) -> Iterator[Finding]:
        """Move the credits of an entry's allocations."""
        direction = 1 if entry.type in INTO_GRANTS else -1
        spent = self.held.take(entry)
        for allocation in entry.allocations:
            name = allocation.grant_id
            if entry.type is EntryType.REFUND and name in self.retired and not self.left[name]:
                # It comes back from its item, which stays as it is, whatever joins the grant then.
                self.brought_before[name].add(self.brought[name])
            amount = direction * allocation.amount + spent[name]
            _move(self.left, name, amount)
            if self.left[name] < 0 or allocation.amount <= 0:
                told = f"It moves {amount:+} credits of grant {name}, which then has "
                told += f"{self.left[name]}."
                yield self.found_in(entry, Code.GRANT_OVERDRAWN, told)
        self._bring(entry)

    def close(self) -> Iterator[Finding]:
        """Compare each grant with what the entries left of it."""
        account = self.books.account
        if account is None:
            return
        for name in sorted(self.left.keys() - self.grants.keys()):
            told = f"The account lacks it; by the entries {self.left[name]} credits are left of it."
            yield self.found(Code.GRANT_WRONG, f"grant {name}", told)
        held = Counter(
            {
                allocation.grant_id: account.held_of(allocation.grant_id)
                for hold in account.holds
                for allocation in hold.allocations
            },
        )
        by_entries = self.held.of_grants()
        for name in sorted(held.keys() | by_entries.keys()):
            if held[name] != by_entries[name]:
                told = (
                    f"{held[name]} credits of it are held, and by the entries {by_entries[name]}."
                )
                yield self.found(Code.HELD_WRONG, f"grant {name}", told)
        for grant in account.grants:
            for told in self._wrong(grant):
                yield self.found(Code.GRANT_WRONG, f"grant {grant.grant_id}", told)
        for name, grant in self.retired.items():
            for told in self._wrong(grant):
                yield self.found(Code.GRANT_WRONG, f"retired grant {name}", told)
        if len(self.grants) < len(account.grants):
            told = "Several grants of the account have the same id."
            yield self.found(Code.GRANT_WRONG, "account", told)

    def _bring(self, entry: Entry) -> None:
        """Note what an entry added to the amounts of grants, or took back out of them."""
        own = f"g{entry.seq}"
        if own in self.grants or own in self.retired:
            self.origins[own] = entry
        payment_id, _, _ = entry.entry_id.rpartition(CLAWBACK)
        for allocation in entry.allocations:
            name = allocation.grant_id
            if name not in self.grants and name not in self.retired:
                continue
            if entry.type in NEW_CREDITS | {EntryType.ROLLOVER}:
                self.brought[name] += allocation.amount
                self.payment_grants[entry.entry_id] = name
            if entry.type is EntryType.CLAWBACK and self.payment_grants.get(payment_id) == name:
                self.brought[name] -= allocation.amount

    def _wrong(self, grant: Grant) -> Iterator[str]:
        left, brought = self.left[grant.grant_id], self.brought[grant.grant_id]
        if not 0 <= grant.remaining <= grant.amount:
            yield f"It has {grant.remaining} left of {grant.amount}."
        if grant.remaining != left:
            yield f"It has {grant.remaining} left, and by the entries {left}."
        # What was refunded into a refund grant may have come from it, or be new there.
        is_brought = grant.amount in {brought, *self.brought_before[grant.grant_id]}
        if grant.kind is not GrantKind.REFUND and not is_brought:
            yield f"Its amount is {grant.amount}, and the entries brought {brought}."
        origin = self.origins.get(grant.grant_id)
        if origin is None or (origin.entry_id, origin.type, origin.effective_at) != (
            grant.source,
            ORIGINS[grant.kind],
            grant.granted_at,
        ):
            yield f"No entry brought it as it says: {grant.kind}, by {grant.source}."


class Holds(Check):
    """Each hold is one that an entry opened, and has what was not captured or set free since."""

    def __init__(self, books: Books) -> None:
        """Look for what was said of the holds that are open."""
        super().__init__(books)
        self.open = {hold.hold_id for hold in books.account.holds} if books.account else set()
        self.held = Held()
        self.latest: dict[str, datetime] = {}
        self.features: dict[str, str | None] = {}
        self.uncharged: Counter[str] = Counter()

    def take(self, entry: Entry) -> Iterator[Finding]:
        """Follow what opens and extends holds, and what takes credits out of them."""
        self.held.take(entry)
        name = entry.hold_id
        if name is None or name not in self.open:
            return
        if entry.type is EntryType.HOLD:
            self.features[name] = entry.feature
            days = USER_HOLD_DAYS if name.startswith(USERS) else SERVICE_HOLD_DAYS
            # An earlier version restarted the limit at each extension, and wrote an entry for it.
            self.latest[name] = entry.recorded_at + timedelta(days=days)
            if name == entry.entry_id and not entry.allocations:
                self.uncharged[name] = entry.cost or 0
        if entry.type is EntryType.USAGE:
            self.uncharged[name] = max(0, self.uncharged[name] - (entry.cost or 0))
        yield from ()

    def close(self) -> Iterator[Finding]:
        """Compare with the account's."""
        held: Counter[str] = Counter()
        for hold in self.books.account.holds if self.books.account else ():
            held[hold.hold_id] += hold.amount
            name, latest = hold.hold_id, self.latest.get(hold.hold_id)
            said = hold.feature, hold.uncharged
            if said != (self.features.get(name), self.uncharged[name]):
                told = "Its feature or what it may use is not what the entries say."
                yield self.found(Code.HELD_WRONG, f"hold {name}", told)
            ends = [end for end in (hold.expires_at, hold.ends_by) if end]
            if not 0 <= hold.rolls_over <= hold.amount:
                told = f"{hold.rolls_over} of its {hold.amount} credits are to roll over."
                yield self.found(Code.HELD_WRONG, f"hold {name}", told)
            # No entry says how long a hold was extended, only how long it may be at most.
            if (not ends) != (latest is None) or (latest and max(ends) > latest):
                told = f"It ends later than {iso(latest) if latest else 'its dispute'}."
                yield self.found(Code.HELD_WRONG, f"hold {name}", told)
        by_entries = {name: amounts.total() for name, amounts in self.held.holds.items()}
        for name in sorted(held.keys() | by_entries.keys()):
            if held[name] != by_entries.get(name, 0):
                told = f"It holds {held[name]} credits, and by the entries "
                told += f"{by_entries.get(name, 0)}."
                yield self.found(Code.HELD_WRONG, f"hold {name}", told)


class Counters(Check):
    """What the account counts is what its entries come to."""

    def __init__(self, books: Books) -> None:
        """Count from nothing."""
        super().__init__(books)
        self.granted = 0
        self.consumed = 0
        # What was used since the current period began: at most, and exactly where a plan entry of
        # the clock shows when the account came into it.
        self.used_at_most = 0
        self.used: int | None = None
        account = books.account
        self.begun = account.begins(account.period) if account else None
        self.refundable: set[str] = set()

    def take(self, entry: Entry) -> Iterator[Finding]:
        """Count an entry."""
        cost = entry.cost or 0
        in_period = self.begun is not None and entry.recorded_at >= self.begun
        match entry.type:
            case EntryType.USAGE:
                self.consumed += cost
                self._use(cost, in_period=in_period)
                if in_period and entry.entry_id in self.books.refunded:
                    self.refundable.add(entry.entry_id)
            case EntryType.REFUND:
                self.consumed -= cost
                if self.used is not None and entry.refunds in self.refundable:
                    self.used = max(0, self.used - cost)
            case EntryType.RESET:
                self.granted += entry.amount
                self.used_at_most, self.used = 0, self.used if self.used is None else 0
            case EntryType.PLAN if entry.effective_at == self.begun:
                # By a payment the account may come into a period that was used already.
                self.used = 0 if entry.request_hash is None else None
        if entry.type in NEW_CREDITS:
            self.granted += entry.amount
        yield from ()

    def close(self) -> Iterator[Finding]:
        """Compare with what the account says."""
        account = self.books.account
        if account is None:
            return
        used = min(max(0, account.used), self.used_at_most) if self.used is None else self.used
        for name, told, counted in (
            ("granted_total", account.granted_total, self.granted),
            ("consumed_total", account.consumed_total, self.consumed),
            ("used", account.used, used),
        ):
            if told != counted:
                sentence = f"{name} is {told}, and by the entries {counted}."
                yield self.found(Code.COUNTER_WRONG, name, sentence)

    def _use(self, cost: int, *, in_period: bool) -> None:
        if in_period:
            self.used_at_most += cost
        if self.used is not None:
            self.used += cost


class Status(Check):
    """Who is frozen or closed is so by an entry, and nobody else."""

    is_frozen = False
    newest_id = ""

    def take(self, entry: Entry) -> Iterator[Finding]:
        """Follow what freezes and unfreezes; what closes is the newest entry for ever."""
        self.newest_id = entry.entry_id
        if entry.type in {EntryType.FREEZE, EntryType.UNFREEZE}:
            self.is_frozen = entry.type is EntryType.FREEZE
        yield from ()

    def close(self) -> Iterator[Finding]:
        """Compare with what the account says."""
        account = self.books.account
        if account is None:
            return
        if self.newest_id in self.books.closings:
            told = AccountStatus.CLOSED
        else:
            told = AccountStatus.FROZEN if self.is_frozen else AccountStatus.ACTIVE
        if account.status is not told:
            sentence = f"The account is {account.status}, and by its entries {told}."
            yield self.found(Code.STATUS_WRONG, "account", sentence)
        elif told is AccountStatus.CLOSED and (account.grants or account.holds):
            sentence = "The account is closed, and has grants or holds left."
            yield self.found(Code.STATUS_WRONG, "account", sentence)


def _move(credits_of: Counter[str], grant_id: str, amount: int) -> None:
    """Add to what is counted of a grant, and forget it when that is nothing."""
    credits_of[grant_id] += amount
    if not credits_of[grant_id]:
        del credits_of[grant_id]
