"""Sync: repair what webhooks and sign-ups missed, and report what was repaired.

    users      every confirmed user of the stack's pool has an account linked to their address
    plans      every account knows its subscription and has the last period that was paid
    overrides  balances that an admin sets

Nothing is done twice, so a sync may stop anywhere and be repeated from anywhere. Subscriptions take
the path of webhooks, as one message for each change, so that the inbox shows what sync did.

A dry run rehearses the same commands and writes nothing. Its later steps see what its earlier ones
would have changed, but only within one run; and messages that a sign-up would wake are left out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from ulid import ULID

from functions.admin.rehearsal import RehearsalLedger, rehearse
from scrip.domain.account import AccountStatus
from scrip.domain.commands import Adjust, AdjustAction
from scrip.domain.entries import canonical_json, iso
from scrip.domain.errors import NotConfiguredError, ProviderBusyError, ScripError
from scrip.domain.terms import GRACE
from scrip.observability import logger
from scrip.settings import settings
from scrip.store.aliases import EMAIL, OWN, accounts_named
from scrip.store.cursors import seal, unseal
from scrip.store.inbox import InboxStatus
from scrip.store.queries import read, read_payment
from scrip.user_pool import PoolUser, user_pool
from scrip.users import emails_of, open_account
from scrip.webhooks.apply import accept, owner_of, wake
from scrip.webhooks.facts import PeriodPaid, SubscriptionUpdated
from scrip.webhooks.messages import IgnoredError, Message
from scrip.webhooks.providers import Provider, facts_of
from scrip.webhooks.secrets import STRIPE_API_KEY, Secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from functions.admin.stripe_api import StripeApi
    from scrip.domain.account import Account, Subscription
    from scrip.domain.entries import Actor
    from scrip.ledger import Ledger
    from scrip.webhooks.facts import Fact

DIFFERENCES_MAX = 200
"""A run ends after this many differences and failures, which keeps its report small."""


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
"""In this order: plans are for accounts that users have, and an override has the last word."""


class Result(StrEnum):
    """What became of a user, a subscription or an override."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    SKIPPED = "skipped"
    UNMATCHED = "unmatched"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A field of an account that was changed; `before` is None if it had no value."""

    account_id: str
    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A repair that failed: the ID of the account or subscription, and the error's code."""

    subject: str
    code: str


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run did, or in a dry run would do; `cursor` is where to continue, None at the end."""

    cursor: str | None = None
    seen: int = 0
    results: Counter[Result] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        """Whether the run should end here."""
        return len(self.differences) + len(self.failures) >= DIFFERENCES_MAX


type Place = list[str | None] | str | None
"""How far a step has come, as JSON; None is its beginning."""

type Work = tuple[str, Callable[[], tuple[Result, list[Difference]]]]
"""A subject, and the function that repairs it."""


class Sync:
    """One request for a sync, which may take several runs."""

    def __init__(
        self,
        ledger: Ledger,
        actor: Actor,
        *,
        mode: SyncMode,
        credit_overrides: Mapping[str, int],
        dry_run: bool,
    ) -> None:
        """Take the request of an actor."""
        self.ledger = RehearsalLedger(ledger) if dry_run else ledger
        self.actor = actor
        self.steps = STEPS[mode]
        self.overrides = credit_overrides
        self.dry_run = dry_run
        self.question = ["sync", mode, dict(credit_overrides), dry_run]
        self.linked: dict[str, str] = {}

    def run(self, cursor: str | None, *, in_time: Callable[[], bool]) -> Report:
        """Continue from a cursor until all is done, `in_time` is false, or the report is full.

        At least one subject is repaired. The run also ends where a provider does not answer.

        Raises:
            InvalidCursorError: the cursor belongs to a different request, or has expired.
            NotConfiguredError: there is no key for Stripe's API.
            ProviderBusyError: the provider did not answer the first query; nothing was done.
        """
        step, place = (self.steps[0], None) if cursor is None else unseal(self.question, cursor)
        if "plans" in self.steps:
            _ = self.stripe  # a missing key is an error before anything is done
        steps = {"users": self._users, "plans": self._plans, "overrides": self._overrides}
        remaining = self.steps[self.steps.index(step) :]
        report = Report()
        try:
            for step in remaining:
                works = steps[step](place)
                for place, work in works:
                    self._do(work, report)
                    if report.is_full or not in_time():
                        report.cursor = seal(self.question, [step, place])
                        return report
                place = None
        except ProviderBusyError:
            if not report.seen:
                raise
            report.cursor = seal(self.question, [step, place])
        return report

    def _do(self, work: Work, report: Report) -> None:
        subject, do = work
        report.seen += 1
        try:
            result, differences = do()
        except Exception as exc:  # noqa: BLE001 - one failure must not stop the others
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
            # A page that was left half done is read again, and continued after the last user.
            for user in users[ids.index(last) + 1 if last in ids else 0 :]:
                yield [token, user.account_id], (user.account_id, partial(self._user, user))
            if next_token is None:
                return
            token, last = next_token, None

    def _user(self, user: PoolUser) -> tuple[Result, list[Difference]]:
        account_id, ledger = user.account_id, self.ledger
        known = read(ledger.table, account_id).account
        if not user.is_confirmed or (known and known.status is AccountStatus.CLOSED):
            return Result.SKIPPED, []
        was = {"status": known.status if known else None, "emails": emails_of(ledger, account_id)}
        emails = [user.email.lower()] if user.email else []
        at, dry_run = ledger.clock(), self.dry_run
        linked = open_account(ledger, account_id, emails, at=at, owner=user.name, dry_run=dry_run)
        names = [f"{OWN}{account_id}", *linked]
        if not dry_run:
            wake(ledger, names)
        self.linked |= dict.fromkeys(names, account_id)
        now = {
            "status": known.status if known else AccountStatus.ACTIVE,
            "emails": [name.removeprefix(EMAIL) for name in linked],
        }
        return _compared(account_id, was, now)

    # ---- Plans ----

    @cached_property
    def stripe(self) -> StripeApi:
        """Stripe's API.

        Raises:
            NotConfiguredError: the stack's secret has no key for it.
        """
        # The library takes most of a second to import, and nothing else here needs it.
        from functions.admin.stripe_api import StripeApi  # noqa: PLC0415 - see above

        keys = Secrets().of(STRIPE_API_KEY)
        if not keys:
            raise NotConfiguredError(STRIPE_API_KEY)
        return StripeApi(keys[0], settings().stripe_api_url)

    def _plans(self, place: Any) -> Iterator[tuple[Place, Work]]:
        after, is_last = place, False
        while not is_last:
            asked_at = self.ledger.clock()
            subscriptions, is_last = self.stripe.subscriptions(after)
            for subscription in subscriptions:
                after = subscription["id"]
                do = partial(self._subscription, subscription, asked_at)
                yield after, (f"{Provider.STRIPE}:{after}", do)

    def _subscription(
        self,
        subscription: dict[str, Any],
        asked_at: datetime,
    ) -> tuple[Result, list[Difference]]:
        """Bring an account up to the state that a subscription had at Stripe at `asked_at`."""
        invoice = _paid_invoice(subscription, asked_at)
        paid = _fact(invoice, PeriodPaid) if invoice else None
        state = _fact(_update(subscription, asked_at), SubscriptionUpdated)
        assert state is not None
        names = paid.names if paid and not state.names.accounts else state.names
        account_id = owner_of(self.ledger, names, self.linked)
        if account_id is None and state.ended:
            return Result.SKIPPED, []  # it is over, and was never linked to an account
        account = self.ledger.account(account_id) if account_id else None
        if account is not None and account.status is AccountStatus.CLOSED:
            return Result.SKIPPED, []
        followed = account.subscription if account else None
        created = datetime.fromtimestamp(subscription["created"], UTC)
        outside = [*state.names.subscriptions, *state.names.customers]
        known = self.linked | accounts_named(self.ledger.table, outside)
        # The invoice first: it also has an address.
        news = [invoice] if invoice and paid and self._is_due(paid) else []
        if _is_news(state, created, followed):
            news.append(_update(subscription, asked_at, followed))
        elif not known.keys() >= {*outside}:
            # As old as the subscription, so that it only links the names.
            news.append(_update(subscription, created, followed))
        statuses = [self._deliver(message, account_id) for message in news]
        if account is None or account_id is None:
            return Result.UNMATCHED, []
        self.linked |= dict.fromkeys(outside, account_id)
        after = self.ledger.account(account_id) if news else account
        was = {**self._shown(account), "names": [name for name in outside if name in known]}
        result, differences = _compared(account_id, was, {**self._shown(after), "names": outside})
        return Result.UNMATCHED if InboxStatus.UNMATCHED in statuses else result, differences

    def _shown(self, account: Account) -> dict[str, Any]:
        paid_until = max((term.end for term in account.all_terms.given), default=None)
        return {
            "plan_id": self.ledger.entitled(account).plan.plan_id,
            "subscription_status": account.subscription.status if account.subscription else None,
            "paid_until": iso(paid_until) if paid_until else None,
            "balance": account.balance,
        }

    def _is_due(self, paid: PeriodPaid) -> bool:
        """Return whether a paid period is not over, and its payment not known yet."""
        is_over = max(line.end for line in paid.lines) + GRACE <= self.ledger.clock()
        return not is_over and read_payment(self.ledger.table, paid.payment_id) is None

    def _deliver(self, message: Message, account_id: str | None) -> InboxStatus:
        """Accept or rehearse a message for an account; return its status."""
        body = canonical_json(message.payload)
        if self.dry_run:
            return rehearse(self.ledger, message, body, account_id).status
        return accept(self.ledger, message, body).status

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
        if before != command.amount:
            carry_out = self.ledger.rehearse if self.dry_run else self.ledger.execute
            carry_out(command)
        return _compared(account_id, {"balance": before}, {"balance": command.amount})


def _update(
    subscription: dict[str, Any],
    at: datetime,
    followed: Subscription | None = None,
) -> Message:
    """Return the message with the state of a subscription at an instant.

    Its ID includes what the account knew before, so that the same news is the same message.
    """
    seen = int(followed.at.timestamp() * 1000) if followed else 0
    latest = subscription.get("latest_invoice")
    body = {**subscription, "latest_invoice": latest["id"] if isinstance(latest, dict) else latest}
    name = f"sync.{subscription['id']}.{subscription['status']}.{seen}"
    return _message(name, "customer.subscription.updated", body, at)


def _paid_invoice(subscription: dict[str, Any], at: datetime) -> Message | None:
    """Return the message that a subscription's newest invoice is paid, if it is."""
    latest = subscription.get("latest_invoice")
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
    """Return the fact of a kind in a message, or None."""
    try:
        facts = facts_of(message)
    except IgnoredError:
        return None
    return next((fact for fact in facts if isinstance(fact, kind)), None)


def _is_news(
    state: SubscriptionUpdated,
    created: datetime,
    followed: Subscription | None,
) -> bool:
    """Return whether an account does not know this state of a subscription yet.

    Stripe's answer is as of now, whichever subscription the account follows. So of two live ones,
    the newer is the one that was created after the last known state of the other.
    """
    if followed is None:
        return True
    if followed.subscription_id == state.subscription_id:
        return followed.status != state.status
    return not state.ended and (followed.ended or created > followed.at)


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
