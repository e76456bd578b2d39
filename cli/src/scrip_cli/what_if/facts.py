"""What entries did to an account, for those whose command they do not tell.

Such are refunds, disputes and changes of a subscription: only the provider's message said it all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from scrip.domain.account import PERIOD, Account, AccountStatus, Hold
from scrip.domain.catalog import Catalog
from scrip.domain.entitlement import entitled
from scrip.domain.entries import Entry, EntryType
from scrip.domain.grants import ROLLED_OVER, Allocation, Grant, GrantKind
from scrip.domain.holds import give_back
from scrip.domain.posting import Draft, Posting
from scrip_cli.what_if.records import Records

KINDS = {
    EntryType.SIGNUP: GrantKind.SIGNUP,
    EntryType.PURCHASE: GrantKind.PURCHASE,
    EntryType.ADMIN_GRANT: GrantKind.ADMIN,
    EntryType.REFUND: GrantKind.REFUND,
    EntryType.PROMO: GrantKind.PROMO,
    EntryType.REFERRAL: GrantKind.REFERRAL,
    EntryType.PLAN: GrantKind.PLAN,
    EntryType.ROLLOVER: GrantKind.ROLLOVER,
}
"""The types of entries that can open a grant, and its kind."""

OPENED = ":opened"
CLAWBACK = ":clawback:"


def with_entry(  # noqa: C901 - a case for each type of entry
    account: Account, entry: Entry, records: Records
) -> Account:
    """Return an account after an entry, as the entry describes it."""
    grants = {grant.grant_id: grant for grant in account.grants}
    holds = {hold.hold_id: hold for hold in account.holds}
    match entry.type:
        case EntryType.USAGE:
            _spend(entry, account, grants, holds)
        case EntryType.HOLD:
            hold_id = entry.hold_id or entry.entry_id.removesuffix(OPENED)
            hold = holds.get(hold_id, Hold(hold_id=hold_id, allocations=()))
            holds[hold_id] = replace(
                hold,
                allocations=(*hold.allocations, *entry.allocations),
                expires_at=entry.expires_at,
                feature=entry.feature,
            )
            _move(grants, entry.allocations, -1)
        case EntryType.RELEASE:
            _take_from_hold(holds, entry.hold_id or entry.source or "", entry.allocations)
            _move(grants, entry.allocations, 1)
        case EntryType.DEBT_SETTLED:
            _move(grants, entry.allocations, -1)
        case EntryType.EXPIRY | EntryType.CLAWBACK | EntryType.ADMIN_DEDUCT:
            _move(grants, entry.allocations, -1)
            for part in entry.allocations:
                grant = grants.get(part.grant_id)
                if grant is None or entry.type is EntryType.ADMIN_DEDUCT:
                    continue
                grants[part.grant_id] = replace(grant, amount=grant.amount - part.amount)
                if entry.type is EntryType.EXPIRY:
                    _end(grants, holds, part.grant_id)
        case _:
            _bring(entry, account, grants, records)
    changed = replace(
        account,
        status={
            EntryType.FREEZE: AccountStatus.FROZEN,
            EntryType.UNFREEZE: AccountStatus.ACTIVE,
        }.get(entry.type, account.status),
        grants=tuple(grants.values()),
        holds=tuple(holds.values()),
        debt=entry.debt_after,
        seq_last=entry.seq,
        hash=entry.hash,
    )
    if entry.type is EntryType.PLAN and entry.entry_id.startswith(PERIOD):
        period = account.period_at(entry.effective_at)
        allowance = max(entry.amount, account.allowance if period == account.period else 0)
        changed = replace(changed, period=period, allowance=allowance)
    if entry.type is EntryType.CLAWBACK and CLAWBACK in entry.entry_id:
        changed = _with_shares(changed, entry, records)
    return changed


def _spend(
    entry: Entry, account: Account, grants: dict[str, Grant], holds: dict[str, Hold]
) -> None:
    captured = account.held - entry.held_after
    for part in entry.allocations:
        of_hold = 0
        if entry.hold_id in holds:
            held = {one.grant_id: one.amount for one in holds[entry.hold_id].allocations}
            of_hold = min(captured, part.amount, held.get(part.grant_id, 0))
            _take_from_hold(holds, entry.hold_id, [replace(part, amount=of_hold)])
        captured -= of_hold
        _move(grants, [replace(part, amount=part.amount - of_hold)], -1)


def _take_from_hold(
    holds: dict[str, Hold], hold_id: str, allocations: Sequence[Allocation]
) -> None:
    hold = holds[hold_id]
    taken = {part.grant_id: part.amount for part in allocations}
    left = tuple(
        replace(part, amount=part.amount - taken.get(part.grant_id, 0))
        for part in hold.allocations
        if part.amount > taken.get(part.grant_id, 0)
    )
    holds[hold_id] = replace(hold, allocations=left)
    if not left:
        del holds[hold_id]


def _move(grants: dict[str, Grant], allocations: Sequence[Allocation], sign: int) -> None:
    for part in allocations:
        if grant := grants.get(part.grant_id):
            remaining = grant.remaining + sign * part.amount
            grants[part.grant_id] = replace(
                grant,
                remaining=remaining,
                amount=max(grant.amount, remaining),
                ended=grant.ended and not remaining,
            )


def _end(grants: dict[str, Grant], holds: Mapping[str, Hold], grant_id: str) -> None:
    """Remove a grant that has expired; while holds have credits of it, it stays as `ended`."""
    if any(hold.has_of(grant_id) for hold in holds.values()):
        grants[grant_id] = replace(grants[grant_id], ended=True)
    else:
        del grants[grant_id]


def _bring(entry: Entry, account: Account, grants: dict[str, Grant], records: Records) -> None:
    """Add what an entry brought, to the grants that it names."""
    for part in entry.allocations:
        grant = grants.get(part.grant_id)
        if grant is not None:
            is_new = entry.type is not EntryType.REFUND
            grants[part.grant_id] = replace(
                grant,
                remaining=grant.remaining + part.amount,
                amount=grant.amount + part.amount if is_new else grant.amount,
            )
            continue
        expires_at = records.expiry(part.grant_id)
        source = entry.entry_id
        if entry.type is EntryType.PLAN and source.startswith(PERIOD):
            expires_at = account.begins(account.period_at(entry.effective_at) + 1)
        elif entry.type is EntryType.ROLLOVER:
            source = f"{ROLLED_OVER}{source.removeprefix(ROLLED_OVER).rpartition(':')[0]}"
        grants[part.grant_id] = Grant(
            grant_id=part.grant_id,
            kind=KINDS.get(entry.type, GrantKind.REFUND),
            amount=part.amount,
            remaining=part.amount,
            granted_at=entry.effective_at,
            expires_at=expires_at,
            source=source,
        )


def _with_shares(account: Account, clawback: Entry, records: Records) -> Account:
    """Return an account whose terms know what was taken back of them, as far as it is known."""
    known = {term.term_id: term for term in (*records.terms.values(), *records.account.terms)}
    term_id = clawback.entry_id.partition(CLAWBACK)[0]
    payment_id = known[term_id].payment_id if term_id in known else None
    return replace(
        account,
        terms=tuple(
            replace(
                term,
                back=known[term.term_id].back,
                disputed=known[term.term_id].disputed,
                forgiven=known[term.term_id].forgiven,
            )
            if term.payment_id == payment_id and term.term_id in known
            else term
            for term in account.terms
        ),
    )


def approximated(  # noqa: C901 - a case for each type of entry
    other: Account,
    entries: Sequence[Entry],
    known: Mapping[str, Grant],
    catalog: Catalog,
    now: datetime,
) -> Posting:
    """Return what the facts of some entries do to an account that has another history.

    `known` are the grants that the entries name, whose counterparts came from the same source.
    """
    draft = Draft(other, other, entitled(other, catalog, now), now)

    def counterpart(grant_id: str) -> Grant | None:
        mine = known[grant_id]
        return next(
            (
                grant
                for grant in draft.account.grants
                if (grant.kind, grant.source) == (mine.kind, mine.source) and not grant.ended
            ),
            None,
        )

    def there(entry: Entry) -> list[Allocation]:
        """Return what is left in the counterparts, at most as much as the entry took."""
        found = [(part, counterpart(part.grant_id)) for part in entry.allocations]
        return [
            Allocation(grant.grant_id, min(part.amount, grant.remaining))
            for part, grant in found
            if grant is not None and grant.remaining
        ]

    for entry in entries:
        match entry.type:
            case EntryType.EXPIRY:
                for part in entry.allocations:
                    if (grant := counterpart(part.grant_id)) and grant.remaining:
                        left = Allocation(grant.grant_id, grant.remaining)
                        draft.end_grant(
                            replace(grant, amount=grant.amount - grant.remaining, remaining=0)
                        )
                        draft.enter(entry.entry_id, entry.type, -left.amount, allocations=(left,))
            case EntryType.CLAWBACK:
                taken = tuple(there(entry))
                _draw(draft, taken, -1)
                owed = -entry.amount - sum(part.amount for part in taken)
                draft.take(entry.entry_id, taken, owed, command=None, source=entry.source or "")
            case EntryType.HOLD if there(entry):
                held = tuple(there(entry))
                _draw(draft, held, 0)
                hold_id = entry.hold_id or entry.entry_id.removesuffix(OPENED)
                hold = Hold(hold_id=hold_id, allocations=held, expires_at=entry.expires_at)
                draft.account = replace(draft.account, holds=(*draft.account.holds, hold))
            case EntryType.RELEASE:
                if ended := draft.account.hold(entry.hold_id or entry.source or ""):
                    others = tuple(one for one in draft.account.holds if one is not ended)
                    draft.account = replace(draft.account, holds=others)
                    give_back(draft, ended.allocations, entry.entry_id)
            case _ if entry.amount > 0:
                for part in entry.allocations:
                    mine, same = known[part.grant_id], counterpart(part.grant_id)
                    draft.grant(
                        entry.entry_id,
                        entry.type,
                        mine.kind,
                        part.amount,
                        into=same.grant_id if same else None,
                        grant_source=mine.source,
                        grant_expires_at=mine.expires_at,
                        effective_at=entry.effective_at,
                    )
    return draft.posting()


def _draw(draft: Draft, taken: Sequence[Allocation], back: int) -> None:
    """Take credits out of grants; with `back` -1 they count as never granted."""
    amounts = {part.grant_id: part.amount for part in taken}
    draft.account = replace(
        draft.account,
        grants=tuple(
            replace(
                grant,
                remaining=grant.remaining - amounts.get(grant.grant_id, 0),
                amount=grant.amount + back * amounts.get(grant.grant_id, 0),
            )
            for grant in draft.account.grants
        ),
    )
