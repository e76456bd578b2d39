"""The naive model: a list of entries and a dictionary of grants for each account.

It shares no code with the product. It receives every written item as DynamoDB stores it, adds
everything up from scratch, and states the rules of the ledger as plainly as possible.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from simulation import entitlement, hold_answers, holds, movements, rules
from simulation.books import Books, Line
from simulation.dynamodb import thaw
from simulation.facts import Facts, payment_of
from simulation.findings import wrong
from simulation.plain import DAY, chained, entry_id, milliseconds, month, named, plain
from simulation.terms import shares, terms_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simulation.dynamodb import Change
    from simulation.traffic import Step

PAYS_DEBT = {
    "signup", "purchase", "plan", "admin_grant", "promo", "referral", "refund", "reset",
}  # fmt: skip
"""The entries whose credits pay debt before they can be spent."""

PASSING = {"plan", "rollover", "refund"}
"""The kinds of grant that pay at once what a clawback leaves owed: they expire by rule."""

CLOCKS_APART = 2 * 3600 * 1000
"""By how many milliseconds a process's clock may be off, with all faults and a margin."""

GRANTS_MAX = 50
RETURNED_MAX = 60
"""How many grants a command may leave, and a refund; a refund grant may be added to either."""

LATE = ("rollover:release:", "rollover:user:")
"""Prefixes of the IDs of late rollovers: of credits that were held when their period ended."""

LOW_CREDITS = 20


