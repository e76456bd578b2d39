"""The naive model: a list of entries and a dictionary of grants for each account.

It shares nothing with the product. It is told every item that is written, as DynamoDB keeps it,
adds everything up anew, and knows the rules of the ledger in the plainest words. What it finds
wrong is one of four kinds:

- lost: credits are gone, or an answer said that something stands which does not;
- made: credits came out of nowhere;
- double: one request, payment or period took effect more than once;
- violation: any other rule is broken.
"""

from __future__ import annotations

import calendar
import hashlib
import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Any, NoReturn

from tests.simulation.dynamodb import thaw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.simulation.dynamodb import Change
    from tests.simulation.traffic import Step

KINDS = ("lost", "made", "double", "violation")

PRIORITY = {
    "rollover": 10, "plan": 20, "signup": 30, "promo": 30, "referral": 30, "admin": 40,
    "refund": 40, "purchase": 50,
}  # fmt: skip
"""Which kinds of grant are spent first: those with the lowest number."""

GRANT_KINDS = {
    "signup": "signup", "purchase": "purchase", "plan": "plan", "rollover": "rollover",
    "admin_grant": "admin", "promo": "promo", "referral": "referral",
}  # fmt: skip
"""The entries that bring new credits, and the kind of grant that they go into."""

BY_ITSELF = {"signup", "plan", "rollover", "expiry", "debt_settled"}
"""The entries that nobody asks for."""

PAYS_DEBT = {
    "signup", "purchase", "plan", "admin_grant", "promo", "referral", "refund", "reset",
}  # fmt: skip
"""The entries whose credits pay what is owed before they are anybody's to spend."""

DAY = 24 * 3600 * 1000
CLOCKS_APART = 2 * 3600 * 1000
"""Milliseconds that a process's clock may be off, all faults together, and some more."""

CATALOG_STALE = 31_000
"""Milliseconds for which a process may go by an old price."""

LOW_CREDITS = 20


