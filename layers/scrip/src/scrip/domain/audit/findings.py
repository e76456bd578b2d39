"""Findings: what is wrong with an account, each with a stable code."""

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """The kind of a fault. docs/reference/audit.md says what to do about each."""

    ACCOUNT_MISSING = "account_missing"
    ALIAS_WRONG = "alias_wrong"
    AUDIT_RECORD_WRONG = "audit_record_wrong"
    BALANCE_WRONG = "balance_wrong"
    CHAIN_BROKEN = "chain_broken"
    CHECKPOINT_WRONG = "checkpoint_wrong"
    COST_WRONG = "cost_wrong"
    COUNTER_WRONG = "counter_wrong"
    DEBT_WRONG = "debt_wrong"
    DIRECTORY_WRONG = "directory_wrong"
    ENTRY_BEYOND_ACCOUNT = "entry_beyond_account"
    ENTRY_HASH_WRONG = "entry_hash_wrong"
    ENTRY_MISSING = "entry_missing"
    ENTRY_NOT_EXPLAINED = "entry_not_explained"
    ENTRY_TAMPERED = "entry_tampered"
    ENTRY_WITHOUT_SEQ = "entry_without_seq"
    GRANT_OVERDRAWN = "grant_overdrawn"
    GRANT_WRONG = "grant_wrong"
    HELD_WRONG = "held_wrong"
    HOLD_END_WRONG = "hold_end_wrong"
    ITEM_UNREADABLE = "item_unreadable"
    NEWEST_HASH_WRONG = "newest_hash_wrong"
    PAYMENT_WRONG = "payment_wrong"
    PERIOD_GRANTED_TWICE = "period_granted_twice"
    PERIOD_MISNAMED = "period_misnamed"
    PRICE_WRONG = "price_wrong"
    REFUND_TOO_LARGE = "refund_too_large"
    REFUNDED_TOTAL_WRONG = "refunded_total_wrong"
    SEQ_REPEATED = "seq_repeated"
    STATUS_WRONG = "status_wrong"
    TERM_WRONG = "term_wrong"
    TYPE_WRONG = "type_wrong"
    UNKNOWN_ATTRIBUTE = "unknown_attribute"
    USAGE_NOT_COUNTED = "usage_not_counted"
    USAGE_WRONG = "usage_wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong. `about` names the item, `entry_id` and `seq` the entry, if any.

    The sentence has the stored value and the right one. So two readings of an account that is in
    use have the same finding only if it is real.
    """

    code: Code
    account_id: str
    about: str
    sentence: str
    entry_id: str | None = None
    seq: int | None = None
