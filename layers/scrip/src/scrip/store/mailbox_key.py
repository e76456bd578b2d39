"""The key of a stack, with which mailboxes are hashed.

The first deployment makes it. It is kept encrypted in the Parameter Store, apart from the hashes,
so that a copy of the table does not allow anyone to try addresses.
"""

from __future__ import annotations

import hmac
from contextlib import suppress
from functools import cache
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from scrip.aws import client
from scrip.domain.errors import BusyError
from scrip.domain.mailboxes import mailbox
from scrip.settings import settings
from scrip.store.client import CONFIG, answered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KEY_BYTES = 32


@cache
def own_mailbox_key() -> bytes:
    """Return the key of this process's stack. It never changes, so it is read once.

    Raises:
        BusyError: the Parameter Store did not answer, or has none yet.
    """
    return read_mailbox_key(parameter_store(), settings().mailbox_key)


@cache
def parameter_store() -> Any:
    """Return this process's client of the Parameter Store. Creating it is slower than a call."""
    return client("ssm", CONFIG)


def make_mailbox_key(ssm: Any, name: str) -> bool:
    """Make a stack's key, unless it has one; return whether it is new.

    Another key would match none of the known hashes.
    """
    try:
        ssm.put_parameter(Name=name, Value=token_hex(KEY_BYTES), Type="SecureString")
    except ssm.exceptions.ParameterAlreadyExists:
        return False
    return True


def delete_mailbox_key(ssm: Any, name: str) -> None:
    """Delete a stack's key, if it has one."""
    with suppress(ssm.exceptions.ParameterNotFound):
        ssm.delete_parameter(Name=name)


def read_mailbox_key(ssm: Any, name: str) -> bytes:
    """Return a stack's key by the name of its parameter.

    Raises:
        BusyError: the Parameter Store did not answer, or has none yet.
    """
    try:
        with answered():
            answer = ssm.get_parameter(Name=name, WithDecryption=True)
    except ssm.exceptions.ParameterNotFound as exc:
        raise BusyError from exc  # a deployment is about to make it
    value: str = answer["Parameter"]["Value"]
    return value.encode()


def hashed(addresses: Iterable[str], key: Callable[[], bytes]) -> tuple[str, ...]:
    """Return the mailboxes of addresses as keyed hashes, each once. Without any, no key is read."""
    mailboxes = {mailbox(address) for address in addresses}
    return tuple(sorted(hmac.digest(key(), one.encode(), "sha256").hex() for one in mailboxes))
