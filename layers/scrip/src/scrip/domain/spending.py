"""Spending: what a use costs, whether the account can pay for it, and its entry."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Unpack

from scrip.domain import grants as buckets
from scrip.domain.account import Account, AccountStatus
from scrip.domain.catalog import QUANTITY, Catalog, Feature, Plan
from scrip.domain.commands import Command, Consume, ConsumeBatch, HoldLine, Use
from scrip.domain.entries import Entry, EntryType
from scrip.domain.errors import AccountFrozenError, InsufficientCreditsError
from scrip.domain.grants import Allocation
from scrip.domain.posting import Charge, Draft, EntryDetails, Posting


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a consume would cost, and whether it would be allowed. Credits."""

    cost: int
    feature_version: int | None
    available: int
    shortfall: int
    unlimited: bool
    allowed: bool


def price(use: Consume | HoldLine | Use, catalog: Catalog) -> Charge:
    """Return what is charged for a use.

    Raises:
        UnknownFeatureError, UnknownMeterError, CostOutOfRangeError: it has no price.
    """
    if use.feature is None:
        assert use.amount is not None, use
        return {"cost": use.amount}
    return by_feature(catalog.feature(use.feature), use.quantity, use.usage)


def by_feature(feature: Feature, quantity: int | None, usage: Mapping[str, int] | None) -> Charge:
    """Return the charge of a feature's quantity or usage.

    The price is kept beside usage, which has several; a quantity's follows from the version.

    Raises:
        UnknownMeterError, CostOutOfRangeError: it has no price.
    """
    charge: Charge = {"feature": feature.feature_id, "feature_version": feature.version}
    if usage is None:
        assert quantity is not None, feature
        return {**charge, "quantity": quantity, "cost": feature.price({QUANTITY: quantity})}
    return {
        **charge,
        "usage": usage,
        "cost": feature.price(usage),
        "price": {meter: feature.prices[meter] for meter in usage},
    }


def quote(account: Account, plan: Plan, command: Consume, catalog: Catalog) -> Quote:
    """Return what a consume would cost a settled account on its plan in force.

    Raises:
        UnknownFeatureError, UnknownMeterError, CostOutOfRangeError: it has no price.
    """
    charge = price(command, catalog)
    cost = charge["cost"]
    shortfall = 0 if plan.unlimited else max(0, cost - account.available - plan.overdraft_limit)
    return Quote(
        cost=cost,
        feature_version=charge.get("feature_version"),
        available=account.available,
        shortfall=shortfall,
        unlimited=plan.unlimited,
        allowed=account.status is AccountStatus.ACTIVE and not shortfall,
    )


def consume(draft: Draft, command: Consume | ConsumeBatch, catalog: Catalog) -> Posting:
    """Charge for uses, with an entry for each, or refuse them all."""
    uses: dict[str, Consume | Use]
    if isinstance(command, ConsumeBatch):
        uses = dict(zip(command.entry_ids, command.uses, strict=True))
    else:
        uses = {command.entry_id: command}
    check_not_frozen(draft.account)
    charges = [price(use, catalog) for use in uses.values()]
    check_affordable(draft, sum(charge["cost"] for charge in charges))
    entries = [
        spend(
            draft,
            entry_id,
            command,
            taken=0 if draft.plan.unlimited else charge["cost"],
            **charge,
            reason=use.reason,
            reference=use.reference,
            metadata=use.metadata,
        )
        for (entry_id, use), charge in zip(uses.items(), charges, strict=True)
    ]
    return draft.posting(entry=entries[0])


def check_not_frozen(account: Account) -> None:
    """Check that the account is not frozen.

    Raises:
        AccountFrozenError: an admin froze it.
    """
    if account.status is AccountStatus.FROZEN:
        raise AccountFrozenError


def check_affordable(draft: Draft, cost: int) -> None:
    """Check that the available credits and the plan's overdraft cover a cost.

    Raises:
        InsufficientCreditsError: they do not.
    """
    account, plan = draft.account, draft.plan
    shortfall = cost - account.available - plan.overdraft_limit
    if shortfall > 0 and not plan.unlimited:
        raise InsufficientCreditsError(
            required=cost,
            available=account.available,
            shortfall=shortfall,
            next_reset_at=draft.entitlement.end,
        )


def spend(
    draft: Draft,
    entry_id: str,
    command: Command,
    *,
    taken: int,
    held: tuple[Allocation, ...] = (),
    **details: Unpack[EntryDetails],
) -> Entry:
    """Enter a use and charge for it: `held` was set aside for it, `taken` comes out of grants.

    What the grants lack becomes debt; `check_affordable` has checked that the plan allows it.
    """
    account = draft.account
    grants, drawn = buckets.draw(account.grants, taken)
    draft.account = replace(
        draft.account,
        grants=grants,
        debt=account.debt + taken - sum(allocation.amount for allocation in drawn),
        used=account.used + details["cost"],
        consumed_total=account.consumed_total + details["cost"],
    )
    details["allocations"] = buckets.joined(*held, *drawn)
    return draft.enter(
        entry_id,
        EntryType.USAGE,
        -taken - sum(allocation.amount for allocation in held),
        command=command,
        **details,
    )
