"""The table "caller x instrument x time": whose holds, keys and entries are whose.

A row reads aloud: *while* an app's *hold* is open, the *user* *captures 1* of it and is told
*hold_not_yours*; the block ends *paid*, and the account was charged *15*. A cell may name several.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

from scrip.domain.entries import iso
from scrip.ledger import utc_now
from scrip_cli.local import demo
from scrip_client import Retries, Scrip, ScripError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrip_cli.local.stack import LocalStack
    from scrip_client import ClientCredentials
    from tests.integration.conftest import Api

CREDITS = 10_100
CHATS, PRICE = 3, 15
"""What every block uses, and asks to be paid."""

HELD, CHATS_HELD = 100, 20
"""What a block holds that does not know what it will use."""

JOB = "job"
SUFFIXES = (
    "",
    ".2",
    ".capture",
    ".capture.held",
    ".capture.late",
    ".release",
    ".refund",
)
KEYS = tuple(JOB + suffix for suffix in SUFFIXES)
"""All that the app's next calls may be named after the job."""

ONES = len(KEYS)
"""What it costs the user to take 1 under each of them."""


LIFE = 5
"""Seconds that a grant lives, which is held before and given back after they are over."""


class Row(NamedTuple):
    """A row of the table."""

    block: str
    when: str
    who: str
    does: str
    told: str
    ends: str
    charged: int


ENDINGS = "captures 1, captures all, releases, extends"

TABLE = [
    # HOLD: the user's token can end none of the app's, by its id from GET me/holds.
    Row("hold, bare hold, lease", "during", "user", ENDINGS, "hold_not_yours", "paid", PRICE),
    Row("hold", "after a death, after", "user", ENDINGS, "hold_not_yours", "paid", PRICE),
    # The app's other programs and an admin can; then the block charges what is missing, or raises.
    Row("hold", "during", "service, admin", "captures 1, releases, extends", "ok", "paid", PRICE),
    Row("hold", "during", "service, admin", "captures all", "ok", "NotPaidError", HELD),
    Row("hold", "after a death", "service, admin", "releases, extends", "ok", "paid", PRICE),
    Row("hold", "after a death", "service, admin", "captures 1", "ok", "NotPaidError", 1),
    Row("hold", "after a death", "service, admin", "captures all", "ok", "NotPaidError", HELD),
    Row("hold", "after", "service, admin", "captures 1, releases", "hold_ended", "paid", PRICE),
    Row("bare hold", "during", "service, admin", "extends", "ok", "paid", PRICE),
    Row("bare hold", "during", "service, admin", "releases", "ok", "hold_ended", 0),
    Row("bare hold", "during", "service, admin", "captures 1", "ok", "hold_ended", 1),
    Row("lease", "during", "service, admin", "releases, extends", "ok", "paid", PRICE),
    Row("lease", "during", "service, admin", "captures 1", "ok", "paid", PRICE + 1),
    Row("lease", "during", "service, admin", "captures all", "ok", "paid", PRICE + HELD),
    # What the user's own token holds is the user's to end, and everybody's who is above them.
    Row("own hold", "during", "user", "captures 1, releases, extends", "ok", "paid", PRICE),
    Row("own hold", "during", "service, admin", "captures 1", "ok", "paid", PRICE),
    Row("own hold", "during", "service, admin", "releases, extends", "ok", "paid", PRICE),
    Row("own hold", "during", "user, service, admin", "captures all", "ok", "NotPaidError", HELD),
    Row("own hold", "after", "user, admin", "captures 1, releases", "hold_ended", "paid", PRICE),
    # KEY: a user's are other names than the app's, so they pre-empt nothing and replay nothing.
    Row("hold, let go", "before, during, after", "user", "takes 1", "ok", "paid", PRICE + ONES),
    Row("charge", "before, during, after", "user", "takes 1", "ok", "paid", PRICE + ONES),
    Row("bare hold, bare charge", "before, during", "user", "takes 1", "ok", "paid", PRICE + ONES),
    Row("let go, charge", "before, during, after", "user", "batches 1", "ok", "paid", PRICE + ONES),
    Row("let go, charge", "before, during, after", "user", "holds 1", "ok", "paid", PRICE),
    # ENTRY: a user can give nothing back; what the app gave back is paid by its next delivery.
    Row("hold, charge", "before, during, after", "user", "refunds", "forbidden", "paid", PRICE),
    Row("hold, charge", "before", "service, admin", "refunds", "entry_not_found", "paid", PRICE),
    Row("charge", "during, after", "service, admin", "refunds", "ok", "paid", PRICE),
    Row("hold", "after", "service, admin", "refunds", "ok", "paid", PRICE),
    # ACCOUNT: frozen, it still pays what the app has held; what is not held raises.
    Row("hold, charge, lease", "during", "admin", "freezes", "ok", "paid", PRICE),
    Row("hold, charge", "after", "admin", "freezes", "ok", "paid", PRICE),
    Row("hold, charge, lease", "before", "admin", "freezes", "ok", "AccountFrozenError", 0),
    Row("let go", "during", "admin", "freezes", "ok", "AccountFrozenError", 0),
]

