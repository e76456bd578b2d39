"""Every key of the table, and the keys of its two sparse indexes.

The ledger has its own partition, apart from the account's, so that a role can be allowed to put
items there without being allowed to update or delete them.
"""

import hashlib
from datetime import UTC, date, datetime
from unicodedata import normalize

from scrip.domain.account import Account, AccountStatus
from scrip.domain.entitlement import next_change

type Key = dict[str, str]

CATALOG = "CATALOG"
PLAN_PREFIX = "PLAN#"
FEATURE_PREFIX = "FEATURE#"
TERM_PREFIX = "TERM#"
LISTED_PREFIX = "LISTED#"
DIRECTORY_SHARDS = 16
"""How many partitions the directory uses for the accounts of one anchor day."""

PK_BYTES_MAX, SK_BYTES_MAX = 2_048, 1_024
"""How long keys can be in DynamoDB."""

TOTALS_SHARDS = 8
"""Over how many items a day's totals are spread: several shards of the stream add to them."""

REFERENCE_BYTES_MAX = 512
"""How long the part of a key is that is a reference; a longer one ends in its hash."""


BEGINNING = 3
"""How many characters of a name choose its partition of the directory."""

ANCHOR_DAYS = 31
"""How many anchor days there are: the days of a month."""


def account_key(account_id: str) -> Key:
    """An account."""
    return {"pk": f"ACCOUNT#{account_id}", "sk": "ACCOUNT"}


def refunded_key(account_id: str, entry_id: str) -> Key:
    """The refunded total of an entry."""
    return {"pk": f"ACCOUNT#{account_id}", "sk": f"REFUNDED#{entry_id}"}


def retired_key(account_id: str, grant_id: str) -> Key:
    """A grant that was used up and has left the account's item."""
    return {"pk": f"ACCOUNT#{account_id}", "sk": f"GRANT#{grant_id}"}


def hold_end_key(account_id: str, hold_id: str) -> Key:
    """Which entry ended a hold: a final capture or a release."""
    return {"pk": f"ACCOUNT#{account_id}", "sk": f"HOLD#{hold_id}"}


def term_key(account_id: str, term_id: str) -> Key:
    """A term that is over and has left the account's item."""
    return {"pk": f"ACCOUNT#{account_id}", "sk": f"{TERM_PREFIX}{term_id}"}


def audit_key(account_id: str, ulid: str) -> Key:
    """An audit record of an account."""
    return {"pk": f"ACCOUNT#{account_id}", "sk": f"AUDIT#{ulid}"}


def usage_key(account_id: str, day: date) -> Key:
    """The usage of an account on a day."""
    return {"pk": f"ACCOUNT#{account_id}", "sk": f"USAGE#{day.isoformat()}"}


def totals_key(day: date, shard: int) -> Key:
    """A part of what all accounts' entries of a day come to."""
    return {"pk": f"TOTALS#{day.isoformat()}", "sk": str(shard)}


def ran_out_key(account_id: str, day: date) -> Key:
    """That an account ran out of credits on a day."""
    return {"pk": names_partition(account_id), "sk": ran_out_partition(day)}


def ran_out_partition(day: date) -> str:
    """The partition of the index `directory` that lists who ran out of credits on a day (UTC)."""
    return f"RANOUT#{day.isoformat()}"


def ran_out_directory_keys(account_id: str, at: datetime) -> Key:
    """Where the index `directory` lists an account that ran out: by the day, then time."""
    return {
        "directory_pk": ran_out_partition(at.date()),
        "directory_sk": f"{at:%H:%M:%S}#{account_id}",
    }


def references_partition(account_id: str) -> str:
    """The partition of what an account's entries come to by reference.

    It is not the account's own partition, because there can be any number of references.
    """
    return f"REFERENCES#{account_id}"


def reference_key(account_id: str, day: date, reference: str) -> Key:
    """What an account's entries with a reference come to on a day."""
    short = _short(reference)
    return {"pk": references_partition(account_id), "sk": f"{day.isoformat()}#{short}"}


def reference_directory_keys(account_id: str, day: date, reference: str) -> Key:
    """Where the index `directory` lists a reference, to be found by its beginning."""
    beginning = reference_beginning_keys(reference)
    place = f"{beginning['directory_sk']}#R#{account_id}#{day.isoformat()}"
    return {**beginning, "directory_sk": place}


