"""`scrip seed`: demo accounts with three months of use, to try a stack or to show it."""

from typing import Annotated

import typer

from scrip_cli.session import Session, with_session


@with_session
def seed(
    *,
    users: Annotated[int, typer.Option(min=1, max=999, help="How many accounts.")] = 24,
    seed_: Annotated[
        int, typer.Option("--seed", help="A different number makes different people.")
    ] = 1,
    session: Session,
) -> None:
    """Open accounts demo-001, demo-002 ... and use them for the past three months. Stage dev only.

    The first 16 show one thing each: an agent with its runs, a subscriber, a debt, a frozen
    account, a disputed payment, a team, a trial and so on. Then providers send a few messages: some
    apply, some wait or fail. Safe to repeat: nothing is added twice, and on a later day it adds the
    days since.

    Exit codes: 0 done, 1 refused, 130 stopped by Ctrl-C; run it again to continue.
    """
    from scrip_cli.seed.work import add_demo_data

    add_demo_data(session, users, seed_)
