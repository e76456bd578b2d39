"""Rounds that go on from checkpoints, and tampering with what those vouch for."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from bench.ledgers import life, put
from bench.tampering import Tamperer
from scrip.domain.audit.rounds import Progress
from scrip.domain.commands import Consume
from scrip.domain.entries import Actor, ActorType, chain_hash
from scrip.ledger import ledger
from scrip.store.audit.books import read_ledger
from scrip.store.audit.checkpoints import read_checkpoints
from scrip.store.audit.rounds import read_progress, save_progress
from scrip.store.items import checkpoint_item, digest_of, to_wire
from scrip.store.keys import account_key, checkpoint_key, entry_key
from scrip_cli.main import app
from scrip_cli.session import Session
from tests.functional.conftest import invoke
from tests.functional.renewals import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip.domain.audit.checkpoint import Checkpoint
    from scrip.store.client import Table
    from scrip.store.items import Wire
    from tests.functional.outside import Outside
    from tests.functional.renewals import Renewals
    from tests.functional.rounds import Rounds

DAYS_SILENT = 18
NEW, FIRST, SECOND = 2, 0, 1
"""Shares: the third audits nothing whole, the other two together everything."""


@pytest.fixture
def proved(renewals: Renewals, rounds: Rounds, monkeypatch: pytest.MonkeyPatch) -> Table:
    """Two accounts, silent for days, after a round that has proved them whole."""
    monkeypatch.setattr("bench.ledgers.utc_now", lambda: NOW - timedelta(days=DAYS_SILENT))
    monkeypatch.setattr("scrip.domain.audit.rounds.WHOLE_MAX", 0)
    monkeypatch.setattr("scrip.audit_queue.ANCHOR_DAYS", 1)  # theirs
    for account_id in ("u1", "u2"):
        put(renewals.table, life(account_id, 12))
    assert rounds.whole() == {"is_under_way": False, "accounts": 2, "mismatches": 0}
    assert read_checkpoints(renewals.table, ["u1", "u2"]).keys() == {"u1", "u2"}
    return renewals.table


def following(rounds: Rounds, share: int) -> dict[str, Any]:
    """End a round that audits a share of the table whole, and of all accounts what is new."""
    table, last = ledger().table, read_progress(ledger().table).last
    assert last
    before = replace(last, share=(share - 1) % 3, accounts=2)
    step = read_progress(table).step
    save_progress(table, Progress(step=step, last=before))
    later = before.begun_at + timedelta(hours=22)
    ledger().clock = lambda: later
    return rounds.whole()


def found(caplog: pytest.LogCaptureFixture) -> set[tuple[str, str]]:
    """Return accounts and codes of the findings since the last call."""
    lines = [vars(line) for line in caplog.records if "code" in vars(line)]
    caplog.clear()
    return {(line["account_id"], line["code"]) for line in lines}


def test_a_following_round_reads_only_what_is_new(proved: Table, rounds: Rounds) -> None:
    read: list[str] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        read.append(params["ExpressionAttributeValues"][":pk"]["S"])

    events = proved.client.meta.events
    events.register("provide-client-params.dynamodb.Query", note)
    following(rounds, NEW)
    assert not [pk for pk in read if pk.startswith(("LEDGER#", "ACCOUNT#"))]
    app = Actor(ActorType.SERVICE, "app")
    ledger().execute(Consume(account_id="u2", entry_id="new", actor=app, amount=1))
    read.clear()
    assert following(rounds, NEW) == {"is_under_way": False, "accounts": 2, "mismatches": 0}
    events.unregister("provide-client-params.dynamodb.Query", note)
    assert [pk for pk in read if pk.startswith("LEDGER#")] == ["LEDGER#u2"]


def rewrite(tamperer: Tamperer) -> None:
    """Edit the first entry, and rewrite everything that follows from it without a contradiction."""
    newest = bytes(32)
    for number, stored in enumerate(read_ledger(tamperer.table, tamperer.account_id)):
        assert stored.entry
        reason = "another" if number == 0 else stored.entry.reason
        entry = replace(stored.entry, reason=reason, previous_hash=newest)
        newest = chain_hash(entry)
        tamperer.put_entry(replace(entry, hash=newest))
    tamperer.put_account(replace(tamperer.account(), hash=newest))


def give(tamperer: Tamperer) -> None:
    account = tamperer.account()
    first, *others = account.grants
    more = replace(first, amount=first.amount + 500, remaining=first.remaining + 500)
    tamperer.put_account(replace(account, grants=(more, *others)))


def checkpoint(tamperer: Tamperer) -> Checkpoint:
    return read_checkpoints(tamperer.table, [tamperer.account_id])[tamperer.account_id]


def forge(tamperer: Tamperer, **changed: Any) -> None:
    forged = replace(checkpoint(tamperer), **changed)
    tamperer.put(to_wire(checkpoint_item(tamperer.account_id, forged)))


def give_and_forge(tamperer: Tamperer) -> None:
    give(tamperer)
    forge(tamperer, digest=digest_of(tamperer.get(account_key(tamperer.account_id))))


def remove_all_but_the_checkpoint(tamperer: Tamperer) -> None:
    for pk in (account_key(tamperer.account_id)["pk"], f"LEDGER#{tamperer.account_id}"):
        for item in tamperer.table.query_all("pk = :pk", {":pk": pk}):
            tamperer.delete({"pk": item["pk"]["S"], "sk": item["sk"]["S"]})


def record(before: Wire, after: Wire | None) -> dict[str, Any]:
    """Return the stream's record of an edit or a removal."""
    change = {
        "SequenceNumber": "1",
        "Keys": {name: before[name] for name in ("pk", "sk")},
        "OldImage": before,
        **({"NewImage": after} if after else {}),
    }
    text = json.dumps(change, default=lambda octets: b64encode(octets).decode())
    return {"eventName": "MODIFY" if after else "REMOVE", "dynamodb": json.loads(text)}


