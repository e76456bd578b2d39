"""Lists of accounts, counts and search: what the stream and sign-ups write, and admins read."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from functions.events.handler import UndeliveredError
from scrip.domain.commands import CloseAccount, Purchase, SetFrozen
from scrip.domain.entries import CLOCK
from scrip.domain.errors import BusyError
from scrip.ledger import ledger, opening
from scrip.store.aliases import link_account, link_payment, unlink
from scrip.store.erasure import erase
from scrip.store.items import to_wire
from scrip.store.keys import account_alias_key, account_key, addresses_key
from scrip.store.listing import OPENED, bring_up_to_date, put_row
from scrip.users import open_account
from simulation.dynamodb import as_json
from tests.functional.conftest import event, invoke, items, send
from tests.functional.faults import THROTTLED, before_each, failing_at, instead_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.store.client import Table

pytestmark = pytest.mark.usefixtures("outside")

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)


@pytest.fixture
def at_noon(table: Table, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[datetime]]:
    """The ledger's clock: the last of these instants."""
    instants = [NOON]
    monkeypatch.setattr("scrip.ledger.utc_now", lambda: instants[-1])
    ledger.cache_clear()
    yield instants
    ledger.cache_clear()


def stored(table: Table, account_id: str) -> Any:
    return table.get(account_key(account_id))


@contextmanager
def streaming(table: Table, account_id: str) -> Iterator[list[Any]]:
    """Deliver what has happened to an account as the table's stream does; yield the record."""
    before, records = stored(table, account_id), list[Any]()
    yield records
    after = stored(table, account_id)
    images = {"OldImage": before, "NewImage": after}
    record = {
        "eventName": "MODIFY" if before else "INSERT",
        "dynamodb": {
            "ApproximateCreationDateTime": ledger().clock().timestamp(),
            "Keys": to_wire(account_key(account_id)),
            **{name: as_json(image) for name, image in images.items() if image},
            "SequenceNumber": str(time.monotonic_ns()),
        },
    }
    records.append(record)
    assert invoke("events", {"Records": records}) == {"batchItemFailures": []}


def open_(table: Table, account_id: str, *emails: str, owner: str | None = None) -> None:
    with streaming(table, account_id):
        open_account(ledger(), account_id, emails, at=ledger().clock(), owner=owner)


def listed(**query: str) -> list[str]:
    answer = send("admin/accounts", query=query)
    assert answer.status == 200, answer.body
    return [one["account_id"] for one in answer.body["accounts"]]


def found(q: str) -> list[tuple[str, str, str | None]]:
    answer = send("admin/search", query={"q": q})
    assert answer.status == 200, answer.body
    return [(one["kind"], one["matched"], one["account_id"]) for one in answer.body["suggestions"]]


def shown_of(account_id: str) -> tuple[list[str], str | None]:
    """Return the addresses and the owner's name that lists show of an account."""
    answer = send("admin/account_by_email", query={"account_id": account_id})
    [shown] = answer.body["accounts"]
    return shown["emails"], shown["name"]


def freeze(account_id: str, *, frozen: bool = True) -> None:
    ledger().execute(
        SetFrozen(account_id=account_id, entry_id=f"f-{frozen}", actor=CLOCK, frozen=frozen)
    )


def close(account_id: str) -> None:
    ledger().execute(CloseAccount(account_id=account_id, entry_id="close", actor=CLOCK))
    erase(ledger().table, account_id)


def test_accounts_are_listed_newest_first(table: Table, at_noon: list[datetime]) -> None:
    opened = [f"user-{number}" for number in range(5)]
    for account_id in opened:
        at_noon.append(at_noon[-1] + timedelta(days=40))
        open_(table, account_id)
    assert listed() == opened[::-1]
    pages, cursor = [], dict[str, str]()
    while True:
        page = send("admin/accounts", query={"limit": "2", **cursor}).body
        pages.append([one["account_id"] for one in page["accounts"]])
        if page["cursor"] is None:
            break
        cursor = {"cursor": page["cursor"]}
    assert pages == [["user-4", "user-3"], ["user-2", "user-1"], ["user-0"]]


