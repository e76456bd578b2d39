"""Sync: repairs what webhooks and sign-ups missed, and says what it repaired.

    users      every confirmed user of the stack's pool has an account, found by their address
    plans      every account knows its subscription, and has the period that was paid last
    overrides  balances that an admin sets

Nothing is done twice, so it may be cut off anywhere and repeated from anywhere. Subscriptions take
the path of webhooks: a message for each thing that is news, so the inbox tells what sync did.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from ulid import ULID

from scrip.domain.account import PAYMENT_GRACE, AccountStatus
from scrip.domain.commands import Adjust, AdjustAction, check_account_id
from scrip.domain.decide import decide
from scrip.domain.entries import canonical_json, iso
from scrip.domain.errors import (
    NotConfiguredError,
    ProviderBusyError,
    RefusalError,
    ScripError,
)
from scrip.observability import logger
from scrip.settings import settings
from scrip.store.aliases import EMAIL, OWN, accounts_named
from scrip.store.cursors import seal, unseal
from scrip.store.inbox import InboxStatus
from scrip.store.queries import read, read_payment
from scrip.user_pool import PoolUser, user_pool
from scrip.users import emails_of, open_account
from scrip.webhooks.apply import UnmatchedError, accept, command_of, wake
from scrip.webhooks.facts import PeriodPaid, SubscriptionUpdated
from scrip.webhooks.messages import IgnoredError, Message
from scrip.webhooks.providers import Provider, facts_of
from scrip.webhooks.secrets import STRIPE_API_KEY, Secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from scrip.domain.account import Account, Subscription
    from scrip.domain.commands import Command
    from scrip.domain.entries import Actor
    from scrip.ledger import Ledger
    from scrip.webhooks.facts import Fact
    from scrip.webhooks.stripe_api import StripeApi

DIFFERENCES_MAX = 200
"""With so many differences a run ends, so that its answer stays small and tells all of them."""


class SyncMode(StrEnum):
    """What is to be repaired."""

    USERS = "users"
    PLANS = "plans"
    ALL = "all"


STEPS = {
    SyncMode.USERS: ("users", "overrides"),
    SyncMode.PLANS: ("plans", "overrides"),
    SyncMode.ALL: ("users", "plans", "overrides"),
}
"""In this order: users have accounts that plans are for, and an override has the last word."""


class Result(StrEnum):
    """What became of a user, a subscription or an override."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    SKIPPED = "skipped"
    UNMATCHED = "unmatched"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What was different in an account, and is no more; `before` is None where nothing was."""

    account_id: str
    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What could not be repaired: an account's id or a subscription's, and the error's code."""

    subject: str
    code: str


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run did, or in a dry run would do. `cursor` is where to go on, None at the end."""

    cursor: str | None = None
    seen: int = 0
    results: Counter[Result] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        """Whether it has no room for more."""
        return len(self.differences) + len(self.failures) >= DIFFERENCES_MAX


type Place = list[str | None] | str | None
"""How far a step has come, as JSON; None is its beginning."""

type Work = tuple[str, Callable[[], tuple[Result, list[Difference]]]]
"""Whom something is to be done for, and doing it."""


class Sync:
    """One request for a sync, answered by as many runs as it takes."""

    def __init__(
        self,
        ledger: Ledger,
        actor: Actor,
        *,
        mode: SyncMode,
        credit_overrides: Mapping[str, int],
        dry_run: bool,
    ) -> None:
        """Know what is asked, and by whom."""
        self.ledger = ledger
        self.actor = actor
        self.steps = STEPS[mode]
        self.overrides = credit_overrides
        self.dry_run = dry_run
        self.question = ["sync", mode, dict(credit_overrides), dry_run]

    def run(self, cursor: str | None, *, in_time: Callable[[], bool]) -> Report:
        """Go on from a cursor until all is done, `in_time` says no, or the report is full.

        At least one thing is done. Where a provider does not answer, the run ends there.

        Raises:
            InvalidCursorError: the cursor is of another request, or too old.
            NotConfiguredError: there is no key for Stripe's API.
            ProviderBusyError: it did not answer at once; nothing was done.
        """
        step, place = (self.steps[0], None) if cursor is None else unseal(self.question, cursor)
        if "plans" in self.steps:
            _ = self.stripe  # a missing key is told before anything is done
        report = Report()
        for name in self.steps[self.steps.index(step) :]:
            works = self._works(name, place)
            while True:
                if report.seen and (report.is_full or not in_time()):
                    report.cursor = seal(self.question, [name, place])
                    return report
                try:
                    place, work = next(works, (None, None))
                except ProviderBusyError:
                    if not report.seen:
                        raise
                    report.cursor = seal(self.question, [name, place])
                    return report
                if work is None:
                    break
                self._do(work, report)
        return report

    def _works(self, step: str, place: Place) -> Iterator[tuple[Place, Work]]:
        """Yield what a step has to do behind a place, each with the place behind it."""
        match step:
            case "users":
                return self._users(place)
            case "plans":
                return self._plans(place)
        return self._overrides(place)

    def _do(self, work: Work, report: Report) -> None:
        subject, do = work
        report.seen += 1
        try:
            result, differences = do()
        except Exception as exc:  # noqa: BLE001 - what is wrong with one stops no other
            logger.exception("not synced", extra={"subject": subject})
            result, differences = Result.FAILED, []
            code = exc.code if isinstance(exc, ScripError) else ScripError.code
        else:
            code = result
        report.results[result] += 1
        report.differences += differences
        if result in {Result.FAILED, Result.UNMATCHED}:
            report.failures.append(Failure(subject=subject, code=code))

    # ---- Users ----

    def _users(self, place: Any) -> Iterator[tuple[Place, Work]]:
        token, last = place or (None, None)
        while True:
            users, next_token = user_pool().page(token)
            ids = [user.account_id for user in users]
            # A page that was begun is asked for again, and taken up behind the last one.
            for user in users[ids.index(last) + 1 if last in ids else 0 :]:
                yield [token, user.account_id], (user.account_id, partial(self._user, user))
            if next_token is None:
                return
            token, last = next_token, None

    def _user(self, user: PoolUser) -> tuple[Result, list[Difference]]:
        if not user.is_confirmed:
            return Result.SKIPPED, []
        account_id = user.account_id
        known = read(self.ledger.table, account_id).account
        if known is None:
            check_account_id(account_id)  # also where nothing is to be opened
        if known is not None and known.status is AccountStatus.CLOSED:
            return Result.SKIPPED, []
        told = [user.email.lower()] if user.email else []
        before = emails_of(self.ledger, account_id)
        if self.dry_run:
            names = [f"{EMAIL}{email}" for email in told]
            taken = accounts_named(self.ledger.table, names)
            linked = [name for name in names if taken.get(name, account_id) == account_id]
        else:
            linked = open_account(self.ledger, account_id, told, at=self.ledger.clock())
            wake(self.ledger, [f"{OWN}{account_id}", *linked])
        was = {"status": known.status if known else None, "emails": before}
        emails = [name.removeprefix(EMAIL) for name in linked]
        now = {"status": known.status if known else AccountStatus.ACTIVE, "emails": emails}
        return _compared(account_id, was, now)

    # ---- Plans ----

    @cached_property
    def stripe(self) -> StripeApi:
        """Stripe's API.

        Raises:
            NotConfiguredError: the stack's secret has no key for it.
        """
        # The library takes most of a second to import, and nothing else needs it here.
        from scrip.webhooks.stripe_api import StripeApi  # noqa: PLC0415 - see above

        keys = Secrets().of(STRIPE_API_KEY)
        if not keys:
            raise NotConfiguredError(STRIPE_API_KEY)
        return StripeApi(keys[0], settings().stripe_api_url)

    def _plans(self, place: Any) -> Iterator[tuple[Place, Work]]:
        after, is_last = place, False
        while not is_last:
            asked_at = self.ledger.clock()
            subscriptions, is_last = self.stripe.subscriptions(after)
            for told in subscriptions:
                after = told["id"]
                do = partial(self._subscription, told, asked_at)
                yield after, (f"{Provider.STRIPE}:{after}", do)

    def _subscription(
        self,
        told: dict[str, Any],
        asked_at: datetime,
    ) -> tuple[Result, list[Difference]]:
        """Bring an account up to what Stripe told of a subscription at `asked_at`."""
        invoice = _paid_invoice(told, asked_at)
        paid = _fact(invoice, PeriodPaid) if invoice else None
        state = _fact(_state(told, asked_at), SubscriptionUpdated)
        assert state is not None
        names = tuple(dict.fromkeys((*state.names, *(paid.names if paid else ()))))
        known = accounts_named(self.ledger.table, names)
        account_id = next((known[name] for name in names if name in known), None)
        if account_id is None and state.ended:
            return Result.SKIPPED, []  # it is over, and was nobody's
        account = self.ledger.account(account_id) if account_id else None
        if account is not None and account.status is AccountStatus.CLOSED:
            return Result.SKIPPED, []
        followed = account.subscription if account else None
        # The invoice first: it also knows an address.
        news = [invoice] if invoice and paid and self._brings_something(paid) else []
        outside = [name for name in state.names if name.startswith(f"{Provider.STRIPE}:")]
        if _is_news(state, _instant(told["created"]), followed):
            news.append(_state(told, asked_at, followed))
        elif not known.keys() >= {*outside}:
            # Older than all that is known, so that it does nothing but tell the names.
            news.append(_state(told, _instant(told["created"]), followed))
        if account is None:
            if not self.dry_run:
                self._accept(news)
            return Result.UNMATCHED, []
        after, is_matched = (self._rehearse if self.dry_run else self._tell)(account, news)
        was = {**_shown(account), "names": [name for name in outside if name in known]}
        result, differences = _compared(
            account.account_id, was, {**_shown(after), "names": outside}
        )
        return (result if is_matched else Result.UNMATCHED), differences

    def _brings_something(self, paid: PeriodPaid) -> bool:
        """Tell whether a paid period is not over, and its payment not known yet."""
        is_over = paid.end + PAYMENT_GRACE <= self.ledger.clock()
        return not is_over and read_payment(self.ledger.table, paid.payment_id) is None

    def _accept(self, news: list[Message]) -> bool:
        """Put messages into the inbox and apply them; tell whether all found what they are for."""
        statuses = [
            accept(self.ledger, message, canonical_json(message.payload)).status for message in news
        ]
        return InboxStatus.UNMATCHED not in statuses

    def _tell(self, account: Account, news: list[Message]) -> tuple[Account, bool]:
        """Apply messages; return the account after them."""
        if not news:
            return account, True
        is_matched = self._accept(news)
        return self.ledger.account(account.account_id), is_matched

    def _rehearse(self, account: Account, news: list[Message]) -> tuple[Account, bool]:
        """Return what messages would make of an account, by the same rules."""
        is_matched = True
        for message in news:
            inbox_id = f"{message.provider}:{message.message_id}"
            for fact in facts_of(message):
                try:
                    command = command_of(self.ledger, inbox_id, fact, account.account_id)
                    if command is not None:
                        account = self._decided(account, command)
                except UnmatchedError:
                    is_matched = False
                except RefusalError:
                    continue
        return account, is_matched

    def _decided(self, account: Account, command: Command) -> Account:
        catalog, now = self.ledger.catalog(), self.ledger.clock()
        return decide(account, command, catalog=catalog, now=now).after

    # ---- Overrides ----

    def _overrides(self, place: Any) -> Iterator[tuple[str, Work]]:
        for account_id in sorted(self.overrides):
            if place is None or account_id > place:
                yield account_id, (account_id, partial(self._override, account_id))

    def _override(self, account_id: str) -> tuple[Result, list[Difference]]:
        before = self.ledger.account(account_id).balance
        command = Adjust(
            account_id=account_id,
            entry_id=str(ULID()),
            keyed=False,
            actor=self.actor,
            reason="sync",
            action=AdjustAction.SET,
            amount=self.overrides[account_id],
        )
        if before != command.amount and not self.dry_run:
            self.ledger.execute(command)
        return _compared(account_id, {"balance": before}, {"balance": command.amount})


def _state(told: dict[str, Any], at: datetime, followed: Subscription | None = None) -> Message:
    """Return the message that a subscription stands as Stripe tells it, at an instant.

    Its id tells what it is news to, so that the same news is the same message.
    """
    seen = int(followed.at.timestamp() * 1000) if followed else 0
    latest = told.get("latest_invoice")
    body = {**told, "latest_invoice": latest["id"] if isinstance(latest, dict) else latest}
    name = f"sync.{told['id']}.{told['status']}.{seen}"
    return _message(name, "customer.subscription.updated", body, at)


def _paid_invoice(told: dict[str, Any], at: datetime) -> Message | None:
    """Return the message that a subscription's newest invoice is paid, if it is."""
    latest = told.get("latest_invoice")
    if not isinstance(latest, dict) or latest.get("status") != "paid":
        return None
    return _message(f"sync.{latest['id']}", "invoice.paid", latest, at)


