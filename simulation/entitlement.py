"""Compares what an account was granted with what it was due: by its terms, and by its own plan.

It adds up entries. The months that began and ended unnoticed have none, so they count as granted
and expired.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from simulation.books import Clawback
from simulation.facts import clawed_back
from simulation.findings import wrong
from simulation.plain import entry_id, month
from simulation.terms import Terms, instants_after, shares

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from simulation.books import Books, Line, Lot
    from simulation.facts import Facts
    from simulation.terms import Term


def known_terms(books: Books, image: dict[str, Any], facts: Facts) -> Terms:
    """Return the terms of an account, as far as their payments, refunds and ends were heard of."""
    payments = {line.payment for line in books.lines}
    back, disputed = dict[str, "Fraction"](), dict[str, "Fraction"]()
    for payment in payments:
        back[payment], disputed[payment] = shares(facts.money[payment])
    states = image.get("subscriptions", ())
    ended = {one["subscription_id"] for one in states if one["ended"]}
    return Terms(books.lines, back, disputed, ended)


def shown_plans(books: Books, image: dict[str, Any], facts: Facts, now: float) -> set[str]:
    """Return the plans that may show: of those in force the ones with most credits."""
    ranked = [
        (
            facts.is_unlimited(term.plan),
            facts.monthly_credits(image, term.plan, term.quantity),
            term.plan,
        )
        for term in books.terms.in_force(now)
    ]
    if books.is_on_base_plan(image, now):
        plan = books.base_plan(image)
        ranked.append((facts.is_unlimited(plan), facts.monthly_credits(image, plan), plan))
    most = max(ranked)[:2]
    return {plan for *of_plan, plan in ranked if tuple(of_plan) == most}


def next_instant(books: Books, now: float) -> float:
    """Return when time alone may change what the account is entitled to."""
    assert books.anchor is not None
    own = month(books.anchor, books.period_at(now) + 1)
    return min(own, instants_after(books.terms.instants(), now))


def note(books: Books, entry: dict[str, Any]) -> None:
    """Add an entry up with the months whose credits it moves."""
    type_, amount = entry["type"], entry["amount"]
    if type_ == "plan" and (lot_id := lot_granted(books, entry)) is not None:
        books.lots[lot_id].granted += amount
        books.lots[lot_id].again += amount if entry_id(entry) != lot_id else 0
    term = clawed_back(entry) if type_ == "clawback" else ""
    is_of_term = term in books.terms.by_name
    for part in entry.get("allocations", ()):
        lot_id = books.lot_of(part["grant_id"])
        if lot_id is None:
            continue
        if type_ == "expiry":
            books.lots[lot_id].expired += part["amount"]
        elif type_ == "rollover":
            lot = books.lots[lot_id]
            lot.expired -= part["amount"]
            # A month that came and went unnoticed has only this entry.
            lot.granted, lot.expired = lot.granted - min(0, lot.expired), max(0, lot.expired)
        elif is_of_term:
            books.lots[lot_id].taken += part["amount"]
            if lot_id.rpartition(":")[0] != term:
                wrong("lost", f"{entry_id(entry)} takes credits of {lot_id}")
    if is_of_term:
        clawback = books.clawbacks.setdefault(term, Clawback())
        clawback.owed += -amount - sum(part["amount"] for part in entry.get("allocations", ()))
        for number in range(len(books.terms.months[term])):
            lot_id = f"{term}:{number}"
            clawback.expired.setdefault(lot_id, books.lots[lot_id].expired)
            clawback.left[lot_id] = books.left_of(lot_id)


def lot_granted(books: Books, entry: dict[str, Any]) -> str | None:
    """Return the month whose credits an entry grants; None for a payment's own, which has none."""
    if "source" not in entry:
        [part] = entry["allocations"]
        return books.lot_of(part["grant_id"])
    name = entry_id(entry)
    for term in books.terms.by_name:
        if name.startswith(f"{term}:"):
            return f"{term}:{name.removeprefix(f'{term}:').partition(':')[0]}"
    return None


