"""One account that too many want: the product's ledgers over the simulated table, in virtual time."""

from functools import partial

import pytest

from bench.crowd import Crowd
from bench.hot import SINGLE, WITHOUT_ADMISSION, asking_again, consume, offered
from scrip.admission import CROWDS_MAX, RETRY_AFTER_SECONDS_MAX, Admission
from scrip.domain.entries import ActorType
from scrip.domain.errors import BusyError


def storm(crowd: Crowd, per_second: int, seconds: int) -> None:
    for number in range(per_second * seconds):
        crowd.spawn(partial(crowd.ask, consume(number)), crowd.chance.uniform(0, seconds))


def test_goodput_levels_off_and_whoever_is_refused_is_told_early(
    subtests: pytest.Subtests,
) -> None:
    for per_second in (200, 400, 800):
        with subtests.test(per_second=per_second):
            row = offered(SINGLE, per_second, 3)
            assert row["goodput_per_second"] >= 40
            assert row["refused_per_second"] >= row["offered_per_second"] - 60
            assert row["refusal_ms_max"] < 300
            assert row["conserved"]


def test_callers_who_ask_again_get_as_much(subtests: pytest.Subtests) -> None:
    for callers in (8, 32, 128):
        with subtests.test(callers=callers):
            row = asking_again(SINGLE, callers, 8)
            assert row["goodput_per_second"] >= 40
            assert row["refusal_ms_max"] < 300
            assert row["conserved"]


def test_without_admission_a_success_costs_twice_and_a_refusal_seconds() -> None:
    refused_early, without = offered(SINGLE, 200, 3), offered(WITHOUT_ADMISSION, 200, 3)
    assert without["write_units_per_success"] > 1.8 * refused_early["write_units_per_success"]
    assert without["read_units_per_success"] > 4 * refused_early["read_units_per_success"]
    assert without["containers"] > 4 * refused_early["containers"]
    assert without["refusal_ms_max"] > 1_900


def test_one_caller_after_the_other_is_never_refused_and_pays_for_nothing_in_vain() -> None:
    row = asking_again(SINGLE, 1, 3)
    assert row["refused_per_second"] == 0
    assert (row["write_units_per_success"], row["tries_per_success"]) == (5, 1)


def test_webhooks_and_the_clock_get_through_a_crowd() -> None:
    crowd = Crowd(seed=2)
    storm(crowd, per_second=400, seconds=4)
    answers = []

    def pay(number: int) -> None:
        answers.append(crowd.ask(consume(1_000_000 + number, ActorType.WEBHOOK)))

    for number in range(10):
        crowd.spawn(partial(pay, number), 1 + number * 0.2)
    crowd.run()
    assert [answer.retry_after for answer in answers] == [None] * 10


def test_when_a_crowd_has_gone_its_containers_soon_let_everybody_in() -> None:
    crowd = Crowd(seed=3)
    storm(crowd, per_second=400, seconds=4)
    crowd.run()
    gone_at, known = crowd.scheduler.now, len(crowd.answers)
    for number in range(200):
        crowd.spawn(partial(crowd.ask, consume(1_000_000 + number)), number * 0.2)
    crowd.run()
    refused_at = [
        answer.asked_at - gone_at
        for answer in crowd.answers[known:]
        if answer.retry_after is not None
    ]
    assert max(refused_at, default=0) < 10


def test_a_refused_caller_is_told_to_come_again_at_different_times() -> None:
    crowd = Crowd(seed=4)
    storm(crowd, per_second=400, seconds=2)
    crowd.run()
    told = {answer.retry_after for answer in crowd.answers} - {None}
    assert told == set(range(1, RETRY_AFTER_SECONDS_MAX + 1))
    assert BusyError.status == 503


def test_only_so_many_accounts_are_remembered() -> None:
    admission = Admission()
    for number in range(CROWDS_MAX):
        for _ in range(200):
            admission.lost(f"a{number}")
    with pytest.raises(BusyError):
        for _ in range(100):
            admission.enter("a0")
    admission.lost("another")
    for _ in range(100):
        admission.enter("a0")
