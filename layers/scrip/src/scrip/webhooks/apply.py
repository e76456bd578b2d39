"""Applying messages: from the inbox to commands, whenever they come and however often.

A message whose account or payment nobody knows waits for its names. Whoever makes a name lead
somewhere (a link, a payment, a sign-up) wakes what waits for it.
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
    Disputed,
    Fact,
    MoneyReturned,
    PaymentNamed,
    PeriodPaid,
    Purchased,
    SubscriptionTold,
    UserCreated,
    UserDeleted,
)
from scrip.webhooks.messages import IgnoredError, Message, Provider
from scrip.webhooks.translation import facts_of

REASON_CHARACTERS_MAX = 500
NAME_CHARACTERS_SHOWN = 64


@dataclass(eq=False)
class UnmatchedError(Exception):
    """Nobody knows yet what a message is about; `names` are those that would tell."""

    reason: str
    names: tuple[str, ...] = ()


def accept(ledger: Ledger, message: Message, body: bytes) -> InboxRecord:
    """Keep a message and apply it; one that is done already is left as it is.

    Raises:
        ScripError: it could not be applied, which the inbox says, too; it may be sent again.
        ValueError: it is too large to be kept.
    """
    now = ledger.clock()
    record = InboxRecord(
        inbox_id=f"{message.provider}:{message.message_id}",
        type=message.type,
        payload=body,
        sent_at=message.sent_at,
        received_at=now,
        changed_at=now,
    )
    known = receive(ledger.table, record)
    if known is not None and known.status in DONE:
        return known
    return process(ledger, known or record)


def process(ledger: Ledger, record: InboxRecord) -> InboxRecord:
    """Apply a message that is in the inbox, and all that waited for what it makes known.

    Raises:
        ScripError: it could not be applied, which the inbox says, too.
        BusyError: what waited could not be; processing it again is safe, and needed.
    """
    chain = _Chain(ledger)
    done = chain.apply(record)
    chain.wake()
    chain.finish()
    return done.record


def wake(ledger: Ledger, names: Iterable[str]) -> None:
    """Apply the messages that waited for names which lead somewhere now.

    Raises:
        BusyError: not all could be applied; waking them again is safe, and needed.
    """
    chain = _Chain(ledger)
    chain.names.extend(names)
    chain.wake()
    chain.finish()


def replay(ledger: Ledger, inbox_id: str) -> InboxRecord:
    """Apply a message of the inbox again, whatever became of it; return it as it is then.

    What took effect takes none again. One that fails says so in its status and reason.

    Raises:
        WebhookNotFoundError: there is no such message.
        PayloadErasedError: nothing is left of it to be applied.
        BusyError: the table did not answer; replaying it again is safe.
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


def command_of(ledger: Ledger, inbox_id: str, fact: Fact, account_id: str) -> Command | None:
    """Return what a fact asks of the account that it is about; None where it asks nothing.

    Raises:
        UnmatchedError: no plan is known by the names that it tells.
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
        case SubscriptionTold():
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
    """Messages applied after one another, each because of what the one before made known.

    None counts as done before all are: if this process dies, whoever began it begins it again, and
    what took effect takes none again.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.names: deque[str] = deque()
        self.applied: dict[str, _Application] = {}
        self.is_busy = False

    def apply(self, record: InboxRecord) -> "_Application":
        """Apply one message; the names that it makes known are next."""
        application = _Application(self.ledger, replace(record, attempts=record.attempts + 1))
        try:
            application.run()
        except Exception as exc:
            application.note(InboxStatus.FAILED, repr(exc))
            mark(self.ledger.table, application.record)
            raise
        self.applied[record.inbox_id] = application
        self.names.extend(application.woken)
        return application

    def wake(self) -> None:
        """Go through the names that came to lead somewhere, each once, and what waits for them."""
        seen: set[str] = set()
        while self.names:
            name = self.names.popleft()
            if name not in seen:
                seen.add(name)
                for inbox_id in aliases.waiting(self.ledger.table, name):
                    self._try(inbox_id, name)

    def _try(self, inbox_id: str, name: str) -> None:
        known = self.applied.get(inbox_id)
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
        except Exception:  # noqa: BLE001 - what is wrong with one stops none of the others
            logger.exception("a waiting message failed", extra={"inbox_id": inbox_id})

    def finish(self) -> None:
        """Write down what became of the messages, unless some of them are to be tried again.

        Raises:
            BusyError: some are.
        """
        if self.is_busy:
            raise BusyError
        # The one that began it last: it alone is sent again until it is marked.
        for inbox_id, application in reversed(self.applied.items()):
            record = application.record
            if record.account_id and is_closed(self.ledger.table, record.account_id):
                erase_message(self.ledger.table, inbox_id, record.waits_for)
            mark(self.ledger.table, record)
            if record.status in DONE:
                # Not before: by these it is found again.
                aliases.wait_no_more(self.ledger.table, inbox_id, application.waited_for)


