"""What follows from a message or an entry: webhooks, the event bus, the usage, the archive."""

import json
import secrets
import time
from base64 import b64encode
from contextlib import suppress
from datetime import timedelta
from typing import Any

from scrip.ledger import utc_now
from scrip.store.client import Table
from scrip.store.erasure import erase_message
from scrip.store.inbox import read_message
from scrip.webhooks.providers import Provider
from scrip.webhooks.secrets import FRESH_SECONDS
from scrip_cli.smoke.trial import REASON, FailedError, Trial, must
from scrip_cli.webhooks.commands import post_signed

BOUGHT = 11
"""Credits of each message's purchase."""

PULL_SECONDS = 5
"""How long a read of the queue waits for an event, after which something more is consumed."""

PAGES_MAX = 100


def webhook(trial: Trial) -> str:
    """A signed message buys credits."""
    scrip = trial.owner.scrip
    before = scrip.balance(trial.account_id).balance
    bought = _purchase(trial, "named", account_id=trial.account_id)
    answer = _send(trial, "credits.purchased", bought)
    must(answer["status"] == "applied", f"The message is {answer['status']}.")
    added = scrip.balance(trial.account_id).balance - before
    must(added == BOUGHT, f"It added {added} credits, not {BOUGHT}.")
    return f"{BOUGHT} credits"


def waiting_webhook(trial: Trial) -> str:
    """A message waits for an account, and the stream applies it once an admin has opened that."""
    account_id, admin = f"scrip-smoke-{trial.run}", trial.admin
    bought = _purchase(trial, "waiting", account_id=account_id)
    answer = _send(trial, "credits.purchased", bought)
    webhook_id, status = answer["webhook_id"], answer["status"]
    trial.undo(f"message {webhook_id}", lambda: _forget(trial.session.table(), webhook_id))
    must(status == "unmatched", f"The message whose account does not exist yet is {status}.")
    trial.undo_account(account_id)
    opened = admin.ask("POST", "/v1/admin/accounts", json={"account_id": account_id})["balance"]
    trial.until(
        lambda: admin.scrip.balance(account_id).balance >= opened + BOUGHT,
        "The message that waited was not applied",
    )
    return f"{BOUGHT} credits"


def event_bus(trial: Trial) -> str:
    """An event of the account reaches a rule on the bus."""
    sqs, events = trial.client("sqs"), trial.client("events")
    scrip, name = trial.owner.scrip, f"scrip-smoke-{trial.run}"
    rule = {"Name": name, "EventBusName": trial.outputs["EventBusName"]}
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    trial.undo(f"queue {name}", lambda: sqs.delete_queue(QueueUrl=url))
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    pattern = {"source": ["scrip"], "detail": {"account_id": [trial.account_id]}}
    trial.undo(f"rule {name}", lambda: _delete_rule(events, rule))
    rule_arn = events.put_rule(**rule, EventPattern=json.dumps(pattern))["RuleArn"]
    policy = _queue_policy(queue["QueueArn"], rule_arn)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    target = {"Id": name, "Arn": queue["QueueArn"]}
    events.put_targets(Rule=name, EventBusName=trial.outputs["EventBusName"], Targets=[target])

    def heard() -> str | None:
        # A rule takes effect some seconds after it was made, so one use may come too early.
        scrip.consume(trial.account_id, amount=1, reason=REASON)
        answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=PULL_SECONDS)
        for message in answer.get("Messages", []):
            return str(json.loads(message["Body"])["detail-type"])
        return None

    return trial.until(heard, "No event reached a rule on the bus")


def usage(trial: Trial) -> str:
    """The stream has counted the uses."""

    def counted() -> int | None:
        rows = trial.owner.ask("GET", f"/v1/accounts/{trial.account_id}/usage")["usage"]
        return sum(row["count"] for row in rows) or None

    return f"{trial.until(counted, 'No use was counted')} uses"


def archive(trial: Trial) -> str:
    """The stream has archived the entries, and an admin may read them."""
    window = {
        "from": trial.began.isoformat(),
        "to": (trial.began + timedelta(days=1)).isoformat(),
        "account_id": trial.account_id,
    }

    def archived() -> int | None:
        cursor: dict[str, str] = {}
        for _ in range(PAGES_MAX):
            page = trial.admin.ask("GET", "/v1/admin/entries", params=window | cursor)
            if page["entries"] or page["cursor"] is None:
                return len(page["entries"]) or None
            cursor = {"cursor": page["cursor"]}
        raise FailedError(f"The archive has more than {PAGES_MAX} pages of this hour.")

    return f"{trial.until(archived, 'No entry was archived')} entries"


def _purchase(trial: Trial, name: str, **owner: str) -> dict[str, Any]:
    return {"payment_id": f"scrip-smoke-{trial.run}-{name}", "credits": BOUGHT, **owner}


def _send(trial: Trial, type_: str, data: dict[str, Any]) -> Any:
    """Send a signed message; return the answer. Raises FailedError if it is refused."""
    message = {"type": type_, "timestamp": utc_now().isoformat(), "data": data}
    answer = post_signed(
        f"{trial.session.api_url()}/v1/webhooks/{Provider.STANDARD}",
        json.dumps(message).encode(),
        Provider.STANDARD,
        _signing_secret(trial),
    )
    must(answer.is_success, f"The message was answered {answer.status_code}: {answer.text}")
    return answer.json()


def _forget(table: Table, webhook_id: str) -> None:
    """Erase a message, and let it wait no more if it still does."""
    if message := read_message(table, webhook_id):
        erase_message(table, webhook_id, message.waits_for)


def _signing_secret(trial: Trial) -> str:
    """Return a signing secret of the stack for `standard`, one just for this run if it has none."""
    manager, stored = trial.client("secretsmanager"), trial.outputs["WebhookSecretsArn"]

    def read() -> dict[str, Any]:
        return dict(json.loads(manager.get_secret_value(SecretId=stored)["SecretString"]))

    def write(known: dict[str, Any]) -> None:
        manager.put_secret_value(SecretId=stored, SecretString=json.dumps(known))

    def remove() -> None:
        known = read()
        rest = [one for one in known.pop(Provider.STANDARD, []) if one != secret]
        write(known | ({Provider.STANDARD: rest} if rest else {}))

    known = read()
    if known.get(Provider.STANDARD):
        return str(known[Provider.STANDARD][0])
    secret = f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"
    trial.undo("the run's signing secret for standard", remove)
    write(known | {Provider.STANDARD: [secret]})
    # Functions may have read the others just before.
    time.sleep(FRESH_SECONDS)
    return secret


def _queue_policy(queue: str, rule: str) -> str:
    """Return a policy that lets only one rule of the bus send to a queue."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _delete_rule(events: Any, rule: dict[str, str]) -> None:
    named = {"Rule": rule["Name"], "EventBusName": rule["EventBusName"]}
    with suppress(events.exceptions.ResourceNotFoundException):
        events.remove_targets(**named, Ids=[rule["Name"]])
        events.delete_rule(**rule)
