"""How long the function that charges takes, cold and warm: from what Lambda writes to the log."""

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from scrip.ledger import utc_now
from scrip_cli.smoke.trial import Trial, UnprovenError

AT_ONCE = 5
"""How many calls at once, so that some of them start a function."""

FUNCTION = "ConsumeFunction"

_DURATION = re.compile(r"^REPORT RequestId: .*?\bDuration: ([\d.]+) ms")
_START = re.compile(r"\b(?:Init|Restore) Duration: ([\d.]+) ms")


@dataclass(frozen=True)
class Times:
    """Milliseconds of each call: of those that started a function, with the start, and others."""

    cold: tuple[float, ...]
    warm: tuple[float, ...]

    def __str__(self) -> str:
        """Return the median of each kind, and of how many calls it is."""
        kinds = {"cold": self.cold, "warm": self.warm}
        return ", ".join(
            f"{kind} {median(times):.0f} ms (n={len(times)})"
            for kind, times in kinds.items()
            if times
        )


def read_times(lines: Iterable[str]) -> Times:
    """Read the times in Lambda's REPORT lines."""
    cold, warm = [], []
    for line in lines:
        if not (call := _DURATION.search(line)):
            continue
        if start := _START.search(line):
            cold.append(float(start[1]) + float(call[1]))
        else:
            warm.append(float(call[1]))
    return Times(tuple(cold), tuple(warm))


def log_streams(function: str, began: datetime, now: datetime) -> list[str]:
    """Return how the names of the log streams begin in which a function's calls since then are.

    A stream has the day on which its process started, for warm calls perhaps the one before.
    """
    days = {f"{at:%Y/%m/%d}" for at in (began - timedelta(days=1), began, now)}
    return [f"{day}/{function}[" for day in sorted(days)]


def speed(trial: Trial) -> str:
    """Quotes are answered, and the log says how long the function took."""
    scrip, account_id = trial.owner.scrip, trial.account_id
    scrip.quote(account_id, amount=1)
    if trial.session.is_local:
        raise UnprovenError("Local functions are only as fast as this machine.")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: scrip.quote(account_id, amount=1), range(AT_ONCE)))
    group = trial.resources["AWS::Logs::LogGroup"]["FunctionLogs"]
    function = trial.resources["AWS::Lambda::Function"][FUNCTION]
    pages = trial.client("logs").get_paginator("filter_log_events")

    def reported() -> Times | None:
        events = (
            event["message"]
            for prefix in log_streams(function, trial.began, utc_now())
            for page in pages.paginate(
                logGroupName=group,
                logStreamNamePrefix=prefix,
                startTime=int(trial.began.timestamp() * 1000),
                filterPattern="REPORT",
            )
            for event in page["events"]
        )
        times = read_times(events)
        return times if len(times.cold) + len(times.warm) > AT_ONCE else None

    return str(trial.until(reported, "The log had no REPORT lines of the calls"))