class Wrong(BaseException):  # noqa: N818 - it is a finding, and the product must not catch it
    """Something is not as it must be."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(f"{kind}: {sentence}")
        self.kind = kind


def wrong(kind: str, sentence: str) -> NoReturn:
    """Say what is wrong."""
    raise Wrong(kind, sentence)


class Books:
    """What the model knows of one account. Times are in milliseconds since 1970."""

    def __init__(self, account_id: str) -> None:
        """Begin with nothing."""
        self.account_id = account_id
        self.entries: list[dict[str, Any]] = []
        self.by_id: dict[str, dict[str, Any]] = {}
        self.grants: dict[str, dict[str, Any]] = {}
        self.image: dict[str, Any] | None = None
        self.balance = self.debt = self.held = 0
        self.granted = self.consumed = 0
        self.hash = bytes(32)
        self.refunded: Counter[str] = Counter()
        self.periods: set[int] = set()
        self.anchor: int | None = None
        self.is_billed = False
        self.crossings: set[tuple[str, int]] = set()
        self.balances: list[tuple[float, int, float]] = []

    @property
    def available(self) -> int:
        """What can be spent."""
        return self.balance - self.held

    def in_spending_order(self) -> list[tuple[str, dict[str, Any]]]:
        """The grants that have credits, those that are spent first first."""
        return sorted(
            ((name, grant) for name, grant in self.grants.items() if grant["remaining"]),
            key=lambda one: (
                PRIORITY[one[1]["kind"]],
                one[1]["expires_at"],
                one[1]["granted_at"],
                int(one[0][1:]),
            ),
        )


class Model:
    """All accounts, the payments, and what the catalog said when."""

    def __init__(self, steps: Mapping[str, Step], signup_credits: int) -> None:
        """Know who asks for what: steps by the reference that their entries carry."""
        self.steps = steps
        self.signup_credits = signup_credits
        self.books: dict[str, Books] = {}
        self.catalog: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        self.effects: dict[str, tuple[float, str]] = {}
        self.payments: dict[str, str] = {}
        self.clawed: Counter[str] = Counter()
        self.now = 0.0

    def of(self, account_id: str) -> Books:
        """Return the books of an account."""
        return self.books.setdefault(account_id, Books(account_id))

    # ---- What is written -------------------------------------------------------------------------

    def written(self, changes: Sequence[Change], now: float) -> None:
        """Take what one write has changed, all of it at once."""
        self.now = now
        entries: list[tuple[str, dict[str, Any]]] = []
        image: dict[str, Any] | None = None
        for change in changes:
            kind, _, name = change.pk.partition("#")
            if kind not in {"LEDGER", "ACCOUNT", "CATALOG"}:
                continue
            if change.after is None:
                wrong("lost", f"{change.pk} {change.sk} was deleted")
            if kind == "LEDGER":
                if change.before is not None:
                    wrong("violation", f"an entry was changed: {name} {change.sk}")
                entries.append((name, plain(thaw(change.after))))
            elif change.sk == "ACCOUNT":
                image = {**plain(thaw(change.after)), "account_id": name}
            elif change.sk.startswith("REFUNDED#"):
                total = plain(thaw(change.after))["refunded"]
                self.of(name).refunded[f"total:{change.sk[9:]}"] = total
            elif kind == "CATALOG" and not change.sk.startswith("AUDIT#"):
                item = plain(thaw(change.after))
                self.catalog[change.sk].append((int(now * 1000), item))
        for account_id, entry in entries:
            if image is None or image["account_id"] != account_id:
                kind = "lost" if entry["amount"] > 0 else "made"
                wrong(kind, f"an entry of {account_id} was written without its account")
        if image is not None:
            told = sorted((entry for _, entry in entries), key=lambda entry: entry["seq"])
            self._posting(self.of(image["account_id"]), told, image)

    def _posting(self, books: Books, entries: list[dict[str, Any]], image: dict[str, Any]) -> None:
        before, after = books.image, image
        if before is not None and after["version"] != before["version"] + 1:
            wrong("violation", f"version {before['version']} was followed by {after['version']}")
        grants = {
            grant["grant_id"]: {**grant, "expires_at": grant.get("expires_at", inf)}
            for grant in after.get("grants", [])
        }
        for name, grant in grants.items():
            known = books.grants.get(name)
            if known is not None:
                known |= {"expires_at": grant["expires_at"], "amount": grant["amount"]}
            else:
                books.grants[name] = {**grant, "remaining": 0, "is_new": True}
        # Payments move the periods; what they bring has its own rules.
        books.is_billed |= bool(image.get("subscriptions") or image.get("paid_until")) or any(
            entry["type"] == "plan" and entry["sk"].startswith("ENTRY#standard:")
            for entry in entries
        )
        available = books.available
        opens_period = (
            not books.is_billed and before is not None and (after["period"] == before["period"] + 1)
        )
        rolled_before = sum(
            grant["remaining"]
            for grant in books.grants.values()
            if grant["kind"] == "rollover" and grant["expires_at"] > self._period_end(books)
        )
        for n, entry in enumerate(entries):
            self._entry(books, entry, entries, image)
            if entry["type"] in PAYS_DEBT and min(books.debt, entry["amount"]) > 0:
                [follows, *_] = [*entries[n + 1 :], {"sk": "nothing"}]
                if follows["sk"] != f"ENTRY#debt:{entry['sk'][6:]}":
                    wrong("violation", f"{books.account_id}: {entry['sk']} pays no debt first")
        self._as_added_up(books, grants, image)
        if opens_period:
            self._rolled_over(books, entries, rolled_before)
        if before is not None and entries:
            seq = books.entries[-1]["seq"]
            for name, bound in (("credits.low", LOW_CREDITS), ("credits.depleted", 0)):
                if available > bound >= books.available:
                    books.crossings.add((name, seq))
            if available <= 0 < books.available:
                books.crossings.add(("credits.recovered", seq))
        if entries:
            self._settled_first(books, grants, entries[-1]["recorded_at"], image)
        books.image = image
        books.balances.append((self.now, books.balance, _until(books, image)))

    def _period_end(self, books: Books) -> float:
        """Return the end of the period that an account was left in."""
        if books.anchor is None or books.image is None:
            return inf
        return month(books.anchor, books.image["period"] + 1)

    def _as_added_up(
        self, books: Books, grants: dict[str, dict[str, Any]], image: dict[str, Any]
    ) -> None:
        """Compare the account with what its entries add up to."""
        who = books.account_id
        if image["balance"] != books.balance:
            kind = "made" if image["balance"] > books.balance else "lost"
            wrong(kind, f"{who} has {image['balance']}, its entries say {books.balance}")
        for name, grant in books.grants.items():
            remaining = grants[name]["remaining"] if name in grants else 0
            if remaining != grant["remaining"]:
                kind = "made" if remaining > grant["remaining"] else "lost"
                wrong(
                    kind,
                    f"grant {name} of {who} has {remaining}, entries say {grant['remaining']}",
                )
            if name in grants and not 0 <= remaining <= grant["amount"]:
                wrong("violation", f"grant {name} of {who} has {remaining} of {grant['amount']}")
            grant.pop("is_new", None)
        held = sum(
            part["amount"] for hold in image.get("holds", []) for part in hold["allocations"]
        )
        for name, stored, added_up in (
            ("debt", image.get("debt", 0), books.debt),
            ("held", held, books.held),
            ("seq_last", image["seq_last"], len(books.entries)),
            ("hash", image["hash"], books.hash),
            ("granted_total", image.get("granted_total", 0), books.granted),
            ("consumed_total", image.get("consumed_total", 0), books.consumed),
        ):
            if stored != added_up:
                wrong("violation", f"{name} of {who} is {stored}, its entries say {added_up}")
        if len(grants) > 50:
            wrong("violation", f"{who} has {len(grants)} grants")

    def _settled_first(
        self,
        books: Books,
        grants: dict[str, dict[str, Any]],
        decided_at: int,
        image: dict[str, Any],
    ) -> None:
        """A command is decided on the account as it is by then: nothing expired, no old period."""
        who = books.account_id
        if image.get("status") == "closed":
            return
        for name, grant in grants.items():
            if grant["expires_at"] <= decided_at:
                wrong("violation", f"grant {name} of {who} lives on after its end")
        if books.anchor is None or books.is_billed:
            return
        if month(books.anchor, image["period"] + 1) <= decided_at:
            wrong("violation", f"{who} was left in a period that is over")
        if image["anchor"] != books.anchor:
            wrong("violation", f"the anchor of {who} has moved")

    # ---- One entry -------------------------------------------------------------------------------

    def _entry(
        self,
        books: Books,
        entry: dict[str, Any],
        posting: list[dict[str, Any]],
        image: dict[str, Any],
    ) -> None:
        who, name, type_ = books.account_id, entry["sk"][6:], entry["type"]
        what = f"entry {name} ({type_}) of {who}"
        if entry["seq"] != len(books.entries) + 1:
            wrong("violation", f"{what} has seq {entry['seq']} after {len(books.entries)}")
        if entry["previous_hash"] != books.hash or entry["hash"] != chained(entry):
            wrong("violation", f"{what} breaks the chain")
        if abs(entry["recorded_at"] - self.now * 1000) > CLOCKS_APART:
            last = books.entries[-1]["recorded_at"] if books.entries else 0
            if entry["recorded_at"] > max(last, self.now * 1000 + CLOCKS_APART):
                wrong("violation", f"{what} was recorded at another time")
        self._asked_for(books, entry, what)
        self._amount(books, entry, what)
        self._moved(books, entry, posting, image, what)
        books.balance += entry["amount"]
        if entry["balance_after"] != books.balance:
            wrong("violation", f"{what} says {entry['balance_after']}, it is {books.balance}")
        if sum(one["remaining"] for one in books.grants.values()) + books.held - books.debt != (
            books.balance
        ):
            wrong("violation", f"{what}: grants, holds and debt are not the balance")
        books.entries.append(entry)
        books.by_id[name] = entry
        books.hash = entry["hash"]

    def _asked_for(self, books: Books, entry: dict[str, Any], what: str) -> None:
        """Every entry has somebody who asked for it, once."""
        reference, type_ = entry.get("reference"), entry["type"]
        if reference is None:
            if type_ not in BY_ITSELF:
                wrong("made", f"nobody asked for {what}")
            return
        step = self.steps.get(reference)
        if step is None or (step.account_id not in {None, books.account_id}):
            wrong("made", f"{what}: {reference} did not ask for it")
        if step.kind == "message":
            return
        # To repeat a change of quota after another one is to change it back.
        if reference in self.effects and step.kind != "quota":
            wrong("double", f"{reference} took effect twice: {self.effects[reference][1]}, {what}")
        self.effects[reference] = (self.now, entry["sk"][6:])
        if step.key is not None and entry["sk"][6:] != step.key:
            wrong("violation", f"{what} is not named {step.key}")
        if type_ not in step.writes:
            wrong("violation", f"{what} is no {step.kind}")

    def _amount(self, books: Books, entry: dict[str, Any], what: str) -> None:
        """How much an entry moves follows from what was asked for."""
        step, amount = self.steps.get(entry.get("reference", "")), entry["amount"]
        asked = step.body if step else {}
        match entry["type"]:
            case "usage":
                self._price(entry, asked, what)
                if amount != (0 if entry.get("unlimited") else -entry["cost"]):
                    wrong("violation", f"{what} takes {amount} for {entry['cost']}")
                if books.image is not None and books.image.get("status") == "frozen":
                    wrong("violation", f"{what}: the account is frozen")
            case "refund":
                taken = books.by_id.get(entry["refunds"])
                if taken is None or taken["type"] != "usage":
                    wrong("made", f"{what} gives back what was never taken")
                books.refunded[entry["refunds"]] += entry["cost"]
                total = books.refunded[entry["refunds"]]
                if total > taken["cost"]:
                    wrong("double", f"{what}: {total} were given back of {taken['cost']}")
                if books.refunded[f"total:{entry['refunds']}"] != total:
                    wrong("violation", f"{what}: the refunded total is another than {total}")
                if "amount" in asked and entry["cost"] != asked["amount"]:
                    wrong("violation", f"{what} gives back {entry['cost']}")
                if "amount" not in asked and total != taken["cost"]:
                    wrong("lost", f"{what} gives back less than all")
                if amount != (0 if taken.get("unlimited") else entry["cost"]):
                    wrong("violation", f"{what} moves {amount} for {entry['cost']}")
            case "admin_grant" | "promo" | "referral" | "admin_deduct" if "action" in asked:
                wanted = {
                    "add": asked["amount"],
                    "deduct": -asked["amount"],
                    "set": asked["amount"] - books.balance,
                }[asked["action"]]
                if amount != wanted:
                    wrong("violation", f"{what} moves {amount}, not {wanted}")
            case "signup":
                if books.entries or amount != self.signup_credits:
                    wrong("double" if books.entries else "violation", f"{what}: {amount}")
            case "purchase":
                data = asked["data"]
                self._paid(books, f"standard:payment:{data['payment_id']}", what)
                if amount != data["credits"]:
                    wrong("violation", f"{what} brings {amount}")
            case "clawback":
                payment = entry["sk"][6:].partition(":clawback:")[0]
                self.clawed[payment] -= amount
                if self.clawed[payment] > self._to_claw_back(payment):
                    wrong("lost", f"{what} takes more than the money that went back had bought")

    def _paid(self, books: Books, payment: str, what: str) -> None:
        if payment in self.payments:
            wrong("double", f"{what}: {self.payments[payment]} has it, too")
        self.payments[payment] = books.account_id

    def _price(self, entry: dict[str, Any], asked: dict[str, Any], what: str) -> None:
        if "amount" in asked:
            cost = asked["amount"]
        else:
            quantity = asked.get("quantity", 1)
            told = self.catalog[f"FEATURE#{asked['feature']}"]
            version = entry["feature_version"]
            n, (since, feature) = next(
                (n, one) for n, one in enumerate(told) if one[1]["version"] == version
            )
            until = told[n + 1][0] if n + 1 < len(told) else inf
            if not since <= self.now * 1000 < until + CATALOG_STALE:
                wrong("violation", f"{what} goes by version {version} of its price")
            cost = -(-quantity * feature["cost"] // feature["per"])
        if entry["cost"] != cost:
            wrong("violation", f"{what} costs {entry['cost']}, not {cost}")

    def _to_claw_back(self, payment: str) -> int:
        """Return the credits that the money which went back had bought, as far as anybody told."""
        bought = self.payment_told(payment)
        total, refunds, lost = 0, {}, {}
        for step in self.steps.values():
            data = step.body.get("data", {}) if step.kind == "message" else {}
            if f"standard:payment:{data.get('payment_id')}" != payment:
                continue
            if step.body["type"] == "payment.refunded":
                total = max(total, data.get("total", 0))
                if "refund_id" in data:
                    refunds[data["refund_id"]] = data["money"]
            if step.body["type"] == "payment.disputed" and data["outcome"] == "lost":
                lost[data["dispute_id"]] = data["money"]
        back = min(max(total, sum(refunds.values())) + sum(lost.values()), bought["money"])
        return int(bought["credits"] * back // bought["money"])

    def payment_told(self, payment: str) -> dict[str, Any]:
        """Return what was told of a payment."""
        return next(
            step.body["data"]
            for step in self.steps.values()
            if step.kind == "message"
            and f"standard:payment:{step.body['data'].get('payment_id')}" == payment
            and step.body["type"] in {"credits.purchased", "subscription.renewed"}
        )

    # ---- Where the credits of an entry went ------------------------------------------------------

    def _moved(
        self,
        books: Books,
        entry: dict[str, Any],
        posting: list[dict[str, Any]],
        image: dict[str, Any],
        what: str,
    ) -> None:
        moved = [(one["grant_id"], one["amount"]) for one in entry.get("allocations", [])]
        total, amount, type_ = sum(part for _, part in moved), entry["amount"], entry["type"]
        if any(part <= 0 for _, part in moved):
            wrong("violation", f"{what} moves nothing, or backwards")
        match type_:
            case "usage" | "admin_deduct":
                self._in_order(books, entry, moved, what)
                if type_ == "usage":
                    books.debt += -amount - total
                    books.consumed += entry["cost"]
                    self._may_owe(books, image, what)
                elif image.get("status") == "closed":
                    books.held -= -amount - total
                elif total != -amount:
                    wrong("violation", f"{what} takes {total} out of grants")
                self._move(books, moved, -1, what)
            case "expiry":
                self._move(books, moved, -1, what)
                self._expires(books, entry, moved, posting, what)
            case "clawback":
                self._move(books, moved, -1, what)
                books.debt += -amount - total
            case "debt_settled":
                self._move(books, moved, -1, what)
                books.debt -= total
            case "hold":
                self._move(books, moved, -1, what)
                books.held += total
            case "release":
                self._move(books, moved, 1, what)
                books.held -= total
            case "refund" | "reset":
                self._move(books, moved, 1, what)
                if total != amount:
                    wrong("violation", f"{what} puts {total} into grants")
                if type_ == "refund":
                    books.consumed -= entry["cost"]
                    self._refund_grants(books, entry, moved, what)
                else:
                    books.granted += amount
            case "freeze" | "unfreeze":
                if moved or amount:
                    wrong("violation", f"{what} moves credits")
            case _:
                self._move(books, moved, 1, what)
                if total != amount:
                    wrong("violation", f"{what} puts {total} into grants")
                if type_ != "rollover":
                    books.granted += amount
                for name, _ in moved:
                    self._arrives(books, entry, books.grants[name], image, what)
        if books.debt < 0 or books.held < 0:
            wrong("violation", f"{what} leaves a debt of {books.debt} and {books.held} held")

    def _move(self, books: Books, moved: list[tuple[str, int]], sign: int, what: str) -> None:
        for name, part in moved:
            grant = books.grants.setdefault(
                name,
                # It came and went in one posting.
                {"kind": "plan", "expires_at": inf, "granted_at": 0, "remaining": 0, "amount": inf},
            )
            grant["remaining"] += sign * part
            if grant["remaining"] < 0:
                wrong("made", f"{what} takes more out of grant {name} than is there")

    def _in_order(
        self, books: Books, entry: dict[str, Any], moved: list[tuple[str, int]], what: str
    ) -> None:
        left = sum(part for _, part in moved)
        expected = []
        for name, grant in books.in_spending_order():
            if grant["expires_at"] <= entry["recorded_at"]:
                wrong("violation", f"{what}: grant {name} had expired")
            part = min(left, grant["remaining"])
            if part:
                expected.append((name, part))
                left -= part
        if expected != moved:
            wrong("violation", f"{what} draws on {moved}, not on {expected}")
        if left or (entry["type"] == "usage" and entry["amount"] + sum(p for _, p in moved)):
            spendable = sum(grant["remaining"] for grant in books.grants.values())
            if spendable > sum(part for _, part in moved):
                wrong("violation", f"{what} borrows although there are credits")

    def _may_owe(self, books: Books, image: dict[str, Any], what: str) -> None:
        """Only a clawback or an overdraft may leave less than nothing."""
        spent_into_debt = books.debt > 0
        if not spent_into_debt:
            return
        limits = [
            plan.get("overdraft_limit", 0) for _, plan in self.catalog[f"PLAN#{image['plan_id']}"]
        ]
        available = sum(grant["remaining"] for grant in books.grants.values()) - books.debt
        if available < -max(limits) and not self.clawed:
            wrong("made", f"{what} spends what is not there")

    def _expires(
        self,
        books: Books,
        entry: dict[str, Any],
        moved: list[tuple[str, int]],
        posting: list[dict[str, Any]],
        what: str,
    ) -> None:
        for name, part in moved:
            grant = books.grants[name]
            if part != -entry["amount"] or grant["remaining"]:
                wrong("violation", f"{what} leaves {grant['remaining']}")
            released = any(one["type"] == "release" for one in posting)
            if (
                grant["expires_at"] > entry["recorded_at"]
                and grant["kind"] != "plan"
                and not released
            ):
                wrong("lost", f"{what}: its grant would have lived on")
            if grant["kind"] == "plan" and not books.is_billed and books.anchor is not None:
                end = entry["effective_at"]
                if end > entry["recorded_at"] or end != grant.get("expires_at", end):
                    wrong("lost", f"{what}: its grant would have lived on")

    def _refund_grants(
        self, books: Books, entry: dict[str, Any], moved: list[tuple[str, int]], what: str
    ) -> None:
        taken = {one["grant_id"] for one in books.by_id[entry["refunds"]].get("allocations", [])}
        for name, _ in moved:
            grant = books.grants[name]
            if grant["remaining"] > grant["amount"]:
                wrong("made", f"{what} puts more into grant {name} than it had")
            if name not in taken and grant["kind"] != "refund":
                wrong("violation", f"{what} puts credits into grant {name}")
            if grant["kind"] == "refund" and grant.get("is_new"):
                lives = grant["expires_at"] - entry["recorded_at"]
                if not 7 * DAY <= lives <= 7 * DAY + 3_600_000:
                    wrong("violation", f"{what}: grant {name} lives {lives} ms")

    def _arrives(
        self,
        books: Books,
        entry: dict[str, Any],
        grant: dict[str, Any],
        image: dict[str, Any],
        what: str,
    ) -> None:
        """New credits go into a grant of their kind, for as long as that kind lives."""
        kind = GRANT_KINDS[entry["type"]]
        if grant["kind"] != kind:
            wrong("violation", f"{what} goes into a {grant['kind']} grant")
        step = self.steps.get(entry.get("reference", ""))
        expires_at = grant["expires_at"]
        if kind in {"signup", "purchase"} and expires_at != inf:
            wrong("lost", f"{what} expires")
        if kind in {"admin", "promo", "referral"} and step is not None:
            told = step.body.get("expires_at")
            if expires_at != (milliseconds(told) if told else inf):
                wrong("violation", f"{what} expires at {expires_at}")
        if kind == "plan":
            self._plan(books, entry, grant, image, what)
        if kind == "rollover" and not books.is_billed:
            self._rollover(books, entry, what)

    def _plan(
        self,
        books: Books,
        entry: dict[str, Any],
        grant: dict[str, Any],
        image: dict[str, Any],
        what: str,
    ) -> None:
        name, start = entry["sk"][6:], entry["effective_at"]
        if not name.startswith("period:"):
            if name.startswith("standard:"):
                self._paid(books, name, what)
            return
        if books.is_billed:
            return
        if books.anchor is None:
            books.anchor = start
        if start in books.periods:
            wrong("double", f"{what}: the period was granted before")
        skipped = json.loads(entry.get("metadata", "{}")).get("periods_skipped", 0)
        paid_debt = start != month(books.anchor, image["period"])
        if not paid_debt:
            books.periods.add(start)
            if books.image is not None and image["period"] != (books.image["period"] + 1 + skipped):
                wrong("violation", f"{what}: {skipped} periods were skipped")
        if start not in {month(books.anchor, k) for k in range(image["period"] + 1)}:
            wrong("violation", f"{what} begins at {start}, which is no boundary")
        if grant["expires_at"] != inf and grant["expires_at"] != month(
            books.anchor, image["period"] + 1
        ):
            wrong("violation", f"{what} expires at {grant['expires_at']}")
        # A command of the same posting may have changed the plan since.
        quotas = [books.image, books.image.get("next_quota")] if books.image else [image]
        allowed = {
            credits for quota in quotas if quota is not None for credits in self._allowances(quota)
        }
        if not paid_debt and entry["amount"] not in allowed:
            wrong("violation", f"{what} brings {entry['amount']}, not {allowed}")

    def _allowances(self, quota: dict[str, Any]) -> set[int]:
        """Return what a quota may bring: its own, or what its plan says or said."""
        if quota.get("monthly_credits") is not None:
            return {quota["monthly_credits"]}
        return {plan["monthly_credits"] for _, plan in self.catalog[f"PLAN#{quota['plan_id']}"]}

    def _rollover(
        self,
        books: Books,
        entry: dict[str, Any],
        what: str,
    ) -> None:
        if books.image is None or entry["sk"][6:] in books.by_id:
            wrong("double", f"{what} rolled over before")
        rollover = self.catalog[f"PLAN#{books.image['plan_id']}"][-1][1].get("rollover")
        live = sum(
            grant["remaining"] for grant in books.grants.values() if grant["kind"] == "rollover"
        )
        if rollover is not None and live > rollover["max"]:
            wrong("made", f"{what}: {live} roll over, more than {rollover['max']}")

    def _rolled_over(self, books: Books, posting: list[dict[str, Any]], live: int) -> None:
        """What an allowance leaves at its end rolls over, as far as the plan lets it."""
        assert books.image is not None
        rollover = self.catalog[f"PLAN#{books.image['plan_id']}"][-1][1].get("rollover")
        unspent = -sum(
            one["amount"]
            for one in posting
            if one["type"] == "expiry"
            for part in one["allocations"]
            if books.grants[part["grant_id"]]["kind"] == "plan"
        )
        expected = max(0, min(unspent, rollover["max"] - live)) if rollover else 0
        rolled = sum(one["amount"] for one in posting if one["type"] == "rollover")
        if rolled != expected:
            kind = "made" if rolled > expected else "lost"
            wrong(kind, f"{rolled} roll over to {books.account_id}, not {expected}")

    # ---- When all is delivered -------------------------------------------------------------------

    def all_delivered(self) -> None:
        """Every payment of an account that is known has arrived, and went back as far as told."""
        linked = {
            step.body["data"]["customer_id"]: step.body["data"]["account_id"]
            for step in self.steps.values()
            if step.kind == "message" and step.body["type"] == "account.linked"
        }
        for step in self.steps.values():
            if step.kind != "message" or step.body["type"] != "credits.purchased":
                continue
            data = step.body["data"]
            books = self.books.get(data.get("account_id") or linked.get(data["customer_id"], ""))
            if books is None or books.image is None or books.image.get("status") == "closed":
                continue
            payment = f"standard:payment:{data['payment_id']}"
            if payment not in self.payments:
                wrong("lost", f"{payment} has not arrived at {books.account_id}")
            owner = self.books[self.payments[payment]]
            if owner.image is None or owner.image.get("status") == "closed":
                continue
            if self.clawed[payment] != self._to_claw_back(payment):
                wrong("made", f"of {payment} {self.clawed[payment]} were taken back")

    # ---- What callers are told -------------------------------------------------------------------

    def answered(self, step: Step, account_id: str, told: dict[str, Any]) -> None:
        """Take what a caller was told of an entry: it must stand just so in the ledger."""
        told_entry = told["entry"]
        entry = self.of(account_id).by_id.get(told_entry["entry_id"])
        if entry is None:
            wrong("lost", f"{step} was told of an entry that is not there")
        if entry["hash"].hex() != told_entry["hash"] or entry.get("reference") != step.reference:
            wrong("violation", f"{step} was told of another entry than its own")
        if told["account"]["balance"] != entry["balance_after"]:
            wrong("violation", f"{step} was told a balance of {told['account']['balance']}")

    def read(self, account_id: str, told: dict[str, Any], *, since: float, now: float) -> None:
        """Take what a reader was told: a balance that the account had since it asked."""
        books = self.of(account_id)
        grants = sum(grant["remaining"] for grant in told["grants"])
        if told["balance"] != grants + told["held"] - told["debt"]:
            wrong("violation", f"{account_id} was read with grants that are not its balance")
        later = [n for n, (at, _, _) in enumerate(books.balances) if at >= since]
        possible = books.balances[max(0, (later[0] if later else len(books.balances)) - 1) :]
        # What was read is rolled forward to the reader's clock, which may be ahead.
        certain = all(until > now * 1000 + CLOCKS_APART for _, _, until in possible)
        if possible and certain and told["balance"] not in {one for _, one, _ in possible}:
            wrong("violation", f"{account_id} was read as {told['balance']}, not {possible}")


def _until(books: Books, image: dict[str, Any]) -> float:
    """Return until when time alone changes nothing in an account, in milliseconds."""
    if books.is_billed or books.anchor is None:
        return 0
    ends = [grant.get("expires_at", inf) for grant in image.get("grants", [])]
    return min(ends + [month(books.anchor, image["period"] + 1)])


def plain(wire: dict[str, Any]) -> dict[str, Any]:
    """Return an item as plain values."""
    return {name: _value(value) for name, value in wire.items()}


def _value(wire: dict[str, Any]) -> Any:
    [[kind, value]] = wire.items()
    match kind:
        case "N":
            return int(value)
        case "M":
            return plain(value)
        case "L":
            return [_value(part) for part in value]
        case "NULL":
            return None
    return value


def chained(entry: dict[str, Any]) -> bytes:
    """Return the hash that an entry must have, of its canonical JSON and the hash before."""
    told = {"held_after": 0, "debt_after": 0, "unlimited": False, "allocations": []}
    told |= {name: value for name, value in entry.items() if name not in NOT_HASHED}
    told["entry_id"] = entry["sk"][6:]
    for name in ("recorded_at", "effective_at"):
        instant = datetime.fromtimestamp(entry[name] // 1000, UTC)
        told[name] = f"{instant:%Y-%m-%dT%H:%M:%S}.{entry[name] % 1000:03}Z"
    if "metadata" in entry:
        told["metadata"] = json.loads(entry["metadata"])
    if "request_hash" in entry:
        told["request_hash"] = entry["request_hash"].hex()
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(entry["previous_hash"] + text.encode()).digest()


NOT_HASHED = {"pk", "sk", "hash", "previous_hash", "correlation_id"}


def month(anchor: int, k: int) -> int:
    """Return the start of the k-th month after an anchor, in UTC."""
    begun = datetime.fromtimestamp(anchor / 1000, UTC)
    year, number = divmod(begun.year * 12 + begun.month - 1 + k, 12)
    day = min(begun.day, calendar.monthrange(year, number + 1)[1])
    moved = begun.replace(year=year, month=number + 1, day=day)
    return anchor + round((moved - begun) / timedelta(milliseconds=1))


def milliseconds(instant: str) -> int:
    """Return an instant of the API as the table has it."""
    return round(datetime.fromisoformat(instant).timestamp() * 1000)
