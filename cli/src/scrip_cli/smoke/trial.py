"""One run of `scrip smoke`: its stack, its callers, and what to undo at the end."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property
from typing import Any
from uuid import uuid4

import httpx

from scrip.domain.commands import Adjust, AdjustAction, CloseAccount
from scrip.domain.errors import AccountClosedError, AccountNotFoundError
from scrip.ledger import utc_now
from scrip.store.erasure import erase
from scrip.users import add_account
from scrip_cli.interrupts import uninterrupted
from scrip_cli.session import Session
from scrip_cli.work import patiently
from scrip_client import Retries, Scrip
from scrip_client.aws import Signature, addresses

GIVEN = 1_000
"""Credits that an account is given, more than all checks use."""

POLL_SECONDS = 0.5

REASON = "scrip smoke"
"""The reason in the ledger of what a run does."""


RETRIES = Retries(tries_max=3, try_seconds=10, deadline_seconds=30)
"""Enough for a cold start; what fails again and again need not be tried for long."""


class FailedError(Exception):
    """A check failed; the message says what was found in place of what was expected."""


class UnprovenError(Exception):
    """A check cannot prove anything here; the message says why."""


@dataclass(frozen=True)
class Caller:
    """Somebody who may call: the client library, and the API for what that does not call."""

    scrip: Scrip
    http: httpx.Client

    def ask(self, method: str, path: str, **request: Any) -> Any:
        """Call the API and return the JSON of its answer. Raises FailedError for an error."""
        answer = self.http.request(method, path, **request)
        if not answer.is_success:
            raise FailedError(f"{method} {path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json()


class _SigningScrip(Scrip):
    """A client under IAM that also finds a local stack, where `Scrip.on_aws` does not look."""

    def __init__(self, outputs: dict[str, str], http: httpx.Client) -> None:
        self._connect(addresses(outputs), None, RETRIES, http)


@dataclass
class Trial:
    """One run. A check that makes something first says how to remove it, with `undo`.

    What a check makes (`made_...`) is None or "" until then. `wait_seconds` is how long to wait for
    what is seen late. `left` names what could not be removed.
    """

    session: Session
    wait_seconds: float
    run: str = field(default_factory=lambda: uuid4().hex[:12])
    began: datetime = field(default_factory=utc_now)
    made_account: str = ""
    made_user: Caller | None = None
    made_admin: Caller | None = None
    made_service: Caller | None = None
    made_signer: Caller | None = None
    made_use: str = ""
    left: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with nothing to undo."""
        self._undo = ExitStack()
        self.client: Callable[[str], Any] = cache(self.session.client)

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs."""
        return self.session.outputs()

    @cached_property
    def resources(self) -> dict[str, dict[str, str]]:
        """The names of the stack's resources by their logical IDs, for each type."""
        return self.session.resources()

    @property
    def account_id(self) -> str:
        """The account that the run uses, the owner's. Raises UnprovenError if there is none."""
        if not self.made_account:
            raise _needs("sign-up")
        return self.made_account

    @property
    def use_id(self) -> str:
        """The entry of the consume. Raises UnprovenError if there is none."""
        if not self.made_use:
            raise _needs("consume")
        return self.made_use

    @property
    def user(self) -> Caller:
        """The user who has signed up. Raises UnprovenError if there is none."""
        return _made(self.made_user, "sign-up")

    @property
    def admin(self) -> Caller:
        """The admin. Raises UnprovenError if there is none."""
        return _made(self.made_admin, "admin token")

    @property
    def owner(self) -> Caller:
        """The caller who uses the account: the user, or a back end under IAM if there is no user.

        Raises UnprovenError if there is neither.
        """
        return _made(self.made_user or self.made_signer, "sign-up")

    @property
    def service(self) -> Caller:
        """A back end with a token, one under IAM, or the admin if the stack lets no back end in.

        Raises UnprovenError if there is none.
        """
        return self.made_service or self.made_signer or self.admin

    def caller(self, **token: Any) -> Caller:
        """Make a caller with a `token` or with `credentials`, as the client library takes them."""
        http = self.session.http()
        self._undo.callback(http.close)
        if "token" in token:
            http.headers["Authorization"] = f"Bearer {token['token']}"
        library = Scrip(self.session.api_url(), http=self.session.http(), retries=RETRIES, **token)
        self._undo.callback(library.close)
        return Caller(library, http)

    def signer(self) -> Caller:
        """Make a caller under IAM, with the operator's own credentials.

        What the client library does not call is what the function `account` answers.
        """
        http, library_http = self.session.http(), self.session.http()
        region = self.client("lambda").meta.region_name
        http.auth = library_http.auth = Signature(self.session.credentials(), region)
        http.base_url = httpx.URL(self.outputs["AccountUrl"])
        self._undo.callback(http.close)
        library = _SigningScrip(self.outputs, library_http)
        self._undo.callback(library.close)
        return Caller(library, http)

    def open_account(self, account_id: str) -> None:
        """Open an account past the API, with credits. It is closed at the end."""
        ledger, settings = self.session.ledger(), self.session.settings()
        given = Adjust(
            account_id=account_id,
            entry_id="smoke-give",
            actor=self.session.operator(),
            action=AdjustAction.ADD,
            amount=GIVEN,
            reason=REASON,
        )
        self.undo_account(account_id)
        patiently(lambda: add_account(ledger, account_id, None, settings))
        patiently(lambda: ledger.execute(given))

    def undo(self, what: str, how: Callable[[], object]) -> None:
        """Remember how to remove something that is about to be made. It may not exist then."""

        def remove() -> None:
            try:
                how()
            except Exception as exc:  # noqa: BLE001 - whatever it is, the rest is removed
                self.left.append(f"{what} ({exc})")

        self._undo.callback(remove)

    def clean_up(self) -> None:
        """Remove everything that was made, the latest first. Ctrl-C does not stop it."""
        with uninterrupted():
            self._undo.close()

    def undo_account(self, account_id: str) -> None:
        """Remember to close an account that is about to be opened."""
        self.undo(f"account {account_id}", lambda: self._close(account_id))

    def until[T](self, ask: Callable[[], T | None], otherwise: str) -> T:
        """Ask until there is an answer, and return it. Raises FailedError if it takes too long."""
        deadline = time.monotonic() + self.wait_seconds
        while not (answer := ask()):
            if time.monotonic() > deadline:
                raise FailedError(f"{otherwise} within {self.wait_seconds:.0f} s.")
            time.sleep(POLL_SECONDS)
        return answer

    def _close(self, account_id: str) -> None:
        # Past the API, which may be what does not work.
        command = CloseAccount(
            account_id=account_id,
            entry_id="smoke-close",
            actor=self.session.operator(),
            reason=REASON,
        )
        table, ledger = self.session.table(), self.session.ledger()
        try:
            patiently(lambda: ledger.execute(command))
        except (AccountNotFoundError, AccountClosedError):
            return
        patiently(lambda: erase(table, account_id))


def must(holds: object, otherwise: str) -> None:
    """Raise FailedError with what is the case otherwise, unless something holds."""
    if not holds:
        raise FailedError(otherwise)


def _made(caller: Caller | None, check: str) -> Caller:
    if caller is None:
        raise _needs(check)
    return caller


def _needs(check: str) -> UnprovenError:
    return UnprovenError(f"It needs {check}, which did not pass.")