@pytest.mark.parametrize(("accounts", "row"), [(0, True), (2, False), (2, True), (60, True)])
def test_a_page_of_50_accounts_with_their_addresses_takes_3_calls(
    table: Table, at_noon: list[datetime], accounts: int, *, row: bool
) -> None:
    """However many there are, and also if the version before has opened them."""
    for number in range(accounts):
        ledger().execute(opening(f"user-{number}"))
        link_account(table, f"user-{number}", f"email:{number}@example.com")
        if row:
            put_row(table, f"user-{number}", OPENED, 1, NOON + timedelta(days=number))
    ledger().catalog()
    calls = Counter[str]()

    def count(model: Any, **_: Any) -> None:
        calls[model.name] += 1

    events = table.client.meta.events
    events.register("provide-client-params.dynamodb", count)
    try:
        shown = send("admin/accounts", query={"limit": "50"}).body["accounts"]
    finally:
        events.unregister("provide-client-params.dynamodb", count)
    newest = range(accounts - 1, max(-1, accounts - 51), -1) if row else []
    assert [one["emails"] for one in shown] == [[f"{number}@example.com"] for number in newest]
    assert calls.total() <= 3


def test_a_list_has_the_addresses_that_lead_to_an_account(
    table: Table, at_noon: list[datetime]
) -> None:
    later = NOON + timedelta(minutes=1)
    open_(table, "bob", "taken@example.com")
    ledger().execute(opening("alice"))
    link_account(table, "alice", "email:hand@example.com")  # as an admin does by hand
    assert shown_of("alice") == (["hand@example.com"], None)
    for at, emails, shown in (
        (NOON, ["b@example.com", "A@example.com", "taken@example.com"], ["a@", "b@"]),
        (NOON, ["b@example.com", "a@example.com"], ["a@", "b@"]),  # the same message again
        (later, ["b@example.com", "c@example.com"], ["b@", "c@"]),
        (NOON, ["a@example.com"], ["b@", "c@"]),  # a message that arrives late
        (later, [], []),
    ):
        open_account(ledger(), "alice", emails, at=at, owner="Alice")
        assert shown_of("alice") == ([f"{one}example.com" for one in shown], "Alice")


@pytest.mark.parametrize("call", range(1, 12))
def test_a_change_of_addresses_that_stops_anywhere_is_completed_when_it_is_repeated(
    table: Table, at_noon: list[datetime], call: int
) -> None:
    open_(table, "alice", "a@example.com", "b@example.com")
    emails, later = ["b@example.com", "c@example.com"], NOON + timedelta(minutes=1)
    with failing_at(table, call), suppress(BusyError):
        open_account(ledger(), "alice", emails, at=later)
    open_account(ledger(), "alice", emails, at=later)
    assert shown_of("alice") == (emails, None)
    assert "a@example.com" not in str(items(table))


@pytest.mark.moto
def test_accounts_are_listed_and_counted_by_state_and_by_plan(
    table: Table, at_noon: list[datetime]
) -> None:
    for account_id in ("alice", "bob"):
        open_(table, account_id)
    for account_id in ("alice", "bob"):
        at_noon.append(at_noon[-1] + timedelta(minutes=1))
        with streaming(table, account_id):
            freeze(account_id)
    assert listed(state="frozen") == ["bob", "alice"]  # the latest first
    assert listed(plan="free") == ["bob", "alice"]
    assert listed(plan="pro") == listed(state="held") == []
    with streaming(table, "bob"):
        freeze("bob", frozen=False)
    assert listed(state="frozen") == ["alice"]
    counts = send("admin/counts").body
    one, two, none = ({"count": count, "more": False} for count in (1, 2, 0))
    assert (counts["all"], counts["states"]["frozen"], counts["states"]["held"]) == (two, one, none)
    assert (counts["plans"]["free"], counts["plans"]["pro"]) == (two, none)


