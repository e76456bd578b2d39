"""Applying messages: from the inbox to commands, in whatever order and however often they arrive.

A message whose account or payment is not known yet waits for one of its names. Everything that
gives a name a target (a link, a payment, a sign-up) wakes the messages that wait for the name. One
that a weak name has given to an account waits on for the stronger ones, and may move.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from scrip.domain.catalog import Plan
from scrip.domain.commands import (
    CloseAccount,
    Command,
    FollowSubscription,
    GiveUp,
    Pay,
    PayTerms,
    Purchase,
    TakeBack,
    check_account_id,
    is_account_id,
)
from scrip.domain.entries import Actor, ActorType
from scrip.domain.errors import (
    AccountNotFoundError,
    BusyError,
    NewerVersionError,
    PayloadErasedError,
    PaymentNotFoundError,
    PaymentTakenError,
    RefusalError,
    UnusableAccountIdError,
    WebhookNotFoundError,
)
from scrip.domain.naming import (
    PATIENCE,
    Choice,
    Link,
    Names,
    Rank,
    UndecidedError,
    choose,
    claims,
)
from scrip.domain.payments import booking_of
from scrip.domain.terms import Line
from scrip.ledger import Ledger
from scrip.observability import count, logger
from scrip.settings import settings
from scrip.store import aliases
from scrip.store.erasure import erase, erase_message
from scrip.store.inbox import DONE, InboxRecord, InboxStatus, mark, read_message, receive
from scrip.store.queries import is_closed, read_payment
from scrip.users import open_account
from scrip.webhooks.facts import (
    LINES_MAX,
    AccountFact,
    ChargeRefunded,
    CustomerLinked,
    Disputed,
    Fact,
    MoneyFact,
    PaidFact,
    PaidLine,
    PaymentNamed,
    PeriodPaid,
    Purchased,
    Refunded,
    SubscriptionUpdated,
    Unclear,
    UserCreated,
    UserDeleted,
)
from scrip.webhooks.messages import IgnoredError, Message
from scrip.webhooks.providers import facts_of
from scrip.webhooks.shapes import distinct

MOVED_AWAY = "it is another account's"
MOVED_HERE = "it was booked for another account first"
"""Why a payment leaves an account and arrives in another. Users can read it."""

TAKEN = "what the payer typed leads to an account with another customer's subscription"

REASON_CHARACTERS_MAX = 500
NAME_CHARACTERS_SHOWN = 64

MOMENT = timedelta(seconds=1)
"""By how much the starts of two lines about one change may differ."""


@dataclass(eq=False)
class UnmatchedError(Exception):
    """A message cannot be applied until one of `names` leads to an account or a payment."""

    reason: str
    names: tuple[str, ...] = ()


@dataclass(eq=False)
class UnclearError(Exception):
    """A fact cannot be applied, however often its message is sent: someone has to look at it."""

    reason: str


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


def apply_waiting(ledger: Ledger, in_time: Callable[[], bool]) -> None:
    """Apply the messages that have waited long enough for a stronger name.

    It stops when `in_time` is false; the next run goes on. A failure is in the message's status.

    Raises:
        BusyError: the table did not answer. Do it again; that is safe.
    """
    for inbox_id in aliases.waiting(ledger.table, aliases.LATER):
        with suppress(NewerVersionError):  # it waits on, for the next run
            record = read_message(ledger.table, inbox_id)
            if record is None or not record.payload or aliases.LATER not in record.waits_for:
                aliases.wait_no_more(ledger.table, inbox_id, [aliases.LATER])
            elif _is_patient(ledger, record):
                if not in_time():
                    break
                _process_safely(ledger, record)


def replay(ledger: Ledger, inbox_id: str) -> InboxRecord:
    """Apply a message from the inbox again, whatever its status; return its new record.

    What has taken effect does so only once. A failure is in the record's status and reason.

    Raises:
        WebhookNotFoundError: there is no such message.
        PayloadErasedError: its payload was erased.
        BusyError, NewerVersionError: replay it again later; that is safe.
    """
    record = read_message(ledger.table, inbox_id)
    if record is None:
        raise WebhookNotFoundError(inbox_id)
    if not record.payload:
        raise PayloadErasedError
    _process_safely(ledger, record)
    return read_message(ledger.table, inbox_id) or record


def _process_safely(ledger: Ledger, record: InboxRecord) -> None:
    """Process a message that was kept before; a failure is in its inbox record.

    Raises:
        BusyError: the table did not answer.
        NewerVersionError: it is about what a newer version wrote.
    """
    try:
        process(ledger, record)
    except (BusyError, NewerVersionError):
        raise
    except Exception:  # noqa: BLE001 - its inbox record says so
        logger.exception("a kept message failed again", extra={"inbox_id": record.inbox_id})


def command_for_fact(ledger: Ledger, inbox_id: str, fact: Fact, account_id: str) -> Command | None:
    """Return the command that a fact means for its account, or None.

    Raises:
        UnmatchedError: no plan has one of the fact's names.
        UnclearError: it has too many lines.
    """
    match fact:
        case Purchased():
            return Purchase(**_payment(inbox_id, account_id, fact), credits=fact.credits)
        case PeriodPaid():
            return PayTerms(
                **_payment(inbox_id, account_id, fact),
                subscription_id=fact.subscription_id,
                lines=_lines(ledger, fact),
            )
        case SubscriptionUpdated():
            return FollowSubscription(
                **_common(inbox_id, account_id, fact.subscription_id),
                subscription_id=fact.subscription_id,
                status=fact.status,
                ended=fact.ended,
                at=fact.at,
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
            attempt.record = replace(attempt.record, waits_for=distinct(*attempt.waited_for))
            mark(self.ledger.table, attempt.record)
            raise
        if attempt.record.status is InboxStatus.FAILED:
            count("WebhookUnclear")
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
        if known is not None and known.record.is_settled:
            return
        try:
            record = read_message(self.ledger.table, inbox_id)
            if record is None or record.is_settled:
                aliases.wait_no_more(self.ledger.table, inbox_id, [name])
            else:
                self.apply(record)
        except (BusyError, NewerVersionError):
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
            # Not before: a process that dies is repeated by finding these.
            over = set(attempt.waited_for) - set(record.waits_for)
            aliases.wait_no_more(self.ledger.table, inbox_id, sorted(over))


class Attempt:
    """One attempt to apply a message: its record, and the names that it gave a target.

    `weak` are the facts whose account a weak name has decided, with the stronger names.
    """

    def __init__(self, ledger: Ledger, record: InboxRecord) -> None:
        """Start with the record as it is in the inbox."""
        self.ledger = ledger
        self.waited_for = record.waits_for
        self.record = replace(record, waits_for=())
        self.given: list[str] = []
        self.weak: dict[Fact, tuple[str, ...]] = {}

    def end(self, status: InboxStatus, reason: str | None = None) -> None:
        """Set the outcome in the record."""
        changed_at = self.ledger.clock()
        reason = reason and reason[:REASON_CHARACTERS_MAX]
        self.record = replace(self.record, status=status, reason=reason, changed_at=changed_at)

    def run(self) -> None:
        """Apply every fact, or set the reason why not.

        What starts to wait is tried once more: a name may have been given a target just before,
        which woke nothing.
        """
        if not self.record.payload:
            self.end(InboxStatus.IGNORED, "erased")
            return
        try:
            facts = facts_of(_message(self.record))
        except IgnoredError as exc:
            self.end(InboxStatus.IGNORED, exc.reason)
            return
        refused: dict[Fact, str] = {}
        unclear: dict[Fact, str] = {}
        remaining = facts
        for _ in range(2):
            self.weak = {}
            unmatched: dict[Fact, UnmatchedError] = {}
            for fact in remaining:
                try:
                    self.apply(fact)
                except UnmatchedError as exc:
                    unmatched[fact] = exc
                except UnclearError as exc:
                    unclear[fact] = exc.reason
                except RefusalError as exc:
                    # Final: the account is closed, or the payment is another account's.
                    refused[fact] = exc.code
            waits_for = distinct(
                *(name for exc in unmatched.values() for name in exc.names),
                *(name for stronger in self.weak.values() for name in stronger),
            )
            if unmatched:
                self.end(InboxStatus.UNMATCHED, next(iter(unmatched.values())).reason)
            else:
                status = InboxStatus.IGNORED if len(refused) == len(facts) else InboxStatus.APPLIED
                reasons = (*unclear.values(), *refused.values())
                self.end(InboxStatus.FAILED if unclear else status, ", ".join(reasons) or None)
            self.wait(waits_for)
            self.waited_for = distinct(*self.waited_for, *waits_for)
            self.record = replace(self.record, waits_for=waits_for)
            remaining = tuple(fact for fact in facts if fact in unmatched or fact in self.weak)
            if not remaining:
                return

    def wait(self, names: Iterable[str]) -> None:
        """Wait for any of these names."""
        aliases.wait_for(self.ledger.table, self.record.inbox_id, names)

    def apply(self, fact: Fact) -> None:
        """Apply one fact.

        Raises:
            UnmatchedError: its account, payment or plan is not known yet.
            UnclearError: Scrip does not know it, or it has too many lines.
            RefusalError: the account cannot take it.
        """
        match fact:
            case UserCreated():
                self._open(fact)
            case UserDeleted():
                self._close(fact)
            case PaymentNamed():
                self._name_payment(fact.payment_id, fact.also)
            case MoneyFact():
                self._take_back(fact)
            case AccountFact():
                self._apply_to_account(fact, *self._owner_of(fact))
            case Unclear():
                raise UnclearError(fact.reason)

    def _apply_to_account(self, fact: AccountFact, account_id: str, rank: Rank) -> None:
        command = command_for_fact(self.ledger, self.record.inbox_id, fact, account_id)
        if isinstance(command, Pay):
            self._pay(replace(command, rank=rank), fact)
        elif command is not None:
            self._execute(command)
        match fact:
            case Purchased():
                self.given.append(fact.payment_id)
            case PeriodPaid():
                self.given.append(fact.payment_id)
                self._name_payment(fact.payment_id, fact.also)

    def _owner_of(self, fact: AccountFact) -> tuple[str, Rank]:
        """Return the account that a fact is for and what named it, and link the fact's names.

        Raises:
            UnmatchedError: no name decides yet.
        """
        links = aliases.links_of(self.ledger.table, fact.names)
        names = fact.names.only(lambda name: name in links or aliases.can_lead(name))
        choice = _chosen(
            self.ledger, fact.names, links, is_patient=_is_patient(self.ledger, self.record)
        )
        self.record = replace(self.record, account_id=choice.account_id)
        if choice.rank.is_weak:
            self.weak[fact] = choice.stronger
        is_own = isinstance(fact, CustomerLinked)
        for name, link in claims(names, choice, self.record.sent_at, own=is_own).items():
            known = links.get(name)
            to = known.joined(link).account_id if known else choice.account_id
            if known and known.account_id != to and name in names.subscriptions:
                self._give_up(known.account_id, to, subscription_id=name)
            after = aliases.join_link(self.ledger.table, name, known, link)
            if after is not None and after != known:
                self.given.append(name)
                links[name] = after
        if isinstance(fact, SubscriptionUpdated) and fact.subscription_id in links:
            # Of a subscription that has moved, an older message may name the account it had.
            return links[fact.subscription_id].account_id, choice.rank
        return choice.account_id, choice.rank

    def _pay(self, command: Pay, fact: AccountFact) -> None:
        """Book a payment; if a weaker name gave it to another account, it leaves that one first."""
        payment = read_payment(self.ledger.table, command.payment_id)
        if payment is None:
            try:
                self._execute(command)
            except PaymentTakenError:  # another attempt has just booked it
                payment = read_payment(self.ledger.table, command.payment_id)
        if payment is None or (payment.account_id == command.account_id and payment.to is None):
            return
        if payment.to != command.account_id:
            if payment.rank <= command.rank:
                raise PaymentTakenError(payment.payment_id)
            self._give_up(
                payment.account_id,
                command.account_id,
                payment_id=payment.payment_id,
                subscription_id=fact.subscription_id if isinstance(fact, PeriodPaid) else None,
            )
        moved = payment.moved + 1
        entry_id = booking_of(payment.payment_id, moved)
        self._execute(replace(command, entry_id=entry_id, moved=moved, reason=MOVED_HERE))

    def _give_up(
        self,
        account_id: str,
        to: str,
        *,
        payment_id: str | None = None,
        subscription_id: str | None = None,
    ) -> None:
        """Have an account give up a payment, a subscription or both, if it still has them."""
        command = GiveUp(
            **_common(self.record.inbox_id, account_id, entry_id=self.record.inbox_id),
            reason=MOVED_AWAY,
            payment_id=payment_id,
            subscription_id=subscription_id,
            to=to,
        )
        with suppress(PaymentNotFoundError):
            self.ledger.execute(command)

    def _name_payment(self, payment_id: str, names: Iterable[str]) -> None:
        for name in names:
            aliases.link_payment(self.ledger.table, payment_id, name)
            self.given.append(name)

    def _take_back(self, fact: MoneyFact) -> None:
        payment_id = aliases.payment_named(self.ledger.table, fact.payment_ids)
        payment = read_payment(self.ledger.table, payment_id) if payment_id else None
        if payment is None:
            names = distinct(*fact.payment_ids, payment_id)
            raise UnmatchedError("no payment matches it yet", names)
        details: dict[str, Any] = {}
        match fact:
            case ChargeRefunded():
                details = {"reason": "refund", "total": fact.total}
            case Refunded():
                details = {
                    "reason": "refund",
                    "refund_id": fact.refund_id,
                    "money": fact.money,
                    "status": fact.status,
                }
            case Disputed():
                details = {
                    "reason": f"dispute {fact.outcome}",
                    "dispute_id": fact.dispute_id,
                    "money": fact.money,
                    "outcome": fact.outcome,
                }
        inbox_id = self.record.inbox_id
        command = TakeBack(
            **_common(inbox_id, payment.account_id, entry_id=inbox_id),
            payment_id=payment.payment_id,
            charge_id=fact.charge_id,
            currency=fact.currency,
            charged=fact.charged,
            **details,
        )
        try:
            self._execute(command)
        except PaymentNotFoundError as exc:  # it has just moved to another account
            raise BusyError from exc

    def _open(self, fact: UserCreated) -> None:
        check_account_id(fact.account_id)
        self.record = replace(self.record, account_id=fact.account_id)
        at = self.record.sent_at
        self.given += open_account(
            self.ledger, fact.account_id, fact.emails, at=at, owner=fact.name
        )
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


def owner_of(ledger: Ledger, names: Names, known: Mapping[str, str]) -> str | None:
    """Return the account that the names of a fact that is heard now lead to, if any.

    It changes nothing. `known` are accounts of names that nobody has kept yet.
    """
    links = aliases.links_of(ledger.table, names)
    links |= {name: Link(account_id=known[name]) for name in names if name in known}
    try:
        return _chosen(ledger, names, links, is_patient=False).account_id
    except UnmatchedError:
        return None


def _chosen(ledger: Ledger, names: Names, links: Mapping[str, Link], *, is_patient: bool) -> Choice:
    """Return which account the names of a fact lead to, by their links.

    Raises:
        UnmatchedError: no name decides yet.
    """
    possible = names.only(lambda name: name in links or aliases.can_lead(name))
    may_match = settings().match_typed_names
    try:
        choice = choose(possible, links, is_patient=is_patient, match_typed=may_match)
    except UndecidedError as exc:
        raise _unmatched(names, exc) from exc
    if choice.rank is Rank.TYPED and _has_another_customer(ledger, choice.account_id, names):
        raise UnmatchedError(TAKEN, choice.stronger)
    return choice


def _has_another_customer(ledger: Ledger, account_id: str, names: Names) -> bool:
    """Return whether an account has a living subscription of another customer than a fact's."""
    account = ledger.account(account_id)
    living = {one.subscription_id for one in account.subscriptions if not one.ended}
    others = living - {*names.subscriptions}
    links = aliases.links_of(ledger.table, others)
    return any(name not in links or links[name].customer not in names.customers for name in others)


