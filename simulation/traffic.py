"""Traffic: who requests what and when, generated from a seed before anything runs.

Steps refer to each other only by number, so that any of them can be left out without changing
the others.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

from simulation.environment import POOL_ID
from simulation.holds import HOLD_SECONDS
from simulation.plain import month

START = datetime(2026, 1, 28, 9, 30, tzinfo=UTC).timestamp()

DAY = 86_400
HOUR = 3_600


def model(cost: int) -> dict[str, Any]:
    """Return a feature with meters."""
    prices = {"input": (cost, 1000), "cached_input": (cost, 9000), "output": (5 * cost, 1)}
    meters = {name: {"cost": price, "per": per} for name, (price, per) in prices.items()}
    return {"name": "Model", "meters": meters, "unit": "token"}


CATALOG: tuple[tuple[str, dict[str, Any]], ...] = (
    ("PLAN#free", {
        "name": "Free", "monthly_credits": 100, "rollover": {"max": 40, "periods": 2},
    }),
    ("PLAN#pro", {
        "name": "Pro", "monthly_credits": 800, "rollover": {"max": 500, "periods": 2},
        "provider_ids": ["pro"],
    }),
    ("PLAN#big", {"name": "Big", "monthly_credits": 2001, "provider_ids": ["big"]}),
    ("PLAN#lent", {
        "name": "Lent", "monthly_credits": 150, "overdraft_limit": 60, "provider_ids": ["lent"],
    }),
    ("PLAN#all", {
        "name": "All", "monthly_credits": 0, "unlimited": True, "provider_ids": ["all"],
    }),
    ("FEATURE#chat", {"name": "Chat", "cost": 5, "per": 1, "unit": "use"}),
    ("FEATURE#tokens", {"name": "Tokens", "cost": 3, "per": 1000, "unit": "token"}),
    ("FEATURE#image", {"name": "Image", "cost": 25, "per": 1, "unit": "use"}),
    ("FEATURE#model", model(2)),
)  # fmt: skip
"""The catalog, as stored in the table."""

WEIGHTS = {
    "consume": 33, "batch": 4, "hold": 9, "extend": 4, "capture": 9, "release": 3, "end_again": 2,
    "holds": 1, "quote": 2, "account": 6, "entries": 2, "refund": 12, "adjustment": 8,
    "quota": 3, "reset": 1, "freeze": 1, "unfreeze": 2, "sign_up": 2, "message": 18, "price": 3,
    "sweep": 1.5, "close": 0.2, "same_key": 2,
}  # fmt: skip

STORIES = {"job": 4, "run": 1.5, "hoard": 0.7, "month_end": 1, "refunds": 1.2, "claims": 1}
"""Kinds that make several steps, each likely to meet a case that chance alone seldom makes."""

MESSAGE_WEIGHTS = {
    "bought": 4, "bought_again": 1.5, "returned": 5, "disputed": 5, "linked": 1, "renewed": 6,
    "renewed_again": 0.5, "changed": 5, "updated": 3, "ended": 2,
}  # fmt: skip

WRITES = {
    "consume": {"usage"}, "batch": {"usage"}, "same_key": {"usage"}, "refund": {"refund"},
    "hold": {"hold"}, "capture": {"usage", "release"}, "release": {"release"},
    "adjustment": {"admin_grant", "promo", "referral", "admin_deduct", "release"},
    "quota": {"plan", "clawback"}, "reset": {"reset"}, "freeze": {"freeze"},
    "unfreeze": {"unfreeze"}, "close": {"admin_deduct"},
}  # fmt: skip
"""The entry types that each kind of step may write."""

USE = ("feature", "quantity", "usage", "amount")
"""The fields of a use."""

HOSTILE = {"takes_key": 4, "ends_hold": 5, "hoards": 2, "starts_over": 0.15}
"""What a hostile user does between two calls of an app, each with its weight."""

READS = {"quote", "account", "entries", "holds"}

FUNCTIONS = {
    "consume": "consume", "same_key": "consume", "quote": "consume", "account": "account",
    "batch": "consume", "hold": "consume", "extend": "consume", "capture": "consume",
    "release": "consume", "holds": "consume",
    "entries": "account", "refund": "refund", "adjustment": "adjust", "quota": "adjust",
    "reset": "adjust", "freeze": "adjust", "unfreeze": "adjust", "close": "adjust",
    "sign_up": "signup", "message": "webhook", "price": "catalog", "sweep": "reset",
}  # fmt: skip

ROUTES = {
    "consume": "POST /v1/accounts/{account_id}/consume",
    "same_key": "POST /v1/accounts/{account_id}/consume",
    "batch": "POST /v1/accounts/{account_id}/consume/batch",
    "hold": "POST /v1/accounts/{account_id}/holds",
    "holds": "GET /v1/accounts/{account_id}/holds",
    "extend": "POST /v1/accounts/{account_id}/holds/{hold_id}/extend",
    "capture": "POST /v1/accounts/{account_id}/holds/{hold_id}/capture",
    "release": "POST /v1/accounts/{account_id}/holds/{hold_id}/release",
    "quote": "POST /v1/accounts/{account_id}/quote",
    "account": "GET /v1/accounts/{account_id}",
    "entries": "GET /v1/accounts/{account_id}/entries",
    "refund": "POST /v1/accounts/{account_id}/refunds",
    "adjustment": "POST /v1/accounts/{account_id}/adjustments",
    "quota": "PUT /v1/accounts/{account_id}/quota",
    "reset": "POST /v1/accounts/{account_id}/reset",
    "freeze": "POST /v1/accounts/{account_id}/freeze",
    "unfreeze": "POST /v1/accounts/{account_id}/unfreeze",
    "close": "DELETE /v1/accounts/{account_id}",
    "price": "PUT /v1/admin/features/{feature_id}",
}

PAID_PLANS = ("pro", "pro", "big", "lent", "all")
"""The plans that a billing system sells."""

SUBSCRIPTIONS_MAX = 3
"""How many subscriptions a customer has at most."""

NEXT_LIFE = 1_000
"""The distance between the numbers of a user's successive accounts."""