ACTS: dict[str, tuple[str, dict[str, Any]]] = {
    "captures 1": ("/holds/{hold}/capture", {"amount": 1}),
    "captures all": ("/holds/{hold}/capture", {}),
    "releases": ("/holds/{hold}/release", {}),
    "extends": ("/holds/{hold}/extend", {"expires_in": 600}),
    "refunds": ("/refunds", {"reason": "it failed"}),
    "freezes": ("/freeze", {"reason": "let us see"}),
    "takes 1": ("/consume", {"amount": 1}),
    "batches 1": ("/consume/batch", {"uses": [{"amount": 1}]}),
    "holds 1": ("/holds", {"amount": 1}),
}
"""What anybody does in a row: the path below the account, and the body."""

OF_KEYS = {"takes 1", "batches 1", "holds 1"}
"""The acts that are done under each of the keys."""


@dataclass(frozen=True)
class App:
    """An app and the account that it charges, with its clients and everybody's tokens."""

    account_id: str
    scrip: Scrip
    own: Scrip
    callers: dict[str, Api]

    def post(self, who: str, path: str, body: Any, key: str | None = None) -> httpx.Response:
        """Post below the account as somebody."""
        whose = "me" if who == "user" else self.account_id
        return self.callers[who].post(f"/{whose}{path}", body, key)

    def paid(self, path: str, body: Any, key: str) -> None:
        """Post as an app that has no client and believes what succeeds."""
        answer = self.post("service", path, body, key)
        if not answer.is_success:
            raise RefusedError(answer.json()["code"])


