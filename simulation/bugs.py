"""Seeded bugs: mistakes that an engineer might have made, each in one place of the product.

A simulation that finds nothing proves something only if it finds these. A bug is inserted as source
text when its module is imported, so each needs its own Python process.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType


@dataclass(frozen=True)
class Bug:
    """A bug: its name, and the text of a module that it replaces.

    A rare one has a `world` that shows it, by the number that `make bugs` printed: it is tried
    first, so that the search is short until the traffic changes.
    """

    name: str
    module: str
    right: str
    wrong: str
    world: int | None = None


ALWAYS = '"attribute_exists(pk) OR attribute_not_exists(pk)"'

BUGS = (
    Bug(
        "the version is not compared",
        "scrip.store.commit",
        'SAME_VERSION = "#version = :seen"',
        'SAME_VERSION = "(#version = :seen OR #version <> :seen)"',
    ),
    Bug(
        "an entry may overwrite another",
        "scrip.store.commit",
        'NO_ENTRY = "attribute_not_exists(pk)"',
        f"NO_ENTRY = {ALWAYS}",
    ),
    Bug(
        "the entries are written outside the transaction",
        "scrip.store.commit",
        "            table.client.transact_write_items(TransactItems=actions)",
        "            table.client.transact_write_items(TransactItems=actions[:1])\n"
        "            table.client.transact_write_items(TransactItems=actions[1:])",
    ),
    Bug(
        "a transaction conflict counts as success",
        "scrip.store.commit",
        "    if codes & RETRYABLE_REASONS:\n        raise ConflictError from exc",
        "    if codes & RETRYABLE_REASONS:\n        return",
    ),
    Bug(
        "a payment may be credited to two accounts",
        "scrip.store.commit",
        'NEW_PAYMENT = "attribute_not_exists(pk)"',
        f"NEW_PAYMENT = {ALWAYS}",
        world=5_000_029,
    ),
    Bug(
        "every account of a mailbox gets sign-up credits",
        "scrip.store.commit",
        'NOT_WELCOMED = "attribute_not_exists(pk)"',
        f"NOT_WELCOMED = {ALWAYS}",
    ),
    Bug(
        "a returning user gets sign-up credits that are not recorded",
        "scrip.ledger",
        "replace(command, signup_credits=0, mailboxes=())",
        "replace(command, mailboxes=())",
    ),
    Bug(
        "an account's first call ignores the user's mailbox",
        "scrip.users",
        "    return opening(account_id, hashed(emails, ledger.mailbox_key))",
        "    return opening(account_id)",
    ),
    Bug(
        "a catalog edit overwrites another",
        "scrip.store.catalogs",
        'SAME_VERSION = "#version = :seen"',
        'SAME_VERSION = "(#version = :seen OR #version <> :seen)"',
        world=5_000_028,
    ),
    Bug(
        "a replay returns the new posting",
        "scrip.ledger",
        "                return self._replayed(command, exists.entry)",
        "                return Outcome(entry=posting.entry)",
    ),
    Bug(
        "another request under the same key counts as a replay",
        "scrip.ledger",
        "    if command.keyed and entry.request_hash != command.request_hash:",
        "    if False:",
    ),
    Bug(
        "a refusal is not checked against a committed entry",
        "scrip.ledger",
        "            if may_stand and (entry := ",
        "            if not may_stand and (entry := ",
    ),
    Bug(
        "the cached catalog never expires",
        "scrip.ledger",
        "> CATALOG_SECONDS",
        "> 1e9",
        world=5_000_018,
    ),
    Bug(
        "a command is decided before the account is settled",
        "scrip.domain.decide",
        "            draft = settle(account, catalog, now)",
        "            draft = Draft(account, account, catalog.plan(account.plan_id), now)",
    ),
    Bug(
        "a refund is not limited by earlier refunds",
        "scrip.domain.decide",
        "    if amount > left:",
        "    if amount > usage.cost:",
    ),
    Bug(
        "the refunded total forgets earlier refunds",
        "scrip.domain.decide",
        "refund=(refundable, refunded)",
        "refund=(refundable, amount)",
        world=5_000_018,
    ),
    Bug(
        "refunded credits that do not fit their grant are lost",
        "scrip.domain.decide",
        "        homeless += part - fitting",
        "        homeless += 0",
    ),
    Bug(
        "refund grants live for ten weeks",
        "scrip.domain.grants",
        "REFUND_LIFE = timedelta(days=7)",
        "REFUND_LIFE = timedelta(days=70)",
    ),
    Bug(
        "a frozen account may spend",
        "scrip.domain.spending",
        "    if account.status is AccountStatus.FROZEN:\n        raise AccountFrozenError",
        "    ...",
    ),
    Bug(
        "an overdraft has no limit",
        "scrip.domain.spending",
        "    shortfall = cost - account.available - plan.overdraft_limit\n",
        "    shortfall = cost - account.available - 10**6\n",
    ),
    Bug(
        "an unlimited plan is charged",
        "scrip.domain.spending",
        'taken=0 if draft.plan.unlimited else charge["cost"],',
        'taken=charge["cost"],',
        world=5_000_017,
    ),
    Bug(
        "a closed account accepts commands",
        "scrip.domain.decide",
        "        case Account(status=AccountStatus.CLOSED), _:\n"
        "            raise errors.AccountClosedError\n",
        "",
        world=5_000_020,
    ),
    Bug(
        "setting a balance uses the unsettled balance",
        "scrip.domain.decide",
        "AdjustAction.SET: command.amount - draft.account.balance",
        "AdjustAction.SET: command.amount - draft.before.balance",
        world=5_000_037,
    ),
    Bug(
        "a period boundary is counted from the previous boundary",
        "scrip.domain.account",
        "        return boundary(self.anchor, self.zone, period)",
        "        at = self.anchor\n"
        "        for _ in range(period):\n"
        "            at = boundary(at, self.zone, 1)\n"
        "        return at",
        world=5_000_022,
    ),
    Bug(
        "a rollover has no limit",
        "scrip.domain.settle",
        "    return max(0, plan.rollover.max - live), until",
        "    return grant.remaining, until",
    ),
    Bug(
        "unspent allowance is not rolled over",
        "scrip.domain.settle",
        "            if kept > 0:",
        "            if kept < 0:",
        world=5_000_017,
    ),
    Bug(
        "an expired grant can be spent until the hour ends",
        "scrip.domain.settle",
        "    while at <= draft.now:\n",
        "    while at <= draft.now.replace(minute=0):\n",
    ),
    Bug(
        "missed periods bring all their allowances at once",
        "scrip.domain.settle",
        "            allowance=monthly_credits(account, plan),\n",
        "            allowance=monthly_credits(account, plan)\n"
        "            * (period - (draft.before or account).period),\n",
        world=5_000_021,
    ),
    Bug(
        "incoming credits do not pay debt first",
        "scrip.domain.posting",
        "        if paid:\n",
        "        if False:\n",
        world=5_000_018,
    ),
    Bug(
        "the chain omits the previous hash",
        "scrip.domain.entries",
        "    return hashlib.sha256(entry.previous_hash + canonical_json(hashed)).digest()",
        "    return hashlib.sha256(canonical_json(hashed)).digest()",
    ),
    Bug(
        "credits are spent by expiry before priority",
        "scrip.domain.grants",
        "        return self.priority, self.expires_at_or_never, self.granted_at",
        "        return self.expires_at_or_never, self.priority, self.granted_at",
    ),
    Bug(
        "grants with different expiries are merged",
        "scrip.domain.grants",
        " if by_source else grant.expires_at == new.expires_at",
        " if by_source else True",
        world=5_000_017,
    ),
    Bug(
        "a price is rounded down",
        "scrip.domain.catalog",
        "        cost = ceil(exact)",
        "        cost = int(exact)",
    ),
    Bug(
        "each meter of a use is rounded up by itself",
        "scrip.domain.catalog",
        "exact += Fraction(count * prices[meter].cost, prices[meter].per)",
        "exact += ceil(Fraction(count * prices[meter].cost, prices[meter].per))",
        world=5_000_017,
    ),
    Bug(
        "a meter without a price is free",
        "scrip.domain.catalog",
        """                raise UnknownMeterError(
                    feature=self.feature_id, meter=meter, meters=", ".join(prices)
                )
