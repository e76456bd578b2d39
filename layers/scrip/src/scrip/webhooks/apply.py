"""Applying messages: from the inbox to commands, in whatever order and however often they arrive.

A message whose account or payment is not known yet waits for one of its names. Everything that
gives a name a target (a link, a payment, a sign-up) wakes the messages that wait for the name.
"""

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from scrip.domain.commands import (
    CloseAccount,
    Command,
    FollowSubscription,
    PayPeriod,
    Purchase,
    TakeBack,
    check_account_id,
    is_account_id,
)
from scrip.domain.entries import Actor, ActorType
from scrip.domain.errors import (
    AccountNotFoundError,
    BusyError,
    PayloadErasedError,
    RefusalError,
    UnusableAccountIdError,
    WebhookNotFoundError,
)
from scrip.ledger import Ledger
from scrip.observability import logger
from scrip.settings import settings
from scrip.store import aliases
from scrip.store.erasure import erase, erase_message
from scrip.store.inbox import DONE, InboxRecord, InboxStatus, mark, read_message, receive
from scrip.store.queries import is_closed, read_payment
from scrip.users import open_account
from scrip.webhooks.facts import (
    AccountFact,
    Disputed,
    Fact,
    MoneyReturned,
    PaymentNamed,
    PeriodPaid,
    Purchased,
    SubscriptionUpdated,
    UserCreated,
    UserDeleted,
)
from scrip.webhooks.messages import IgnoredError, Message
from scrip.webhooks.providers import facts_of
from scrip.webhooks.shapes import distinct

REASON_CHARACTERS_MAX = 500
NAME_CHARACTERS_SHOWN = 64


@dataclass(eq=False)
class UnmatchedError(Exception):
    """A message cannot be applied until one of `names` leads to an account or a payment."""

    reason: str
    names: tuple[str, ...] = ()


def accept(ledger: Ledger, message: Message, body: bytes) -> InboxRecord:
    """Keep a message and apply it, unless it has been dealt with already.

    Raises:
        ScripError: it could not be applied; its inbox record says so. It may be sent again.
        ValueError: it is too large to be kept.
    """
    record = new_record(ledger, message, body)
    known = receive(ledger.table, record)
    if known is not None and known.status in DONE:
        return known
    return process(ledger, known or record)


def new_record(ledger: Ledger, message: Message, body: bytes) -> InboxRecord:
    """Return the inbox record of a message that arrives now."""
    now = ledger.clock()
    return InboxRecord(
        inbox_id=message.inbox_id,
        type=message.type,
        payload=body,
        sent_at=message.sent_at,
        received_at=now,
        changed_at=now,
    )


def process(ledger: Ledger, record: InboxRecord) -> InboxRecord:
    """Apply a message from the inbox, and all messages that waited for the names it gives.

    Raises:
        ScripError: it could not be applied; its inbox record says so.
        BusyError: a waiting message could not be applied. Process the message again; that is safe.
    """
    chain = _Chain(ledger)
    attempt = chain.apply(record)
    chain.wake()
    chain.finish()
    return attempt.record


def wake(ledger: Ledger, names: Iterable[str]) -> None:
    """Apply the messages that wait for names which have a target now.

    Raises:
        BusyError: not all could be applied. Wake them again; that is safe.
    """
    chain = _Chain(ledger)
    chain.names.extend(names)
    chain.wake()
    chain.finish()


def replay(ledger: Ledger, inbox_id: str) -> InboxRecord:
    """Apply a message from the inbox again, whatever its status; return its new record.

    What has taken effect does so only once. A failure is in the record's status and reason.

    Raises:
        WebhookNotFoundError: there is no such message.
        PayloadErasedError: its payload was erased.
        BusyError: the table did not answer. Replay it again; that is safe.
    """
    record = read_message(ledger.table, inbox_id)
    if record is None:
        raise WebhookNotFoundError(inbox_id)
    if not record.payload:
        raise PayloadErasedError
    try:
        process(ledger, record)
    except BusyError:
        raise
    except Exception:  # noqa: BLE001 - its inbox record says so
        logger.exception("a replayed message failed", extra={"inbox_id": inbox_id})
    return read_message(ledger.table, inbox_id) or record


def command_for_fact(ledger: Ledger, inbox_id: str, fact: Fact, account_id: str) -> Command | None:
    """Return the command that a fact means for its account, or None.

    Raises:
        UnmatchedError: no plan has one of the fact's names.
    """
    match fact:
        case Purchased():
            return Purchase(
                **_common(inbox_id, account_id, fact.payment_id),
                metadata={"money": fact.money, "currency": fact.currency},
                credits=fact.credits,
                money=fact.money,
            )
        case PeriodPaid():
            return PayPeriod(
                **_common(inbox_id, account_id, fact.payment_id),
                metadata={"money": fact.money, "currency": fact.currency},
                subscription_id=fact.subscription_id,
                plan_id=_plan_of(ledger, fact),
                start=fact.start,
                end=fact.end,
                money=fact.money,
                plan_after=settings().default_plan,
            )
        case SubscriptionUpdated():
            return FollowSubscription(
                **_common(inbox_id, account_id, fact.subscription_id),
                subscription_id=fact.subscription_id,
                status=fact.status,
                ended=fact.ended,
                at=fact.at,
                plan_after=settings().default_plan,
            )
    return None


