"""The answer of `scrip what-if`: the replays of all accounts, added up and said in words."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from heapq import nlargest
from pathlib import Path
from threading import Lock
from typing import IO, Any

import typer

from scrip.domain.catalog import Catalog
from scrip.domain.errors import BusyError, CorruptAccountError, NewerVersionError
from scrip.store.audit.books import account_pages
from scrip.store.client import Table
from scrip_cli.csv_cells import marked
from scrip_cli.errors import CommandError
from scrip_cli.report import grouped, note
from scrip_cli.what_if.catalogs import Catalogs
from scrip_cli.what_if.reading import read_replay
from scrip_cli.what_if.replay import Outcome
from scrip_cli.work import work_through

SHOWN = ("account_id", "used_before", "used_after", "refused", "debt_before", "debt_after")
COLUMNS = (*SHOWN, "holds_exceeded", "unpriced")
"""Columns of the table, and of the CSV."""

SHOWN_MAX = 20
"""How many accounts the table shows: those for which most would change."""


@dataclass
class Answer:
    """What the replays of all accounts found so far, in all; `most` are those that change most."""

    accounts: int = 0
    used_before: int = 0
    used_after: int = 0
    refused: int = 0
    accounts_refused: int = 0
    accounts_newly_in_debt: int = 0
    holds_exceeded: int = 0
    unpriced: int = 0
    entries: int = 0
    facts: int = 0
    differ: int = 0
    left_out: int = 0
    most: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Add an account."""
        self.accounts += 1
        self.accounts_refused += outcome.refused > 0
        self.accounts_newly_in_debt += outcome.debt_after > 0 and not outcome.debt_before
        for name in (
            *("used_before", "used_after", "refused", "holds_exceeded", "unpriced"),
            *("entries", "facts", "differ"),
        ):
            setattr(self, name, getattr(self, name) + getattr(outcome, name))
        self.most = nlargest(SHOWN_MAX, [*self.most, outcome], key=_weight)

    def to_json(self) -> dict[str, Any]:
        """Return the totals as JSON."""
        totals = asdict(replace(self, most=[]))
        del totals["most"]
        return totals


class Replays:
    """The replays of all accounts of a table."""

    def __init__(self, table: Table, catalogs: Catalogs, wanted: Catalog, since: datetime) -> None:
        """Take the catalogs, and the start of the window."""
        self.table = table
        self.catalogs = catalogs
        self.wanted = wanted
        self.since = since
        self._lock = Lock()

    def run(self, write: Any, *, print_lines: bool) -> Answer:
        """Replay all accounts with an entry in the window; write and print each as it is done."""
        answer = Answer()

        def do(account_id: str) -> None:
            outcome = self._replayed(account_id)
            with self._lock:
                if outcome is None:
                    return
                if isinstance(outcome, str):
                    answer.left_out += 1
                    note(f"{account_id} is left out: {outcome}")
                    return
                answer.add(outcome)
                row = row_of(outcome)
                write(row)
                if print_lines:
                    typer.echo(json.dumps(row, ensure_ascii=False))

        work_through(self._account_ids(), do, doing="Replaying", total=None)
        return answer

    def _account_ids(self) -> Iterator[str]:
        for page in account_pages(self.table):
            yield from page.account_ids

    def _replayed(self, account_id: str) -> Outcome | str | None:
        """Replay an account; return None without an entry in the window, or why it cannot be."""
        try:
            replay = read_replay(self.table, account_id, self.catalogs, self.wanted, self.since)
            return replay.run() if replay else None
        except NewerVersionError:
            return "a newer version of Scrip wrote it."
        except CorruptAccountError:
            return "it was edited by hand; `scrip audit` has the details."
        except BusyError:
            raise
        except Exception as exc:  # noqa: BLE001 - no account may stop the replay of others
            return f"its entries cannot be replayed: {exc!r}."


@contextmanager
def writing_rows(path: Path | None) -> Iterator[Any]:
    """Yield what writes a row of the CSV. The file appears when it is complete."""
    if path is None:
        yield lambda _: None
        return
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield _writer(file)
        part.replace(path)
    except OSError as exc:
        raise CommandError(
            f"{exc.filename or path} cannot be written: {exc.strerror}.",
            "Name another file with --csv.",
        ) from exc
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _writer(file: IO[str]) -> Any:
    rows = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    rows.writeheader()
    return lambda row: rows.writerow({**row, "account_id": marked(row["account_id"])})


def row_of(outcome: Outcome) -> dict[str, Any]:
    """Return an account as a row of the table and of the CSV."""
    return {name: getattr(outcome, name) for name in COLUMNS}


def _weight(outcome: Outcome) -> tuple[int, int, str]:
    """Return the sort key of the accounts that change most: refusals first."""
    difference = abs(outcome.used_after - outcome.used_before)
    return outcome.refused + outcome.holds_exceeded, difference, outcome.account_id


def sentence(answer: Answer, path: Path, last: timedelta) -> str:
    """Return the answer in a sentence."""
    if not answer.accounts:
        return f"No account has an entry in the last {_span(last)}, so {path.name} changes nothing."
    before, after = answer.used_before, answer.used_after
    change = f" ({(after - before) / before:+.1%})" if before and after != before else ""
    refused = (
        f"{answer.accounts_refused} of {_counted(answer.accounts, 'account')} would have been "
        f"refused {_counted(answer.refused, 'call')} (402)"
        if answer.refused
        else f"none of {_counted(answer.accounts, 'account')} would have been refused a call (402)"
    )
    return (
        f"At the prices of {path.name}, the last {_span(last)} would have cost "
        f"{grouped(after)} credits instead of {grouped(before)}{change}; {refused}, and "
        f"{grouped(answer.accounts_newly_in_debt) if answer.accounts_newly_in_debt else 'none'} "
        "would have run into debt."
    )


def remark(answer: Answer, csv_file: Path | None) -> None:
    """Say what the answer leaves out, and what it rests on."""
    if answer.unpriced:
        note(
            f"{_counted(answer.unpriced, 'use')} are not counted: the catalog has no active "
            "feature or meter for them. `scrip catalog diff` shows what the file changes."
        )
    if answer.holds_exceeded:
        note(
            f"{_counted(answer.holds_exceeded, 'capture')} would have cost more than their hold "
            "and are not counted (409 hold_exceeded)."
        )
    if csv_file is None and answer.accounts > SHOWN_MAX:
        note(f"These are the {SHOWN_MAX} that change most; --csv FILE has all of them.")
    if csv_file is not None:
        note(f"Wrote {_counted(answer.accounts, 'account')} to {csv_file}.")
    facts = f"; {grouped(answer.facts)} of providers' messages were taken as they are"
    note(
        f"Replayed at the prices of their time, {grouped(answer.differ)} of "
        f"{_counted(answer.entries, 'entry', 'entries')} differ{facts if answer.facts else ''}."
    )
    if answer.left_out:
        raise CommandError(
            f"{_counted(answer.left_out, 'account')} could not be replayed.",
            "The notes above say why.",
        )


def _counted(number: int, one: str, many: str | None = None) -> str:
    return f"{grouped(number)} {one if number == 1 else many or f'{one}s'}"


def _span(last: timedelta) -> str:
    """Return a stretch of time as it follows "the last": 30 days, hour."""
    for unit in ("days", "hours", "minutes"):
        number, rest = divmod(last, timedelta(**{unit: 1}))
        if number and not rest:
            break
    return unit.removesuffix("s") if number == 1 else f"{grouped(number)} {unit}"
