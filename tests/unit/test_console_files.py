"""The console's files: libraries as published, and modules of our own that fit together."""

import json
import re
from hashlib import sha256
from pathlib import Path

from scrip.domain.entries import EntryType

STATIC = Path(__file__).parents[2] / "functions/console/static"
VENDOR = STATIC / "vendor"
MANIFEST = json.loads((VENDOR / "manifest.json").read_text())
INDEX = (STATIC / "index.html").read_text()
OURS = [
    path.relative_to(STATIC).as_posix()
    for path in sorted(STATIC.rglob("*.js"))
    if VENDOR not in path.parents
]


def test_the_ledger_can_be_filtered_by_every_type_of_entry() -> None:
    [types] = re.findall(r"TYPES = (\[.*?\]);", (STATIC / "lib/entries.js").read_text(), re.DOTALL)
    assert set(json.loads(types.replace(",\n]", "]"))) == set(EntryType)


def test_the_libraries_are_the_published_files() -> None:
    hashes = {library["file"]: library["sha256"] for library in MANIFEST}
    files = [path for path in VENDOR.iterdir() if path.name != "manifest.json"]
    assert {path.name: sha256(path.read_bytes()).hexdigest() for path in files} == hashes


def test_every_library_has_its_licence_and_is_from_the_registry() -> None:
    for library in MANIFEST:
        assert f"{library['name']}.LICENSE.txt" in {other["file"] for other in MANIFEST}
        assert library["source"] == (
            f"https://registry.npmjs.org/{library['name']}/-/{library['name']}-{library['version']}.tgz"
        )


def test_every_module_begins_with_a_comment_on_its_purpose() -> None:
    for name in OURS:
        text = (STATIC / name).read_text()
        assert re.match(r"// [A-Z].+\.\n", text), name


def test_the_page_contains_nothing_that_its_policy_forbids() -> None:
    assert not re.search(r"<style|style=|<script(?![^>]* src=)| on\w+=", INDEX)
    for name in OURS:
        text = (STATIC / name).read_text()
        assert not re.search(r"\beval\(|new Function|innerHTML|dangerouslySet", text), name


def test_every_module_is_imported_and_every_import_exists() -> None:
    imported = {
        (STATIC / name).parent.joinpath(path).resolve().relative_to(STATIC).as_posix()
        for name in OURS
        for path in re.findall(r'(?:from|import\() ?"(\.[^"]+)"', (STATIC / name).read_text())
    }
    assert imported | {"start.js"} == set(OURS)
