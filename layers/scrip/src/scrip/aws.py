"""Clients of AWS services, created as boto3 does, without importing boto3.

The client is botocore's. Nothing here uses boto3's resources and transfers, for which every cold
start would wait.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any, Literal

from botocore.config import Config
from botocore.loaders import Loader
from botocore.session import Session

type Service = Literal[
    "cloudformation",
    "cognito-idp",
    "dynamodb",
    "events",
    "s3",
    "secretsmanager",
    "sqs",
    "ssm",
]
"""The services that functions call."""

DATA = Path(__file__).with_name("aws_data")
"""Data that is used instead of botocore's: `make build` puts the endpoints of these services there,
a thirtieth of all endpoints, which every start would read."""


class _Loader(Loader):
    """Finds the data of a service without looking into the folders of 400 others."""

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - all have it
        """Return the names of all services."""
        return os.listdir(self.BUILTIN_DATA_PATH)  # noqa: PTH208 - the fastest way


def client(service: Service, config: Config, roots: str = "") -> Any:
    """Return a new client of a service.

    `roots` is a file with the root certificates that it trusts, unless `AWS_CA_BUNDLE` names one.
    By default it trusts botocore's.
    """
    verify = roots if roots and "AWS_CA_BUNDLE" not in os.environ else None
    return _session().create_client(service, config=config, verify=verify)


@cache
def _session() -> Session:
    """Return the session of this process, which has the credentials."""
    session = Session()
    session.register_component("data_loader", _Loader([str(DATA)]))
    return session