def _is_patient(ledger: Ledger, record: InboxRecord) -> bool:
    """Return whether a message has waited long enough for a stronger name."""
    return ledger.clock() >= record.received_at + PATIENCE


def _unmatched(names: Names, undecided: UndecidedError) -> UnmatchedError:
    """Return the error for names that do not decide.

    Its reason lists those that cannot lead to any account.
    """
    never = [name[:NAME_CHARACTERS_SHOWN] for name in names if not aliases.can_lead(name)]
    detail = f"; no account can ever have the name {', '.join(never)}" if never else ""
    later = (aliases.LATER,) if undecided.in_time else ()
    return UnmatchedError(f"{undecided.reason}{detail}", (*undecided.names, *later))


def _payment(inbox_id: str, account_id: str, fact: PaidFact) -> dict[str, Any]:
    """Return the fields that the commands of all payments have in common."""
    return {
        **_common(inbox_id, account_id, fact.payment_id),
        "metadata": {"money": fact.money, "currency": fact.currency},
        "money": fact.money,
        "currency": fact.currency,
        "presented_money": fact.presented_money,
        "presented_currency": fact.presented_currency,
    }


def _lines(ledger: Ledger, fact: PeriodPaid) -> tuple[Line, ...]:
    """Return the lines that a plan is mapped to, in an order that follows from what they say.

    Raises:
        UnmatchedError: no plan is mapped to any of them, or to what a plan was changed to.
        UnclearError: there are too many of them.
    """
    plans = {line.plan_names: ledger.plan_named(line.plan_names) for line in fact.lines}
    found = [
        Line(
            item_id=line.item_id,
            plan_id=plan.plan_id,
            quantity=line.quantity,
            start=line.start,
            end=line.end,
            prorated=line.prorated,
            credited=line.credited,
        )
        for line in fact.lines
        if (plan := plans[line.plan_names])
    ]
    if not found:
        tried = distinct(*(name for names in plans for name in names))
        raise UnmatchedError(f"no plan has any of the provider IDs {', '.join(tried)}")
    if len(found) > LINES_MAX:
        raise UnclearError(
            f"it pays for {len(found)} lines of plans, and Scrip books at most {LINES_MAX}"
        )
    _check_changes(fact, plans)
    return tuple(
        sorted(
            found,
            key=lambda line: (
                line.start,
                not line.credited,
                line.end,
                line.plan_id,
                line.quantity,
                line.item_id,
            ),
        )
    )


