"""Uses the user's account: every kind of posting, the lists, and who is refused."""

from http import HTTPStatus
from typing import TYPE_CHECKING

from scrip.audit.accounts import audit_account
from scrip.ledger import utc_now
from scrip.store.keys import account_key
from scrip_cli.smoke.trial import GIVEN, REASON, FailedError, Trial, UnprovenError, must

if TYPE_CHECKING:
    from scrip_client.calls import BatchUse

CONSUMED, HELD, CAPTURED, REFUNDED = 7, 5, 2, 3

USE_KEY = "smoke-consume"
"""The idempotency key of the consume, which is replayed and refunded."""


def adjust(trial: Trial) -> str:
    """An admin adds credits, and the audit records say so."""
    path = f"/v1/accounts/{trial.account_id}"
    body = {"action": "add", "amount": GIVEN, "reason": REASON}
    posted = trial.admin.ask("POST", f"{path}/adjustments", json=body)
    must(posted["entry"]["amount"] == GIVEN, f"The entry is {posted['entry']}.")
    actions = [one["action"] for one in trial.admin.ask("GET", f"{path}/audit")["audit"]]
    must(actions, "There is no audit record.")
    return f"{GIVEN} credits"


def consume(trial: Trial) -> str:
    """The account's owner spends credits."""
    scrip, account_id = trial.owner.scrip, trial.account_id
    posting = scrip.consume(account_id, amount=CONSUMED, idempotency_key=USE_KEY, reason=REASON)
    trial.made_use = posting.entry.entry_id
    charged = -posting.entry.amount
    must(charged == (0 if posting.account.unlimited else CONSUMED), f"It cost {charged} credits.")
    balance = scrip.balance(account_id).balance
    must(balance == posting.account.balance, f"The balance is {balance} afterwards.")
    return f"{charged} credits"


def replay(trial: Trial) -> str:
    """The same call with the same key is answered and not charged again."""
    scrip, account_id = trial.owner.scrip, trial.account_id
    before = scrip.balance(account_id).balance
    again = scrip.consume(account_id, amount=CONSUMED, idempotency_key=USE_KEY, reason=REASON)
    must(again.replayed, f"It was charged again, as {again.entry.entry_id}.")
    must(scrip.balance(account_id).balance == before, "The balance has changed.")
    return again.entry.entry_id


def refund(trial: Trial) -> str:
    """A back end gives back a part of what was spent."""
    if not trial.service.scrip.entry(trial.account_id, trial.use_id).amount:
        raise UnprovenError("On the plan for new accounts, a use costs nothing.")
    posting = trial.service.scrip.refund(trial.account_id, trial.use_id, REASON, REFUNDED)
    must(posting.entry.amount == REFUNDED, f"It gave back {posting.entry.amount} credits.")
    return f"{REFUNDED} credits"


def hold(trial: Trial) -> str:
    """A back end holds credits, captures some of them, and the rest is available again."""
    scrip = trial.service.scrip
    before = scrip.balance(trial.account_id)
    held = scrip.open_hold(trial.account_id, amount=HELD, reason=REASON)
    captured = scrip.capture_hold(
        trial.account_id, held.hold.hold_id, amount=CAPTURED, reason=REASON
    )
    spent = before.available - captured.account.available
    must(spent == -captured.entry.amount, f"{spent} credits are gone for {captured.entry}.")
    must(captured.account.held == before.held, f"{captured.account.held} credits are still held.")
    return f"{spent} of {HELD} credits captured"


def batch(trial: Trial) -> str:
    """A back end charges several uses at once."""
    uses: list[BatchUse] = [{"amount": 1, "reason": REASON}, {"amount": 2, "reason": REASON}]
    answer = trial.service.scrip.consume_batch(trial.account_id, uses)
    must(len(answer.entries) == len(uses), f"{len(answer.entries)} entries were written.")
    return f"{len(uses)} uses"


def entries(trial: Trial) -> str:
    """The index of entries lists all of them, in order."""
    path = f"/v1/accounts/{trial.account_id}/entries"
    last = trial.owner.ask("GET", path, params={"limit": 1})["entries"]

    def listed() -> list[int] | None:
        numbers = [entry.seq for entry in trial.owner.scrip.entries(trial.account_id)]
        return numbers if numbers == [*range(len(numbers), 0, -1)] else None

    must(last, "The list is empty.")
    numbers = trial.until(listed, "The list had gaps")
    return f"{len(numbers)} entries"


def accounts(trial: Trial) -> str:
    """The index of accounts has the new one, and an admin may list it."""
    table = trial.session.table()
    item = table.get(account_key(trial.account_id))
    if item is None:
        raise FailedError(f"There is no account {trial.account_id}.")
    partition, place = item["directory_pk"]["S"], item["directory_sk"]["S"]

    def is_listed() -> bool:
        found, _ = table.query(
            "directory_pk = :pk AND directory_sk = :sk",
            {":pk": partition, ":sk": place},
            IndexName="directory",
        )
        return bool(found)

    trial.until(is_listed, "The index did not list the account")

    def is_shown() -> bool:
        listed = trial.admin.ask("GET", "/v1/admin/accounts", params={"limit": 1})
        return bool(listed["accounts"])

    trial.until(is_shown, "The list of accounts is empty")
    return str(partition)


def refusals(trial: Trial) -> str:
    """A user's token reaches neither an admin's route nor another account."""
    for path in ("/v1/admin/health", "/v1/accounts/somebody-else"):
        status = trial.user.http.get(path).status_code
        must(status == HTTPStatus.FORBIDDEN, f"A user's GET {path} answered {status}.")
    return "403"


def audit(trial: Trial) -> str:
    """The account matches its entries, by rules that share nothing with the ledger's."""
    audited = audit_account(trial.session.table(), trial.account_id, utc_now())
    if audited is None:
        raise FailedError(f"There is no account {trial.account_id}.")
    found = [f"{finding.code} {finding.sentence}" for finding in audited.findings]
    must(not found, "; ".join(found))
    return f"{audited.entries} entries"