ADMIN = {"sub": "ops", "client_id": "ops", "scope": "scrip/admin"}
SERVICE = {"sub": "app", "client_id": "app", "scope": "scrip/service"}


def user(account_id: str) -> dict[str, str]:
    """Return the claims of a token of the stack's own user pool."""
    return {"sub": account_id, "client_id": "web", "iss": f"https://simulated/{POOL_ID}"}


def email_of(account_id: str) -> str:
    """Return a user's email address; every two users share a mailbox."""
    number = int(account_id.removeprefix("user-"))
    return f"mailbox-{number % NEXT_LIFE // 2}+{number}@example.com"


def next_life(account_id: str) -> str:
    """Return the ID that a deleted user gets when signing up again."""
    return f"user-{int(account_id.removeprefix('user-')) + NEXT_LIFE}"


@dataclass(eq=False)
class Step:
    """One request at a time (seconds since 1970), perhaps with a key."""

    number: int
    at: float
    kind: str
    account_id: str | None
    body: dict[str, Any] = field(default_factory=dict)
    key: str | None = None
    claims: dict[str, str] = field(default_factory=lambda: ADMIN)
    path: dict[str, str] = field(default_factory=dict)
    message_id: str | None = None
    repeats: str | None = None
    """The reference of an earlier step that asks for the same under another key."""

    def __str__(self) -> str:
        """Describe the step in one line."""
        asked = " ".join(f"{name}={value}" for name, value in self.body.items())
        key = f" key={self.key}" if self.key else ""
        return f"#{self.number} {self.kind} {self.account_id or ''}{key} {asked}".rstrip()

    @property
    def reference(self) -> str:
        """The reference of the entries that it writes."""
        return self.message_id or self.repeats or f"step-{self.number}"

    @property
    def by_user(self) -> bool:
        """Whether it has a user's token."""
        return self.claims["client_id"] == "web"

    @property
    def name(self) -> str | None:
        """The ID that its key gives to an entry, and so to a hold. Users have their own prefix."""
        return f"user:{self.key}" if self.by_user and self.key is not None else self.key

    @property
    def uses(self) -> list[dict[str, Any]]:
        """What each entry is for: the uses of a batch, the lines of a hold, or the body."""
        return self.body.get("uses") or self.body.get("lines") or [self.body]

    @property
    def references(self) -> list[str]:
        """The reference of each of these entries; only the uses of a batch have their own."""
        return [use.get("reference", self.reference) for use in self.uses]

    @property
    def hold_id(self) -> str:
        """The hold in its path."""
        return self.path["hold_id"]

    @property
    def ends_hold(self) -> bool:
        """Whether it ends its hold."""
        return self.kind == "release" or (self.kind == "capture" and self.body.get("final", True))

    @property
    def function(self) -> str:
        """The function that serves it."""
        return FUNCTIONS[self.kind]

    @property
    def writes(self) -> set[str]:
        """The entry types that it may write."""
        return WRITES.get(self.kind, set())

    @property
    def changes_something(self) -> bool:
        """Whether it is more than a read."""
        return self.kind not in READS

    @property
    def may_be_repeated(self) -> bool:
        """Whether its caller may repeat it without a second effect: a hold ends only once."""
        is_safe = self.kind not in WRITES or self.kind in {"quota", "close"} or self.ends_hold
        return self.key is not None or is_safe


@dataclass(eq=False)
class Subscription:
    """A customer's subscription as the billing system knows it, with the period paid last.

    `items` have a plan and a quantity each. Times are in whole seconds.
    """

    account_id: str
    subscription_id: str
    items: dict[str, tuple[str, int]]
    start: int = 0
    end: int = 0
    months: int = 1
    changed_at: int = 0
    has_ended: bool = False


