"""One account with too many callers: the ledger on a simulated table, in virtual time."""

from functools import partial

import pytest

from bench.crowd import Crowd
from bench.hot import GOODPUT_MIN, SINGLE, asking_again, consume, leased, offered
from scrip.admission import CROWDS_MAX, RETRY_AFTER_SECONDS_MAX, Admission
from scrip.domain.entries import ActorType
from scrip.domain.errors import BusyError

LATER = 1_000_000
"""The first number of callers that are added to or follow the storm."""


def storm(seed: int) -> Crowd:
    crowd = Crowd(seed)
    for number in range(600):
        crowd.spawn(partial(crowd.ask, consume(number)), crowd.chance.uniform(0, 2))
    return crowd


def refused(admission: Admission, account_id: str) -> int:
    count = 0
    for _ in range(100):
        try:
            admission.enter(account_id)
        except BusyError:
            count += 1
    return count


@pytest.mark.parametrize("per_second", [200, 800])
def test_goodput_levels_off_and_refusals_are_early(per_second: int) -> None:
    row = offered(SINGLE, per_second, 2)
    assert row["goodput_per_second"] >= GOODPUT_MIN
    assert row["offered_per_second"] > 0.8 * per_second
    assert row["refusal_ms_max"] < 350
    assert row["conserved"]


@pytest.mark.parametrize("callers", [16, 128])
def test_goodput_stays_the_same_with_callers_who_retry(callers: int) -> None:
    row = asking_again(SINGLE, callers, 3)
    assert row["goodput_per_second"] >= GOODPUT_MIN
    assert row["refusal_ms_max"] < 350
    assert row["conserved"]


def test_leases_have_a_hundred_times_the_goodput() -> None:
    row = leased(8, 5)
    assert row["goodput_per_second"] >= 5_000
    assert row["conserved"]


def test_a_single_caller_is_never_refused_and_needs_one_try_per_posting() -> None:
    row = asking_again(SINGLE, 1, 3)
    assert row["refused_per_second"] == 0
    assert (row["write_units_per_success"], row["tries_per_posting"]) == (5, 1)


def test_webhooks_are_not_refused_in_a_crowd() -> None:
    crowd = storm(seed=2)
    answers = []

    def pay(number: int) -> None:
        answers.append(crowd.ask(consume(LATER + number, ActorType.WEBHOOK)))

    for number in range(10):
        crowd.spawn(partial(pay, number), 0.5 + number * 0.1)
    crowd.run()
    assert [answer.is_done for answer in answers] == [True] * 10


def test_retries_are_spread_and_all_succeed_once_the_crowd_has_gone() -> None:
    crowd = storm(seed=3)
    crowd.run()
    retry_times = {answer.retry_after for answer in crowd.answers} - {None}
    assert {1, 2} <= retry_times <= set(range(1, RETRY_AFTER_SECONDS_MAX + 1))

    gone_at, known = crowd.scheduler.now, len(crowd.answers)
    for number in range(150):
        crowd.spawn(partial(crowd.ask, consume(LATER + number)), number * 0.05)
    crowd.run()
    late = [one for one in crowd.answers[known:] if one.asked_at > gone_at + 3]
    assert len(late) > 80
    assert all(answer.is_done for answer in late)


def test_refusals_are_no_sign_of_a_crowd() -> None:
    admission = Admission()
    for _ in range(12):
        admission.lost("hot")
    for _ in range(20):
        refused(admission, "hot")
    assert refused(admission, "hot") < 85


def test_a_process_remembers_a_limited_number_of_accounts() -> None:
    admission = Admission()
    for number in range(CROWDS_MAX):
        for _ in range(100):
            admission.lost(f"a{number}")
    assert refused(admission, "a0") > 50
    admission.lost("another")
    assert refused(admission, "a0") == 0