class _Chain:
    """A message and those that it wakes, directly or through each other, applied one by one.

    They are marked as done only when all are. If this process dies before that, its caller tries
    again, and what has taken effect does so only once.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.names: deque[str] = deque()
        self.attempts: dict[str, Attempt] = {}
        self.is_busy = False

    def apply(self, record: InboxRecord) -> "Attempt":
        """Apply one message; the names that it gives are due to wake others."""
        attempt = Attempt(self.ledger, replace(record, attempts=record.attempts + 1))
        try:
            attempt.run()
        except Exception as exc:
            attempt.end(InboxStatus.FAILED, repr(exc))
            mark(self.ledger.table, attempt.record)
            raise
        self.attempts[record.inbox_id] = attempt
        self.names.extend(attempt.given)
        return attempt

    def wake(self) -> None:
        """Apply the messages that wait for the names that are due, each name once."""
        seen: set[str] = set()
        while self.names:
            name = self.names.popleft()
            if name not in seen:
                seen.add(name)
                for inbox_id in aliases.waiting(self.ledger.table, name):
                    self._try(inbox_id, name)

    def _try(self, inbox_id: str, name: str) -> None:
        known = self.attempts.get(inbox_id)
        if known is not None and known.record.status in DONE:
            return
        try:
            record = read_message(self.ledger.table, inbox_id)
            if record is None or record.status in DONE:
                aliases.wait_no_more(self.ledger.table, inbox_id, [name])
            else:
                self.apply(record)
        except BusyError:
            self.is_busy = True
        except Exception:  # noqa: BLE001 - one broken message must not stop the others
            logger.exception("a waiting message failed", extra={"inbox_id": inbox_id})

    def finish(self) -> None:
        """Mark the messages in the inbox, unless some have to be tried again.

        Raises:
            BusyError: some have.
        """
        if self.is_busy:
            raise BusyError
        # The first one last: only that one is sent again as long as it is not marked.
        for inbox_id, attempt in reversed(self.attempts.items()):
            record = attempt.record
            if record.account_id and is_closed(self.ledger.table, record.account_id):
                erase_message(self.ledger.table, inbox_id, record.waits_for)
            mark(self.ledger.table, record)
            if record.status in DONE:
                # Not before: a process that dies is repeated by finding these.
                aliases.wait_no_more(self.ledger.table, inbox_id, attempt.waited_for)


class Attempt:
    """One attempt to apply a message: its record, and the names that it gave a target."""

    def __init__(self, ledger: Ledger, record: InboxRecord) -> None:
        """Start with the record as it is in the inbox."""
        self.ledger = ledger
        self.waited_for = record.waits_for
        self.record = replace(record, waits_for=())
        self.given: list[str] = []

    def end(self, status: InboxStatus, reason: str | None = None) -> None:
        """Set the outcome in the record."""
        changed_at = self.ledger.clock()
        reason = reason and reason[:REASON_CHARACTERS_MAX]
        self.record = replace(self.record, status=status, reason=reason, changed_at=changed_at)

    def run(self) -> None:
        """Apply every fact, or set the reason why not.

        A message that starts to wait is tried once more: a name may have been given a target just
        before, which woke nothing.
        """
        if not self.record.payload:
            self.end(InboxStatus.IGNORED, "erased")
            return
        try:
            facts = facts_of(_message(self.record))
        except IgnoredError as exc:
            self.end(InboxStatus.IGNORED, exc.reason)
            return
        refused: list[str] = []
        remaining = facts
        for _ in range(2):
            unmatched: dict[Fact, UnmatchedError] = {}
            for fact in remaining:
                try:
                    self.apply(fact)
                except UnmatchedError as exc:
                    unmatched[fact] = exc
                except RefusalError as exc:
                    # Final: the account is closed, or the payment is another account's.
                    refused.append(exc.code)
            self.waited_for += self.record.waits_for
            if not unmatched:
                self.record = replace(self.record, waits_for=())
                status = InboxStatus.IGNORED if len(refused) == len(facts) else InboxStatus.APPLIED
                self.end(status, ", ".join(refused) or None)
                return
            remaining = tuple(unmatched)
            names = distinct(*(name for exc in unmatched.values() for name in exc.names))
            self.wait(names)
            self.end(InboxStatus.UNMATCHED, unmatched[remaining[0]].reason)
            self.record = replace(self.record, waits_for=names)

    def wait(self, names: Iterable[str]) -> None:
        """Wait for any of these names."""
        aliases.wait_for(self.ledger.table, self.record.inbox_id, names)

    def apply(self, fact: Fact) -> None:
        """Apply one fact.

        Raises:
            UnmatchedError: its account, payment or plan is not known yet.
            RefusalError: the account cannot take it.
        """
        match fact:
            case UserCreated():
                self._open(fact)
            case UserDeleted():
                self._close(fact)
            case PaymentNamed():
                self._name_payment(fact.payment_id, fact.also)
            case MoneyReturned() | Disputed():
                self._take_back(fact)
            case AccountFact():
                self._apply_to_account(fact, self._account_of(fact))

    def _apply_to_account(self, fact: AccountFact, account_id: str) -> None:
        command = command_for_fact(self.ledger, self.record.inbox_id, fact, account_id)
        if command is not None:
            self._execute(command)
        match fact:
            case Purchased():
                self.given.append(fact.payment_id)
            case PeriodPaid():
                self.given.append(fact.payment_id)
                self._name_payment(fact.payment_id, fact.also)

    def _account_of(self, fact: AccountFact) -> str:
        """Return the account that a fact names, and link the provider's names to it."""
        known = aliases.accounts_named(self.ledger.table, fact.names)
        if not known:
            raise _no_account(fact.names)
        account_id = next(known[name] for name in fact.names if name in known)
        self.record = replace(self.record, account_id=account_id)
        outside = [name for name in fact.names if name.startswith(f"{self.record.provider}:")]
        for name in outside:
            if name not in known:
                aliases.link_account(self.ledger.table, account_id, name)
        self.given += outside
        return account_id

    def _name_payment(self, payment_id: str, names: Iterable[str]) -> None:
        for name in names:
            aliases.link_payment(self.ledger.table, payment_id, name)
            self.given.append(name)

    def _take_back(self, fact: MoneyReturned | Disputed) -> None:
        payment_id = aliases.payment_named(self.ledger.table, fact.payment_ids)
        payment = read_payment(self.ledger.table, payment_id) if payment_id else None
        if payment is None:
            names = distinct(*fact.payment_ids, payment_id)
            raise UnmatchedError("no payment is known by its names yet", names)
        if isinstance(fact, Disputed):
            details: dict[str, Any] = {
                "reason": f"dispute {fact.outcome}",
                "dispute_id": fact.dispute_id,
                "outcome": fact.outcome,
                "money": fact.money,
            }
        elif fact.refund_id is not None:
            details = {"reason": "refund", "refund_id": fact.refund_id, "money": fact.money}
        else:
            details = {"reason": "refund", "returned": fact.total}
        inbox_id = self.record.inbox_id
        common = _common(inbox_id, payment.account_id, entry_id=inbox_id)
        self._execute(TakeBack(**common, payment_id=payment.payment_id, **details))

    def _open(self, fact: UserCreated) -> None:
        check_account_id(fact.account_id)
        self.record = replace(self.record, account_id=fact.account_id)
        at = self.record.sent_at
        self.given += open_account(self.ledger, fact.account_id, fact.emails, at=at)
        self.given.append(f"{aliases.OWN}{fact.account_id}")

    def _close(self, fact: UserDeleted) -> None:
        entry_id = f"{self.record.provider}:user_deleted"
        self._execute(CloseAccount(**_common(self.record.inbox_id, fact.account_id, entry_id)))
        erase(self.ledger.table, fact.account_id)

    def _execute(self, command: Command) -> None:
        self.record = replace(self.record, account_id=command.account_id)
        try:
            self.ledger.execute(command)
        except AccountNotFoundError as exc:
            if not is_account_id(command.account_id):  # it cannot be opened later either
                self.record = replace(self.record, account_id=None)
                raise UnusableAccountIdError from exc
            own_name = f"{aliases.OWN}{command.account_id}"
            raise UnmatchedError("the account is not open yet", (own_name,)) from exc