class Plan:
    """Generates the steps of one world."""

    def __init__(self, seed: int) -> None:
        """Start from a world's seed."""
        self.random = Random(seed)
        self.accounts = [f"user-{n}" for n in range(self.random.choice((1, 2, 3, 5)))]
        self.at = START + self.random.uniform(0, 5 * 24 * 3600)
        self.consumed: dict[str, list[Step]] = defaultdict(list)
        self.captured: dict[str, list[Step]] = defaultdict(list)
        self.held: dict[str, list[Step]] = defaultdict(list)
        self.ended: dict[str, list[Step]] = defaultdict(list)
        self.bought: list[dict[str, Any]] = []
        self.renewals: list[dict[str, Any]] = []
        self.paid: list[dict[str, Any]] = []
        """All payments of money."""
        self.opened: dict[str, float] = {}
        """About when each account was opened, and its months begin."""
        self.subscriptions: dict[str, list[Subscription]] = defaultdict(list)
        self.messages = 0
        self.versions = {"chat": 1, "tokens": 1, "image": 1}

    def steps(self, count: int) -> list[Step]:
        """Return `count` steps, in bursts with hours, days or a month in between."""
        weight_of = WEIGHTS | STORIES
        kinds, weights = list(weight_of), list(weight_of.values())
        steps: list[Step] = []
        while len(steps) < count:
            self.at += self._gap()
            account_id = self.random.choice(self.accounts)
            for _ in range(self.random.choice((1, 2, 4, 8, 16, 32))):
                if self.random.random() < 0.2:
                    account_id = self.random.choice(self.accounts)
                at = self.at + self.random.uniform(0, 0.3)
                kind = self.random.choices(kinds, weights)[0]
                made = getattr(self, f"_{kind}")(len(steps), at, account_id)
                made = made if kind in STORIES else [made]
                for step in made:
                    if step.kind == "sign_up" or step.by_user:
                        self.opened.setdefault(str(step.account_id), step.at)
                steps += made
        return steps[:count]

    def _gap(self) -> float:
        """Return the seconds between two bursts."""
        low, high = self.random.choices(
            ((0.1, 5), (60, 7_200), (43_200, 5 * DAY), (25 * DAY, 32 * DAY), (33 * DAY, 99 * DAY)),
            (50, 32, 10, 5, 3),
        )[0]
        return self.random.uniform(low, high)

    def _keyed(self, number: int, at: float, kind: str, account_id: str, /, **body: Any) -> Step:
        """Return a step that has a key, as it should in most cases."""
        step = Step(number, at, kind, account_id, body, claims=ADMIN)
        step.path = {"account_id": account_id}
        step.key = f"key-{number}" if self.random.random() < 0.93 else None
        body["reference"] = step.reference
        return step

    def _spending(self, number: int, at: float, kind: str, account_id: str, /, **body: Any) -> Step:
        """Return a step of a user, or of a service on a user's behalf."""
        step = self._keyed(number, at, kind, account_id, **body)
        step.claims = self.random.choice((SERVICE, user(account_id)))
        step.body["reference"] = step.reference
        return step

    def _use(self) -> dict[str, Any]:
        """Return the body of a use."""
        random = self.random
        body: dict[str, Any] = {"feature": random.choice(("chat", "chat", "tokens", "image"))}
        if body["feature"] == "tokens":
            count = random.randint(1, 20_000)
            body |= (
                {"feature": "model", "usage": _usage(count)} if count % 2 else {"quantity": count}
            )
        elif random.random() < 0.2:
            body["quantity"] = random.randint(1, 4)
        if random.random() < 0.2:
            body = {"amount": random.choice((1, 2, 7, 40, 120))}
        return body

    def _consume(self, number: int, at: float, account_id: str) -> Step:
        step = self._spending(number, at, "consume", account_id, **self._use())
        self.consumed[account_id].append(step)
        return step

    def _batch(self, number: int, at: float, account_id: str) -> Step:
        """Consume several uses, often for more than the balance."""
        step = self._spending(number, at, "batch", account_id)
        references = [step.reference, *(f"{step.reference}~{n}" for n in range(2, 26))]
        uses = self.random.choice((1, 2, 2, 3, 5, 25))
        step.body = {"uses": [{**self._use(), "reference": one} for one in references[:uses]]}
        self.consumed[account_id].append(step)
        return step

    def _same_key(self, number: int, at: float, account_id: str) -> Step:
        """Make another request under a key that was used before."""
        step = self._consume(number, at, account_id)
        step.kind = "same_key"
        self.consumed[account_id].pop()
        earlier = self.consumed[account_id][-5:]
        step.key = self.random.choice(earlier).key if earlier else step.key
        return step

    def _quote(self, number: int, at: float, account_id: str) -> Step:
        step = self._consume(number, at, account_id)
        self.consumed[account_id].pop()
        step.kind, step.key = "quote", None
        return step

    def _account(self, number: int, at: float, account_id: str) -> Step:
        path = {"account_id": "me"}
        return Step(number, at, "account", account_id, claims=user(account_id), path=path)

    def _entries(self, number: int, at: float, account_id: str) -> Step:
        step = self._account(number, at, account_id)
        step.kind = "entries"
        return step

    def _refund(self, number: int, at: float, account_id: str) -> Step:
        captured, spent = self.captured[account_id], self.consumed[account_id]
        spent = captured if captured and self.random.random() < 0.15 else spent
        known = [step for step in spent if step.key]
        if not known:
            return self._consume(number, at, account_id)
        recent = known[-4:] if self.random.random() < 0.8 else known
        of = self.random.choice(recent)
        of_many = len(of.uses) > 1 and self.random.random() < 0.5
        body: dict[str, Any] = {"entry_id": f"{of.name}~2" if of_many else of.name}
        body["reason"] = "it failed"
        if self.random.random() < 0.6:
            body["amount"] = self.random.choice((1, 3, 4, 15, 20))
        step = self._keyed(number, at, "refund", account_id, **body)
        step.claims = SERVICE
        return step

    def _adjustment(self, number: int, at: float, account_id: str) -> Step:
        random = self.random
        action = random.choices(("add", "deduct", "set"), (5, 2, 4))[0]
        body: dict[str, Any] = {
            "action": action, "amount": random.randint(1, 300), "reason": "support",
        }  # fmt: skip
        if action == "add":
            body["kind"] = random.choice(("admin", "promo", "referral"))
            if random.random() < 0.6:
                hours = random.choice((1, 5, 24, 24 * 7, 24 * 40))
                end = datetime.fromtimestamp(at, UTC) + timedelta(hours=hours)
                body["expires_at"] = f"{end:%Y-%m-%dT%H:%M:00Z}"
        return self._keyed(number, at, "adjustment", account_id, **body)

    def _quota(self, number: int, at: float, account_id: str) -> Step:
        body: dict[str, Any] = {"reason": "sold"}
        if self.random.random() < 0.7:
            body["plan_id"] = self.random.choice(("free", "pro", "pro", "lent", "all"))
        if self.random.random() < 0.4 or len(body) == 1:
            body["monthly_credits"] = self.random.choice((0, 50, 120, 900))
        step = self._keyed(number, at, "quota", account_id, **body)
        step.key = None
        return step

    def _reset(self, number: int, at: float, account_id: str) -> Step:
        return self._keyed(number, at, "reset", account_id)

    def _freeze(self, number: int, at: float, account_id: str) -> Step:
        return self._keyed(number, at, "freeze", account_id)

    def _unfreeze(self, number: int, at: float, account_id: str) -> Step:
        return self._keyed(number, at, "unfreeze", account_id)

    def _close(self, number: int, at: float, account_id: str) -> Step:
        return self._keyed(number, at, "close", account_id)

    def _sign_up(self, number: int, at: float, account_id: str) -> Step:
        return Step(number, at, "sign_up", account_id, {"email": email_of(account_id)})

    def _sweep(self, number: int, at: float, _: str) -> Step:
        return Step(number, at, "sweep", None)

    def _price(self, number: int, at: float, _: str) -> Step:
        feature = self.random.choice(("chat", "tokens", "image"))
        names = dict(CATALOG)[f"FEATURE#{feature}"]
        cost = self.random.randint(1, 30)
        if feature == "tokens" and cost % 2:
            return Step(number, at, "price", None, model(cost), path={"feature_id": "model"})
        body = {**names, "cost": cost}
        return Step(number, at, "price", None, body, path={"feature_id": feature})

    # ---- Holds -----------------------------------------------------------------------------------

    def _hold(self, number: int, at: float, account_id: str) -> Step:
        """Open a hold, for several uses at times; one without a key is left to expire."""
        body = self._use()
        if self.random.random() < 0.25:
            lines = self.random.choice((1, 2, 2, 2, 3, 3, 4, 25))
            body = {"lines": [self._use() for _ in range(lines)]}
        if self.random.random() < 0.8:
            body["expires_in"] = self.random.choice((1, 60, 900, HOUR, DAY, DAY))
        step = self._spending(number, at, "hold", account_id, **body)
        if step.key is not None:
            self.held[account_id].append(step)
        return step

    def _of_hold(self, number: int, at: float, kind: str, account_id: str, /, **body: Any) -> Step:
        """Return a step about a hold that may be open, usually a recent one."""
        step = self._spending(number, at, kind, account_id, **body)
        held = self.held[account_id]
        if step.by_user:
            # What hostile users do is in the jobs.
            held = [opened for opened in held if opened.by_user] or held
        if self.random.random() < 0.8:
            held = [opened for opened in held if self._is_open(opened)] or held
        recent = held[-3:] if self.random.random() < 0.9 else held
        step.path["hold_id"] = str(self.random.choice(recent).name)
        if step.ends_hold:
            self.ended[account_id].append(step)
        return step

    def _is_open(self, opened: Step) -> bool:
        """Return whether a hold should be open by now if everything went well."""
        is_alive = opened.at < self.at < opened.at + opened.body.get("expires_in", HOLD_SECONDS)
        ended = {step.hold_id for step in self.ended[str(opened.account_id)]}
        return is_alive and opened.name not in ended

    def _extend(self, number: int, at: float, account_id: str) -> Step:
        if not self.held[account_id]:
            return self._hold(number, at, account_id)
        step = self._of_hold(number, at, "extend", account_id)
        step.body = {"expires_in": self.random.choice((1, 60, HOUR, DAY))}
        return step

    def _capture(self, number: int, at: float, account_id: str) -> Step:
        """Capture all of a hold, a part of it, more than it, the price of a quantity, or lines."""
        if not self.held[account_id]:
            return self._hold(number, at, account_id)
        random = self.random
        body: dict[str, Any] = random.choice(
            ({}, {"amount": random.choice((1, 3, 5, 30, 300))}, {"quantity": random.randint(1, 3)}),
        )
        if random.random() < 0.3:
            body["final"] = False
        if random.random() < 0.4:
            body["excess"] = "available"
            if "amount" in body:
                body["amount"] *= 10
        step = self._of_hold(number, at, "capture", account_id, **body)
        opened = next(one for one in self.held[account_id] if one.name == step.hold_id)
        if opened.body.get("feature") == "model" and "quantity" in body:
            step.body["usage"] = _usage(997 * step.body.pop("quantity"))
        if random.random() < (0.7 if len(opened.uses) > 1 else 0.15):
            for measure in USE:
                step.body.pop(measure, None)
            lines = random.choice((1, 2, 2, 2, 3, 3, 4, 25))
            step.body["lines"] = [self._captured_line(opened) for _ in range(lines)]
        self.captured[account_id].append(step)
        return step

    def _captured_line(self, opened: Step) -> dict[str, Any]:
        """Return a line of a capture: one of its hold's, a part of one, or of any feature."""
        random, line = self.random, {**self.random.choice(opened.uses)}
        if random.random() < 0.1:
            return {"feature": random.choice(("chat", "tokens", "image"))}
        for measure in ("amount", "quantity"):
            if measure in line and random.random() < 0.7:
                line[measure] = random.randint(1, -(-line[measure] // 2))
        if "usage" in line and random.random() < 0.7:
            line["usage"] = _usage(random.randint(1, line["usage"]["input"]))
        return {name: line[name] for name in USE if name in line}

    def _release(self, number: int, at: float, account_id: str) -> Step:
        if not self.held[account_id]:
            return self._hold(number, at, account_id)
        return self._of_hold(number, at, "release", account_id)

    def _end_again(self, number: int, at: float, account_id: str) -> Step:
        """Repeat an earlier end of a hold under another key."""
        if not self.ended[account_id]:
            return self._capture(number, at, account_id)
        earlier = self.random.choice(self.ended[account_id][-3:])
        step = self._spending(number, at, earlier.kind, account_id)
        step.body, step.path, step.repeats = earlier.body, earlier.path, earlier.reference
        return step

    def _holds(self, number: int, at: float, account_id: str) -> Step:
        step = self._account(number, at, account_id)
        step.kind = "holds"
        return step

    def _run(self, number: int, at: float, account_id: str) -> list[Step]:
        """Hold for all that an agent's run may use, capture twice, and repeat the end."""
        random, key = self.random, f"key-{number + 1}"
        claims = random.choice((SERVICE, user(account_id)))
        gift = self._adjustment(number, at - 20, account_id)
        gift.body |= {"action": "add", "kind": "promo", "amount": 300}
        uses = [self._use() for _ in range(random.choice((2, 3, 4)))]
        opened = self._call("hold", account_id, key, lines=uses, expires_in=HOUR)
        first, last, again = (
            self._call("capture", account_id, f"{key}.{n}", final=n > 1) for n in (1, 2, 3)
        )
        for step in (first, last):
            lines = random.choice((1, 2, 3))
            step.body["lines"] = [self._captured_line(opened) for _ in range(lines)]
        if random.random() < 0.4:  # it may take all that is left, or more than that
            last.body["excess"] = "available"
            last.body["lines"].append({"amount": random.choice((120, 500))})
        again.body, again.repeats = last.body, f"step-{number + 3}"
        for n, step in enumerate((opened, first, last, again), 1):
            step.number, step.at, step.claims = number + n, at, claims
            self._named(step)
            if step is not opened:
                step.path["hold_id"] = str(opened.name)
            at += random.choice((0.5, 5, 60))
        refund = self._keyed(number + 5, at, "refund", account_id, entry_id=f"{last.name}~2")
        refund.claims = SERVICE
        return [gift, opened, first, last, again, refund]

    # ---- An app's job, and its hostile user ------------------------------------------------------

    def _job(self, number: int, at: float, account_id: str) -> list[Step]:
        """Return an app's calls for a job, and what its user's token does between them."""
        steps: list[Step] = []
        for call in self._calls(f"job-{number}", account_id):
            for _ in range(self.random.choice((0, 1, 1, 2))):
                act = self.random.choices(list(HOSTILE), list(HOSTILE.values()))[0]
                steps += getattr(self, f"_user_{act}")(account_id, call)
            steps.append(call)
        for step in steps:
            # Some run at the same time as the app's calls, some between them.
            at += self.random.choice((0, 0.01, 0.1, 1, 10, 0.2 * HOUR))
            step.number, step.at = number, at
            number += 1
            self._named(step)
        return steps

    def _calls(self, job: str, account_id: str) -> list[Step]:
        """Return the calls of an app. Their keys derive from the job, so they can be guessed."""
        amount, part = self.random.choice(((7, 5), (20, 20), (40, 15), (120, 100)))
        of_hold = {"account_id": account_id, "hold_id": job}
        opened = self._call("hold", account_id, job, amount=amount, expires_in=HOUR)
        captured = self._call("capture", account_id, f"{job}.capture", amount=part)
        extended = self._call("extend", account_id, f"{job}.extend", expires_in=DAY)
        released = self._call("release", account_id, f"{job}.release")
        for step in (captured, extended, released):
            step.path = of_hold
        used = self._call("consume", account_id, job, amount=amount)
        again = self._call("consume", account_id, f"{job}.2", amount=part)
        batch = self._call("batch", account_id, job)
        batch.body["uses"] = [{"amount": part}, {"amount": 3}]
        calls = self.random.choice(
            (
                [opened, captured],
                [opened, extended, captured],
                [opened, released],
                [used, again],
                [batch],
            )
        )
        if calls[-1].kind != "release" and self.random.random() < 0.4:
            taken = f"{job}~2" if calls[-1] is batch else str(calls[-1].key)
            refund = {"entry_id": taken, "reason": "it failed"}
            calls.append(self._call("refund", account_id, f"{job}.refund", **refund))
        return calls

    def _call(self, kind: str, account_id: str, key: str, /, **body: Any) -> Step:
        """Return a service's call, which has no number yet."""
        path = {"account_id": account_id}
        return Step(0, 0, kind, account_id, body, key, SERVICE, path)

    def _named(self, step: Step) -> None:
        """Set the references in a step's body, now that the step has a number."""
        if step.kind == "batch":
            for n, use in enumerate(step.body["uses"]):
                use["reference"] = step.reference if not n else f"{step.reference}~{n + 1}"
        elif step.kind in WRITES:
            step.body["reference"] = step.reference

    def _by_user(self, kind: str, account_id: str, key: str, /, **body: Any) -> Step:
        step = self._call(kind, account_id, key, **body)
        step.claims = user(account_id)
        return step

    def _user_takes_key(self, account_id: str, call: Step) -> list[Step]:
        """Use the key that the app is about to use, for one credit."""
        kind = self.random.choice(("consume", "hold", "batch"))
        body: dict[str, Any] = {"amount": 1}
        if kind == "batch":
            body = {"uses": [{"amount": 1}, {"amount": 1}]}
        return [self._by_user(kind, account_id, str(call.key), **body)]

    def _user_ends_hold(self, account_id: str, call: Step) -> list[Step]:
        """List the holds, and try to end the app's, by its real or its likely ID."""
        listed = Step(0, 0, "holds", account_id, claims=user(account_id), path={"account_id": "me"})
        kind = self.random.choice(("capture", "capture", "release", "extend"))
        body = {"capture": {"amount": 1}, "extend": {"expires_in": DAY}}.get(kind, {})
        step = self._by_user(kind, account_id, str(call.key), **body)
        step.path = {"account_id": account_id, "hold_id": call.path.get("hold_id", str(call.key))}
        return [listed, step]

    def _user_hoards(self, account_id: str, call: Step) -> list[Step]:
        """Hold credits, and perhaps release them, sometimes while the account is frozen."""
        amount = self.random.choice((1, 30, 100))
        opened = self._by_user("hold", account_id, f"{call.key}.own", amount=amount, expires_in=DAY)
        ended = self._by_user("release", account_id, f"{call.key}.back")
        ended.path = {"account_id": account_id, "hold_id": str(opened.name)}
        if self.random.random() < 0.15:
            frozen = self._call("freeze", account_id, f"{call.key}.freeze")
            unfrozen = self._call("unfreeze", account_id, f"{call.key}.unfreeze")
            frozen.claims = unfrozen.claims = ADMIN
            return [opened, frozen, ended, unfrozen]
        return [opened, ended] if self.random.random() < 0.5 else [opened]

    def _user_starts_over(self, account_id: str, _: Step) -> list[Step]:
        """Delete the account, as apps let users do, and sign up again with the same address."""
        again = next_life(account_id)
        self.accounts = [again if one == account_id else one for one in self.accounts]
        closed = self._call("close", account_id, "")
        closed.claims, closed.key = ADMIN, None
        return [closed, Step(0, 0, "sign_up", again, {"email": email_of(again)})]

    def _hoard(self, number: int, at: float, account_id: str) -> list[Step]:
        """Open a hold and extend it up to its limit, and try to go further.

        Meanwhile an admin needs the credits, or an unlimited plan ends because it is refunded.
        """
        random = self.random
        claims = random.choice((SERVICE, user(account_id)))
        is_users = claims is not SERVICE
        opened = self._call("hold", account_id, f"key-{number}")
        opened.body = {"amount": random.choice((3, 90, 140)), "expires_in": DAY}
        opened.number, opened.at, opened.claims = number, at, claims
        self._named(opened)
        steps = [opened]
        if random.random() < 0.3:
            # The held credits expire long before the hold's limit.
            number, gift = number + 1, self._adjustment(number + 1, at - 20, account_id)
            end = datetime.fromtimestamp(at + 3 * HOUR, UTC)
            gift.body |= {"action": "add", "kind": "promo", "amount": 300}
            gift.body["expires_at"] = f"{end:%Y-%m-%dT%H:%M:00Z}"
            steps.append(gift)
        if random.random() < 0.4:
            number, one = number + 2, Subscription(account_id, f"sub-{number}", {})
            lines = [_line("item", "all", 1, int(at - 60), _later(int(at), 1))]
            type_, data = self._paid(one, lines, 2900)
            refund = {"payment_id": data["payment_id"], "total": 2900}
            steps += [
                self._notification(number - 1, at - 30, type_, data),
                self._notification(number, at + HOUR, "payment.refunded", refund),
            ]
        for _ in range(random.randint(1, 3 if is_users else 9)):
            number, at = number + 1, at + random.uniform(5, 22) * HOUR
            step = self._call("extend", account_id, f"key-{number}", expires_in=DAY)
            step.path = {"account_id": account_id, "hold_id": str(opened.name)}
            step.number, step.at, step.claims = number, at, claims
            steps.append(step)
            if random.random() < 0.4:
                number, wanted = number + 1, {"action": "set", "amount": 5, "reason": "support"}
                later = at + random.uniform(0, 8) * HOUR
                steps.append(self._keyed(number, later, "adjustment", account_id, **wanted))
        self.held[account_id].append(opened)
        return steps

    def _month_end(self, number: int, at: float, _: str) -> list[Step]:
        """Hold most of a month's credits until after its end, and end each hold or extend it.

        It is a user who never subscribes, so that the months are those since the account's opening.
        """
        random, account_id = self.random, self.accounts[-1]
        start = int(self.opened.get(account_id, at))
        end = next(end for end in (_later(start, n) for n in count(1)) if end > at)
        steps = [
            self._reset(number, max(at, end - 13 * HOUR), account_id),
            self._sweep(number + 1, end + HOUR, account_id),
        ]
        for amount in random.choice(((60, 30), (700, 60))):
            number += 2
            opened = self._call("hold", account_id, f"key-{number}", amount=amount, expires_in=DAY)
            opened.number, opened.at = number, max(at, end - random.uniform(0, 12) * HOUR)
            kind = random.choice(("release", "capture", "extend"))
            later = self._call(kind, account_id, f"key-{number + 1}")
            later.body = {"expires_in": DAY} if kind == "extend" else {}
            later.path = {"account_id": account_id, "hold_id": str(opened.key)}
            later.number, later.at = number + 1, end + random.uniform(0, 10) * HOUR
            for step in (opened, later):
                self._named(step)
                steps.append(step)
        return steps

    # ---- Messages of a billing system ------------------------------------------------------------

    def _message(self, number: int, at: float, account_id: str) -> Step:
        random = self.random
        kind = random.choices(list(MESSAGE_WEIGHTS), list(MESSAGE_WEIGHTS.values()))[0]
        if kind == "bought_again" and not self.bought:
            kind = "bought"
        if kind in {"returned", "disputed"} and not self.paid:
            kind = "renewed"
        if kind == "renewed_again" and not self.renewals:
            kind = "renewed"
        return self._notification(number, at, *getattr(self, f"_{kind}")(at, account_id))

    def _notification(self, number: int, at: float, type_: str, data: dict[str, Any]) -> Step:
        """Return a message of a billing system."""
        self.messages += 1
        step = Step(number, at, "message", None, {"type": type_, "data": data})
        step.body["timestamp"] = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
        step.message_id = f"standard:msg-{number}"
        step.path = {"provider": "standard"}
        return step

    def _bought(self, _: float, account_id: str) -> tuple[str, dict[str, Any]]:
        random = self.random
        data = {
            "payment_id": f"pay-{len(self.bought)}",
            "credits": random.choice((50, 100, 333)),
            "money": random.choice((100, 999)),
        }
        if random.random() < 0.3:  # only the customer is known, who may not be linked yet
            data["customer_id"] = f"cus-{account_id}"
        else:
            data["account_id"] = account_id
        self.bought.append(data)
        self.paid.append(data)
        return "credits.purchased", data

    def _bought_again(self, _: float, account_id: str) -> tuple[str, dict[str, Any]]:
        """A second message about a payment, perhaps for another account.

        That is never a stronger name of the payment, which would move it there.
        """
        data = self.random.choice(self.bought)
        if "account_id" in data and self.random.random() < 0.6:
            payment = {name: data[name] for name in ("payment_id", "credits", "money")}
            return "credits.purchased", {**payment, "account_id": account_id}
        return "credits.purchased", data

    def _returned(self, _: float, __: str) -> tuple[str, dict[str, Any]]:
        """Return money: one of two refunds of a payment, which may fail, or their total so far."""
        data, random = self._payment(), self.random
        name, money = data["payment_id"], data["money"]
        if random.random() < 0.4:
            total = random.choice((money, money // 2, money // 3))
            return "payment.refunded", {"payment_id": name, "total": total}
        status = random.choice(("pending", "succeeded", "succeeded", "failed"))
        return _refunded(data, random.choice((0, 1)), status)

    def _disputed(self, _: float, __: str) -> tuple[str, dict[str, Any]]:
        return _dispute(self._payment(), is_over=self.random.random() < 0.5)

    def _payment(self) -> dict[str, Any]:
        """Return a payment, usually a recent one."""
        return self.random.choice(self.paid[-4:] if self.random.random() < 0.7 else self.paid)

    def _refunds(self, number: int, at: float, account_id: str) -> list[Step]:
        """Pay, and get the money back, perhaps when it is over; that fails, so dispute it."""
        paid = self._bought if self.random.random() < 0.4 else self._renewed
        type_, data = paid(at, account_id)
        used = self._consume(number + 1, at + HOUR, str(data.get("account_id", account_id)))
        steps = [self._notification(number, at, type_, data), used]
        if not data["money"]:
            return steps  # nothing can be returned of a trial
        for said in (
            _refunded(data, 0, "succeeded"),
            _refunded(data, 0, "failed"),
            _dispute(data, is_over=False),
            _dispute(data, is_over=True),
        ):
            at += self.random.choice((2 * HOUR, 2 * HOUR, 100 * DAY))
            steps.append(self._notification(number + len(steps), at, *said))
        return steps

    def _claims(self, number: int, at: float, account_id: str) -> list[Step]:
        """Name two accounts at the same time in messages about one payment."""
        known = [one for one in self.accounts if one in self.opened]
        if len(known) < 2:
            return [self._message(number, at, account_id)]
        data = self._bought(at, account_id)[1]
        data.pop("customer_id", None)
        steps = []
        for n, one in enumerate(self.random.sample(known, 2) * 2):
            data["account_id"] = one
            steps.append(self._notification(number + n, at, "credits.purchased", {**data}))
        return steps

    def _linked(self, _: float, account_id: str) -> tuple[str, dict[str, Any]]:
        return "account.linked", {"account_id": account_id, "customer_id": f"cus-{account_id}"}

    def _renewed(self, at: float, account_id: str) -> tuple[str, dict[str, Any]]:
        """Pay a subscription's next period, early or late, or the first one of a new one."""
        if account_id == self.accounts[-1]:
            account_id = self.accounts[0]  # of several users the last one never subscribes
        random, known = self.random, self._living(account_id)
        if not known or (len(known) < SUBSCRIPTIONS_MAX and random.random() < 0.3):
            subscription = self._subscribed(account_id)
        else:
            subscription = random.choice(known)
        one, start = subscription, int(at)
        if abs(start - one.end) < 45 * DAY:
            start = one.end
        elif not one.end:
            start += random.choice((0, 0, -3 * DAY, 10 * DAY))
        is_trial = not one.end and random.random() < 0.2
        one.start, one.end = start, start + 14 * DAY if is_trial else _later(start, one.months)
        one.changed_at = start
        lines = [_line(name, *what, one.start, one.end) for name, what in one.items.items()]
        return self._paid(one, lines, 0 if is_trial else 2900)

    def _subscribed(self, account_id: str) -> Subscription:
        random, number = self.random, len(self.subscriptions[account_id])
        plans = random.sample(PAID_PLANS, random.choice((1, 1, 1, 2)))
        items = {
            f"item-{number}-{n}": (plan, random.choice((1, 1, 2))) for n, plan in enumerate(plans)
        }
        months = random.choice((1, 1, 1, 3, 12))
        made = Subscription(account_id, f"sub-{account_id}-{number}", items, months=months)
        self.subscriptions[account_id].append(made)
        return made

    def _living(self, account_id: str) -> list[Subscription]:
        """Return the subscriptions that will be paid again; a few come back to life."""
        all_ = self.subscriptions[account_id]
        if len(all_) >= SUBSCRIPTIONS_MAX:
            return all_
        return [one for one in all_ if not one.has_ended]

    def _changed(self, at: float, account_id: str) -> tuple[str, dict[str, Any]]:
        """Change an item in the middle of its period: now with a proration, or later without."""
        random = self.random
        running = [
            one
            for one in self.subscriptions[account_id]
            if one.start < at and one.changed_at + 1 < one.end and at < one.end
        ]
        if not running:
            return self._renewed(at, account_id)
        one = random.choice(running)
        now = one.changed_at = max(int(at), one.changed_at + 1)
        name, (plan, quantity) = random.choice(list(one.items.items()))
        others = {other for other, _ in one.items.values()} - {plan}
        wanted = random.choice([other for other in PAID_PLANS if other not in others])
        if random.random() < 0.3:  # for another item
            del one.items[name]
            old, name = name, f"{name}.{self.messages}"
        else:
            old = name
        one.items[name] = wanted, random.choice((1, 1, 2, 3))
        how = random.random()
        if how < 0.2:  # with the next period
            return self._updated(at, account_id)
        lines = [_line(old, plan, quantity, now, one.end, credited=True)]
        if how < 0.8:
            lines.append(_line(name, *one.items[name], now, one.end, prorated=True))
        else:  # to another interval, which begins now
            rest = {other: what for other, what in one.items.items() if other != name}
            lines += [_line(*_flat(other), now, one.end, credited=True) for other in rest.items()]
            one.months = random.choice((1, 3, 12))
            one.start, one.end = now, _later(now, one.months)
            lines += [_line(*_flat(each), one.start, one.end) for each in one.items.items()]
        return self._paid(one, lines, random.choice((0, 500, 3001)))

    def _paid(
        self, one: Subscription, lines: list[dict[str, Any]], money: int
    ) -> tuple[str, dict[str, Any]]:
        """Return the message of a subscription's payment; that of a single line may be flat."""
        what: dict[str, Any] = {"lines": lines}
        if len(lines) == 1 and not lines[0]["credited"] and self.random.random() < 0.5:
            [what] = ({name: line[name] for name in line if name != "credited"} for line in lines)
        data = {
            "account_id": one.account_id,
            "subscription_id": one.subscription_id,
            "payment_id": f"renewal-{self.messages}",
            "money": money,
            **what,
        }
        self.renewals.append(data)
        if money:
            self.paid.append(data)
        return "subscription.renewed", data

    def _renewed_again(self, _: float, account_id: str) -> tuple[str, dict[str, Any]]:
        """A second message about a payment, perhaps for another account."""
        data = self.random.choice(self.renewals)
        return "subscription.renewed", data | (
            {"account_id": account_id} if self.random.random() < 0.2 else {}
        )

    def _updated(self, at: float, account_id: str) -> tuple[str, dict[str, Any]]:
        status = self.random.choice(("active", "past_due"))
        return "subscription.updated", {**self._state(at, account_id), "status": status}

    def _ended(self, at: float, account_id: str) -> tuple[str, dict[str, Any]]:
        data = self._state(at, account_id)
        for one in self.subscriptions[account_id]:
            one.has_ended |= one.subscription_id == data["subscription_id"]
        return "subscription.ended", {**data, "status": "canceled"}

    def _state(self, at: float, account_id: str) -> dict[str, Any]:
        known = [one.subscription_id for one in self.subscriptions[account_id]]
        return {
            "subscription_id": self.random.choice(known or [f"sub-{account_id}-0"]),
            "at": _iso(int(at)),
        }


def _refunded(data: dict[str, Any], number: int, status: str) -> tuple[str, dict[str, Any]]:
    """Return the message about one of the refunds of a payment."""
    name, money = data["payment_id"], data["money"]
    return "payment.refunded", {
        "payment_id": name,
        "refund_id": f"refund-{name}-{number}",
        "money": (money, money // 2, money // 3)[(len(name) + number + money) % 3],
        "status": status,
    }


def _dispute(data: dict[str, Any], *, is_over: bool) -> tuple[str, dict[str, Any]]:
    """Return the message about the dispute of a payment, which is decided once."""
    number = sum(map(ord, data["payment_id"]))
    return "payment.disputed", {
        "payment_id": data["payment_id"],
        "dispute_id": f"dispute-{data['payment_id']}",
        "outcome": ("won", "lost", "won")[number % 3] if is_over else "open",
        "money": data["money"] // (number % 3 + 1),
    }


def _later(start: int, months: int) -> int:
    """Return the same day and time some months later."""
    return month(start * 1000, months) // 1000


def _iso(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _flat(item: tuple[str, tuple[str, int]]) -> tuple[str, str, int]:
    name, (plan, quantity) = item
    return name, plan, quantity


def _line(
    item_id: str,
    plan: str,
    quantity: int,
    start: int,
    end: int,
    *,
    prorated: bool = False,
    credited: bool = False,
) -> dict[str, Any]:
    """Return a line of a payment's message."""
    return {
        "item_id": item_id,
        "plan": plan,
        "quantity": quantity,
        "period_start": _iso(start),
        "period_end": _iso(end),
        "prorated": prorated,
        "credited": credited,
    }


def http_event(step: Step, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the event that API Gateway sends for a step."""
    route = ROUTES.get(step.kind, "POST /v1/webhooks/{provider}")
    method, path = route.split()
    path = path.format(**step.path)
    given = {"content-type": "application/json", **(headers or {})}
    if step.key is not None:
        given["idempotency-key"] = step.key
    return {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": given,
        "requestContext": {
            "http": {"method": method, "path": path},
            "requestId": f"request-{step.number}",
            "routeKey": route,
            "stage": "$default",
            "authorizer": {"jwt": {"claims": step.claims, "scopes": None}},
        },
        "pathParameters": step.path,
        "body": None if method == "GET" else json.dumps(step.body),
        "isBase64Encoded": False,
    }


def _usage(count: int) -> dict[str, int]:
    """Return what a call of a model used; sometimes it used what has no price."""
    usage = {"input": count, "cached_input": count // 3, "output": count % 7}
    return usage | {"reasoning": 1} if count % 20 == 1 else usage
