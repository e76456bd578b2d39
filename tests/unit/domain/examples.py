"""An account, commands and a catalog to make examples from."""

from datetime import UTC, datetime, timedelta

from scrip.domain.account import Account
from scrip.domain.catalog import Catalog, Feature, Plan, Rollover
from scrip.domain.commands import (
    Adjust,
    AdjustAction,
    Consume,
    OpenAccount,
    Refund,
    ResetAnchor,
    SetFrozen,
)
from scrip.domain.decide import SIGNUP_ENTRY_ID, decide
from scrip.domain.entries import Actor, ActorType, Entry
from scrip.domain.grants import GrantKind
from scrip.domain.posting import Posting, Refundable

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)

USER = Actor(ActorType.USER, "u1")
ADMIN = Actor(ActorType.ADMIN, "a1")

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
        )
    },
    features={
        feature.feature_id: feature
        for feature in (
            Feature(feature_id="chat", name="Chat", cost=5),
            Feature(feature_id="tokens", name="Tokens", cost=3, per=1_000, unit="token"),
            Feature(feature_id="retired", name="Retired", cost=1, active=False),
        )
    },
)


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


def do(
    account: Account | None,
    command: Consume | Refund | Adjust | SetFrozen | OpenAccount,
    now: datetime = NOW,
    *,
    of: Entry | None = None,
    refunded: int = 0,
) -> Posting:
    refundable = Refundable(entry=of, refunded=refunded) if of else None
    return decide(account, command, catalog=CATALOG, now=now, refundable=refundable)


def own_entry(posting: Posting) -> Entry:
    assert posting.entry is not None
    return posting.entry


def remaining(account: Account) -> dict[str, int]:
    return {grant.source: grant.remaining for grant in account.grants}