def _check_changes(fact: PeriodPaid, plans: Mapping[tuple[str, ...], Plan | None]) -> None:
    """Return if the payment changes no plan to something that is none.

    Applied in part, it would take the former plan's time back for nothing. More of something else,
    such as storage, may be in the same payment: it replaces no plan if it was credited itself, or
    if as many plans are given as were credited.

    Raises:
        UnmatchedError: it does.
    """
    for line in fact.lines:
        if not (line.credited and plans[line.plan_names]):
            continue
        change = [other for other in fact.lines if _is_one_change(line, other)]
        credited = {other.plan_names for other in change if other.credited}
        given = {
            other.plan_names: plans[other.plan_names] for other in change if not other.credited
        }
        new = [names[0] for names, plan in given.items() if plan is None and names not in credited]
        former = [names for names in credited if plans[names]]
        if new and len([plan for plan in given.values() if plan]) < len(former):
            raise UnmatchedError(
                f"no plan has the provider ID {' or '.join(new)} that a plan was changed to: "
                "add it to a plan and replay this message"
            )


def _is_one_change(line: PaidLine, other: PaidLine) -> bool:
    """Return whether two lines may be about a change of the same item at the same moment."""
    is_one_item = line.item_id == other.item_id or not (line.has_item and other.has_item)
    return is_one_item and abs(line.start - other.start) <= MOMENT


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
