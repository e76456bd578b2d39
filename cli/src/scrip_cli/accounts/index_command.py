"""`scrip index`: lists and searches find the accounts that an earlier version opened, too."""

from scrip_cli.session import Session, with_session


@with_session
def index(*, session: Session) -> None:
    """Add accounts that an earlier version opened to lists and searches. Safe to repeat.

    Run it once after an update from version 0.2.0 or older, and after a restore of a backup of such
    a stack. Until then all accounts are listed by the day and time of their anchor, and those from
    before are found by their whole ID or address only. The stack can be in use meanwhile.

    Exit codes: 0 all accounts are listed, 1 some failed, 130 stopped by Ctrl-C; run it again to
    continue.
    """
    from scrip_cli.accounts.index import index_accounts

    index_accounts(session)