class Model:
    """All accounts. Raises `Wrong` when a rule is broken."""

    def __init__(self, steps: Iterable[Step], signup_credits: int) -> None:
        """Start with no accounts and the given steps."""
        self.facts = Facts(steps, signup_credits)
        self.books: dict[str, Books] = {}

    def of(self, account_id: str) -> Books:
        """Return the books of an account."""
        return self.books.setdefault(account_id, Books(account_id))

    # ---- What is written -------------------------------------------------------------------------

    def written(self, changes: Sequence[Change], now: float) -> None:
        """Process all changes of one write; `now` is in seconds."""
        self.facts.now = now
        entries: list[tuple[str, dict[str, Any]]] = []
        image: tuple[str, dict[str, Any]] | None = None
        is_noted = any(change.pk.startswith("WELCOME#") for change in changes)
        is_changed = False
        for change in changes:
            kind, _, name = change.pk.partition("#")
            if kind not in {"LEDGER", "ACCOUNT", "CATALOG", "FACT"}:
                continue
            if change.after is None:
                wrong("lost", f"{change.pk} {change.sk} was deleted")
            item = plain(thaw(change.after))
            if kind == "LEDGER":
                if change.before is not None:
                    wrong("violation", f"an entry was changed: {name} {change.sk}")
                entries.append((name, item))
            elif change.sk == "ACCOUNT":
                image = name, item
            elif kind == "FACT":
                self.facts.money[name] = item
            else:
                is_changed |= item.get("action") == "quota.change"
                self._beside(name, change.sk, item)
        self._committed(entries, image, is_changed=is_changed)
        if image is not None:
            self._check_clawed(image[0])
        if any(entry["seq"] == 1 for _, entry in entries):
            [account_id] = {account_id for account_id, _ in entries}
            types = {entry["type"] for _, entry in entries}
            self.facts.opened(account_id, with_credits="signup" in types, is_noted=is_noted)

    def _beside(self, name: str, sort_key: str, item: dict[str, Any]) -> None:
        """Process an item that is neither an account nor an entry."""
        kind, _, of = sort_key.partition("#")
        if kind == "REFUNDED":
            self.of(name).refunded_totals[of] = item["refunded"]
        elif kind == "GRANT":
            self.of(name).retired[of] = item
        elif kind == "HOLD":
            ended_by = self.of(name).ended_by.setdefault(of, item["ended_by"])
            if ended_by != item["ended_by"]:
                wrong("double", f"{of} of {name} was ended by {ended_by} and is ended again")
        elif kind in {"PLAN", "FEATURE"}:
            self.facts.edited(sort_key, item)

    def _committed(
        self,
        entries: list[tuple[str, dict[str, Any]]],
        image: tuple[str, dict[str, Any]] | None,
        *,
        is_changed: bool,
    ) -> None:
        """Process the entries of one write, and the account's item if it changed.

        `is_changed`: an admin has changed the account's plan or what plans bring it.
        """
        for account_id, entry in entries:
            if image is None or image[0] != account_id:
                kind = "lost" if entry["amount"] > 0 else "made"
                wrong(kind, f"an entry of {account_id} was written without its account")
        if image is not None:
            posting = sorted((entry for _, entry in entries), key=lambda entry: entry["seq"])
            self._posting(self.of(image[0]), posting, image[1], is_changed=is_changed)

    def _posting(
        self,
        books: Books,
        posting: list[dict[str, Any]],
        image: dict[str, Any],
        *,
        is_changed: bool,
    ) -> None:
        """Process a change to an account and the entries that explain it."""
        before = books.image
        books.now, books.holds_before = self.facts.now, dict(books.holds)
        if books.is_closed:
            wrong("violation", f"{books.account_id} was closed but changed again")
        if before is not None and image["version"] != before["version"] + 1:
            wrong("violation", f"version {before['version']} was followed by {image['version']}")
        grants = _grants_seen(books, image)
        self._note_terms(books, posting, image, is_changed=is_changed)
        available, books.clawbacks = books.available, {}
        for n, entry in enumerate(posting):
            bound = self._room_to_roll_over(books, entry, image)
            self._entry(books, entry, posting, image)
            if bound is not None:
                _check_rolled_over(books, entry, posting[n + 1 :], bound)
            _check_debt_is_paid(books, entry, posting[n + 1 :])
        _check_owed_is_paid(books, posting)
        _check_sums(books, grants, image)
        if image.get("status") != "closed":
            entitlement.check_quota(books, image, self.facts, is_changed=is_changed)
            entitlement.check_terms(books, image, self.facts, is_changed=is_changed)
            entitlement.check_own(books, image, books.at)
            entitlement.check_ends(books, image, posting)
        over = posting[-1]["recorded_at"] if posting else self.facts.now * 1000 + CLOCKS_APART
        holds.check_extensions(books, image, posting, self.facts, now=over, apart=CLOCKS_APART)
        holds.check_holds(books, image, over)
        is_closed, has_room = image.get("status") == "closed", len(posting) < GRANTS_MAX
        _check_retired(books, grants, over, is_closed=is_closed, has_room=has_room)
        if before is not None and image["period"] != before["period"]:
            books.late.clear()
            if image["period"] == before["period"] + 1 and not books.is_billed:
                most = self.facts.rollover_max(books.base_plan(before))
                _note_late(books, grants, most, posting)
        if posting:
            _note_crossings(books, available)
            _check_settled(books, grants, image)
        books.image = image
        left = {"account_id": books.account_id, "balance": books.balance, "held": books.held}
        left |= {"available": books.available, "debt": books.debt}
        left["unlimited"] = books.is_unlimited
        books.left |= {entry_id(entry): left for entry in posting}
        books.balances.append((self.facts.now, books.balance, _unchanged_until(books, image)))
        # Closing an account lets go of its terms.
        books.shown.append({books.base_plan(image)} if is_closed else books.plans)

    def _entry(
        self,
        books: Books,
        entry: dict[str, Any],
        posting: list[dict[str, Any]],
        image: dict[str, Any],
    ) -> None:
        step = self.facts.steps.get(entry.get("reference", ""))
        line = Line(entry, posting, image, books, self.facts, step)
        if entry["seq"] != len(books.entries) + 1:
            wrong("violation", f"{line} has seq {entry['seq']} after {len(books.entries)}")
        if entry["previous_hash"] != books.hash or entry["hash"] != chained(entry):
            wrong("violation", f"{line} breaks the chain")
        self._check_time(line)
        rules.check_request(line)
        rules.check_amount(line)
        movements.move(line)
        entitlement.note(books, entry)
        books.balance += line.amount
        if entry["balance_after"] != books.balance:
            wrong(
                "violation",
                f"{line} says {entry['balance_after']}, but the balance is {books.balance}",
            )
        if books.spendable + books.held - books.debt != books.balance:
            wrong("violation", f"{line}: grants, holds and debt do not add up to the balance")
        held_and_owed = entry.get("held_after", 0), entry.get("debt_after", 0)
        if held_and_owed != (books.held, books.debt):
            wrong(
                "violation",
                f"{line} says {held_and_owed} held and owed, not {books.held}, {books.debt}",
            )
        books.entries.append(entry)
        books.by_id[line.entry_id] = entry
        books.hash = entry["hash"]

    def _check_time(self, line: Line) -> None:
        """Check that it was recorded when written, or with a previous entry from a fast clock."""
        recorded_at, now = line.entry["recorded_at"], self.facts.now * 1000
        last = line.books.entries[-1]["recorded_at"] if line.books.entries else 0
        is_off = abs(recorded_at - now) > CLOCKS_APART
        if is_off and recorded_at > max(last, now + CLOCKS_APART):
            wrong("violation", f"{line} was recorded at another time")

    def _note_terms(
        self,
        books: Books,
        posting: list[dict[str, Any]],
        image: dict[str, Any],
        *,
        is_changed: bool,
    ) -> None:
        """Note what was paid for, and what that brings when the posting was decided."""
        facts, at = self.facts, books.at
        terms = books.terms_before = books.terms
        for entry in posting:
            step = facts.steps.get(entry.get("reference", ""))
            if entry["type"] == "plan" and step is not None and step.kind == "message":
                books.lines += terms_of(entry_id(entry), step.body["data"])
        if books.anchor is None:
            books.anchor = image["anchor"]
        books.at = max([image["as_of"], *(entry["recorded_at"] for entry in posting)])
        books.terms = entitlement.known_terms(books, image, facts)
        books.plans = entitlement.shown_plans(books, image, facts, books.at)
        was, books.is_unlimited = books.is_unlimited, any(map(facts.is_unlimited, books.plans))
        books.has_same_terms = (terms.back, terms.disputed, terms.ended, len(terms.given)) == (
            *(books.terms.back, books.terms.disputed),
            *(books.terms.ended, len(books.terms.given)),
        )
        books.stays_unlimited = (
            was
            and books.is_unlimited
            and books.has_same_terms
            and not is_changed
            and entitlement.next_instant(books, at) > books.at
        )

    def _room_to_roll_over(
        self, books: Books, entry: dict[str, Any], image: dict[str, Any]
    ) -> set[int] | None:
        """Return how many credits may roll over of an allowance that ends, if that is known.

        It depends on its plan. If it is the account's own that may have changed.
        """
        name = entry_id(entry).removeprefix("expiry:")
        if entry["type"] != "expiry" or name not in books.grants:
            return None
        grant, ended_at = books.grants[name], entry["effective_at"]
        lot_id = books.lot_of(name)
        if grant["kind"] != "plan" or lot_id is None:
            return None
        of, _, number = lot_id.rpartition(":")
        if of == "period":
            assert books.anchor is not None
            until = books.anchor, books.period_at(int(number))
            if ended_at != month(books.anchor, until[1] + 1):
                return {0}  # a term has set it aside
            known = [one for one in (books.image, image) if one]
            plans = {books.base_plan(one) for one in known}
            plans |= {one["next_plan_id"] for one in known if "next_plan_id" in one}
            ends = {plan: month(books.anchor, until[1] + 1 + self._periods(plan)) for plan in plans}
        else:
            term = books.terms.by_name[of]
            plans = {term.plan}
            ends = {
                plan: books.terms.rolled_until(term, int(number), self._periods(plan))
                for plan in plans
            }
        live = sum(
            other["remaining"] + books.held_of(name)
            for name, other in books.grants.items()
            if other["kind"] == "rollover" and other["expires_at"] > ended_at
        )
        rooms = {max(0, self.facts.rollover_max(plan) - live) for plan in plans}
        # What has come and gone again unnoticed has no entries.
        return rooms | ({0} if min(ends.values()) <= books.at else set())

    def _periods(self, plan: str) -> int:
        return int(self.facts.plan(plan).get("rollover", {"periods": 0})["periods"])

    def _check_clawed(self, account_id: str) -> None:
        """Check that what was taken back of each purchase is what its returned money had bought."""
        facts = self.facts
        for payment, owner in facts.payments.items():
            bought = facts.bought.get(payment)
            is_known = bought is not None and payment in facts.money
            if owner != account_id or not is_known or self.of(owner).is_closed:
                continue
            due = int(facts.bought[payment] * facts.back(payment))
            if facts.clawed[payment] != due:
                kind = "lost" if facts.clawed[payment] > due else "made"
                wrong(kind, f"{facts.clawed[payment]} of {payment} were taken back, not {due}")

    # ---- Responses -------------------------------------------------------------------------------

    def check_answer(self, step: Step, account_id: str, answer: dict[str, Any]) -> None:
        """Check a successful response: its entries must be in the ledger, unchanged."""
        entries = answer.get("entries") or [answer["entry"]]
        names = [shown["entry_id"] for shown in entries]
        is_first = answer.get("entry", entries[0]) == entries[0]
        if not is_first or names != named(names[0], len(step.references)):
            wrong("violation", f"the response to {step} has the entries {names}")
        written = []
        for shown, reference in zip(entries, step.references, strict=True):
            entry = self.of(account_id).by_id.get(shown["entry_id"])
            if entry is None:
                wrong("lost", f"the response to {step} has an entry that does not exist")
            written.append(entry)
            if entry["hash"].hex() != shown["hash"] or entry.get("reference") != reference:
                wrong("violation", f"the response to {step} has the wrong entry")
            if (entry["actor"]["type"] == "user") not in self.facts.asked_by_users(reference):
                wrong("violation", f"{step} was recorded as {entry['actor']}'s")
        first, last = written[0], written[-1]
        if answer["balance_before"] != (before := first["balance_after"] - first["amount"]):
            said = answer["balance_before"]
            wrong("violation", f"the response to {step} has {said} before it, not {before}")
        if answer["account"] != (left := self.of(account_id).left[entry_id(last)]):
            wrong("violation", f"the response to {step} has {answer['account']}, not {left}")
        if "hold" in answer:
            hold_answers.check_opened(self.of(account_id), step, answer["hold"], written)

    def check_extension(
        self, step: Step, account_id: str, answer: dict[str, Any], *, since: float
    ) -> None:
        """Check the response to an extension, which writes no entry."""
        books = self.of(account_id)
        hold_answers.check_extended(books, step, answer, since=since, apart=CLOCKS_APART)
        if answer["account"]["balance"] not in {one for _, one, _ in _possible_since(books, since)}:
            wrong("violation", f"the response to {step} has {answer['account']}")

    def check_refusal(
        self,
        step: Step,
        account_id: str,
        answer: dict[str, Any],
        *,
        since: float,
        now: float,
        has_taken_effect: bool,
    ) -> None:
        """Check a refusal: what took effect must not be refused. `since` is the request's start.

        The end of a hold is recognized by its content, whatever its key. The exceptions are a
        closed account, and a user who does not own the hold or whose account is frozen.
        """
        books = self.books.get(account_id, Books(account_id))
        by_itself = step.ends_hold and (step.key is None or self.facts.is_shared(step))
        is_shut = step.by_user and answer["code"] in {"hold_not_yours", "account_frozen"}
        if by_itself and books.is_closed:
            return
        is_in_ledger = step.reference in self.facts.effects and not step.may_be_repeated
        if (has_taken_effect or is_in_ledger) and not (by_itself and is_shut):
            wrong("violation", f"{step} took effect but is refused: {answer}")
        if not books.is_closed:
            apart = CLOCKS_APART / 1000
            hold_answers.check_refusal(books, step, answer, since=since, now=now, apart=apart)
            _check_deduction(books, step, answer, since=since, now=now)

    def check_read(
        self, step: Step, account_id: str, answer: dict[str, Any], *, since: float, now: float
    ) -> None:
        """Check the response to a read: something that was true since the request began."""
        if step.kind == "account":
            self._read_account(account_id, answer, since=since, now=now)
        if step.kind == "holds":
            apart = CLOCKS_APART / 1000
            hold_answers.check_listed(
                self.of(account_id), answer["holds"], since=since, now=now, apart=apart
            )

    def _read_account(
        self, account_id: str, answer: dict[str, Any], *, since: float, now: float
    ) -> None:
        """Check that the account had this balance."""
        books = self.of(account_id)
        grants = sum(grant["remaining"] for grant in answer["grants"])
        if answer["balance"] != grants + answer["held"] - answer["debt"]:
            wrong(
                "violation", f"{account_id} was read with grants that do not add up to its balance"
            )
        possible = _possible_since(books, since)
        # The product rolls what it reads forward to the reader's clock, which may be fast.
        certain = all(until > now * 1000 + CLOCKS_APART for _, _, until in possible)
        if possible and certain and answer["balance"] not in {one for _, one, _ in possible}:
            wrong("violation", f"{account_id} was read as {answer['balance']}, not {possible}")
        plans = {plan for shown in books.shown[-len(possible) :] for plan in shown}
        if possible and certain and answer["plan_id"] not in plans:
            wrong("violation", f"{account_id} was read on {answer['plan_id']}, not {plans}")

    # ---- After the last delivery -----------------------------------------------------------------

    def all_delivered(self, now: float) -> None:
        """Check that messages about known accounts took effect, whatever their order.

        All accounts have been settled at `now`.
        """
        self._check_payments()
        for books in self.books.values():
            if books.image is not None and not books.is_closed:
                books.at, books.clawbacks = now * 1000, {}
                entitlement.check_terms(books, books.image, self.facts, is_changed=False)
                entitlement.check_own(books, books.image, books.at)
        self._check_disputes()
        self._check_subscriptions()

    def _check_payments(self) -> None:
        """Check that every payment arrived and was taken back as far as messages say."""
        facts = self.facts
        linked = {
            data["customer_id"]: data["account_id"]
            for type_, data in facts.messages()
            if type_ == "account.linked"
        }
        for type_, data in facts.messages():
            if type_ not in {"credits.purchased", "subscription.renewed"}:
                continue
            books = self.books.get(data.get("account_id") or linked.get(data["customer_id"], ""))
            if books is None or books.image is None or books.is_closed:
                continue
            payment = payment_of(data)
            if payment not in facts.payments or payment not in facts.money:
                wrong("lost", f"{payment} has not arrived at {books.account_id}")
            owner = self.books[facts.payments[payment]]
            if not owner.is_closed:
                known, said = shares(facts.money[payment])[0], shares(facts.said(payment))[0]
                if known != said:
                    wrong("violation", f"{known} of {payment} has gone back, not {said}")

    def _check_disputes(self) -> None:
        """Check that no credits of a payment are held once its dispute is closed."""
        over = {
            payment_of(data)
            for type_, data in self.facts.messages()
            if type_ == "payment.disputed" and data["outcome"] != "open"
        }
        for books in self.books.values():
            for hold in books.image.get("holds", ()) if books.image else ():
                if hold["hold_id"].partition(":standard:dispute:")[0] in over:
                    wrong("lost", f"{hold['hold_id']} holds credits of {books.account_id}")

    def _check_subscriptions(self) -> None:
        """Check that each subscription is in its latest state, unless several accounts claim it."""
        latest: dict[str, int] = {}
        claims: dict[str, set[str]] = {}
        for type_, data in self.facts.messages():
            if type_ == "subscription.renewed" and "account_id" in data:
                name = f"standard:subscription:{data['subscription_id']}"
                claims.setdefault(name, set()).add(data["account_id"])
            if type_ in {"subscription.updated", "subscription.ended"}:
                name = f"standard:subscription:{data['subscription_id']}"
                latest[name] = max(latest.get(name, 0), milliseconds(data["at"]))
        for books in self.books.values():
            for state in books.image.get("subscriptions", ()) if books.image else ():
                name = state["subscription_id"]
                if state["at"] < latest.get(name, 0) and len(claims.get(name, ())) <= 1:
                    wrong("violation", f"{books.account_id} has an older state: {state}")


