"""Idempotency keys: new, derived and invalid ones."""

import re
from typing import Any

import pytest

from scrip_client import Scrip
from scrip_client.keys import KEY_LENGTH_MAX, derived_key, new_key
from tests.unit.clients.scrip_in_memory import ACCOUNT_ID, ScripInMemory

ALLOWED = re.compile(r"[A-Za-z0-9._-]{1,128}")


def test_new_keys_are_valid_and_unique() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(ALLOWED.fullmatch(key) for key in keys)


def test_derived_keys_are_valid_distinct_and_stable() -> None:
    suffix = ".refund"
    assert derived_key("image-1", suffix) == "image-1.refund"
    fits = "k" * (KEY_LENGTH_MAX - len(suffix))
    assert derived_key(fits, suffix) == fits + suffix
    long, other = "k" * KEY_LENGTH_MAX, "k" * (KEY_LENGTH_MAX - 1) + "x"
    made = [derived_key(long, suffix), derived_key(other, suffix), derived_key(long, ".refund-12")]
    assert len(set(made)) == 3
    assert all(ALLOWED.fullmatch(key) for key in made)
    assert derived_key(long, suffix) == made[0]


@pytest.mark.parametrize("key", ["", ".", "..", "a b", "a/b", "\u00fc", "a\n", "k" * 129, 7])
def test_an_invalid_key_is_rejected_before_anything_is_sent(
    scrip: Scrip,
    server: ScripInMemory,
    key: Any,
) -> None:
    for ask in (
        lambda: scrip.consume(ACCOUNT_ID, "chat", idempotency_key=key),
        lambda: scrip.refund(ACCOUNT_ID, "entry", "reason", idempotency_key=key),
        lambda: scrip.charge("chat", ACCOUNT_ID, idempotency_key=key),
    ):
        with pytest.raises(ValueError, match="key"):
            ask()
    assert server.keys == []


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_an_id_that_cannot_be_part_of_a_path_is_rejected(scrip: Scrip, name: str) -> None:
    with pytest.raises(ValueError, match="URL path"):
        scrip.charge("chat", name)
    with pytest.raises(ValueError, match="URL path"):
        scrip.entry(ACCOUNT_ID, name)