def _common(inbox_id: str, account_id: str, entry_id: str) -> dict[str, Any]:
    """Return the fields of `Command` that the commands of all messages have in common."""
    provider = inbox_id.partition(":")[0]
    return {
        "account_id": account_id,
        "entry_id": entry_id,
        "keyed": False,
        "actor": Actor(ActorType.WEBHOOK, provider),
        "reference": inbox_id,
    }


def _no_account(names: tuple[str, ...]) -> UnmatchedError:
    """Return the error for names without an account; its reason lists those that cannot get one."""
    possible = tuple(filter(aliases.can_lead, names))
    never = [name[:NAME_CHARACTERS_SHOWN] for name in names if name not in possible]
    detail = f"; no account can ever have the name {', '.join(never)}" if never else ""
    return UnmatchedError(f"no account is linked to it yet{detail}", possible)


def _plan_of(ledger: Ledger, fact: PeriodPaid) -> str:
    plan = ledger.plan_named(fact.plan_names)
    if plan is None:
        raise UnmatchedError(f"no plan has one of the provider ids {', '.join(fact.plan_names)}")
    return plan.plan_id


def _message(record: InboxRecord) -> Message:
    """Return the message that an inbox record keeps."""
    provider, _, message_id = record.inbox_id.partition(":")
    return Message(
        provider=provider,
        message_id=message_id,
        type=record.type,
        payload=json.loads(record.payload),
        sent_at=record.sent_at,
    )