def _possible_since(books: Books, since: float) -> list[tuple[float, int, float]]:
    """Return the balances that the account has had since a time, including the one at that time."""
    later = [n for n, (at, _, _) in enumerate(books.balances) if at >= since]
    return books.balances[max(0, (later[0] if later else len(books.balances)) - 1) :]


def _check_retired(
    books: Books,
    grants: dict[str, dict[str, Any]],
    now: float,
    *,
    is_closed: bool,
    has_room: bool,
) -> None:
    """Check that exhausted grants without an expiry leave the account's item and are kept."""
    if is_closed or books.image is None:
        return
    for grant in books.image.get("grants", ()):
        name, kept = grant["grant_id"], books.retired.get(grant["grant_id"], {})
        known = books.grants[name]
        if name in grants or known["expires_at"] <= now or known["kind"] in {"plan", "rollover"}:
            continue
        ends_at = inf if kept.get("expires_at") is None else kept["expires_at"]
        retired = kept.get("kind"), ends_at, kept.get("granted_at")
        if retired != (known["kind"], known["expires_at"], known["granted_at"]):
            wrong("lost", f"grant {name} of {books.account_id} was not kept: {kept}")
    for name, grant in grants.items():
        is_exhausted = not grant["remaining"] and not books.held_of(name)
        if is_exhausted and grant["expires_at"] == inf and has_room:
            wrong(
                "violation",
                f"grant {name} of {books.account_id} is exhausted but stays in the item",
            )