def check_terms(books: Books, image: dict[str, Any], facts: Facts, *, is_changed: bool) -> None:
    """Check that each month of each term has brought what it should have, and lost what it must."""
    owed, in_force = Counter[str](), books.terms.in_force(books.at)
    for term, number in books.terms.begun(books.at):
        lot = books.lots[f"{term.name}:{number}"]
        brings = facts.monthly_credits(image, term.plan, term.quantity)
        is_running = term in in_force and number == books.terms.month_at(term, books.at)
        brought = facts.monthly_credits(
            (is_changed and books.image) or image, term.plan, term.quantity
        )
        if not lot.is_known:
            lot.allowance = brought
        if brought < brings and is_running:
            # An admin's raise counts at once, and what is less with the next month.
            lot.allowance = max(lot.allowance, brings)
        left = books.clawbacks.get(term.name, Clawback()).owed - owed[term.name]
        owed[term.name] += _check_month(books, term, number, lot, left)
        lot.is_known |= lot.due > 0 or not lot.allowance  # since it has been booked
    for name in owed:
        became = books.clawbacks.get(name, Clawback()).owed
        covered = owed[name] - became
        if not _may_cover(books, name, covered):
            kind = "lost" if covered < 0 else "made"
            wrong(kind, f"{books.account_id}: {became} of {name} became debt, not {owed[name]}")
        books.covered += covered
        for number in range(len(books.terms.months[name])):
            lot = books.lots[f"{name}:{number}"]
            part = min(covered, lot.owed)
            lot.owed, covered = lot.owed - part, covered - part


def _check_month(books: Books, term: Term, number: int, lot: Lot, owed: int) -> int:
    """Check what a month has brought; return how much of what went back had been spent.

    `owed` became debt, of this month or a later one. What is in dispute neither arrives nor goes
    back before the dispute ends.
    """
    terms, now, lot_id = books.terms, books.at, f"{term.name}:{number}"
    what = f"{books.account_id}: {lot_id} of {term.plan}"
    least, most = (
        terms.due(term, number, lot.allowance, now, disputed=disputed) for disputed in (True, False)
    )
    is_over = terms.expiry(term, number) <= now
    # What a term took that was itself returned within the posting has come again. Of a month that
    # is over, what became debt comes first, and what is left of the rest comes and goes unnoticed.
    settled = max(0, min(lot.again - lot.owed, owed)) if is_over else 0
    again = min(lot.granted - settled, lot.taken)
    granted, taken, owed = lot.granted - settled - again, lot.taken - again, owed - settled
    lot.granted = lot.again = lot.taken = 0
    if granted and not lot.due and books.has_same_terms:
        start = terms.months[term.name][number].start
        undisputed = terms.due(term, number, lot.allowance, start, disputed=True)
        if granted > undisputed:
            wrong("made", f"{what} has brought {granted}, of which {undisputed} is not disputed")
    # A month that began before the dispute was heard of was granted, and is set aside.
    was, lot.due = lot.due, min(most, max(least, lot.due + granted))
    missing = lot.due - was - granted
    if missing > 0:
        if not is_over or granted < min(lot.due - was, lot.owed):
            wrong("lost", f"{what} has brought {was} and {granted}, not {lot.due}")
        lot.expired += missing  # it came and went unnoticed
    if is_over:
        lot.owed -= min(lot.owed, granted)  # it is given back, although the month is over
    back = max(0, -missing)
    clawback = books.clawbacks.get(term.name, Clawback())
    silent = min(back, clawback.expired.get(lot_id, lot.expired) - lot.silent)
    if back and lot.due >= was and (silent or term.name not in books.clawbacks):
        wrong("made", f"{what} has brought {was} and {granted}, not {lot.due}")
    spent = back - silent - taken
    if spent < 0 and is_over and not books.has_same_terms:
        lot.expired, spent = lot.expired - spent, 0  # it came again unnoticed
    if spent < 0:
        wrong("lost", f"{what} has lost {taken}, not {back} of which {silent} had expired")
    # What expired within the posting may have gone back only after that.
    later = max(0, min(spent - owed, lot.expired - lot.silent - silent))
    lot.silent, spent = lot.silent + silent + later, spent - later
    if spent and owed and clawback.left.get(lot_id):
        wrong("lost", f"{what}: {spent} became debt, and {clawback.left[lot_id]} are left")
    lot.owed += spent
    return spent + settled


def _may_cover(books: Books, name: str, owed: int) -> bool:
    """Return whether other terms had enough left for the same time as a term, unspent.

    What is owed of one term may then count as spent of another, of which more is owed later.
    """
    if owed < 0:
        return -owed <= books.covered
    unspent = 0
    for other, number in books.terms.begun(books.at):
        each = books.terms.months[other.name][number]
        is_same_time = any(
            one.start < each.end and each.start < one.end for one in books.terms.months[name]
        )
        if other.name != name and is_same_time:
            unspent += books.lots[f"{other.name}:{number}"].expired
    return owed <= unspent


