"""Logs and metrics, the same in every function.

Logs are JSON lines with the request's id; they hold no tokens, no bodies and no e-mail addresses.
"""

from datetime import timedelta

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

logger = Logger()


def count(name: str, number: int = 1) -> None:
    """Add to a metric of this function (namespace Scrip)."""
    with single_metric(name=name, unit=MetricUnit.Count, value=number, namespace="Scrip"):
        pass


def measure(name: str, elapsed: timedelta) -> None:
    """Tell a metric of this function (namespace Scrip) how long something has lasted."""
    seconds = elapsed.total_seconds()
    with single_metric(name=name, unit=MetricUnit.Seconds, value=seconds, namespace="Scrip"):
        pass
