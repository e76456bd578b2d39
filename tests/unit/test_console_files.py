"""The console's files: what others wrote is what they published, and ours fits together."""

import json
import re
from hashlib import sha256
from pathlib import Path

STATIC = Path(__file__).parents[2] / "functions/console/static"
VENDOR = STATIC / "vendor"
MANIFEST = json.loads((VENDOR / "manifest.json").read_text())
INDEX = (STATIC / "index.html").read_text()
OURS = [
    path.relative_to(STATIC).as_posix()
    for path in sorted(STATIC.rglob("*.js"))
    if VENDOR not in path.parents
]


def test_the_libraries_are_as_their_authors_published_them() -> None:
    hashes = {told["file"]: told["sha256"] for told in MANIFEST}
    files = [path for path in VENDOR.iterdir() if path.name != "manifest.json"]
    assert {path.name: sha256(path.read_bytes()).hexdigest() for path in files} == hashes


def test_every_library_comes_with_its_licence_and_from_the_registry() -> None:
    for told in MANIFEST:
        assert f"{told['name']}.LICENSE.txt" in {other["file"] for other in MANIFEST}
        assert told["source"] == (
            f"https://registry.npmjs.org/{told['name']}/-/{told['name']}-{told['version']}.tgz"
        )


def test_every_module_says_first_what_it_is_for() -> None:
    for name in OURS:
        text = (STATIC / name).read_text()
        assert re.match(r"// [A-Z].+\.\n", text), name


def test_the_page_has_nothing_that_its_policy_forbids() -> None:
    assert not re.search(r"<style|style=|<script(?![^>]* src=)| on\w+=", INDEX)
    for name in OURS:
        text = (STATIC / name).read_text()
        assert not re.search(r"\beval\(|new Function|innerHTML|dangerouslySet", text), name


def test_every_module_is_imported_and_every_import_is_a_module() -> None:
    imported = {
        (STATIC / name).parent.joinpath(path).resolve().relative_to(STATIC).as_posix()
        for name in OURS
        for path in re.findall(r'(?:from|import\() ?"(\.[^"]+)"', (STATIC / name).read_text())
    }
    assert imported | {"start.js"} == set(OURS)
