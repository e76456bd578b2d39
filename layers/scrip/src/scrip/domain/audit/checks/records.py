"""Checks of records kept beside the entries: holds, refunded totals, usage, audit records."""

from collections import Counter
from collections.abc import Iterator

from scrip.domain.audit.checks.check import AboutItem, compare, record_checks
from scrip.domain.audit.findings import Code
from scrip.domain.audit.tally import Tally
from scrip.domain.usage import DayUsage


@record_checks.reporting(Code.HELD_WRONG)
def holds_have_what_entries_hold(tally: Tally) -> Iterator[AboutItem]:
    """A hold has what entries put into it, less what was captured and released."""
    held: Counter[str] = Counter()
    for hold in tally.account.holds if tally.account else ():
        held[hold.hold_id] += hold.amount
    for name in sorted(held.keys() | tally.in_holds.keys()):
        by_entries = tally.in_holds.get(name, Counter()).total()
        yield from compare(f"hold {name}", "Its amount", held[name], by_entries)


@record_checks.reporting(Code.REFUNDED_TOTAL_WRONG)
def refunded_total_is_the_sum_of_refunds(tally: Tally) -> Iterator[AboutItem]:
    """The refunded total of an entry is the sum of its refunds."""
    totals = tally.books.refunded
    for name in sorted(totals.keys() | tally.refunded.keys()):
        about = f"refunded total of {name}"
        if totals.get(name, 1) <= 0:
            yield about, f"The total is {totals[name]}, but a total exists only after a refund."
        else:
            yield from compare(about, "The total", totals.get(name, 0), tally.refunded[name])


@record_checks.reporting(Code.REFUND_TOO_LARGE)
def refunds_are_of_a_use(tally: Tally) -> Iterator[AboutItem]:
    """What was refunded was taken by a use."""
    totals = tally.books.refunded
    for name in sorted((totals.keys() | tally.refunded.keys()) - tally.costs.keys()):
        refunded = tally.refunded[name]
        if totals.get(name, 0) == refunded and totals.get(name, 1) > 0:
            yield f"entry {name}", f"{refunded} credits of it were refunded, but it took none."


@record_checks.reporting(Code.USAGE_NOT_COUNTED)
def usage_counts_every_entry(tally: Tally) -> Iterator[AboutItem]:
    """Every entry is counted into its day's usage within a day."""
    for day, missed in sorted(tally.missed.items()):
        yield f"usage of {day}", f"{missed} entries are older than a day and have not been counted."


@record_checks.reporting(Code.USAGE_WRONG)
def usage_is_that_of_its_entries(tally: Tally) -> Iterator[AboutItem]:
    """A day's usage is that of the entries that it has counted, which are of that day."""
    for day, usage in sorted(tally.books.usage.items()):
        if day < tally.whole_since.date():
            continue
        about, counted = f"usage of {day}", tally.uses[day]
        numbers = sum(last - first + 1 for first, last in usage.counted)
        yield from compare(about, "The number of entries counted", numbers, tally.counted[day])
        stored: Counter[tuple[str | None, str]] = Counter()
        for use in usage.uses:
            for name in ("credits", "count", "refunded"):
                stored[use.feature, name] += getattr(use, name)
            for meter, count in use.meters.items():
                stored[use.feature, f"meter {meter}"] += count
        for key in sorted(stored.keys() | counted.keys(), key=str):
            what = f"{key[1]} of {key[0] or 'uses by amount'}"
            yield from compare(about, what, stored[key], counted[key])
        if usage.is_whole:
            yield from _compare_lines(about, usage, tally.lines[day])


@record_checks.reporting(Code.AUDIT_RECORD_WRONG)
def audit_record_has_its_entry(tally: Tally) -> Iterator[AboutItem]:
    """The entry that an audit record names exists."""
    for name in sorted(tally.unseen_audited):
        yield f"entry {name}", f"An audit record names entry {name}, which does not exist."


@record_checks.reporting(Code.HOLD_END_WRONG)
def hold_end_has_its_entry(tally: Tally) -> Iterator[AboutItem]:
    """The entry that the record of a hold's end names ended the hold."""
    for name, entry_id in sorted(tally.unseen_hold_ends.items()):
        yield f"end of hold {name}", f"It names entry {entry_id}, which did not end the hold."


@record_checks.reporting(Code.HOLD_END_WRONG)
def ended_hold_is_not_open(tally: Tally) -> Iterator[AboutItem]:
    """A hold whose end is recorded is not open."""
    for name in sorted(tally.open_holds & tally.books.hold_ends.keys()):
        yield f"end of hold {name}", "The record says that the hold has ended, but it is open."


def _compare_lines(
    about: str, usage: DayUsage, counted: Counter[tuple[str, str]]
) -> Iterator[AboutItem]:
    """Compare the lines of a day, which count all of its entries, with those entries."""
    stored: Counter[tuple[str, str]] = Counter()
    stored["references", "count"] = usage.referenced
    for line in usage.lines:
        stored.update({(line.type, "count"): line.count, (line.type, "amount"): line.amount})
    for key in sorted(stored.keys() | counted.keys()):
        yield from compare(about, f"{key[1]} of {key[0]}", stored[key], counted[key])