AT_ONCE: dict[str, tuple[Callable[[Tamperer], None], str]] = {
    "the account's item, while it is silent": (give, "grant_wrong"),
    "the chain, rewritten with the account": (rewrite, "checkpoint_wrong"),
    "a checkpoint that cannot be read": (
        lambda tamperer: tamperer.edit(checkpoint_key("u1"), hash={"S": "x"}),
        "checkpoint_wrong",
    ),
}
"""What the next round finds, without the stream."""

WITHIN_A_MONTH: dict[str, tuple[Callable[[Tamperer], None], str]] = {
    "an old entry": (
        lambda tamperer: tamperer.edit(entry_key("u1", "use-2"), amount={"N": "-1"}),
        "entry_hash_wrong",
    ),
    "an old entry removed": (
        lambda tamperer: tamperer.delete(entry_key("u1", "use-2")),
        "entry_missing",
    ),
    "the account with its checkpoint": (give_and_forge, "grant_wrong"),
    "a checkpoint of another chain": (
        lambda tamperer: forge(tamperer, hash=bytes(range(32))),
        "checkpoint_wrong",
    ),
    "all but the checkpoint": (remove_all_but_the_checkpoint, "account_missing"),
}
"""What only the audit of the whole account finds, unless the stream has reported it."""


@pytest.mark.parametrize(("tamper", "code"), AT_ONCE.values(), ids=AT_ONCE)
def test_the_next_round_finds(
    tamper: Callable[[Tamperer], None],
    code: str,
    proved: Table,
    rounds: Rounds,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tamper(Tamperer(proved, "u1"))
    for _ in ("at once", "until it is repaired"):
        assert following(rounds, NEW)["mismatches"] == 1
        assert ("u1", code) in found(caplog)


@pytest.mark.parametrize(("tamper", "code"), WITHIN_A_MONTH.values(), ids=WITHIN_A_MONTH)
def test_the_whole_audit_finds(
    tamper: Callable[[Tamperer], None],
    code: str,
    proved: Table,
    rounds: Rounds,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tamper(Tamperer(proved, "u1"))
    assert following(rounds, NEW)["mismatches"] == 0, "a checkpoint vouches for it"
    monkeypatch.setattr(Session, "table", lambda _: proved)
    by_command = CliRunner().invoke(app, ["audit", "--account", "u1", "--json"]).stdout
    assert f'"code": "{code}"' in by_command
    assert following(rounds, FIRST)["mismatches"] + following(rounds, SECOND)["mismatches"] > 0
    assert ("u1", code) in found(caplog)


@pytest.mark.parametrize(
    ("is_removed", "code"), [(False, "entry_hash_wrong"), (True, "entry_missing")]
)
def test_what_the_stream_reports_the_next_round_names_too(
    proved: Table,
    rounds: Rounds,
    outside: Outside,
    caplog: pytest.LogCaptureFixture,
    *,
    is_removed: bool,
    code: str,
) -> None:
    tamperer, key = Tamperer(proved, "u1"), entry_key("u1", "use-2")
    before = tamperer.get(key)
    tamperer.edit(key, amount={"N": "-1"})
    after = tamperer.get(key)
    if is_removed:
        tamperer.delete(key)
    invoke("events", {"Records": [record(before, None if is_removed else after)]})
    assert found(caplog) == {("u1", "entry_tampered")}
    assert [name for name, _ in outside.received] == ["ledger.tampered"]
    for _ in ("at once", "until it is repaired"):
        assert following(rounds, NEW)["mismatches"] == 1
        assert ("u1", code) in found(caplog)
    tamperer.put(before)
    assert following(rounds, NEW)["mismatches"] == 0
    assert checkpoint(tamperer).state, "it is proved again"
