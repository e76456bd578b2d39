"""Retries outside the ledger: while it is busy, and a limited number of times."""

from __future__ import annotations

import pytest

from scrip.domain.errors import BusyError
from scrip.retrying import retrying


class Service:
    """A service that is busy for its first calls."""

    def __init__(self, busy: int) -> None:
        self.busy = busy
        self.calls = 0

    def call(self) -> str:
        self.calls += 1
        if self.calls <= self.busy:
            raise BusyError
        return "done"


@pytest.mark.parametrize("busy", [0, 1, 2])
def test_a_call_is_repeated_until_it_is_not_busy(busy: int) -> None:
    service = Service(busy)
    assert retrying(service.call, tries=3, backoff=0) == "done"
    assert service.calls == busy + 1


def test_the_number_of_tries_is_limited() -> None:
    service = Service(3)
    with pytest.raises(BusyError):
        retrying(service.call, tries=3, backoff=0)
    assert service.calls == 3


def test_other_errors_are_not_retried() -> None:
    def fail() -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        retrying(fail, tries=3, backoff=0)
