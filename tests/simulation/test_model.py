"""The model reports broken rules with each of the four kinds of finding."""

from typing import Any

import pytest

from scrip.domain.entries import EntryType
from simulation.dynamodb import Change, freeze
from simulation.findings import Wrong
from simulation.model import Model
from simulation.movements import MOVEMENTS
from simulation.plain import chained, month, typed
from simulation.traffic import DAY, HOUR, SERVICE, Step, user

NOW = 1_769_592_600.0
SIGNUP_CREDITS = 50
PAYMENT = {
    "account_id": "user-0",
    "subscription_id": "sub-1",
    "payment_id": "renewal-1",
    "money": 2900,
    "item_id": "item-1",
    "plan": "pro",
    "quantity": 1,
    "period_start": "2026-01-28T09:30:00Z",
    "period_end": "2026-02-28T09:30:00Z",
}
"""A month for 800 credits that begins at NOW."""


class Ledger:
    """An account's items, written by hand, and the model that receives them."""

    def __init__(self) -> None:
        self.step = Step(1, NOW, "consume", "user-0", {"amount": 7, "reference": "step-1"})
        body = {"amount": 7, "expires_in": HOUR, "reference": "step-3"}
        opens = Step(3, NOW, "hold", "user-0", body, claims=SERVICE)
        body = {"amount": 1, "reference": "step-4"}
        hostile = Step(4, NOW, "capture", "user-0", body, claims=user("user-0"))
        pays = Step(5, NOW, "message", None, {"type": "subscription.renewed", "data": PAYMENT})
        pays.message_id = "standard:msg-5"
        self.model = Model([self.step, opens, hostile, pays], SIGNUP_CREDITS)
        self.model.facts.catalog["PLAN#free"] = [(0, {"monthly_credits": 0})]
        self.model.facts.catalog["PLAN#pro"] = [(0, {"monthly_credits": 800})]
        self.granted: list[dict[str, Any]] = []
        self.entries: list[dict[str, Any]] = []
        self.holds: list[dict[str, Any]] = []
        self.version = 0

    def signup(self) -> dict[str, Any]:
        return self._entry("signup", "signup", SIGNUP_CREDITS)

    def usage(self, reference: str, *, entry_id: str | None = None) -> dict[str, Any]:
        return self._entry(entry_id or reference, "usage", -7, cost=7, reference=reference)

    def hold(self) -> dict[str, Any]:
        fields = {"cost": 7, "held_after": 7, "hold_id": "job", "reference": "step-3"}
        opened = self._entry("job", "hold", 0, expires_at=milliseconds(HOUR), **fields)
        opened["allocations"] = [{"grant_id": "g1", "amount": 7}]
        self.holds = [
            {
                "hold_id": "job",
                "allocations": opened["allocations"],
                "expires_at": opened["expires_at"],
            },
        ]
        return opened | {"hash": chained(opened)}

    def hostile_capture(self, entry_id: str) -> dict[str, Any]:
        fields = {"cost": 1, "held_after": 6, "hold_id": "job", "reference": "step-4"}
        by = {"actor": {"type": "user", "id": "user-0"}}
        return self._entry(entry_id, "usage", -1, **fields, **by)

    def extend(self, seconds: int) -> None:
        """Extend the hold without an entry."""
        self.holds = [{**self.holds[0], "expires_at": milliseconds(seconds)}]
        self.write(balance=SIGNUP_CREDITS)

    def pay(self, brings: int, *, ends_at: int | None = None) -> None:
        """Write a month of a subscription, and how many credits it brought."""
        end = month(milliseconds(0), 1) + 3 * DAY * 1000
        known = {"source": "standard:payment:renewal-1", "actor": {"type": "webhook", "id": "s"}}
        own = self._entry("standard:payment:renewal-1", "plan", 0, **known)
        del own["allocations"]
        own |= {"reference": "standard:msg-5"}
        own |= {"hash": chained(own)}
        self.entries.append(own)
        brought = self._entry("standard:payment:renewal-1:0:0", "plan", brings, **known)
        brought["allocations"] = [{"grant_id": "g2", "amount": brings}]
        brought |= {"hash": chained(brought)}
        self.entries.append(brought)
        self.granted = [
            {
                "grant_id": "g2",
                "kind": "plan",
                "amount": brings,
                "remaining": brings,
                "granted_at": milliseconds(0),
                "expires_at": ends_at or end,
                "source": "standard:payment:renewal-1:0:0",
            },
        ]
        paid: dict[str, Any] = dict.fromkeys(("pk", "sk"), "FACT#standard:payment:renewal-1")
        paid |= {"money": 2900, "refunds": {}, "charges": {}, "disputes": {}}
        self.write(own, brought, paid, balance=brought["balance_after"])

    def commit(self, entry: dict[str, Any], *, balance: int | None = None) -> None:
        """Write an entry and its account, with the entry's balance unless another is given."""
        self.entries.append(entry)
        self.write(entry, balance=entry["balance_after"] if balance is None else balance)

    def write(self, *beside: dict[str, Any], balance: int) -> None:
        """Write the account, and entries and other items with it."""
        self.version += 1
        newest = self.entries[-1]
        brought = sum(grant["amount"] for grant in self.granted)
        held = sum(part["amount"] for hold in self.holds for part in hold["allocations"])
        account = {
            "pk": "ACCOUNT#user-0",
            "sk": "ACCOUNT",
            "version": self.version,
            "plan_id": "free",
            "period": 0,
            "allowance": 0,
            "anchor": milliseconds(0),
            "as_of": milliseconds(0),
            "balance": balance,
            "seq_last": newest["seq"],
            "hash": newest["hash"],
            "granted_total": SIGNUP_CREDITS + brought,
            "consumed_total": SIGNUP_CREDITS + brought - newest["balance_after"],
            "holds": self.holds,
            "grants": [
                {
                    "grant_id": "g1",
                    "kind": "signup",
                    "amount": SIGNUP_CREDITS,
                    "remaining": newest["balance_after"] - brought - held,
                    "granted_at": milliseconds(0),
                    "source": "signup:grant",
                },
                *self.granted,
            ],
        }
        welcome = {"pk": "WELCOME#1", "sk": "WELCOME#1"}
        items = [account, *beside]
        items += [welcome] if newest["type"] == "signup" and beside else []
        changes = [
            Change(n, item["pk"], item["sk"], None, freeze(typed(item)))
            for n, item in enumerate(items)
        ]
        self.model.written(changes, NOW)

    def _entry(self, entry_id: str, type_: str, amount: int, **fields: Any) -> dict[str, Any]:
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
            "actor": {"type": "system" if type_ == "signup" else "service", "id": "app"},
            "recorded_at": milliseconds(0),
            "effective_at": milliseconds(0),
            "previous_hash": last["hash"],
            **fields,
        }
        return entry | {"hash": chained(entry)}