""",
        "                continue\n",
    ),
    Bug(
        "the price of a capture by usage is that of its first meter",
        "scrip.domain.spending",
        '"price": {meter: feature.prices[meter] for meter in usage},',
        '"price": {meter: feature.prices["input"] for meter in usage},',
    ),
    Bug(
        "a batch is allowed if each use alone is affordable",
        "scrip.domain.spending",
        'check_affordable(draft, sum(charge["cost"] for charge in charges))',
        'check_affordable(draft, max(charge["cost"] for charge in charges))',
        world=5_000_025,
    ),
    Bug(
        "the uses of all batches have the same entry IDs",
        "scrip.domain.commands",
        'f"{entry_id}~{number}"',
        'f"batch~{number}"',
    ),
    Bug(
        "a hold may exceed the available credits",
        "scrip.domain.holds",
        "    if wanted > account.available:",
        "    if wanted > account.available + 100:",
        world=5_000_018,
    ),
    Bug(
        "a capture above its hold ignores what is available",
        "scrip.domain.holds",
        "        check_affordable(draft, excess)\n",
        "",
        world=5_000_043,
    ),
    Bug(
        "only the first line of a hold is set aside",
        "scrip.domain.holds",
        """        wanted = 0 if draft.plan.unlimited else charge["cost"]
        grants, drawn""",
        """        wanted = 0 if draft.plan.unlimited or entries else charge["cost"]
        grants, drawn""",
    ),
    Bug(
        "every line of a capture takes what the first one has taken",
        "scrip.domain.holds",
        "        held, to_charge = _split(to_charge, within)",
        "        held, _ = _split(to_charge, within)",
    ),
    Bug(
        "the lines of a capture may exceed the hold together",
        "scrip.domain.holds",
        "    excess = max(0, cost - hold.left)",
        '    excess = max(0, *(charge["cost"] - hold.left for charge in charges))',
    ),
    Bug(
        "a capture may be for a feature that its hold is not for",
        "scrip.domain.holds",
        "    if feature is None or feature not in hold.all_features:",
        "    if feature is None:",
        world=5_000_026,
    ),
    Bug(
        "repeating the end of a hold gets the other lines of the new key",
        "scrip.ledger",
        "            first = replace(command, entry_id=end.entry.entry_id)",
        "            first = command",
        world=5_000_020,
    ),
    Bug(
        "an extension may shorten a hold",
        "scrip.domain.holds",
        "    if expires_at > hold.expires_at:",
        "    if expires_at != hold.expires_at:",
    ),
    Bug(
        "credits released from a hold outlive their grant",
        "scrip.domain.holds",
        "    lots = _expire_again(draft, entry, gone)\n",
        "    lots = {}\n",
    ),
    Bug(
        "an expired hold stays open until a month ends",
        "scrip.domain.settle",
        "            yield max(hold.expires_at, account.as_of)",
        "            ...",
    ),
    Bug(
        "credits that a hold returns after its month do not roll over",
        "scrip.domain.settle",
        "            if held:\n",
        "            if False:\n",
        world=5_000_049,
    ),
    Bug(
        "the entry that ended a hold is not recorded",
        "scrip.store.commit",
        "    if posting.ended_hold and posting.entry:",
        "    if False:",
    ),
    Bug(
        "any end of a hold counts as a replay of the first",
        "scrip.ledger",
        "        if end.entry and end.entry.request_hash == command.request_hash:",
        "        if end.entry:",
        world=5_000_018,
    ),
    Bug(
        "a hold that was just opened is refused as ended",
        "scrip.ledger",
        "        if end.account and self.settled(end.account).hold(not_found.hold_id):",
        "        if False:",
        world=5_000_023,
    ),
    Bug(
        "a user's entries share the app's IDs",
        "scrip.domain.commands",
        "    return USER_PREFIX + key if actor.type is ActorType.USER else key",
        "    return key",
    ),
    Bug(
        "a user may end any hold by its ID",
        "scrip.domain.holds",
        "    if command.actor.type is ActorType.USER and not is_users(command.hold_id):",
        "    if False:",
    ),
    Bug(
        "only a capture checks who owns the hold",
        "scrip.domain.holds",
        "    if command.actor.type is ActorType.USER and not is_users(command.hold_id):",
        "    if isinstance(command, CaptureHold) and command.actor.type is ActorType.USER and not "
        "is_users(command.hold_id):",
    ),
    Bug(
        "a user's hold may live as long as the app's",
        "scrip.domain.holds",
        "    return USER_HOLD_LIFE if is_users(hold_id) else SERVICE_HOLD_LIFE",
        "    return SERVICE_HOLD_LIFE",
    ),
    Bug(
        "an extension has no limit",
        "scrip.domain.holds",
        "    expires_at = min(ends_by, draft.now + timedelta(seconds=command.expires_in))",
        "    expires_at = draft.now + timedelta(seconds=command.expires_in)",
    ),
    Bug(
        "credits are held for a month past their expiry",
        "scrip.domain.holds",
        "HELD_PAST_EXPIRY = timedelta(hours=24)",
        "HELD_PAST_EXPIRY = timedelta(days=30)",
        world=5_000_029,
    ),
    Bug(
        "an uncharged hold outlives its unlimited plan",
        "scrip.domain.settle",
        "    end_free(draft)\n",
        "",
        world=5_000_034,
    ),
    Bug(
        "the user of a frozen account may end holds",
        "scrip.domain.decide",
        "    if command.actor.type is ActorType.USER:\n"
        "        spending.check_not_frozen(draft.account)\n",
        "",
    ),
    Bug(
        "a deduction cannot take what a user holds",
        "scrip.domain.decide",
        " and holds.release_own(draft, command):",
        " and False:",
        world=5_000_022,
    ),
    Bug(
        "a deduction ends the app's holds",
        "scrip.domain.holds",
        "        if is_users(hold.hold_id)",
        "        if hold.expires_at",
        world=5_000_025,
    ),
    Bug(
        "a user's calls about holds are not counted",
        "scrip.domain.holds",
        "    counted = replace(counted, calls=counted.calls + calls)",
        "    ...",
    ),
    Bug(
        "a release's response includes credits that expired with it",
        "scrip.domain.entries",
        "        return self.balance_after - (self.expired or 0)",
        "        return self.balance_after",
        world=5_000_017,
    ),
    Bug(
        "a refund ignores retired grants",
        "scrip.store.queries",
        "    retired = tuple(retired_of(wire) for wire in found if wire)",
        "    retired = ()",
        world=5_000_025,
    ),
    Bug(
        "retired grants are not kept",
        "scrip.store.commit",
        "    actions += [_retired_update(posting.after, grant) for grant in posting.retired]\n",
        "",
        world=5_000_018,
    ),
    Bug(
        "a clawback ignores earlier clawbacks",
        "scrip.domain.billing",
        "    due = payment.credits_back - payment.taken - payment.owed",
        "    due = payment.credits_back",
        world=5_000_021,
    ),
    Bug(
        "winning a dispute releases nothing",
        "scrip.domain.billing",
        "    if outcome is DisputeOutcome.OPEN:\n",
        "    if outcome is not DisputeOutcome.LOST:\n",
        world=5_000_021,
    ),
    Bug(
        "an older state of a subscription overwrites a newer one",
        "scrip.domain.billing",
        "    latest = max((reported, *of_one), key=lambda one: one.order)",
        "    latest = reported",
    ),
    Bug(
        "a clawback creates no debt for spent credits",
        "scrip.domain.posting",
        "        self.account = replace(self.account, debt=self.account.debt + owed)\n",
        "",
        world=5_000_018,
    ),
    Bug(
        "a term is in force before it begins",
        "scrip.domain.terms",
        "        if not term.start <= now < self.lasts_until(term):",
        "        if not now < self.lasts_until(term):",
    ),
    Bug(
        "a month that is paid early is granted early",
        "scrip.domain.settle",
        "        if each.start <= at and (since is None or each.start > since)",
        "        if since is None or at >= each.start > since",
    ),
    Bug(
        "a subscription that has ended has its days of grace",
        "scrip.domain.terms",
        "        if term.subscription_id in self.ended or self._is_gone(term, last):",
        "        if self._is_gone(term, last):",
        world=5_000_025,
    ),
    Bug(
        "a term lasts for its days of grace although a later one has come",
        "scrip.domain.terms",
        "                end = min(end, max(other.start, term.end))",
        "                end = term.end + GRACE",
    ),
    Bug(
        "credited time is not taken back",
        "scrip.domain.terms",
        "        yield from self._credits(term)\n",
        "",
        world=5_000_024,
    ),
    Bug(
        "a credited line takes the time back of two terms",
        "scrip.domain.terms",
        "                matched.setdefault(found.term_id, []).append((line.start, line.end))",
        "                for each in open_:\n"
        "                    matched.setdefault(each.term_id, []).append((line.start, line.end))",
    ),
    Bug(
        "a prorated line brings whole months",
        "scrip.domain.terms",
        "-(-allowance * the.covered // 1) if term.prorated else allowance",
        "allowance",
        world=5_000_024,
    ),
    Bug(
        "money that went back takes the first months",
        "scrip.domain.terms",
        "        for later in months[month + 1 :]:",
        "        for later in months[:month]:",
    ),
    Bug(
        "a later term supersedes nothing",
        "scrip.domain.terms",
        "            and later.rank > term.rank",
        "            and later.rank > later.rank",
    ),
    Bug(
        "what a returned term has superseded stays superseded",
        "scrip.domain.terms",
        "self._supersedes(later, term) and not later.is_returned:\n"
        "                yield from self._kept(later)",
        "self._supersedes(later, term):\n                yield later.start, later.end",
    ),
    Bug(
        "a term supersedes those of other subscriptions",
        "scrip.domain.terms",
        "            (later.subscription_id, later.item_id) == (term.subscription_id,",
        "            (term.subscription_id, term.item_id) == (term.subscription_id,",
    ),
    Bug(
        "two terms share the grant of their months",
        "scrip.domain.grants",
        "        same = grant.source == new.source if by_source",
        "        same = True if by_source",
    ),
    Bug(
        "the quantity of a line is ignored",
        "scrip.domain.entitlement",
        "    return plan.monthly_credits * (term.quantity if term else 1)",
        "    return plan.monthly_credits",
        world=5_000_018,
    ),
    Bug(
        "the account's own allowance comes beside a term",
        "scrip.domain.settle",
        "    if not is_on_base_plan(draft.account, terms, at):\n"
        "        _set_allowance_aside(draft, at)\n",
        "",
    ),
    Bug(
        "the account's own allowance comes twice a month",
        "scrip.domain.posting",
        "            spent = self.account.allowance_spent + grant.amount\n",
        "            spent = 0\n",
    ),
    Bug(
        "what had expired of a returned month is owed",
        "scrip.domain.settle",
        "    return lot.booked - (lot.spent - lot.owed) - there",
        "    return 0",
        world=5_000_017,
    ),
    Bug(
        "what was spent of credits that had rolled over is not owed",
        "scrip.domain.grants",
        "        return self.source.removeprefix(ROLLED_OVER)",
        "        return self.source",
        world=5_000_030,
    ),
    Bug(
        "a refund that failed gives nothing back",
        "scrip.domain.payments",
        "RETURNING = frozenset({RefundStatus.PENDING, RefundStatus.SUCCEEDED})",
        "RETURNING = frozenset(RefundStatus)",
        world=5_000_018,
    ),
    Bug(
        "a restored purchase is restored with every message",
        "scrip.domain.billing",
        "    restored = replace(payment, owed=owed, taken=taken, ",
        "    restored = replace(payment, ",
        world=5_000_021,
    ),
    Bug(
        "a dispute of a part sets all aside",
        "scrip.domain.billing",
        "        return int(payment.left * share / kept) if kept else 0",
        "        return payment.left",
        world=5_000_043,
    ),
    Bug(
        "a month that begins during a dispute is granted",
        "scrip.domain.settle",
        "terms.entitled(term, month, lot.allowance, at, with_disputed=False)",
        "terms.entitled(term, month, lot.allowance, at)",
        world=5_000_023,
    ),
    Bug(
        "the plan with fewest credits shows",
        "scrip.domain.entitlement",
        "    shown = max(in_force, key=order)",
        "    shown = min(in_force, key=order)",
    ),
    Bug(
        "an account is not listed again when an admin gives it a plan",
        "scrip.store.items",
        '{"anchor", "as_of", "given_plan_id", "next_plan_id", "status", "subscriptions", "terms"}',
        '{"anchor", "as_of", "next_plan_id", "status", "subscriptions", "terms"}',
        world=5_000_018,
    ),
    Bug(
        "a payment's ID comes from its message",
        "scrip.webhooks.standard",
        '            payment_id=f"standard:payment:{self.payment_id}",',
        '            payment_id=f"standard:payment:{message.message_id}",',
    ),
    Bug(
        "a paid period's ID comes from its message",
        "scrip.webhooks.standard",
        '            ("standard:payment", self.payment_id),',
        '            ("standard:payment", message.message_id),',
    ),
    Bug(
        "messages waiting for an account are not resumed",
        "scrip.webhooks.apply",
        "    chain.names.extend(names)",
        "    chain.names.extend(())",
    ),
    Bug(
        "usage is counted again when the stream repeats",
        "scrip.domain.usage",
        "        if not any(first <= entry.seq <= last for first, last in counted):",
        "        if entry.seq:",
    ),
    Bug(
        "an account that leaves a list stays in it",
        "functions.events.lists",
        "        for row in before - after:",
        "        for row in set[str]():",
    ),
    Bug(
        "the low-credits event repeats with every use",
        "functions.events.thresholds",
        "    if before > low_credits >= after:",
        "    if low_credits >= after:",
    ),
    Bug(
        "the last entry of a batch is not archived",
        "functions.events.handler",
        "append(archive(), added)",
        "append(archive(), added[:-1])",
    ),
    Bug(
        "events are sent out of order",
        "functions.events.handler",
        "    for one in batch.in_order:",
        "    for one in [*batch.changed, *reversed(batch.added)]:",
    ),
    Bug(
        "events that the bus refused are not sent again",
        "functions.events.handler",
        "        yield events[position][0]",
        "        yield from ()",
    ),
)


class _Loader(SourceFileLoader):
    """Loads a module with a bug."""

    def __init__(self, name: str, path: str, bug: Bug) -> None:
        super().__init__(name, path)
        self._bug = bug

    def get_code(self, fullname: str) -> CodeType:
        """Return the changed module's code, never a cached file's."""
        assert fullname == self._bug.module, fullname
        source = self.get_data(self.path).decode()
        assert source.count(self._bug.right) == 1, (
            f"{self._bug.name}: the text that it replaces is gone"
        )
        source = source.replace(self._bug.right, self._bug.wrong)
        return compile(source, self.path, "exec")


class _Finder(MetaPathFinder):
    def __init__(self, bug: Bug) -> None:
        self._bug = bug

    def find_spec(
        self, name: str, path: Sequence[str] | None, _: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the module that has the bug."""
        if name != self._bug.module:
            return None
        spec = PathFinder.find_spec(name, path)
        assert spec is not None, name
        assert spec.origin is not None, name
        spec.loader = _Loader(name, spec.origin, self._bug)
        return spec


def put_in(name: str) -> None:
    """Put a bug into the product, whose module must not be imported yet."""
    [bug] = [bug for bug in BUGS if bug.name == name]
    assert bug.module not in sys.modules, f"{bug.module} is imported already"
    sys.meta_path.insert(0, _Finder(bug))
