"""An account, commands and a catalog for examples."""

from datetime import UTC, datetime, timedelta
from typing import Any

from scrip.domain.account import Account
from scrip.domain.catalog import Catalog, Feature, Plan, Price, Rollover
from scrip.domain.commands import (
    Adjust,
    AdjustAction,
    CaptureHold,
    CloseAccount,
    Command,
    Consume,
    ConsumeBatch,
    ExtendHold,
    FollowSubscription,
    HoldLine,
    OpenAccount,
    OpenHold,
    PayTerms,
    Purchase,
    Refund,
    ReleaseHold,
    ResetAnchor,
    ResetUsage,
    SetClock,
    SetFrozen,
    SetQuota,
    TakeBack,
    Use,
)
from scrip.domain.decide import SIGNUP_ENTRY_ID, decide
from scrip.domain.entries import Actor, ActorType, Entry
from scrip.domain.grants import Grant, GrantKind
from scrip.domain.payments import DisputeOutcome, Payment
from scrip.domain.posting import Paid, Posting, Refundable
from scrip.domain.terms import Line, Term

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)

USER = Actor(ActorType.USER, "u1")
APP = Actor(ActorType.SERVICE, "app")
ADMIN = Actor(ActorType.ADMIN, "a1")
BILLING = Actor(ActorType.WEBHOOK, "stripe")

CATALOG = Catalog(
    plans={
        plan.plan_id: plan
        for plan in (
            Plan(plan_id="free", name="Free", monthly_credits=100),
            Plan(
                plan_id="pro",
                name="Pro",
                monthly_credits=2_000,
                rollover=Rollover(max=1_000, periods=1),
            ),
            Plan(
                plan_id="long",
                name="Rollover for three periods",
                monthly_credits=50,
                rollover=Rollover(max=120, periods=3),
            ),
            Plan(plan_id="overdraft", name="Lent", monthly_credits=100, overdraft_limit=500),
            Plan(plan_id="unlimited", name="Unlimited", monthly_credits=0, unlimited=True),
            Plan(plan_id="none", name="Nothing", monthly_credits=0),
            Plan(plan_id="retired", name="Retired", monthly_credits=70, active=False),
        )
    },
    features={
        feature.feature_id: feature
        for feature in (
            Feature(feature_id="chat", name="Chat", cost=5),
            Feature(feature_id="tokens", name="Tokens", cost=3, per=1_000, unit="token"),
            Feature(
                feature_id="model",
                name="Model",
                unit="token",
                meters={
                    "input": Price(cost=1, per=4_000),
                    "cached_input": Price(cost=1, per=40_000),
                    "output": Price(cost=1, per=500),
                },
            ),
            Feature(feature_id="retired", name="Retired", cost=1, active=False),
        )
    },
)


RETIRED: dict[bytes, dict[str, Grant]] = {}
"""The retired grants of an account, as the store keeps them, by the hash of its newest entry.

The chain makes that hash an ID of the account's whole history.
"""


PAST: dict[bytes, dict[str, Term]] = {}
"""The terms of an account that are over, likewise."""


def opening(
    plan_id: str = "free",
    *,
    signup_credits: int = 50,
    reset_anchor: ResetAnchor = ResetAnchor.SIGNUP,
    time_zone: str = "UTC",
) -> OpenAccount:
    return OpenAccount(
        account_id="u1",
        entry_id=SIGNUP_ENTRY_ID,
        actor=Actor(ActorType.SYSTEM, "signup"),
        plan_id=plan_id,
        signup_credits=signup_credits,
        reset_anchor=reset_anchor,
        time_zone=time_zone,
    )


def opened(plan_id: str = "free", *, signup_credits: int = 50, now: datetime = NOW) -> Account:
    command = opening(plan_id, signup_credits=signup_credits)
    return decide(None, command, catalog=CATALOG, now=now).after