def _check_deduction(
    books: Books, step: Step, answer: dict[str, Any], *, since: float, now: float
) -> None:
    """Check that a user's holds do not prevent an admin's deduction."""
    if answer["code"] != "insufficient_credits" or step.kind != "adjustment" or not books.balances:
        return
    at, _, until = books.balances[-1]
    if at >= since or until <= now * 1000 + CLOCKS_APART:
        return
    asked, grants = step.body, (books.image or {}).get("grants", ())
    there = {grant["grant_id"] for grant in grants if not grant.get("ended")}
    wanted = asked["amount"] if asked["action"] == "deduct" else books.balance - asked["amount"]
    own = sum(
        amount
        for name, hold in books.holds.items()
        for grant, amount in hold.parts
        if books.openers[name] == "user" and grant in there
    )
    if wanted <= max(0, books.available + own):
        enough = f"{books.available} available and {own} in the user's holds"
        wrong("violation", f"{step} is refused despite {enough}")


def _grants_seen(books: Books, image: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the grants of an account's item, and add the new ones to the books, empty."""
    grants = {
        grant["grant_id"]: {**grant, "expires_at": grant.get("expires_at", inf)}
        for grant in image.get("grants", ())
    }
    for name, grant in grants.items():
        known = books.grants.get(name)
        if known is not None:
            if grant["expires_at"] < known["expires_at"] and grant["kind"] != "plan":
                wrong("lost", f"grant {name} of {books.account_id} ends sooner than it did")
            known |= {"expires_at": grant["expires_at"], "amount": grant["amount"]}
        else:
            books.grants[name] = {**grant, "remaining": 0, "is_new": True}
    return grants


def _note_late(
    books: Books, grants: dict[str, dict[str, Any]], bound: int, posting: list[dict[str, Any]]
) -> None:
    """Note how much of each hold would have rolled over with the period that just ended.

    One that the same posting ended after that took its room, too, and so did what it has spent.
    """
    assert books.anchor is not None
    ended_at = month(books.anchor, books.period_at(books.at))
    live = sum(
        grant["remaining"] + books.held_of(name)
        for name, grant in grants.items()
        if grant["kind"] == "rollover" and not grant.get("ended")
    )
    live += sum(
        part["amount"]
        for entry in posting
        if entry["type"] in {"usage", "admin_deduct"} and "hold_id" not in entry
        for part in entry.get("allocations", ())
        if books.grants[part["grant_id"]]["kind"] == "rollover"
    )
    books.rollover_bound, room = bound, bound - live
    for name, hold in books.holds_before.items():
        of_ended = sum(
            amount
            for grant, amount in hold.parts
            if grants.get(grant, {"ended": True}).get("ended")
            and books.grants[grant]["kind"] == "plan"
        )
        if ended_at < hold.expires_at != inf and min(room, of_ended) > 0:
            books.late[name] = min(room, of_ended)
            room -= books.late[name]


def _check_rolled_over(
    books: Books, entry: dict[str, Any], following: list[dict[str, Any]], rooms: set[int]
) -> None:
    """Check that unspent allowance rolls over, up to the plan's limit."""
    rolled = 0
    source = books.grants[entry_id(entry).removeprefix("expiry:")]["source"]
    for next_ in following[:1]:
        is_then = next_["effective_at"] == entry["effective_at"]
        if is_then and entry_id(next_).startswith(f"rollover:{source}:"):
            rolled = next_["amount"]
    expected = {min(-entry["amount"], room) for room in rooms}
    # What rolled over and expired within the posting may have taken the room.
    is_long = entry["recorded_at"] > entry["effective_at"] + 28 * DAY
    is_within = (books.is_billed or is_long) and rolled <= max(expected)
    if rolled not in expected and not is_within:
        kind = "made" if rolled > max(expected) else "lost"
        wrong(kind, f"{rolled} roll over to {books.account_id}, not {expected}")


def _check_debt_is_paid(
    books: Books, entry: dict[str, Any], following: list[dict[str, Any]]
) -> None:
    """Check that incoming credits, and those that holds return, pay debt first."""
    arrived = entry["amount"] if entry["type"] in PAYS_DEBT else 0
    if entry["type"] == "release" and ("hold_id" in entry or entry_id(entry).endswith(":won")):
        arrived = _moved(entry)
    if (paid := min(books.debt, arrived)) > 0:
        name = entry_id(entry)
        if not following or entry_id(following[0]) != f"debt:{name}":
            wrong("violation", f"{books.account_id}: {name} does not pay the debt first")
        if _moved(following[0]) != paid:
            wrong("violation", f"{books.account_id}: {name} does not pay {paid} of the debt")


def _check_owed_is_paid(books: Books, posting: list[dict[str, Any]]) -> None:
    """Check that what a clawback made somebody owe was paid out of all that expires by rule."""
    owing = [one for one in posting if one["type"] == "clawback" and -one["amount"] > _moved(one)]
    left = [
        name
        for name, one in books.grants.items()
        if one["kind"] in PASSING and one["remaining"] and one["expires_at"] < inf
    ]
    if owing and books.debt and left:
        wrong("violation", f"{books.account_id} owes {books.debt}, and has {left}")


def _moved(entry: dict[str, Any]) -> int:
    return sum(part["amount"] for part in entry.get("allocations", ()))


def _check_sums(books: Books, grants: dict[str, dict[str, Any]], image: dict[str, Any]) -> None:
    """Compare an account's item with what its entries add up to."""
    who = books.account_id
    if image["balance"] != books.balance:
        kind = "made" if image["balance"] > books.balance else "lost"
        wrong(kind, f"{who} has {image['balance']}, but its entries say {books.balance}")
    for name, grant in books.grants.items():
        remaining = grants[name]["remaining"] if name in grants else 0
        if remaining != grant["remaining"]:
            kind = "made" if remaining > grant["remaining"] else "lost"
            said = grant["remaining"]
            wrong(kind, f"grant {name} of {who} has {remaining}, but its entries say {said}")
        if name in grants and not 0 <= remaining <= grant["amount"] - books.held_of(name):
            wrong("violation", f"grant {name} of {who} has {remaining} of {grant['amount']}")
        grant.pop("is_new", None)
    held = sum(part["amount"] for hold in image.get("holds", ()) for part in hold["allocations"])
    for name, stored, added_up in (
        ("debt", image.get("debt", 0), books.debt),
        ("held", held, books.held),
        ("seq_last", image["seq_last"], len(books.entries)),
        ("hash", image["hash"], books.hash),
        ("granted_total", image.get("granted_total", 0), books.granted),
        ("consumed_total", image.get("consumed_total", 0), books.consumed),
    ):
        if stored != added_up:
            wrong("violation", f"{name} of {who} is {stored!r}, not {added_up!r}")
    if len(grants) > RETURNED_MAX + 1:
        wrong("violation", f"{who} has {len(grants)} grants")


def _check_settled(books: Books, grants: dict[str, dict[str, Any]], image: dict[str, Any]) -> None:
    """Check that the account was settled first: nothing has expired, the period is current."""
    who, decided_at = books.account_id, books.entries[-1]["recorded_at"]
    if image.get("status") == "closed":
        return
    for name, grant in grants.items():
        if grant["expires_at"] <= decided_at and not grant.get("ended"):
            wrong("violation", f"grant {name} of {who} outlives its end")
    for name, hold in books.holds.items():
        if hold.expires_at <= decided_at:
            wrong("violation", f"the hold {name} of {who} outlives its end")
    if image["anchor"] != books.anchor:
        wrong("violation", f"the anchor of {who} has moved")


def _note_crossings(books: Books, before: int) -> None:
    """Note the thresholds that a posting crossed: one event each. `before` was available."""
    if books.image is None:
        return
    seq = books.entries[-1]["seq"]
    for name, bound in (("credits.low", LOW_CREDITS), ("credits.depleted", 0)):
        if before > bound >= books.available:
            books.crossings.add((name, seq))
    if before <= 0 < books.available:
        books.crossings.add(("credits.recovered", seq))


def _unchanged_until(books: Books, image: dict[str, Any]) -> float:
    """Return the time until which an account changes only by a posting."""
    if image.get("is_behind"):
        return 0.0  # what has come due already did not fit into its posting
    ends: list[float] = [
        grant.get("expires_at", inf) for grant in image.get("grants", ()) if not grant.get("ended")
    ]
    ends += [hold.expires_at for hold in books.holds.values()]
    return min([*ends, entitlement.next_instant(books, books.at)])
