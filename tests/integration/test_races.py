"""Many callers at once: nothing is spent twice, nothing is lost, no one gets a 500."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.integration.conftest import Api
from tests.unit.domain.test_invariants import hash_chain

CALLERS = 64
COST = 5
TRIES_MAX = 200


def entries_of(account_id: str, reader: Api) -> list[dict[str, Any]]:
    """Return the whole ledger, oldest first, as a service or an admin reads it."""
    entries: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 100}
    for _ in range(50):
        page = reader.get(f"/{account_id}/entries", **query).json()
        entries += page["entries"]
        if page["cursor"] is None:
            return entries[::-1]
        query["cursor"] = page["cursor"]
    raise AssertionError("the last page never came")


def test_64_concurrent_callers_spend_exactly_the_balance(
    user: Api, service: Api, admin: Api
) -> None:
    body = {"action": "set", "amount": 1_000, "reason": "the last credits"}
    assert admin.post(f"/{user.account_id}/adjustments", body).status_code == 201
    start = threading.Barrier(CALLERS)
    answers: Counter[int] = Counter()

    def spend_until_refused(number: int) -> None:
        start.wait()
        for n in range(TRIES_MAX):
            answer = user.post("/me/consume", {"amount": COST}, key=f"caller-{number}-{n}")
            answers[answer.status_code] += 1
            if answer.status_code == 402:
                return
            if answer.status_code == 503:
                time.sleep(int(answer.headers["Retry-After"]) * random.uniform(0.5, 1.5))

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(spend_until_refused, range(CALLERS)))

    assert set(answers) <= {200, 402, 503}, answers
    assert answers[200] == 1_000 // COST
    account = user.get("/me").json()
    assert (account["balance"], account["used"]) == (0, 1_000)
    entries = entries_of(user.account_id, service)
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert sum(entry["amount"] for entry in entries) == 0
    assert sum(entry["type"] == "usage" for entry in entries) == 1_000 // COST
    hash_chain(entries)


def test_one_of_16_concurrent_callers_ends_a_hold_and_the_others_learn_by_which_entry(
    user: Api,
    service: Api,
) -> None:
    before = user.get("/me").json()
    hold_id = user.post("/me/holds", {"amount": 40}, "held").json()["hold"]["hold_id"]
    start = threading.Barrier(16)

    def end(number: int) -> httpx.Response:
        start.wait()
        for _ in range(TRIES_MAX):
            verb, body = ("release", {}) if number % 2 else ("capture", {"amount": 1 + number})
            answer = user.post(f"/me/holds/{hold_id}/{verb}", body, key=f"end-{number}")
            if answer.status_code != 503:
                return answer
            time.sleep(int(answer.headers["Retry-After"]) * random.uniform(0.1, 0.5))
        raise AssertionError("still busy after the last try")

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(end, range(16)))
    ended = user.get("/me").json()
    entries = entries_of(user.account_id, service)
    done = [answer for answer in answers if answer.status_code == 200]
    # All releases are equal requests, so if one of them ended the hold, the others succeed, too.
    won = {answer.json()["entry"]["entry_id"] for answer in done}
    assert len(won) == 1, won
    refused = [answer.json() for answer in answers if answer not in done]
    assert {(problem["code"], problem["ended_by"]) for problem in refused} == {("hold_ended", *won)}
    assert sum("Idempotency-Replayed" not in answer.headers for answer in done) == 1
    [winner] = [entry for entry in entries if entry["entry_id"] in won]
    assert ended["balance"] == before["balance"] + winner["amount"]
    assert (ended["held"], user.get("/me/holds").json()) == (0, {"holds": []})
    assert sum(entry["hold_id"] == hold_id for entry in entries) == 2 + bool(winner["amount"])
    hash_chain(entries)


def test_8_concurrent_callers_with_one_key_make_one_entry_and_get_equal_responses(
    user: Api,
) -> None:
    start = threading.Barrier(8)

    def spend(_: int) -> httpx.Response:
        start.wait()
        for _ in range(20):
            answer = user.post("/me/consume", {"feature": "chat"}, key="one-key")
            if answer.status_code != 503:
                return answer
            time.sleep(int(answer.headers["Retry-After"]))
        raise AssertionError("still busy after the last try")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(spend, range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert user.get("/me").json()["balance"] == 10_095