def _message(message_id: str, type_: str, body: dict[str, Any], at: datetime) -> Message:
    payload = {
        "id": message_id,
        "object": "event",
        "type": type_,
        "created": int(at.timestamp()),
        "data": {"object": body},
    }
    return Message(
        provider=Provider.STRIPE,
        message_id=message_id,
        type=type_,
        payload=payload,
        sent_at=at,
    )


def _fact[F: Fact](message: Message, kind: type[F]) -> F | None:
    """Return the fact of a kind that a message tells, if it does."""
    try:
        told = facts_of(message)
    except IgnoredError:
        return None
    return next((fact for fact in told if isinstance(fact, kind)), None)


def _is_news(state: SubscriptionUpdated, created: datetime, followed: Subscription | None) -> bool:
    """Tell whether an account does not know that a subscription stands so.

    What Stripe tells is as of now, whichever of its subscriptions the account follows. So of two
    that live, the one that was created after all that is known of the other is the newer.
    """
    if followed is None:
        return True
    if followed.subscription_id == state.subscription_id:
        return followed.status != state.status
    return not state.ended and (followed.ended or created > followed.at)


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _shown(account: Account) -> dict[str, Any]:
    return {
        "plan_id": account.plan_id,
        "subscription_status": account.subscription.status if account.subscription else None,
        "paid_until": iso(account.paid_until) if account.paid_until else None,
        "balance": account.balance,
    }


def _compared(
    account_id: str,
    was: Mapping[str, Any],
    now: Mapping[str, Any],
) -> tuple[Result, list[Difference]]:
    differences = [
        Difference(account_id=account_id, field=name, before=was[name], after=now[name])
        for name in was
        if was[name] != now[name]
    ]
    return Result.CHANGED if differences else Result.UNCHANGED, differences
