"""Clients of AWS's services, made as boto3 makes them, without importing boto3.

A client is botocore's. What boto3 has beside it, resources and transfers, nothing here uses, and
every cold start would wait for it.
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
    """Return the one session of this process: it knows the credentials."""
    return Session()
