"""Each mailbox gets the sign-up credits once, however its accounts are opened."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from scrip.audit.accounts import audit_account
from scrip.domain.commands import CloseAccount
from scrip.domain.decide import decide
from scrip.domain.entries import CLOCK
from scrip.domain.errors import BusyError, CorruptAccountError
from scrip.ledger import ledger, opening, utc_now
from scrip.settings import Settings, settings
from scrip.store.commit import commit
from scrip.store.erasure import erase
from scrip.store.mailbox_key import hashed, make_mailbox_key, own_mailbox_key, read_mailbox_key
from scrip.user_pool import PoolUser, UserPool, user_pool
from scrip.users import add_account, open_account
from scrip_cli.accounts.backfill import Backfill
from scrip_cli.accounts.people import Person
from tests.functional.conftest import event, invoke, items
from tests.functional.faults import answer_lost, instead_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.store.client import Table

ALLOWANCE, WELCOME = 100, 50
ONE_MAILBOX = (
    "alice.b@gmail.com",
    "Alice.B@gmail.com",
    "aliceb+2@gmail.com",
    "a.l.i.c.e.b@googlemail.com",
    "aliceb+x+y@GoogleMail.com",
)


def sign_up(sub: str, email: str, *, verified: bool = True) -> int:
    """Confirm a sign-up as Cognito does; return the balance."""
    sent = event("signup/confirmed")
    sent["request"]["userAttributes"] |= {
        "sub": sub,
        "email": email,
        "email_verified": "true" if verified else "false",
    }
    invoke("signup", sent)
    return ledger().account(sub).balance


def leave(account_id: str) -> None:
    """Close an account and erase its user."""
    command = CloseAccount(account_id=account_id, entry_id="close", actor=CLOCK)
    ledger().execute(command)
    erase(ledger().table, account_id)


def welcomes(table: Table) -> list[dict[str, Any]]:
    return [item for item in items(table) if item["pk"]["S"].startswith("WELCOME#")]


def is_sound(table: Table, account_id: str) -> bool:
    audited = audit_account(table, account_id, utc_now())
    return audited is not None and not audited.findings


@dataclass
class Pool:
    """A user pool and the first calls of its users."""

    client: Any
    pool_id: str

    def add(self, email: str, *, verified: bool = True) -> str:
        """Add a user; return their `sub`."""
        values = {"email": email, "email_verified": "true" if verified else "false"}
        made = self.client.admin_create_user(
            UserPoolId=self.pool_id,
            Username=email,
            UserAttributes=[{"Name": name, "Value": value} for name, value in values.items()],
        )
        attributes = {one["Name"]: one["Value"] for one in made["User"]["Attributes"]}
        return str(attributes["sub"])

    def first_call(
        self, sub: str, *, username: str | None = None, issuer: str | None = None
    ) -> dict[str, Any]:
        """Read a user's own account with an access token; return the answer."""
        sent = event("account/me")
        sent["requestContext"]["authorizer"]["jwt"]["claims"] |= {
            "sub": sub,
            "username": username or sub,
            "iss": issuer or f"https://cognito-idp.eu-central-1.amazonaws.com/{self.pool_id}",
        }
        answer = invoke("account", sent)
        return {"status": answer["statusCode"], **json.loads(answer["body"])}


