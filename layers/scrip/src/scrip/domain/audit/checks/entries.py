"""Checks of each entry by itself and against those before it."""

from collections.abc import Iterator
from math import prod

from scrip.domain.audit.checks.check import entry_checks, step_checks
from scrip.domain.audit.conventions import (
    ADMIN_TYPES,
    GAINS,
    LOSSES,
    PERIOD,
    ends_hold,
    is_capture,
    is_clock_plan,
    is_requested_plan,
    moved,
    period_part,
)
from scrip.domain.audit.findings import Code
from scrip.domain.audit.tally import Tally
from scrip.domain.entries import Entry, EntryType, chain_hash, iso


@entry_checks.reporting(Code.ENTRY_HASH_WRONG)
def hash_is_that_of_the_content(_: Tally, entry: Entry) -> Iterator[str]:
    """An entry's hash is that of what it says."""
    if chain_hash(entry) != entry.hash:
        yield f"Entry {entry.seq} does not match its hash: it was edited."


@step_checks.reporting(Code.CHAIN_BROKEN)
def chain_continues(tally: Tally, entry: Entry) -> Iterator[str]:
    """An entry holds the hash of the one before."""
    if entry.previous_hash != tally.hash:
        yield f"Entry {entry.seq} does not hold the hash of the entry before it."


@entry_checks.reporting(Code.CHECKPOINT_WRONG)
def checkpoint_has_the_hash(tally: Tally, entry: Entry) -> Iterator[str]:
    """The entry of the checkpoint is the one that was proved then."""
    known = tally.books.checkpoint
    if known and known.seq == entry.seq and known.hash not in {b"", entry.hash}:
        yield f"Entry {entry.seq} is another than the one that was proved before: it was rewritten."


@step_checks.reporting(Code.BALANCE_WRONG)
def balance_follows(tally: Tally, entry: Entry) -> Iterator[str]:
    """The balance after an entry is the one before and the entry's amount."""
    if entry.balance_after != tally.balance + entry.amount:
        yield (
            f"Its balance_after is {entry.balance_after}, but its amount is {entry.amount:+} and "
            f"the balance before was {tally.balance}."
        )


@step_checks.reporting(Code.HELD_WRONG)
def held_follows(tally: Tally, entry: Entry) -> Iterator[str]:
    """Only what moves credits into or out of holds changes what is held."""
    change = entry.held_after - tally.held
    match entry.type:
        case EntryType.HOLD | EntryType.RELEASE:
            is_right = change == -moved(entry)
        case EntryType.USAGE if is_capture(entry):
            is_right = moved(entry) <= change <= 0
        case EntryType.ADMIN_DEDUCT:
            is_right = change in {0, -tally.held}  # closing an account takes what is held, too
        case _:
            is_right = not change
    if not is_right:
        yield f"Its held_after is {entry.held_after}, but {tally.held} were held before."


@step_checks.reporting(Code.DEBT_WRONG)
def debt_follows(tally: Tally, entry: Entry) -> Iterator[str]:
    """Debt rises by use and clawbacks, and falls by what settles it."""
    change = entry.debt_after - tally.debt
    match entry.type:
        case EntryType.USAGE | EntryType.CLAWBACK:
            is_right = change >= 0
        case EntryType.DEBT_SETTLED:
            is_right = change == moved(entry)
        case _:
            is_right = not change
    if not is_right:
        yield f"Its debt_after is {entry.debt_after}, but the debt before was {tally.debt}."


@step_checks.reporting(Code.ENTRY_NOT_EXPLAINED)
def amount_is_explained(tally: Tally, entry: Entry) -> Iterator[str]:
    """The amount of an entry is what it moves in grants, holds and debt."""
    # What a capture spends may come out of its hold or out of grants; both are allocations.
    held = 0 if is_capture(entry) else entry.held_after - tally.held
    explained = moved(entry) - (entry.debt_after - tally.debt) + held
    if explained != entry.amount:
        yield (
            f"Its amount is {entry.amount:+}, but its changes of grants, holds and debt add up to "
            f"{explained:+}."
        )


@step_checks.reporting(Code.TYPE_WRONG)
def type_allows_amount(_: Tally, entry: Entry) -> Iterator[str]:
    """Credits enter and leave only by the types that may add or take them."""
    if entry.amount and entry.type not in (GAINS if entry.amount > 0 else LOSSES):
        yield f"An entry of type {entry.type} cannot change a balance by {entry.amount:+}."


