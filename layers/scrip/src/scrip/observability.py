"""Logs and metrics, the same in every function.

Logs are JSON lines with the request's ID, without tokens, bodies and email addresses.
"""

import traceback
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from pydantic import ValidationError

from scrip.domain.errors import ScripError


class Formatter(LambdaPowertoolsFormatter):
    """Formats exceptions with their tracebacks, without the values that they may quote."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return an exception and its causes, the first cause last."""
        return "\nbecause of\n".join(map(_formatted, _chain(ei[1])))


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)


def summary(exc: BaseException) -> str:
    """Return an exception in one line, without the values that it may quote."""
    match exc:
        case ValidationError():
            errors = exc.errors(include_url=False, include_context=False, include_input=False)
            text = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['type']}" for one in errors)
        case ValueError() | LookupError() | ScripError():
            text = "(message omitted: it may quote input)"
        case _:
            text = str(exc)
    return f"{type(exc).__qualname__}: {text}"


def _formatted(exc: BaseException) -> str:
    return f"{summary(exc)}\n{''.join(traceback.format_tb(exc.__traceback__))}"


logger = Logger(logger_formatter=Formatter(serialize_stacktrace=False))


def count(name: str, number: int = 1) -> None:
    """Add to a metric of this function (namespace Scrip)."""
    _emit(name, "Count", number)


def measure(name: str, elapsed: timedelta) -> None:
    """Record a duration as a metric of this function (namespace Scrip)."""
    seconds = elapsed.total_seconds()
    _emit(name, "Seconds", seconds)


def _emit(name: str, unit: str, value: float) -> None:
    # Most requests emit no metric: the first that does imports the library.
    from aws_lambda_powertools.metrics import MetricUnit, single_metric  # noqa: PLC0415

    with single_metric(name=name, unit=MetricUnit(unit), value=value, namespace="Scrip"):
        pass