@pytest.fixture
def pool(table: Table, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """The stack's own pool."""
    client = boto3.client("cognito-idp")
    made = client.create_user_pool(PoolName="pool", UsernameAttributes=["email"])["UserPool"]
    monkeypatch.setenv("USER_POOL_ID", made["Id"])
    settings.cache_clear()
    yield Pool(client, made["Id"])
    settings.cache_clear()


def test_a_returning_user_gets_only_the_plans_credits(
    table: Table,
) -> None:
    first, *others = ONE_MAILBOX
    assert sign_up("first", first) == ALLOWANCE + WELCOME
    for number, email in enumerate(others):
        leave("first" if not number else f"again-{number - 1}")
        assert sign_up(f"again-{number}", email) == ALLOWANCE
        assert is_sound(table, f"again-{number}")
    assert len(welcomes(table)) == 1


def test_a_second_account_of_a_mailbox_gets_no_sign_up_credits(
    table: Table,
) -> None:
    balances = [sign_up(f"user-{n}", email) for n, email in enumerate(ONE_MAILBOX)]
    assert balances == [ALLOWANCE + WELCOME, *[ALLOWANCE] * (len(ONE_MAILBOX) - 1)]


def test_other_mailboxes_get_sign_up_credits(table: Table) -> None:
    for number, email in enumerate(("a@example.com", "a@example.org", "a.b@x.org", "ab@x.org")):
        assert sign_up(f"user-{number}", email) == ALLOWANCE + WELCOME


def test_the_record_of_a_mailbox_is_anonymous_and_survives_erasure(table: Table) -> None:
    sign_up("first", "alice@example.com")
    kept = welcomes(table)
    leave("first")
    assert welcomes(table) == kept
    [item] = kept
    assert item.keys() == {"pk", "sk"}, "no expiry and no ID"
    assert "alice" not in str(items(table))
    # No item of the account refers to it.
    digest = item["pk"]["S"].removeprefix("WELCOME#")
    assert len(digest) == 64
    assert digest not in str([one for one in items(table) if one != item])
    command = opening("first", (digest,))
    assert command.request_hash == opening("first").request_hash


def test_addresses_cannot_be_tried_without_the_stacks_key(table: Table) -> None:
    one = hashed(["alice@example.com"], own_mailbox_key)
    other = hashed(["alice@example.com"], lambda: b"another stack's")
    assert one != other
    assert own_mailbox_key().decode() not in str(items(table))


def test_the_key_is_an_encrypted_parameter_and_without_it_the_ledger_is_busy(aws: Table) -> None:
    ssm = boto3.client("ssm")
    make_mailbox_key(ssm, "/scrip/other/mailbox-key")
    assert len(read_mailbox_key(ssm, "/scrip/other/mailbox-key")) == 64
    parameter = ssm.get_parameter(Name="/scrip/other/mailbox-key")["Parameter"]
    assert parameter["Type"] == "SecureString"
    with pytest.raises(BusyError):
        read_mailbox_key(ssm, "/scrip/none/mailbox-key")


def test_a_lost_answer_does_not_lose_the_sign_up_credits(table: Table) -> None:
    with answer_lost(table, "TransactWriteItems", times=2):
        assert sign_up("first", "alice@example.com") == ALLOWANCE + WELCOME
    assert sign_up("first", "alice@example.com") == ALLOWANCE + WELCOME
    with answer_lost(table, "TransactWriteItems", times=2):
        assert sign_up("again", "alice+2@example.com") == ALLOWANCE
    assert is_sound(table, "first")


def test_of_two_sign_ups_at_once_only_the_first_gets_sign_up_credits(table: Table) -> None:
    mailboxes = hashed(["alice@example.com"], own_mailbox_key)
    catalog = ledger().catalog()
    faster = [decide(None, opening("faster", mailboxes), catalog=catalog, now=utc_now())]

    def another_is_faster(**_: Any) -> None:
        if faster:
            commit(table, faster.pop())

    name = "before-call.dynamodb.TransactWriteItems"
    table.client.meta.events.register_first(name, another_is_faster)
    try:
        assert sign_up("slower", "alice+1@example.com") == ALLOWANCE
    finally:
        table.client.meta.events.unregister(name, another_is_faster)
    assert ledger().account("faster").balance == ALLOWANCE + WELCOME


def test_an_unverified_address_gets_the_credits_and_leaves_them_to_its_owner(
    table: Table,
) -> None:
    assert sign_up("mallory", "alice@example.com", verified=False) == ALLOWANCE + WELCOME
    assert not welcomes(table)
    assert sign_up("alice", "alice@example.com") == ALLOWANCE + WELCOME


def test_a_user_with_several_addresses_gets_the_credits_if_none_had_them(table: Table) -> None:
    now = utc_now()
    open_account(ledger(), "first", ["a@example.com", "a+x@example.com", "b@example.com"], at=now)
    open_account(ledger(), "second", ["c@example.com", "b@example.com"], at=now)
    assert ledger().account("first").balance == ALLOWANCE + WELCOME
    assert ledger().account("second").balance == ALLOWANCE
    # The address c now belongs to a user who has an account.
    open_account(ledger(), "third", ["c@example.com"], at=now)
    assert ledger().account("third").balance == ALLOWANCE


def test_a_user_with_hundreds_of_addresses_gets_an_account(table: Table) -> None:
    emails = [f"a{number}@example.com" for number in range(200)]
    open_account(ledger(), "first", emails, at=utc_now())
    assert len(welcomes(table)) == 200
    assert sign_up("again", "a199@example.com") == ALLOWANCE


def test_an_address_that_is_added_later_gets_no_second_credits(table: Table) -> None:
    now = utc_now()
    open_account(ledger(), "first", ["a@example.com"], at=now)
    open_account(ledger(), "first", ["b@example.com"], at=now + timedelta(seconds=1))
    leave("first")
    assert sign_up("again", "b@example.com") == ALLOWANCE
    assert sign_up("again-2", "a@example.com") == ALLOWANCE


def test_an_account_that_an_admin_opens_gets_the_credits_by_its_address(table: Table) -> None:
    assert sign_up("first", "alice@example.com") == ALLOWANCE + WELCOME
    leave("first")
    add_account(ledger(), "added", "alice@example.com")
    assert ledger().account("added").balance == ALLOWANCE
    add_account(ledger(), "without", None)
    assert ledger().account("without").balance == ALLOWANCE + WELCOME
    # The address that it gets later gets no second credits either.
    add_account(ledger(), "without", "bert@example.com")
    leave("without")
    assert sign_up("again", "bert+2@example.com") == ALLOWANCE


def test_the_backfill_and_the_sync_record_the_mailboxes_of_older_accounts(
    table: Table,
    pool: Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subs = {email: pool.add(email) for email in ("a@example.com", "b@example.com")}
    for sub in subs.values():
        ledger().execute(opening(sub))  # as an earlier version did
    stack = Settings(table_name="scrip", signup_credits=WELCOME)
    Backfill(ledger(), stack, dry_run=True).open_one(
        Person(account_id=subs["a@example.com"], email="a@example.com")
    )
    assert not welcomes(table)
    Backfill(ledger(), stack).open_one(
        Person(account_id=subs["a@example.com"], email="a@example.com")
    )
    leave(subs["a@example.com"])
    assert sign_up("again-a", "a@example.com") == ALLOWANCE
    monkeypatch.setattr("functions.admin.sync.user_pool", user_pool)
    sent = event("admin/sync")
    sent["body"] = json.dumps({"mode": "users"})
    assert invoke("admin", sent)["statusCode"] == 200
    leave(subs["b@example.com"])
    assert sign_up("again-b", "b+2@example.com") == ALLOWANCE


class TestFirstCall:
    """The first call of a user whose trigger failed opens the account as the trigger would have."""

    def test_it_gets_the_sign_up_credits_as_by_the_trigger(self, table: Table, pool: Pool) -> None:
        sub = pool.add("alice@example.com")
        assert pool.first_call(sub)["balance"] == ALLOWANCE + WELCOME
        assert len(welcomes(table)) == 1
        assert sign_up("again", "alice+1@example.com") == ALLOWANCE

    def test_it_gets_no_second_credits_for_a_mailbox(self, pool: Pool) -> None:
        sign_up("first", "alice@example.com")
        assert pool.first_call(pool.add("alice+1@example.com"))["balance"] == ALLOWANCE

    def test_a_token_of_another_issuer_gets_the_credits_once_per_verified_address(
        self, table: Table
    ) -> None:
        def balance(sub: str, email: str, verified: str) -> int:
            sent = event("account/me")
            claims = {"sub": sub, "iss": "https://issuer.example/", "email": email}
            claims["email_verified"] = verified
            sent["requestContext"]["authorizer"]["jwt"]["claims"] = claims
            return int(json.loads(invoke("account", sent)["body"])["balance"])

        assert balance("auth0|1", "alice@example.com", "true") == ALLOWANCE + WELCOME
        assert balance("auth0|2", "alice+again@example.com", "true") == ALLOWANCE
        # An unverified address may belong to another user.
        assert balance("auth0|3", "bob@example.com", "false") == ALLOWANCE + WELCOME
        assert len(welcomes(table)) == 1

    def test_the_pool_is_asked_once(self, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
        sub = pool.add("alice@example.com")
        asked: list[str] = []
        known = UserPool.user

        def user(self: UserPool, username: str) -> Any:
            asked.append(username)
            return known(self, username)

        monkeypatch.setattr(UserPool, "user", user)
        for _ in range(3):
            pool.first_call(sub)
        assert asked == [sub]

    def test_a_user_of_another_provider_is_known_by_their_name_in_the_pool(
        self, pool: Pool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pool_user = PoolUser(account_id="sub-1", email="alice@example.com", is_confirmed=True)
        known = {"google_1": pool_user, "google_2": pool_user}
        monkeypatch.setattr("scrip.users.user_pool", lambda: SimpleNamespace(user=known.get))
        assert pool.first_call("sub-1", username="google_1")["balance"] == ALLOWANCE + WELCOME
        # A name that now belongs to another user is ignored.
        assert pool.first_call("sub-2", username="google_2")["balance"] == ALLOWANCE

    def test_a_user_who_has_left_the_pool_gets_no_sign_up_credits(
        self, table: Table, pool: Pool
    ) -> None:
        sub = pool.add("alice@example.com")
        pool.client.admin_delete_user(UserPoolId=pool.pool_id, Username="alice@example.com")
        assert pool.first_call(sub)["balance"] == ALLOWANCE
        assert not welcomes(table)

    def test_an_unverified_address_gets_the_credits(self, table: Table, pool: Pool) -> None:
        sub = pool.add("alice@example.com", verified=False)
        assert pool.first_call(sub)["balance"] == ALLOWANCE + WELCOME
        assert not welcomes(table)

    def test_nothing_is_opened_while_the_pool_does_not_answer(
        self, table: Table, pool: Pool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sub = pool.add("alice@example.com")
        client = user_pool().client
        throttled = {"Error": {"Code": "TooManyRequestsException", "Message": "slow down"}}

        def refuse(**_: Any) -> None:
            raise ClientError(throttled, "AdminGetUser")  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(client, "admin_get_user", refuse)
            assert pool.first_call(sub)["status"] == 503
        assert not items(table)
        assert pool.first_call(sub)["balance"] == ALLOWANCE + WELCOME

    def test_nothing_is_opened_without_the_key(
        self, table: Table, pool: Pool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def busy() -> bytes:
            raise BusyError

        sub = pool.add("alice@example.com")
        with monkeypatch.context() as patch:
            patch.setattr(ledger(), "mailbox_key", busy)
            assert pool.first_call(sub)["status"] == 503
            sent = event("signup/confirmed")
            assert invoke("signup", sent) == sent
        assert not items(table)

    def test_users_of_another_issuer_are_not_looked_up_in_the_pool(
        self, table: Table, pool: Pool
    ) -> None:
        for issuer in ("https://example.eu.auth0.com/", f"https://evil.example/x{pool.pool_id}"):
            answer = pool.first_call(f"user-of-{len(issuer)}", issuer=issuer)
            assert answer["balance"] == ALLOWANCE + WELCOME
        assert not welcomes(table)


def test_a_stack_without_sign_up_credits_opens_accounts_with_the_plans_only(table: Table) -> None:
    stack = Settings(table_name="scrip", signup_credits=0)
    for number in range(2):
        open_account(ledger(), f"user-{number}", ["a@example.com"], stack, at=utc_now())
        assert ledger().account(f"user-{number}").balance == ALLOWANCE
        assert is_sound(table, f"user-{number}")


def test_a_conflict_over_a_mailbox_is_retried(table: Table) -> None:
    conflict = {
        "Error": {"Code": "TransactionCanceledException", "Message": "conflict"},
        "CancellationReasons": [
            *[{"Code": "None"}] * 3,
            {"Code": "TransactionConflict"},
        ],
    }
    with instead_of(table, "TransactWriteItems", conflict, times=1):
        assert sign_up("first", "alice@example.com") == ALLOWANCE + WELCOME


def test_entries_without_an_account_are_not_mistaken_for_a_known_mailbox(table: Table) -> None:
    sign_up("first", "alice@example.com")
    table.client.delete_item(
        TableName=table.name, Key={"pk": {"S": "ACCOUNT#first"}, "sk": {"S": "ACCOUNT"}}
    )
    with pytest.raises(CorruptAccountError):
        ledger().execute(opening("first", hashed(["alice@example.com"], own_mailbox_key)))
