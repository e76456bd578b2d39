"""The pages' own files: modules that fit together."""

import json
import re
from pathlib import Path

from scrip.domain.entries import EntryType

STATIC = Path(__file__).parents[2] / "functions/console/static"
VENDOR = STATIC / "vendor"
PAGES = [(STATIC / name).read_text() for name in ("index.html", "me/index.html")]
OURS = [
    path.relative_to(STATIC).as_posix()
    for path in sorted(STATIC.rglob("*.js"))
    if VENDOR not in path.parents
]


def test_the_ledger_can_be_filtered_by_every_type_of_entry() -> None:
    [types] = re.findall(r"TYPES = (\[.*?\]);", (STATIC / "lib/entries.js").read_text(), re.DOTALL)
    assert set(json.loads(types.replace(",\n]", "]"))) == set(EntryType)


def test_every_module_begins_with_a_comment_on_its_purpose() -> None:
    for name in OURS:
        text = (STATIC / name).read_text()
        assert re.match(r"// [A-Z].+\.\n", text), name


def test_the_pages_contain_nothing_that_their_policy_forbids() -> None:
    for page in PAGES:
        assert not re.search(r"<style|style=|<script(?![^>]* src=)| on\w+=", page)
    for name in OURS:
        text = (STATIC / name).read_text()
        assert not re.search(r"\beval\(|new Function|innerHTML|dangerouslySet", text), name


def test_every_module_is_imported_and_every_import_exists() -> None:
    imported = {
        (STATIC / name).parent.joinpath(path).resolve().relative_to(STATIC).as_posix()
        for name in OURS
        for path in re.findall(r'(?:from|import\() ?"(\.[^"]+)"', (STATIC / name).read_text())
    }
    # Pages load the others, and so do the pages of apps.
    assert imported | {"start.js", "app.js", "me/app.js", "me/credits.js"} == set(OURS)


def test_users_read_no_word_of_the_ledgers_own() -> None:
    """Every text that the users' page shows, and neither names of fields nor comments."""
    internal = re.compile(
        r"\b(entry|entries|seq|allocations?|ledger|idempotency|postings?)\b", re.IGNORECASE
    )
    shown = re.compile(r'">([^<>{}`]+)|"([A-Z][^"`]+)"|`([A-Z][^`]+)`')
    for path in (STATIC / "me").glob("*.js"):
        text = re.sub(r"^ *(//|/?\*).*$", "", path.read_text(), flags=re.MULTILINE)
        for found in shown.findall(text):
            assert not internal.search(" ".join(found)), (path.name, found)
