"""The CSV file with the users for whom `scrip backfill` opens accounts."""

from pathlib import Path

import pytest

from scrip_cli.accounts.people import Person, people_in_csv
from scrip_cli.errors import CommandError


def csv(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "users.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("account_id\na\nb\n", [("a", None), ("b", None)]),
        ("account_id,email\na,a@x.org\nb,\n", [("a", "a@x.org"), ("b", None)]),
        ("\ufeffaccount_id,email\r\n a , a@x.org \r\n\r\n", [("a", "a@x.org")]),
        ('account_id,email\n"auth0|7","""o, brien""@x.org"\n', [("auth0|7", '"o, brien"@x.org')]),
        ("account_id\n" + "a" * 128, [("a" * 128, None)]),
        ("account_id\n'+49170\n'-a\n'@b\n'=c\n", [(f, None) for f in ("+49170", "-a", "@b", "=c")]),
        ("account_id,email\n+49170,+a@x.org\n", [("+49170", "+a@x.org")]),
        ("account_id\n", []),
    ],
)
def test_a_file_has_account_ids_and_optional_emails(
    tmp_path: Path,
    text: str,
    people: list[tuple[str, str | None]],
) -> None:
    assert people_in_csv(csv(tmp_path, text)) == [
        Person(account_id=account_id, email=email) for account_id, email in people
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "header"),
        ("a\nb\n", 1, "header"),
        ("account_id,name\na,b\n", 1, "header"),
        ("email,account_id\na@x.org,a\n", 1, "header"),
        ("account_id,email\na,a@x.org\nb\n", 3, "1 columns instead of 2"),
        ("account_id,email\na,a@x.org,x\n", 2, "3 columns instead of 2"),
        ("account_id,email\n,a@x.org\n", 2, "empty"),
        ("account_id\n" + "a" * 129, 2, "'" + "a" * 40 + "' cannot be an account_id"),
        ("account_id\nteam/anna\n", 2, "'team/anna' cannot be"),
        ("account_id\nme\n", 2, "cannot be"),
        ("account_id\na\tb\n", 2, "cannot be"),
        ("account_id,email\na,anna\n", 2, "not an email address"),
        ("account_id\na\nb\na\n", 4, "is in line 2, too"),
        ('account_id\n"a\n', 2, "unexpected end"),
    ],
)
def test_a_fault_is_reported_with_its_line(
    tmp_path: Path,
    text: str,
    line: int,
    message: str,
) -> None:
    with pytest.raises(CommandError) as refused:
        people_in_csv(csv(tmp_path, text))
    assert f"users.csv:{line}: " in refused.value.output
    assert message in refused.value.output


def test_all_faults_are_reported_at_once_up_to_20(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as refused:
        people_in_csv(csv(tmp_path, "account_id\n" + "me\n" * 25))
    assert len(refused.value.output.splitlines()) == 21
    assert refused.value.output.endswith("and 5 more")


def test_a_file_of_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="UTF-8"):
        people_in_csv(csv(tmp_path, "account_id\nmüller\n".encode("latin-1")))
