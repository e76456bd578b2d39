"""The names by which operators can refer to an account."""

import pytest

from scrip.domain.errors import AccountNotFoundError
from scrip.ledger import Ledger, utc_now
from scrip.settings import Settings
from scrip.store.aliases import link_account
from scrip.store.client import Table
from scrip.users import add_account
from scrip_cli.accounts.names import account_named
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode

SETTINGS = Settings(table_name="scrip", signup_credits=7)


def test_an_id_an_email_address_or_a_providers_id_leads_to_an_account(table: Table) -> None:
    ledger = Ledger(table, utc_now)
    add_account(ledger, "samlp|corp|a@b.org", "Anna@example.com", SETTINGS)
    link_account(table, "samlp|corp|a@b.org", "stripe:cus_1")
    for name in (
        "samlp|corp|a@b.org",
        "account:samlp|corp|a@b.org",
        "anna@EXAMPLE.com",
        "email:ANNA@example.com",
        "stripe:cus_1",
    ):
        assert account_named(table, name) == "samlp|corp|a@b.org"
    assert ledger.account("samlp|corp|a@b.org").balance == 7 + 100
    for name in ("unknown", "stripe:CUS_1", "email:", "free"):
        with pytest.raises(AccountNotFoundError):
            account_named(table, name)


def test_a_name_that_is_one_accounts_id_and_anothers_address_is_refused(table: Table) -> None:
    ledger = Ledger(table, utc_now)
    add_account(ledger, "a@b.org", None, SETTINGS)
    add_account(ledger, "other", "a@b.org", SETTINGS)
    with pytest.raises(CommandError, match="several accounts") as refused:
        account_named(table, "a@b.org")
    assert refused.value.exit_code == ExitCode.USAGE
    assert refused.value.remedy == "Name account:a@b.org or account:other."
    assert account_named(table, "account:a@b.org") == "a@b.org"
    assert account_named(table, "email:a@b.org") == "other"