def reference_beginning_keys(beginning: str) -> Key:
    """How the keys begin that the index `directory` has of references that begin like this.

    They are apart from names, of which there are far fewer.
    """
    name = _short(beginning.lower())
    return {"directory_pk": f"REFERENCE#{name[:BEGINNING]}", "directory_sk": name}


def _short(reference: str) -> str:
    octets = reference.encode()
    if len(octets) <= REFERENCE_BYTES_MAX:
        return reference
    beginning = octets[: REFERENCE_BYTES_MAX // 2].decode(errors="ignore")
    return f"{beginning}~{hashlib.sha256(octets).hexdigest()}"


def catalog_audit_key(ulid: str) -> Key:
    """An audit record of the catalog. It sorts before every feature and plan."""
    return {"pk": CATALOG, "sk": f"AUDIT#{ulid}"}


def ledger_partition(account_id: str) -> str:
    """The partition of an account's entries, of the table and of the index `history` alike."""
    return f"LEDGER#{account_id}"


def entry_key(account_id: str, entry_id: str) -> Key:
    """An entry."""
    return {"pk": ledger_partition(account_id), "sk": f"ENTRY#{entry_id}"}


def is_entry(pk: str) -> bool:
    """Tell whether a partition holds entries."""
    return pk.startswith(ledger_partition(""))


def payment_key(payment_id: str) -> Key:
    """A payment that brought credits, to any account."""
    return {"pk": f"FACT#{payment_id}", "sk": f"FACT#{payment_id}"}


def is_payment(pk: str) -> bool:
    """Tell whether a partition holds a payment."""
    return pk.startswith(payment_key("")["pk"])


def welcome_key(mailbox: str) -> Key:
    """That a mailbox has had sign-up credits. Its keyed hash does not reveal whose it is."""
    return {"pk": f"WELCOME#{mailbox}", "sk": f"WELCOME#{mailbox}"}


def alias_key(name: str) -> Key:
    """An outside name of an account or payment: an address, or a provider's customer or invoice."""
    return {"pk": f"ALIAS#{name}", "sk": f"ALIAS#{name}"}


def names_partition(account_id: str) -> str:
    """The partition of an account's outside names and of the messages about it.

    It is not the account's own partition, so that a role can be allowed to delete only here.
    """
    return f"NAMES#{account_id}"


def account_alias_key(account_id: str, name: str) -> Key:
    """The same name at its account, to find it when the account is closed."""
    return {"pk": names_partition(account_id), "sk": f"ALIAS#{name}"}


def addresses_key(account_id: str) -> Key:
    """An account's addresses as lists show them, when they were seen, and its owner's name."""
    return {"pk": names_partition(account_id), "sk": "ADDRESSES"}


def last_name_key(account_id: str) -> Key:
    """The last word of the name of an account's owner."""
    return {"pk": names_partition(account_id), "sk": "LAST_NAME"}


def listed_key(account_id: str, row: str) -> Key:
    """That an account is in a list: of all accounts, or of those in a state or on a plan."""
    return {"pk": names_partition(account_id), "sk": f"{LISTED_PREFIX}{row}"}


def listing_key() -> Key:
    """That all accounts are in their lists, even those that an earlier version opened.

    Before accounts had their addresses there, the sort key was LISTING.
    """
    return {"pk": "LISTING", "sk": "LISTING#2"}


def waiting_key(name: str, inbox_id: str) -> Key:
    """A message that waits for a name to lead somewhere."""
    return {"pk": f"ALIAS#{name}", "sk": f"WAITING#{inbox_id}"}


def inbox_key(inbox_id: str) -> Key:
    """A provider's message; its ID is `<provider>:<the provider's ID>`."""
    return {"pk": f"INBOX#{inbox_id.replace(':', '#', 1)}", "sk": "INBOX"}


def account_inbox_key(account_id: str, inbox_id: str) -> Key:
    """That a message was about an account."""
    return {"pk": names_partition(account_id), "sk": f"INBOX#{inbox_id}"}


def plan_key(plan_id: str) -> Key:
    """A plan of the catalog."""
    return {"pk": CATALOG, "sk": f"{PLAN_PREFIX}{plan_id}"}


def feature_key(feature_id: str) -> Key:
    """A feature of the catalog."""
    return {"pk": CATALOG, "sk": f"{FEATURE_PREFIX}{feature_id}"}


def watermark_key() -> Key:
    """Up to which instant the sweep has requested renewals."""
    return {"pk": "SWEEP", "sk": "WATERMARK"}


def restore_key() -> Key:
    """The progress of a restore, until it is complete."""
    return {"pk": "RESTORE", "sk": "RESTORE"}


def progress_key() -> Key:
    """The progress of the audit."""
    return {"pk": "AUDIT", "sk": "PROGRESS"}


def checkpoint_key(account_id: str) -> Key:
    """Up to where an account's entries were proved.

    It has its own partition, so that the audit's role cannot change an account.
    """
    return {"pk": f"CHECKPOINT#{account_id}", "sk": "CHECKPOINT"}


def audit_part_key(round_id: str, part: str) -> Key:
    """What a part of a round of the audit has counted, once it is done."""
    return {"pk": progress_key()["pk"], "sk": f"DONE#{round_id}#{part}"}


def is_possible(key: Key) -> bool:
    """Tell whether DynamoDB can have an item of a key: not too long, and no lone surrogates."""
    try:
        return len(key["pk"].encode()) <= PK_BYTES_MAX and len(key["sk"].encode()) <= SK_BYTES_MAX
    except UnicodeEncodeError:
        return False


def owner_of(pk: str) -> str | None:
    """Return the account whose items, entries or checkpoint a partition has; None for others."""
    kind, _, account_id = pk.partition("#")
    return account_id if kind in {"ACCOUNT", "LEDGER", "CHECKPOINT"} else None


def id_of(key: str) -> str:
    """Return the ID in a `pk` or `sk`, for example of an account or an entry."""
    return key.partition("#")[2]


def inbox_directory_keys(inbox_id: str, received_at: datetime) -> Key:
    """Where the index `directory` lists a message: by the day it arrived (UTC), then time."""
    return {
        "directory_pk": inbox_directory_partition(received_at.date()),
        "directory_sk": f"{received_at:%H:%M:%S.%f}#{inbox_id}",
    }


def inbox_directory_partition(day: date) -> str:
    """The partition of the index `directory` that lists the messages of a day (UTC)."""
    return f"INBOX#{day.isoformat()}"


def directory_keys(account: Account) -> Key:
    """Where the index `directory` lists an account: by day of the month and shard, then time.

    Without terms those are the anchor's, so changes of a balance do not write to the index; with
    terms, those of the next instant at which one begins, ends or brings a month's credits. A closed
    account is not listed.
    """
    if account.status is AccountStatus.CLOSED:
        return {}
    anchor = (next_change(account) if account.terms else account.anchor).astimezone(UTC)
    shard = hashlib.sha256(account.account_id.encode()).digest()[0] % DIRECTORY_SHARDS
    return {
        "directory_pk": directory_partition(anchor.day, shard),
        "directory_sk": f"{anchor:%H:%M}#{account.account_id}",
    }


def directory_partition(day: int, shard: int) -> str:
    """The partition of the index `directory` that lists a shard of an anchor day."""
    return f"DAY#{day:02}#{shard:02}"


def directory_end(time: str) -> str:
    """Return a key that sorts after everything the directory lists under a time of day, `HH:MM`."""
    return f"{time}$"  # the next character after the "#" of its keys


def listed_directory_keys(account_id: str, row: str, since: datetime) -> Key:
    """Where the index `directory` lists an account: in the list of a row, by when it began."""
    return {
        "directory_pk": listed_partition(row),
        "directory_sk": _cut(f"{since:%Y-%m-%dT%H:%M:%S.%f}#{account_id}"),
    }


def listed_since(directory_sk: str) -> datetime:
    """Return since when an account is in a list, from its place there."""
    return datetime.fromisoformat(directory_sk.partition("#")[0]).replace(tzinfo=UTC)


def listed_partition(row: str) -> str:
    """The partition of the index `directory` that lists the accounts that have a row."""
    return f"{LISTED_PREFIX}{row}"


def name_directory_keys(name: str) -> Key:
    """Where the index `directory` has a name, to find it by its beginning; none for white space."""
    text = " ".join(normalize("NFKC", name).casefold().split())
    if not text:
        return {}
    return {"directory_pk": f"NAME#{text[:BEGINNING]}", "directory_sk": _cut(text)}


def _cut(text: str) -> str:
    """Return as much of a text as a sort key can hold."""
    return text.encode()[:SK_BYTES_MAX].decode(errors="ignore")