def month_end(account: Account) -> datetime:
    """Return when the running month of the account's own calendar ends."""
    return account.begins(account.period + 1)


def consume(amount: int, key: str = "c1") -> Consume:
    return Consume(account_id="u1", entry_id=key, actor=USER, amount=amount)


def use(feature: str, quantity: int = 1, key: str = "c1") -> Consume:
    return Consume(
        account_id="u1",
        entry_id=key,
        actor=USER,
        feature=feature,
        quantity=quantity,
    )


def batch(*uses: Use, key: str = "b1") -> ConsumeBatch:
    return ConsumeBatch(account_id="u1", entry_id=key, actor=USER, uses=uses)


def hold(
    amount: int | None = None,
    key: str = "h1",
    *,
    feature: str | None = None,
    quantity: int | None = None,
    lines: tuple[HoldLine, ...] | None = None,
    expires_in: int = 300,
    actor: Actor = APP,
) -> OpenHold:
    return OpenHold(
        account_id="u1",
        entry_id=key,
        actor=actor,
        amount=amount,
        feature=feature,
        quantity=quantity,
        lines=lines,
        expires_in=expires_in,
    )


def extend(expires_in: int, key: str = "e1", *, of: str = "h1", actor: Actor = APP) -> ExtendHold:
    return ExtendHold(
        account_id="u1",
        entry_id=key,
        actor=actor,
        hold_id=of,
        expires_in=expires_in,
    )


def capture(
    amount: int | None = None,
    key: str = "c1",
    *,
    of: str = "h1",
    quantity: int | None = None,
    lines: tuple[HoldLine, ...] | None = None,
    final: bool = True,
    excess: bool = False,
    actor: Actor = APP,
) -> CaptureHold:
    return CaptureHold(
        account_id="u1",
        entry_id=key,
        actor=actor,
        hold_id=of,
        amount=amount,
        quantity=quantity,
        lines=lines,
        final=final,
        excess=excess,
    )


def release(key: str = "r1", *, of: str = "h1", actor: Actor = APP) -> ReleaseHold:
    return ReleaseHold(account_id="u1", entry_id=key, actor=actor, hold_id=of)


def refund(of: str, amount: int | None = None, key: str = "r1") -> Refund:
    return Refund(
        account_id="u1",
        entry_id=key,
        actor=ADMIN,
        reason="failed",
        refunds=of,
        amount=amount,
    )


def adjust(
    action: AdjustAction,
    amount: int,
    key: str = "a1",
    *,
    kind: GrantKind = GrantKind.ADMIN,
    expires_at: datetime | None = None,
) -> Adjust:
    return Adjust(
        account_id="u1",
        entry_id=key,
        actor=ADMIN,
        reason="support",
        action=action,
        amount=amount,
        kind=kind,
        expires_at=expires_at,
    )


def freeze(*, frozen: bool = True) -> SetFrozen:
    return SetFrozen(account_id="u1", entry_id="f1", actor=ADMIN, reason="fraud", frozen=frozen)


def quota(
    plan_id: str | None = None,
    *,
    monthly_credits: int | None = None,
    limits: dict[str, int] | None = None,
    key: str = "q1",
) -> SetQuota:
    return SetQuota(
        account_id="u1",
        entry_id=key,
        keyed=False,
        actor=ADMIN,
        reason="sales",
        plan_id=plan_id,
        monthly_credits=monthly_credits,
        limits=limits,
    )


def reset(key: str = "reset-1") -> ResetUsage:
    return ResetUsage(account_id="u1", entry_id=key, actor=ADMIN, reason="goodwill")


def clock(now: datetime) -> SetClock:
    return SetClock(account_id="u1", entry_id="clock-1", keyed=False, actor=ADMIN, now=now)


def close(key: str = "close-1") -> CloseAccount:
    return CloseAccount(account_id="u1", entry_id=key, actor=ADMIN, reason="asked")


