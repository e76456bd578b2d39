"""Logs and metrics, the same in every function.

Logs are JSON lines with the request's id; they hold no tokens, no bodies and no e-mail addresses.
"""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

logger = Logger()


def count(name: str) -> None:
    """Add one to a metric of this function (namespace Scrip)."""
    with single_metric(name=name, unit=MetricUnit.Count, value=1, namespace="Scrip"):
        pass