class RefusedError(Exception):
    """What an app raises that speaks HTTP itself. `code` is the problem's."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@contextmanager
def held(scrip: Scrip, app: App) -> Iterator[None]:
    job = scrip.hold("chat", app.account_id, quantity=CHATS_HELD, idempotency_key=JOB)
    with job as hold:
        yield
        hold.use(CHATS)


@contextmanager
def let_go(app: App) -> Iterator[None]:
    """An operator releases the hold, so that its block has to charge late."""
    with held(app.scrip, app):
        yield
        assert app.post("admin", f"/holds/{JOB}/release", {}).status_code in {200, 409}


@contextmanager
def charged(app: App) -> Iterator[None]:
    with app.scrip.charge("chat", app.account_id, quantity=CHATS, idempotency_key=JOB):
        yield


@contextmanager
def leased(app: App) -> Iterator[None]:
    lease = app.scrip.lease("chat", app.account_id, slice_credits=HELD, capture_seconds=60)
    with lease:
        lease.consume(CHATS)
        yield


@contextmanager
def bare_hold(app: App) -> Iterator[None]:
    app.paid("/holds", {"feature": "chat", "quantity": CHATS_HELD}, JOB)
    yield
    app.paid(f"/holds/{JOB}/capture", {"quantity": CHATS}, f"{JOB}.capture")


@contextmanager
def bare_charge(app: App) -> Iterator[None]:
    app.paid("/consume", {"feature": "chat", "quantity": CHATS}, JOB)
    yield


BLOCKS: dict[str, Callable[[App], Any]] = {
    "hold": lambda app: held(app.scrip, app),
    "own hold": lambda app: held(app.own, app),
    "let go": let_go,
    "charge": charged,
    "lease": leased,
    "bare hold": bare_hold,
    "bare charge": bare_charge,
}
"""How the app asks: by the Python client, or `bare`, over HTTP."""


@pytest.fixture(scope="module")
def back_end(stack: LocalStack, credentials: ClientCredentials) -> Iterator[Scrip]:
    """The app's client, with the service's credentials."""
    with Scrip(
        demo.details(stack).api_url,
        credentials=credentials,
        retries=Retries(deadline_seconds=60, try_seconds=30),
        http=httpx.Client(trust_env=False),
    ) as scrip:
        yield scrip


@pytest.fixture
def app(stack: LocalStack, back_end: Scrip, user: Api, service: Api, admin: Api) -> Iterator[App]:
    """Somebody who has just signed up, and the app that they use."""
    callers = {"user": user, "service": service, "admin": admin}
    http = httpx.Client(trust_env=False)
    with Scrip(demo.details(stack).api_url, token=user.token, http=http) as own:
        yield App(user.account_id, back_end, own, callers)


def rows() -> Iterator[Row]:
    """Each row of the table with one word in each cell."""
    for row in TABLE:
        for block, when, who, does in product(*(cell.split(", ") for cell in row[:4])):
            yield row._replace(block=block, when=when, who=who, does=does)


def act(app: App, row: Row) -> None:
    """Have somebody do what the row says, and be told what it says."""
    path, body = ACTS[row.does]
    if row.does == "refunds":
        body = {**body, "entry_id": f"{JOB}.capture" if row.block == "hold" else JOB}
    opened = app.callers["user"].get("/me/holds").json()["holds"]
    hold = opened[0]["hold_id"] if opened else f"user:{JOB}" if row.block == "own hold" else JOB
    for key in KEYS if row.does in OF_KEYS else [None]:
        answer = app.post(row.who, path.format(hold=hold), body, key)
        assert told(answer) == row.told, answer.text


def told(answer: httpx.Response) -> str:
    """Return the code of a refusal, or `ok`."""
    return "ok" if answer.is_success else answer.json()["code"]


def delivery(app: App, row: Row, *, is_first: bool) -> str:
    """Run the app's block, with what the row says in it; return how it ends."""
    try:
        with BLOCKS[row.block](app):
            if is_first and row.when == "during":
                act(app, row)
    except RefusedError as refused:
        return refused.code
    except ScripError as error:
        return type(error).__name__
    return "paid"


@pytest.mark.parametrize("row", [*rows()], ids=lambda row: "-".join(row[:4]).replace(" ", "_"))
def test_no_user_pays_less_than_the_app_asked_without_an_exception_in_the_app(
    app: App,
    row: Row,
) -> None:
    if row.when == "after a death":
        app.scrip.open_hold(app.account_id, "chat", quantity=CHATS_HELD, idempotency_key=JOB)
    if row.when in {"before", "after a death"}:
        act(app, row)
    assert delivery(app, row, is_first=True) == row.ends
    if row.when == "after":
        act(app, row)
    # What has a name is delivered twice, and charged once.
    if row.block != "lease":
        assert delivery(app, row, is_first=False) == row.ends
    answer = app.callers["admin"].get(f"/{app.account_id}")
    assert CREDITS - answer.json()["balance"] == row.charged
    assert row.ends != "paid" or row.charged >= PRICE


@pytest.mark.parametrize("length", [127, 128])
@pytest.mark.parametrize("who", ["user", "service", "admin"])
def test_what_is_named_after_a_long_key_is_read_by_all_and_refunded_by_all_but_the_user(
    app: App,
    who: str,
    length: int,
) -> None:
    key = "k" * length
    uses = {"uses": [{"amount": 1}] * 3}
    assert app.post(who, "/consume/batch", uses, key).is_success
    first = f"user:{key}" if who == "user" else key
    names = (first, f"{first}~2", f"{first}~3")
    for name, by in zip(names, ("service", "admin", "service"), strict=True):
        refund = {"entry_id": name, "reason": "it failed"}
        assert told(app.post("user", "/refunds", refund)) == "forbidden"
        assert told(app.post(by, "/refunds", refund)) == "ok"
        for reader, whose in (("user", "me"), ("service", app.account_id)):
            answer = app.callers[reader].get(f"/{whose}/entries/{name}")
            assert (told(answer), answer.json()["refunded"]) == ("ok", 1)
    assert app.scrip.balance(app.account_id).balance == CREDITS