@entry_checks.reporting(Code.GRANT_OVERDRAWN)
def grants_have_what_is_drawn(tally: Tally, entry: Entry) -> Iterator[str]:
    """No entry takes more from a grant than is left of it, nor moves less than a credit."""
    left: dict[str, int] = {}
    changes = tally.grant_changes(entry)
    for allocation, (name, amount) in zip(entry.allocations, changes, strict=True):
        left[name] = left.get(name, tally.left[name]) + amount
        if left[name] < 0 or allocation.amount <= 0:
            yield f"It moves {amount:+} credits of grant {name}, which leaves {left[name]}."


@entry_checks.reporting(Code.COST_WRONG)
def cost_is_what_was_moved(_: Tally, entry: Entry) -> Iterator[str]:
    """A use or refund moves its cost, or nothing on an unlimited plan."""
    cost, amount = entry.cost or 0, abs(entry.amount)
    if entry.type in {EntryType.USAGE, EntryType.REFUND} and amount not in {0, cost}:
        yield f"It moves {amount} credits, but its cost is {cost}."


@entry_checks.reporting(Code.PRICE_WRONG)
def cost_follows_from_the_price(_: Tally, entry: Entry) -> Iterator[str]:
    """What each meter counted, at the price that the entry names, adds up to its cost."""
    if entry.usage is None and entry.price is None:
        return
    usage, prices = entry.usage or {}, entry.price or {}
    if usage.keys() != prices.keys():
        yield f"It counts {', '.join(usage)}, but has prices of {', '.join(prices)}."
        return
    whole = prod(price.per for price in prices.values())
    exact = sum(
        count * prices[name].cost * whole // prices[name].per for name, count in usage.items()
    )
    if (cost := -(-exact // whole)) != entry.cost:
        yield f"Its usage costs {cost} at its price, but its cost is {entry.cost}."


@entry_checks.reporting(Code.REFUND_TOO_LARGE)
def refunds_stay_within_the_cost(tally: Tally, entry: Entry) -> Iterator[str]:
    """The refunds of an entry never exceed what it took."""
    if entry.type is not EntryType.REFUND:
        return
    used = entry.refunds or ""
    refunded = tally.refunded[used] + (entry.cost or 0)
    # The cost is known once the entry was seen and has a total; if not, the last checks report it.
    if refunded > (cost := tally.costs.get(used, refunded)):
        yield f"With it {refunded} credits of entry {used} are refunded, which took {cost}."


@entry_checks.reporting(Code.PERIOD_MISNAMED)
def period_is_named_by_its_start(tally: Tally, entry: Entry) -> Iterator[str]:
    """The clock's plan entry is named by the start of its period, or by the payment for it."""
    if tally.account is None or not is_clock_plan(entry):
        return
    if entry.source and entry.entry_id.startswith(f"{entry.source}:"):
        return
    part = period_part(entry, tally.account.zone)
    if not entry.entry_id.startswith(PERIOD) or part[:1] not in {"", ":"}:
        start = iso(entry.effective_at)
        yield f"It is a period's plan grant, but its ID does not name the period's start, {start}."


@entry_checks.reporting(Code.PERIOD_GRANTED_TWICE)
def period_is_granted_once(tally: Tally, entry: Entry) -> Iterator[str]:
    """The clock grants each period once."""
    if tally.account is None or not is_clock_plan(entry):
        return
    period = entry.effective_at, period_part(entry, tally.account.zone)
    if earlier := tally.periods.get(period):
        start = iso(entry.effective_at)
        yield f"It grants the period that starts {start} again, after entry {earlier}."


@entry_checks.reporting(Code.AUDIT_RECORD_WRONG)
def admin_change_has_a_record(tally: Tally, entry: Entry) -> Iterator[str]:
    """Every change by an admin has an audit record."""
    # A change of quota has an ID of its own, without a colon; payments and periods have one.
    is_quota = is_requested_plan(entry) and ":" not in entry.entry_id
    is_by_admin = is_quota or entry.type in ADMIN_TYPES
    if is_by_admin and entry.entry_id not in tally.books.audited:
        yield "It is a change by an admin, but has no audit record."


@entry_checks.reporting(Code.HOLD_END_WRONG)
def hold_end_is_recorded(tally: Tally, entry: Entry) -> Iterator[str]:
    """The record of a hold's end names the entry that ended it."""
    if entry.hold_id is None:
        return
    recorded = tally.books.hold_ends.get(entry.hold_id)
    entries = tally.of_command(entry)
    if recorded != entries[0].entry_id and ends_hold(entries):
        what = f"names entry {recorded}" if recorded else "is missing"
        yield f"It ended hold {entry.hold_id}, but the record of the hold's end {what}."
