"""Every key of the table, and the keys of its two sparse indexes.

The ledger has a partition of its own beside the account's, so that a role can be allowed to put
into it and never to update or delete there.
"""

import hashlib
from datetime import UTC

from scrip.domain.account import Account

type Key = dict[str, str]

CATALOG = "CATALOG"
PLAN_PREFIX = "PLAN#"
FEATURE_PREFIX = "FEATURE#"
DIRECTORY_SHARDS = 16
"""Over how many partitions the directory spreads the accounts of one anchor day."""


def account_key(account_id: str) -> Key:
    """An account."""
    return {"pk": f"ACCOUNT#{account_id}", "sk": "ACCOUNT"}


def refunded_key(account_id: str, entry_id: str) -> Key:
    """The refunded total of an entry."""
    return {"pk": f"ACCOUNT#{account_id}", "sk": f"REFUNDED#{entry_id}"}


def audit_key(account_id: str, ulid: str) -> Key:
    """An audit record of an account."""
    return {"pk": f"ACCOUNT#{account_id}", "sk": f"AUDIT#{ulid}"}


def ledger_partition(account_id: str) -> str:
    """The partition of an account's entries, of the table and of the index `history` alike."""
    return f"LEDGER#{account_id}"


def entry_key(account_id: str, entry_id: str) -> Key:
    """An entry."""
    return {"pk": ledger_partition(account_id), "sk": f"ENTRY#{entry_id}"}


def plan_key(plan_id: str) -> Key:
    """A plan of the catalog."""
    return {"pk": CATALOG, "sk": f"{PLAN_PREFIX}{plan_id}"}


def feature_key(feature_id: str) -> Key:
    """A feature of the catalog."""
    return {"pk": CATALOG, "sk": f"{FEATURE_PREFIX}{feature_id}"}


def watermark_key() -> Key:
    """Until when the sweep has asked for renewals."""
    return {"pk": "SWEEP", "sk": "WATERMARK"}


def id_of(key: str) -> str:
    """Return what a `pk` or `sk` names, such as the id of an account or an entry."""
    return key.partition("#")[2]


def directory_keys(account: Account) -> Key:
    """Where the index `directory` lists an account: by anchor day and shard, then time of day.

    They depend on the anchor alone, so nothing that happens to a balance writes to the index.
    """
    anchor = account.anchor.astimezone(UTC)
    shard = hashlib.sha256(account.account_id.encode()).digest()[0] % DIRECTORY_SHARDS
    return {
        "directory_pk": directory_partition(anchor.day, shard),
        "directory_sk": f"{anchor:%H:%M}#{account.account_id}",
    }


def directory_partition(day: int, shard: int) -> str:
    """The partition of the index `directory` that lists a shard of an anchor day."""
    return f"DAY#{day:02}#{shard:02}"


def directory_end(time: str) -> str:
    """Sorts behind all that the directory lists under a time of day, `HH:MM`."""
    return f"{time}$"  # the next character after the "#" of its keys