class _Application:
    """One attempt to apply a message: what becomes of it, and the names that it made known."""

    def __init__(self, ledger: Ledger, record: InboxRecord) -> None:
        self.ledger = ledger
        self.waited_for = record.waits_for
        self.record = replace(record, waits_for=())
        self.woken: list[str] = []

    def note(self, status: InboxStatus, reason: str | None = None) -> None:
        """Set what has become of the message."""
        changed_at = self.ledger.clock()
        reason = reason and reason[:REASON_CHARACTERS_MAX]
        self.record = replace(self.record, status=status, reason=reason, changed_at=changed_at)

    def run(self) -> None:
        """Apply every fact, or say why not.

        What is unmatched is tried once more after it has begun to wait: a name that came to lead
        somewhere just before that woke nobody.
        """
        if not self.record.payload:
            self.note(InboxStatus.IGNORED, "erased")
            return
        try:
            facts = facts_of(_message(self.record))
        except IgnoredError as exc:
            self.note(InboxStatus.IGNORED, exc.reason)
            return
        for _ in range(2):
            refused: list[str] = []
            unmatched: list[UnmatchedError] = []
            for fact in facts:
                try:
                    self._apply(fact)
                except UnmatchedError as exc:
                    unmatched.append(exc)
                except RefusalError as exc:
                    # Asking again would change nothing: it is closed, or another's payment.
                    refused.append(exc.code)
            self.waited_for += self.record.waits_for
            if not unmatched:
                self.record = replace(self.record, waits_for=())
                status = InboxStatus.IGNORED if len(refused) == len(facts) else InboxStatus.APPLIED
                self.note(status, ", ".join(refused) or None)
                return
            names = tuple(dict.fromkeys(name for exc in unmatched for name in exc.names))
            aliases.wait_for(self.ledger.table, self.record.inbox_id, names)
            self.note(InboxStatus.UNMATCHED, unmatched[0].reason)
            self.record = replace(self.record, waits_for=names)

    def _apply(self, fact: Fact) -> None:
        match fact:
            case UserCreated():
                self._open(fact)
            case UserDeleted():
                self._close(fact)
            case PaymentNamed():
                self._name_payment(fact.payment_id, fact.also)
            case MoneyReturned() | Disputed():
                self._take_back(fact)
            case _:
                self._apply_to_account(fact, self._account_of(fact))

    def _apply_to_account(self, fact: Fact, account_id: str) -> None:
        command = command_of(self.ledger, self.record.inbox_id, fact, account_id)
        if command is not None:
            self._execute(command)
        match fact:
            case Purchased():
                self.woken.append(fact.payment_id)
            case PeriodPaid():
                self.woken.append(fact.payment_id)
                self._name_payment(fact.payment_id, fact.also)

    def _account_of(self, fact: Fact) -> str:
        """Return the account that a fact names, and give it the provider's names for it."""
        known = aliases.accounts_named(self.ledger.table, fact.names)
        if not known:
            raise _nobody_named(fact.names)
        account_id = next(known[name] for name in fact.names if name in known)
        self.record = replace(self.record, account_id=account_id)
        outside = [name for name in fact.names if name.startswith(f"{self.record.provider}:")]
        for name in outside:
            if name not in known:
                aliases.link_account(self.ledger.table, account_id, name)
        self.woken += outside
        return account_id

    def _name_payment(self, payment_id: str, names: Iterable[str]) -> None:
        for name in names:
            aliases.link_payment(self.ledger.table, payment_id, name)
            self.woken.append(name)

    def _take_back(self, fact: MoneyReturned | Disputed) -> None:
        payment_id = aliases.payment_named(self.ledger.table, fact.payment_ids)
        payment = read_payment(self.ledger.table, payment_id) if payment_id else None
        if payment is None:
            names = (*fact.payment_ids, *([payment_id] if payment_id else []))
            raise UnmatchedError(
                "no payment is known by its names yet", tuple(dict.fromkeys(names))
            )
        if isinstance(fact, Disputed):
            told: dict[str, Any] = {
                "reason": f"dispute {fact.outcome}",
                "dispute_id": fact.dispute_id,
                "outcome": fact.outcome,
                "money": fact.money,
            }
        elif fact.refund_id is not None:
            told = {"reason": "refund", "refund_id": fact.refund_id, "money": fact.money}
        else:
            told = {"reason": "refund", "returned": fact.total}
        inbox_id = self.record.inbox_id
        common = _common(inbox_id, payment.account_id, entry_id=inbox_id)
        self._execute(TakeBack(**common, payment_id=payment.payment_id, **told))

    def _open(self, fact: UserCreated) -> None:
        check_account_id(fact.account_id)
        self.record = replace(self.record, account_id=fact.account_id)
        at = self.record.sent_at
        self.woken += open_account(self.ledger, fact.account_id, fact.emails, at=at)
        self.woken.append(f"{aliases.OWN}{fact.account_id}")

    def _close(self, fact: UserDeleted) -> None:
        entry_id = f"{self.record.provider}:user_deleted"
        self._execute(CloseAccount(**_common(self.record.inbox_id, fact.account_id, entry_id)))
        erase(self.ledger.table, fact.account_id)

    def _execute(self, command: Command) -> None:
        self.record = replace(self.record, account_id=command.account_id)
        try:
            self.ledger.execute(command)
        except AccountNotFoundError as exc:
            if not is_account_id(command.account_id):  # nor will it ever be there
                self.record = replace(self.record, account_id=None)
                raise UnusableAccountIdError from exc
            own_name = f"{aliases.OWN}{command.account_id}"
            raise UnmatchedError("the account is not open yet", (own_name,)) from exc