def test_a_user_only_reads_a_frozen_account_and_the_app_ends_what_it_holds(app: App) -> None:
    assert told(app.post("user", "/holds", {"amount": 1}, "own")) == "ok"
    assert told(app.post("service", "/holds", {"amount": HELD}, JOB)) == "ok"
    assert told(app.post("admin", "/freeze", {"reason": "let us see"})) == "ok"
    before = app.callers["user"].get("/me").json()
    for path, body in ACTS.values():
        if path not in {"/refunds", "/freeze"}:
            answer = app.post("user", path.format(hold="user:own"), body)
            assert told(answer) == "account_frozen", path
    for path in ("", "/holds", "/entries", "/entries/user:own", "/usage"):
        assert told(app.callers["user"].get(f"/me{path}")) == "ok", path
    assert app.callers["user"].get("/me").json() == before
    assert told(app.post("service", "/consume", {"amount": 1})) == "account_frozen"
    assert told(app.post("service", "/holds", {"amount": 1})) == "account_frozen"
    assert told(app.post("service", "/holds/user:own/release", {})) == "ok"
    assert told(app.post("service", f"/holds/{JOB}/capture", {"amount": PRICE})) == "ok"
    account = app.scrip.balance(app.account_id)
    assert (account.balance, account.held) == (CREDITS - PRICE, 0)


def test_every_answer_shows_the_account_as_it_is_and_its_replay_what_it_showed(app: App) -> None:
    chat, two = {"feature": "chat"}, {"uses": [{"amount": 3}, {"feature": "chat"}]}
    gone = utc_now()
    failed = {"reason": "it failed"}
    steps: list[tuple[str, str, dict[str, Any]]] = [
        ("user", "/consume", chat),
        ("service", "/consume/batch", two),
        ("user", "/holds", {"amount": 40}),
        ("service", "/holds", {"feature": "chat", "quantity": 10}),
        ("user", "/holds/user:k2/extend", {"expires_in": 600}),
        ("service", "/holds/k3/capture", {"quantity": 2, "final": False}),
        ("service", "/holds/k3/capture", {"quantity": 3}),
        ("user", "/holds/user:k2/capture", {"amount": 7}),
        ("service", "/refunds", {"entry_id": "user:k0", **failed}),
        ("admin", "/refunds", {"entry_id": "k1~2", "amount": 2, **failed}),
        ("user", "/holds", {"amount": 9}),
        ("admin", "/adjustments", {"action": "deduct", "amount": 100, **failed}),
        ("admin", "/adjustments", {"action": "set", "amount": 0, **failed}),
        (
            "admin",
            "/adjustments",
            {"action": "add", "amount": 60, "expires_at": "soon", **failed},
        ),
        ("service", "/holds", {"amount": 60}),
        ("service", "/holds/k14/capture", {"amount": 10, "final": False}),
        ("service", "/holds/k14/release", {}),
        ("admin", "/adjustments", {"action": "add", "amount": 5, **failed}),
        ("user", "/consume", {"amount": 2}),
    ]
    for number, (who, path, body) in enumerate(steps):
        if "expires_at" in body:
            gone = utc_now() + timedelta(seconds=LIFE)
            body["expires_at"] = iso(gone)
        if path.endswith("release"):
            sleep(max(0, (gone - utc_now()).total_seconds()) + 0.1)
        answer = app.post(who, path, body, f"k{number}")
        assert told(answer) == "ok", (path, answer.text)
        account = app.callers["user"].get("/me").json()
        shown = answer.json()["account"]
        assert shown == {name: account[name] for name in shown}, path
        again = app.post(who, path, body, f"k{number}")
        assert (again.status_code, again.json()["account"]) == (answer.status_code, shown), path
    assert app.scrip.balance(app.account_id).balance == 3
