"""The model refuses what must not be: each of the four findings can be made."""

from typing import Any

import pytest

from tests.simulation.dynamodb import Change, freeze
from tests.simulation.findings import Wrong
from tests.simulation.model import Model
from tests.simulation.plain import chained, typed
from tests.simulation.traffic import Step

NOW = 1_769_592_600.0
SIGNUP_CREDITS = 50


class Ledger:
    """An account's items, written by hand, and the model that is told of them."""

    def __init__(self) -> None:
        self.step = Step(1, NOW, "consume", "user-0", {"amount": 7, "reference": "step-1"})
        self.model = Model([self.step], SIGNUP_CREDITS)
        self.entries: list[dict[str, Any]] = []

    def signup(self) -> dict[str, Any]:
        return self._entry("signup", "signup", SIGNUP_CREDITS)

    def usage(self, reference: str, *, entry_id: str | None = None) -> dict[str, Any]:
        return self._entry(entry_id or reference, "usage", -7, cost=7, reference=reference)

    def commit(self, entry: dict[str, Any], *, balance: int | None = None) -> None:
        """Write an entry with its account, as the entry has it unless told otherwise."""
        self.entries.append(entry)
        balance = entry["balance_after"] if balance is None else balance
        account = {
            "pk": "ACCOUNT#user-0",
            "sk": "ACCOUNT",
            "version": len(self.entries),
            "plan_id": "free",
            "period": 0,
            "anchor": int(NOW * 1000),
            "balance": balance,
            "seq_last": entry["seq"],
            "hash": entry["hash"],
            "granted_total": SIGNUP_CREDITS,
            "consumed_total": SIGNUP_CREDITS - entry["balance_after"],
            "grants": [
                {
                    "grant_id": "g1",
                    "kind": "signup",
                    "amount": SIGNUP_CREDITS,
                    "remaining": entry["balance_after"],
                    "granted_at": int(NOW * 1000),
                },
            ],
        }
        welcome = {"pk": "WELCOME#1", "sk": "WELCOME#1"}
        items = [account, entry, *([welcome] if entry["type"] == "signup" else [])]
        changes = [
            Change(n, item["pk"], item["sk"], None, freeze(typed(item)))
            for n, item in enumerate(items)
        ]
        self.model.facts.catalog["PLAN#free"] = [(0, {"monthly_credits": 100})]
        self.model.written(changes, NOW)

    def _entry(self, entry_id: str, type_: str, amount: int, **told: Any) -> dict[str, Any]:
        first: dict[str, Any] = {"hash": bytes(32), "balance_after": 0}
        last = self.entries[-1] if self.entries else first
        entry = {
            "pk": "LEDGER#user-0",
            "sk": f"ENTRY#{entry_id}",
            "seq": len(self.entries) + 1,
            "type": type_,
            "amount": amount,
            "balance_after": last["balance_after"] + amount,
            "allocations": [{"grant_id": "g1", "amount": abs(amount)}],
            "recorded_at": int(NOW * 1000),
            "effective_at": int(NOW * 1000),
            "previous_hash": last["hash"],
            **told,
        }
        return entry | {"hash": chained(entry)}


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_a_sign_up_and_a_use_are_right(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    ledger.commit(ledger.usage("step-1"))
    assert ledger.model.of("user-0").balance == 43


def test_credits_that_the_account_lacks_are_lost(ledger: Ledger) -> None:
    with pytest.raises(Wrong, match=r"^lost: user-0 has 49, its entries say 50$"):
        ledger.commit(ledger.signup(), balance=49)


def test_an_entry_that_is_deleted_is_lost(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    with pytest.raises(Wrong, match=r"^lost: LEDGER#user-0 ENTRY#signup was deleted$"):
        ledger.model.written([Change(9, "LEDGER#user-0", "ENTRY#signup", b"", None)], NOW)


def test_credits_that_no_entry_explains_are_made(ledger: Ledger) -> None:
    with pytest.raises(Wrong, match=r"^made: user-0 has 51, its entries say 50$"):
        ledger.commit(ledger.signup(), balance=51)


def test_credits_that_nobody_asked_for_are_made(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    with pytest.raises(Wrong, match=r"^made: entry step-2 .*: step-2 did not ask for it$"):
        ledger.commit(ledger.usage("step-2"))


def test_a_request_that_takes_effect_twice_is_double(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    ledger.commit(ledger.usage("step-1"))
    with pytest.raises(Wrong, match=r"^double: step-1 took effect twice"):
        ledger.commit(ledger.usage("step-1", entry_id="another"))


def test_a_broken_chain_is_a_violation(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    with pytest.raises(Wrong, match=r"^violation: entry step-1 \(usage\) of user-0 breaks"):
        ledger.commit(ledger.usage("step-1") | {"reason": "told otherwise"})


def test_an_answer_that_does_not_stand_is_lost(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    told = {"entry": {"entry_id": "step-1", "hash": ""}, "account": {"balance": 43}}
    with pytest.raises(Wrong, match=r"^lost: .* was told of an entry that is not there$"):
        ledger.model.answered(ledger.step, "user-0", told)