def _common(inbox_id: str, account_id: str, entry_id: str) -> dict[str, Any]:
    """Return the fields of `Command` that all commands of messages have alike."""
    provider = inbox_id.partition(":")[0]
    return {
        "account_id": account_id,
        "entry_id": entry_id,
        "keyed": False,
        "actor": Actor(ActorType.WEBHOOK, provider),
        "reference": inbox_id,
    }


def _nobody_named(names: tuple[str, ...]) -> UnmatchedError:
    """Return the error for names without an account; it lists those that can never have one."""
    possible = tuple(filter(aliases.can_lead, names))
    never = [name[:NAME_CHARACTERS_SHOWN] for name in names if name not in possible]
    told = f"; nobody can ever have the name {', '.join(never)}" if never else ""
    return UnmatchedError(f"no account is linked to it yet{told}", possible)


def _plan_of(ledger: Ledger, fact: PeriodPaid) -> str:
    plan = ledger.plan_named(fact.plan_names)
    if plan is None:
        raise UnmatchedError(f"no plan has one of the provider ids {', '.join(fact.plan_names)}")
    return plan.plan_id


def _message(record: InboxRecord) -> Message:
    """Return the message that an inbox record keeps."""
    provider, _, message_id = record.inbox_id.partition(":")
    return Message(
        provider=Provider(provider),
        message_id=message_id,
        type=record.type,
        payload=json.loads(record.payload),
        sent_at=record.sent_at,
    )
