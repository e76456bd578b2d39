"""The archive: the ledger of all accounts by time, as objects in an S3 bucket.

An object holds the entries of one hour that one batch of the stream delivered, compressed, one JSON
line each:

    entries/dt=2026-11-21/hour=13/<first>-<last>-<hash>.ndjson.gz

`first` and `last` are sequence numbers of the table's stream, and the hash is that of the lines. A
batch that is delivered again writes the same objects; one that is split differently adds objects
that repeat entries, so readers drop repeats by account and seq.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

from scrip.aws import client
from scrip.store.client import CONFIG

if TYPE_CHECKING:
    from datetime import datetime

    from types_boto3_s3 import S3Client

PREFIX = "entries/"


@dataclass(frozen=True)
class Archive:
    """The archive: its client and the name of its bucket."""

    client: S3Client
    bucket: str


def open_archive(bucket: str) -> Archive:
    """Return the archive in a bucket."""
    return Archive(client("s3", CONFIG), bucket)


def hour_prefix(instant: datetime) -> str:
    """Return how the keys of an hour's objects begin; they sort by time."""
    return f"{PREFIX}dt={instant.astimezone(UTC):%Y-%m-%d/hour=%H}/"
