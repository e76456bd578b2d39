"""Clients of AWS services, created as boto3 does, without importing boto3.

The client is botocore's. Nothing here uses boto3's resources and transfers, for which every cold
start would wait.
"""

from functools import cache
from typing import Any

from botocore.config import Config
from botocore.session import Session


def client(service: str, config: Config) -> Any:
    """Return a new client of a service."""
    return _session().create_client(service, config=config)


@cache
def _session() -> Session:
    """Return the session of this process, which has the credentials."""
    return Session()