def purchase(amount: int, payment_id: str = "stripe:pi_1", money: int = 500) -> Purchase:
    return Purchase(
        account_id="u1",
        entry_id=payment_id,
        keyed=False,
        actor=BILLING,
        credits=amount,
        money=money,
    )


def line(
    start: datetime,
    end: datetime,
    plan_id: str = "pro",
    *,
    item_id: str = "stripe:si_1",
    quantity: int = 1,
    prorated: bool = False,
    credited: bool = False,
) -> Line:
    return Line(
        item_id=item_id,
        plan_id=plan_id,
        quantity=quantity,
        start=start,
        end=end,
        prorated=prorated,
        credited=credited,
    )


def pay_terms(
    *lines: Line,
    payment_id: str = "stripe:in_1",
    subscription_id: str = "stripe:sub_1",
    money: int = 2_000,
) -> PayTerms:
    return PayTerms(
        account_id="u1",
        entry_id=payment_id,
        keyed=False,
        actor=BILLING,
        subscription_id=subscription_id,
        lines=lines,
        money=money,
    )


def pay_period(
    start: datetime,
    end: datetime,
    plan_id: str = "pro",
    *,
    payment_id: str = "stripe:in_1",
    subscription_id: str = "stripe:sub_1",
    money: int = 2_000,
) -> PayTerms:
    return pay_terms(
        line(start, end, plan_id),
        payment_id=payment_id,
        subscription_id=subscription_id,
        money=money,
    )


def follow(
    status: str,
    at: datetime,
    *,
    subscription_id: str = "stripe:sub_1",
) -> FollowSubscription:
    return FollowSubscription(
        account_id="u1",
        entry_id="f1",
        keyed=False,
        actor=BILLING,
        subscription_id=subscription_id,
        status=status,
        ended=status in {"canceled", "unpaid"},
        at=at,
    )


def returned(total: int, payment_id: str = "stripe:pi_1") -> TakeBack:
    return _take_back(payment_id, total=total)


def refund_of_money(refund_id: str, money: int, payment_id: str = "stripe:pi_1") -> TakeBack:
    return _take_back(payment_id, refund_id=refund_id, money=money)


def dispute(
    outcome: DisputeOutcome,
    money: int = 500,
    *,
    payment_id: str = "stripe:pi_1",
    dispute_id: str = "stripe:dp_1",
) -> TakeBack:
    return _take_back(payment_id, dispute_id=dispute_id, outcome=outcome, money=money)


def _take_back(payment_id: str, **fields: Any) -> TakeBack:
    return TakeBack(
        account_id="u1",
        entry_id="t1",
        keyed=False,
        actor=BILLING,
        payment_id=payment_id,
        **fields,
    )


def do(
    account: Account | None,
    command: Command,
    now: datetime = NOW,
    *,
    of: Entry | None = None,
    refunded: int = 0,
    paid: Payment | None = None,
    expiry: Entry | None = None,
    catalog: Catalog = CATALOG,
) -> Posting:
    retired = RETIRED.get(account.hash, {}) if account else {}
    past = PAST.get(account.hash, {}) if account else {}
    posting = decide(
        account,
        command,
        catalog=catalog,
        now=now,
        refundable=Refundable(entry=of, refunded=refunded, retired=tuple(retired.values()))
        if of
        else None,
        paid=Paid(payment=paid, expiry=expiry) if paid else None,
        past=tuple(past.values()),
    )
    gone = {grant.grant_id: grant for grant in posting.retired}
    if retired or gone:
        RETIRED[posting.after.hash] = {**retired, **gone}
    over = {term.term_id: term for term in posting.terms}
    if past or over:
        PAST[posting.after.hash] = {**past, **over}
    return posting


def own_entry(posting: Posting) -> Entry:
    assert posting.entry is not None
    return posting.entry


def remaining(account: Account) -> dict[str, int]:
    return {grant.source: grant.remaining for grant in account.grants}
