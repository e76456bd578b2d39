"""Checks of what is stored of an account beside its entries."""

from collections.abc import Iterator

from scrip.domain.account import AccountStatus
from scrip.domain.audit.books import Books
from scrip.domain.audit.checks.check import AboutItem, item_checks
from scrip.domain.audit.findings import Code


@item_checks.reporting(Code.ITEM_UNREADABLE)
def items_are_readable(books: Books) -> Iterator[AboutItem]:
    """Every item of the account can be read."""
    for about in books.unreadable:
        yield about, "The item cannot be read."


@item_checks.reporting(Code.ACCOUNT_MISSING)
def account_exists(books: Books) -> Iterator[AboutItem]:
    """Whatever has entries or other items has an account item."""
    if books.account is None and "account" not in books.unreadable:
        yield "account", "The account item is missing, but its entries or other items exist."


@item_checks.reporting(Code.UNKNOWN_ATTRIBUTE)
def attributes_are_known(books: Books) -> Iterator[AboutItem]:
    """Items have only attributes that Scrip wrote, as it wrote them."""
    of_account = {"account": books.unknown} if books.unknown else {}
    for about, names in {**of_account, **books.unknown_beside}.items():
        yield about, unknown_attributes(names)


@item_checks.reporting(Code.ENTRY_WITHOUT_SEQ)
def entries_have_seqs(books: Books) -> Iterator[AboutItem]:
    """Every entry has a seq, by which lists find it."""
    for entry_id in books.unnumbered:
        yield f"entry {entry_id}", "It has no seq, so no list of entries shows it."


@item_checks.reporting(Code.CHECKPOINT_WRONG)
def account_reaches_its_checkpoint(books: Books) -> Iterator[AboutItem]:
    """A checkpoint can be read, and the account goes on from there."""
    known, account = books.checkpoint, books.account
    if known and not known.hash:
        yield "checkpoint", "It cannot be read."
    elif known and account and account.seq_last < known.seq:
        yield "checkpoint", f"Entry {known.seq} was proved, but the account ends before it."


@item_checks.reporting(Code.ALIAS_WRONG)
def names_lead_to_the_account(books: Books) -> Iterator[AboutItem]:
    """The outside names of the account lead to it."""
    for name, account_id in sorted(books.names.items()):
        if account_id != books.account_id:
            target = f"account {account_id}" if account_id else "no account"
            yield f"alias {name}", f"It is a name of this account, but leads to {target}."


@item_checks.reporting(Code.DIRECTORY_WRONG)
def directory_lists_open_accounts(books: Books) -> Iterator[AboutItem]:
    """The directory lists an open account by its anchor, and no closed one."""
    if books.listed:
        return
    if books.account is not None and books.account.status is AccountStatus.CLOSED:
        yield "account", "The account is closed, but the directory lists it."
    else:
        yield "account", "The directory does not list it by its anchor, so no sweep finds it."


def unknown_attributes(names: frozenset[str]) -> str:
    """Return the sentence about an item's unknown attributes."""
    return f"It has attributes that Scrip did not write: {', '.join(sorted(names))}."