@pytest.mark.moto
def test_a_count_ends_at_its_bound_and_says_that_there_are_more(
    table: Table, at_noon: list[datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scrip.store.listing.COUNTED_MAX", 2)
    for number, more in ((1, False), (2, False), (3, True)):
        open_(table, f"user-{number}")
        assert send("admin/counts").body["all"] == {"count": min(number, 2), "more": more}


def test_only_one_filter_is_taken_and_only_states_that_exist(at_noon: list[datetime]) -> None:
    for query in ({"state": "frozen", "plan": "free"}, {"q": "ali", "account_id": "alice"}):
        refused = send("admin/accounts", query=query)
        assert (refused.status, refused.body["code"]) == (422, "invalid")
    assert send("admin/accounts", query={"state": "rich"}).status == 422


def test_rows_that_could_not_be_written_are_delivered_again(
    table: Table, at_noon: list[datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.events.lists.BACKOFF_SECONDS", 0)
    open_(table, "alice")
    with (
        pytest.raises(UndeliveredError),
        instead_of(table, "PutItem", THROTTLED, times=100),
        streaming(table, "alice") as records,
    ):
        freeze("alice")
    assert listed(state="frozen") == []
    invoke("events", {"Records": records})
    assert listed(state="frozen") == ["alice"]


def test_people_are_found_by_the_beginning_of_an_address_a_name_an_id_and_a_customer(
    table: Table, at_noon: list[datetime]
) -> None:
    open_(table, "user_2ABC", "Anna.Maria@Example.com", owner="Anna Maria  Größer")
    link_account(table, "user_2ABC", "stripe:cus_Q1w2E3")
    open_(table, "user_2abd", "otto@example.com")
    anna = ("account", "anna.maria@example.com", "user_2ABC")
    named = ("account", "Anna Maria Größer", "user_2ABC")
    customer = ("customer", "stripe:cus_Q1w2E3", "user_2ABC")
    for q, results in (
        ("ann", [named]),  # one result, whichever of its names was first
        ("anna.", [anna]),
        ("ANNA.MARIA@EXAMPLE.COM", [anna]),
        ("email:anna.m", [anna]),
        ("anna maria", [named]),
        ("größ", [named]),
        ("GRÖSSER", [named]),
        ("gro\u0308sser", [named]),  # the same letters, composed otherwise
        (" ott ", [("account", "otto@example.com", "user_2abd")]),
        ("user_2", [("account", one, one) for one in ("user_2ABC", "user_2abd")]),
        ("cus", [customer]),
        ("cus_q1", [customer]),
        ("stripe:cus_Q1w2", [customer]),
        ("stripe:cus_Q1w2E3", [customer]),
        ("maria", []),
        ("xyz", []),
    ):
        assert found(q) == results, q
    [shown] = send("admin/search", query={"q": "cus_Q"}).body["suggestions"]
    assert shown["name"] == "Anna Maria Größer"
    assert listed(q="USER_") == ["user_2ABC", "user_2abd"]
    assert listed(q="an") == []


def test_whole_ids_are_found_whatever_their_length(table: Table, at_noon: list[datetime]) -> None:
    open_(table, "al", "alice@example.com")
    buy = Purchase(
        account_id="al", entry_id="stripe:pi_1", keyed=False, actor=CLOCK, credits=5, money=100
    )
    ledger().execute(buy)
    link_payment(table, "stripe:pi_1", "stripe:ch_1")
    payment = ("payment", "stripe:pi_1", "al")
    entry = ("entry", "stripe:pi_1", "al")
    for q, results in (
        ("al", [("account", "al", "al")]),
        ("alice@example.com", [("account", "alice@example.com", "al")]),
        ("pi_", [payment]),
        ("pi_1", [payment]),
        ("stripe:pi_1", [payment]),
        ("ch_1", [payment]),
        ("al/stripe:pi_1", [entry]),
        ("al/nothing", []),
        ("al/", []),
        ("/", []),
        ("AL", [("account", "al", "al")]),
        ("a", []),
    ):
        assert found(q) == results, q


def test_a_message_is_found_by_its_whole_id(table: Table, at_noon: list[datetime]) -> None:
    table.put({"pk": "INBOX#stripe#evt_1", "sk": "INBOX", "account_id": "alice"})
    for q in ("evt_1", "stripe:evt_1"):
        assert found(q) == [("webhook", "stripe:evt_1", "alice")]
    assert found("evt_") == []


@pytest.mark.parametrize(
    "owner",
    [
        "Li",
        "Ann",
        "a#b ~c",
        "#name#x",
        "~~~~",
        "Tab\tand\nline",
        "\x01\x02\x03\x04",
        "李小龍",
        "\U0001d504\U0001d52b\U0001d52b\U0001d51e",
        "İstanbul",
        "x" * 5_000,
        "ß" * 300,
        "ﷺ" * 100,
    ],
)
def test_every_name_can_be_kept_and_found(
    owner: str, table: Table, at_noon: list[datetime]
) -> None:
    open_(table, "alice", owner=owner)
    kept = send("admin/account_by_email", query={"account_id": "alice"}).body["accounts"][0]["name"]
    assert kept == " ".join(owner.split())[:200]
    for q in {kept, kept[:3], kept[:4], kept.upper()[:300]} if len(kept) > 2 else {kept}:
        results = [one for one in found(q) if one[0] == "account"]
        assert results == [("account", kept, "alice")], q


def test_nothing_is_found_by_what_cannot_be_a_name(table: Table, at_noon: list[datetime]) -> None:
    open_(table, "alice", "alice@example.com", owner="\ud800")
    for q in (" ", "\u3000", "###", "~~~", "alice~", "alice#", "\x00", "x" * 300, "ﷺ" * 300):
        assert found(q) == [], q
    assert send("admin/search", query={"q": ""}).status == 422
    assert send("admin/search", query={"q": "x" * 301}).status == 422
    surrogate = event("admin/search") | {"queryStringParameters": {"q": "\ud800abc"}}
    assert invoke("admin", surrogate)["statusCode"] == 422


def test_a_long_name_in_front_of_many_others_hides_none_of_ten(
    table: Table, at_noon: list[datetime]
) -> None:
    for number in range(12):
        open_(table, f"user-{number:02}", f"anna{number:02}@example.com", owner="Anna")
    shown = found("ann")
    assert len(shown) == len(set(shown)) == 10
    pages, cursor = set[str](), dict[str, str]()
    for _ in range(20):
        page = send("admin/accounts", query={"q": "anna", "limit": "5", **cursor}).body
        pages |= {one["account_id"] for one in page["accounts"]}
        if page["cursor"] is None:
            break
        cursor = {"cursor": page["cursor"]}
    assert len(pages) == 12


def test_another_name_replaces_the_one_before_and_an_older_message_does_not(
    table: Table, at_noon: list[datetime]
) -> None:
    open_(table, "alice", owner="Alice Example")
    later = NOON + timedelta(minutes=1)
    open_account(ledger(), "alice", [], at=later, owner="Alice")
    open_account(ledger(), "alice", [], at=NOON, owner="Alice Example")
    assert found("exa") == []
    assert found("alice") == [("account", "alice", "alice")]
    open_account(ledger(), "alice", [], at=later)
    assert send("admin/search", query={"q": "alice"}).body["suggestions"][0]["name"] is None


def test_nothing_leads_to_an_account_that_is_closed(table: Table, at_noon: list[datetime]) -> None:
    open_(table, "alice", "alice@example.com", owner="Alice Example")
    link_account(table, "alice", "stripe:cus_1")
    with streaming(table, "alice"):
        freeze("alice")
    with streaming(table, "alice"):
        close("alice")
    # A message that arrives late brings nothing back.
    late = NOON + timedelta(hours=1)
    linked = open_account(ledger(), "alice", ["alice@example.com"], at=late, owner="Alice Example")
    assert linked == []
    # So do a message that was being applied, and `scrip index`.
    unlink(table, "alice", "email:alice@example.com")
    bring_up_to_date(table, "alice")
    left = [item for item in items(table) if item["pk"]["S"].startswith("NAMES#")]
    assert all("purge_at" in item and "directory_pk" not in item for item in left)
    assert "Example" not in str(items(table))
    for q in ("ali", "Example", "cus_", "alice@example.com"):
        assert [one for one in found(q) if one[1] != "alice"] == []
    assert listed(state="frozen") == listed(plan="free") == []


@pytest.mark.parametrize("is_index_first", [True, False])
def test_an_index_beside_an_erasure_brings_no_address_back(
    table: Table, at_noon: list[datetime], *, is_index_first: bool
) -> None:
    emails = ("alice@example.com", "a@example.com")
    open_account(ledger(), "alice", emails, at=NOON)
    for email in emails:  # as the version before left them
        table.put(account_alias_key("alice", f"email:{email}"))
    table.delete(addresses_key("alice"))
    ledger().execute(CloseAccount(account_id="alice", entry_id="close", actor=CLOCK))
    erasing, indexing = partial(erase, table, "alice"), partial(bring_up_to_date, table, "alice")
    if is_index_first:
        with before_each(table, "TransactWriteItems", erasing):
            indexing()
    else:
        with before_each(table, "DeleteItem", indexing):
            erasing()
    assert "example.com" not in str(items(table))


def test_a_sign_up_at_cognito_and_a_user_of_clerk_bring_a_name(
    table: Table, at_noon: list[datetime]
) -> None:
    sent = event("signup/confirmed")
    user = sent["request"]["userAttributes"]
    for attributes, name in (
        ({"name": "Alice Example", "given_name": "A."}, "Alice Example"),
        ({"given_name": "Alice", "family_name": "Sample"}, "Alice Sample"),
        ({"family_name": "Only"}, "Only"),
        ({}, None),
    ):
        at_noon.append(at_noon[-1] + timedelta(seconds=1))
        invoke("signup", sent | {"request": {"userAttributes": user | attributes}})
        [shown] = send("admin/account_by_email").body["accounts"]
        assert shown["name"] == name


def test_a_list_says_since_when_its_accounts_are_open(
    table: Table, at_noon: list[datetime]
) -> None:
    open_(table, "alice")
    with streaming(table, "alice"):
        at_noon.append(NOON + timedelta(days=1))
        freeze("alice")
    open_account(ledger(), "bob", [], at=NOON)  # the stream has not listed it yet
    shown = send("admin/accounts", query={"state": "frozen"}).body["accounts"]
    assert [one["opened_at"] for one in shown] == ["2026-11-03T12:00:00.000Z"]
    [bob] = send("admin/account_by_email", query={"account_id": "bob"}).body["accounts"]
    assert bob["opened_at"] is None
