"""Keys that follow from keys."""

import re

from scrip_client.keys import KEY_LENGTH_MAX, key_after, new_key

ALLOWED = re.compile(r"[A-Za-z0-9._-]{1,128}")


def test_new_keys_are_allowed_and_differ() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(ALLOWED.fullmatch(key) for key in keys)


def test_a_key_after_another_is_its_own_allowed_and_always_the_same() -> None:
    suffix = ".refund"
    assert key_after("image-1", suffix) == "image-1.refund"
    fits = "k" * (KEY_LENGTH_MAX - len(suffix))
    assert key_after(fits, suffix) == fits + suffix
    long, other = "k" * KEY_LENGTH_MAX, "k" * (KEY_LENGTH_MAX - 1) + "x"
    made = [key_after(long, suffix), key_after(other, suffix), key_after(long, ".refund-12")]
    assert len(set(made)) == 3
    assert all(ALLOWED.fullmatch(key) for key in made)
    assert key_after(long, suffix) == made[0]