def check_own(books: Books, image: dict[str, Any], now: float) -> None:
    """Check the allowance of the account's own plan: once a month, and beside no term."""
    assert books.anchor is not None
    period = books.period_at(now)
    live = [
        grant
        for grant in image.get("grants", ())
        if grant["source"].startswith("period:") and not grant.get("ended")
    ]
    if image.get("is_behind"):
        return  # what a hold returned to the allowance comes with the next posting
    if not books.is_on_base_plan(image, now):
        if live:
            wrong("made", f"{books.account_id} has an allowance of its own beside a term: {live}")
        return
    if image["period"] != period:
        wrong("lost", f"{books.account_id} was left in period {image['period']}, not {period}")
    lot = books.lots[f"period:{month(books.anchor, period)}"]
    brought = lot.granted - lot.expired
    if brought != image["allowance"]:
        kind = "made" if brought > image["allowance"] else "lost"
        wrong(kind, f"{books.account_id} has {brought} of period {period}: {image['allowance']}")


def check_quota(books: Books, image: dict[str, Any], facts: Facts, *, is_changed: bool) -> None:
    """Check that only an admin changes the account's own plan, and what its months bring."""
    before, who = books.image, books.account_id
    if before is None:
        return
    own, was = books.base_plan(image), books.base_plan(before)
    is_due = books.period_at(books.at) > before["period"] and own == before.get("next_plan_id")
    is_same = (own, image.get("next_plan_id")) == (was, before.get("next_plan_id"))
    if not is_changed and not (is_same or is_due):
        wrong("violation", f"{who} is on {own}, not {was}, and no admin changed it")
    if not is_changed and image.get("overrides") != before.get("overrides"):
        wrong("violation", f"{who} has {image.get('overrides')}, and no admin changed it")
    brings = image["allowance"]
    if image["period"] == before["period"]:
        is_raised = is_changed and brings > before["allowance"]
        if brings != before["allowance"] and not (
            is_raised and brings == facts.monthly_credits(image, own)
        ):
            wrong("made", f"{who}: its month brings {brings}, not {before['allowance']}")
        return
    plans = {own, was, before.get("next_plan_id", was)}
    allowed = {facts.monthly_credits(one, plan) for one in (before, image) for plan in plans}
    if brings not in allowed:
        wrong("violation", f"{who}: its month brings {brings}, not {allowed}")


def check_ends(books: Books, image: dict[str, Any], posting: Sequence[dict[str, Any]]) -> None:
    """Check that the credits of a month end with it, those of a term's last with its grace."""
    if not posting:
        return
    for grant in image.get("grants", ()):
        lot_id = books.lot_of(grant["grant_id"])
        if lot_id is None or grant["kind"] != "plan" or grant.get("ended"):
            continue
        name, _, number = lot_id.rpartition(":")
        if name == "period":
            assert books.anchor is not None
            expiry = month(books.anchor, books.period_at(int(number)) + 1)
        else:
            expiry = books.terms.expiry(books.terms.by_name[name], int(number))
        if grant["expires_at"] != expiry:
            kind = "made" if grant["expires_at"] > expiry else "lost"
            wrong(kind, f"{books.account_id}: {lot_id} ends at {grant['expires_at']}, not {expiry}")


def check_disputed(line: Line, payment: str) -> None:
    """Check that a dispute sets aside no more than its share of what a payment has brought."""
    books, facts = line.books, line.facts
    back, disputed = shares(facts.money[payment])
    most = facts.bought.get(payment, 0) - facts.clawed[payment]
    most = int(most * disputed / (1 - back)) if most else 0
    for term, number in books.terms.begun(books.at):
        if term.payment == payment:
            lot = books.lots[f"{term.name}:{number}"]
            allowance = max(
                lot.allowance, facts.monthly_credits(line.image, term.plan, term.quantity)
            )
            most += books.terms.due(term, number, allowance, books.at)
            most -= books.terms.due(term, number, allowance, books.at, disputed=True)
    held = sum(hold.amount for name, hold in books.holds.items() if name.startswith(f"{payment}:"))
    if held > most:
        wrong("lost", f"{line}: {held} are held, not {most} at most")
