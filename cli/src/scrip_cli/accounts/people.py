"""Who to open accounts for: the users of a Cognito pool, or the rows of a CSV file."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scrip.domain.commands import is_account_id
from scrip.user_pool import user_of
from scrip_cli.csv_cells import unmarked
from scrip_cli.errors import CommandError

EMAIL_LENGTH_MAX = 254
_FAULTS_SHOWN = 20
_ID_CHARACTERS_SHOWN = 40
_HEADERS = {("account_id",), ("account_id", "email")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user who may have an account.

    `account_id` is the `sub` claim of their tokens; `email` is an address known to be theirs. A
    user who is not `confirmed` has not finished signing up.
    """

    account_id: str
    email: str | None = None
    name: str | None = None
    confirmed: bool = True

    @property
    def emails(self) -> tuple[str, ...]:
        """The addresses known to be theirs."""
        return (self.email,) if self.email else ()


def people_in_pool(cognito: Any, user_pool_id: str) -> Iterator[Person]:
    """Yield every user of a pool, page by page."""
    for page in cognito.get_paginator("list_users").paginate(UserPoolId=user_pool_id):
        for user in map(user_of, page["Users"]):
            yield Person(
                account_id=user.account_id,
                email=user.email,
                name=user.name,
                confirmed=user.is_confirmed,
            )


def people_in_csv(path: Path) -> list[Person]:
    """Read a CSV file with the columns account_id and, optionally, email.

    Raises CommandError with every fault and its line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            people, faults = _read(csv.reader(file, strict=True))
    except UnicodeDecodeError as exc:
        raise CommandError(f"{path} is not UTF-8.", "Save it as UTF-8.") from exc
    if faults:
        shown = [f"{path}:{line}: {fault}" for line, fault in faults[:_FAULTS_SHOWN]]
        if len(faults) > _FAULTS_SHOWN:
            shown.append(f"and {len(faults) - _FAULTS_SHOWN} more")
        raise CommandError(
            f"{path} has errors; nothing was done.",
            "Correct these lines.",
            output="\n".join(shown),
        )
    return people


def _read(rows: Any) -> tuple[list[Person], list[tuple[int, str]]]:
    """Return the people in a file, and its faults by line."""
    people: list[Person] = []
    faults: list[tuple[int, str]] = []
    seen: dict[str, int] = {}
    try:
        header = tuple(name.strip() for name in next(rows, []))
        if header not in _HEADERS:
            return [], [
                (1, f"the header is {','.join(header)!r}, not account_id or account_id,email")
            ]
        for row in rows:
            if not row:
                continue
            cells = dict(zip(header, map(str.strip, row), strict=False))
            account_id, email = unmarked(cells["account_id"]), cells.get("email") or None
            if fault := _fault(row, header, account_id, email):
                faults.append((rows.line_num, fault))
            elif account_id in seen:
                faults.append((rows.line_num, f"{account_id} is in line {seen[account_id]}, too"))
            else:
                seen[account_id] = rows.line_num
                people.append(Person(account_id=account_id, email=email))
    except csv.Error as exc:
        faults.append((rows.line_num, str(exc)))
    return people, faults


def _fault(
    row: list[str], header: tuple[str, ...], account_id: str, email: str | None
) -> str | None:
    if len(row) != len(header):
        return f"{len(row)} columns instead of {len(header)}"
    if not account_id:
        return "the account_id is empty"
    if not is_account_id(account_id):
        return f"{account_id[:_ID_CHARACTERS_SHOWN]!r} cannot be an account_id"
    if email is not None and ("@" not in email or len(email) > EMAIL_LENGTH_MAX):
        return f"{email!r} is not an email address"
    return None