def test_the_model_knows_what_every_type_of_entry_moves() -> None:
    assert set(MOVEMENTS) == set(EntryType)


def milliseconds(seconds: int) -> int:
    """Return the time some seconds after NOW, in milliseconds as in the table."""
    return int((NOW + seconds) * 1000)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_a_sign_up_and_a_use_are_accepted(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    ledger.commit(ledger.usage("step-1"))
    assert ledger.model.of("user-0").balance == 43


def test_credits_that_the_account_lacks_are_lost(ledger: Ledger) -> None:
    with pytest.raises(Wrong, match=r"^lost: user-0 has 49, but its entries say 50$"):
        ledger.commit(ledger.signup(), balance=49)


def test_an_entry_that_is_deleted_is_lost(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    with pytest.raises(Wrong, match=r"^lost: LEDGER#user-0 ENTRY#signup was deleted$"):
        ledger.model.written([Change(9, "LEDGER#user-0", "ENTRY#signup", b"", None)], NOW)


def test_credits_that_no_entry_explains_are_made(ledger: Ledger) -> None:
    with pytest.raises(Wrong, match=r"^made: user-0 has 51, but its entries say 50$"):
        ledger.commit(ledger.signup(), balance=51)


def test_credits_that_were_not_requested_are_made(ledger: Ledger) -> None:
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
        ledger.commit(ledger.usage("step-1") | {"reason": "another"})


def test_a_response_without_an_entry_in_the_ledger_is_lost(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    response = {"entry": {"entry_id": "step-1", "hash": ""}, "account": {"balance": 43}}
    with pytest.raises(Wrong, match=r"^lost: the response to .* has an entry that does not exist$"):
        ledger.model.check_answer(ledger.step, "user-0", response)


def test_a_user_who_ends_the_apps_hold_has_made_credits(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    ledger.commit(ledger.hold())
    with pytest.raises(Wrong, match=r"^made: entry user:job .*: a user ends the app's hold$"):
        ledger.commit(ledger.hostile_capture("user:job"))


def test_a_users_entry_with_an_id_of_the_apps_is_a_violation(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    ledger.model.of("user-0").openers["job"] = "user"
    with pytest.raises(
        Wrong, match=r"^violation: entry job.capture .* whose entries have other IDs"
    ):
        ledger.commit(ledger.hostile_capture("job.capture"))


def test_a_paid_month_with_all_its_credits_is_accepted(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    ledger.pay(800)
    assert ledger.model.of("user-0").balance == 850


def test_credits_that_a_paid_month_lacks_are_lost(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    with pytest.raises(Wrong, match=r"^lost: user-0: .*:0:0 of pro has brought 0 and 799, not 800"):
        ledger.pay(799)


def test_credits_that_a_paid_month_has_too_many_of_are_made(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    with pytest.raises(Wrong, match=r"^made: user-0: .* has brought 0 and 801, not 800"):
        ledger.pay(801)


def test_a_paid_month_that_ends_without_its_days_of_grace_is_lost(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    with pytest.raises(Wrong, match=r"^lost: user-0: .*:0:0 ends at"):
        ledger.pay(800, ends_at=milliseconds(30 * DAY))


def test_an_extension_that_was_not_requested_has_made_credits(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    ledger.commit(ledger.hold())
    with pytest.raises(Wrong, match=r"^made: user-0: job was extended to .* without permission"):
        ledger.extend(2 * HOUR)


def test_a_hold_that_lives_beyond_its_limit_has_made_credits(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    ledger.commit(ledger.hold())
    body, path = {"expires_in": 9 * DAY}, {"hold_id": "job"}
    asks = Step(5, NOW, "extend", "user-0", body, claims=SERVICE, path=path)
    ledger.model.facts.know(asks)
    ledger.extend(7 * DAY)
    with pytest.raises(Wrong, match=r"^made: user-0: job lives beyond"):
        ledger.extend(7 * DAY + 1)


def test_a_user_may_not_extend_the_apps_hold(ledger: Ledger) -> None:
    ledger.commit(ledger.signup())
    ledger.commit(ledger.hold())
    body, path = {"expires_in": DAY}, {"hold_id": "job"}
    asks = Step(5, NOW, "extend", "user-0", body, claims=user("user-0"), path=path)
    ledger.model.facts.know(asks)
    with pytest.raises(Wrong, match=r"^made: user-0: job was extended to .* without permission"):
        ledger.extend(DAY)
