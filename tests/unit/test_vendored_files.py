"""The libraries that pages load: as their registry has them, each with its license."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

FUNCTIONS = Path(__file__).parents[2] / "functions"
FOLDERS = [path.parent for path in FUNCTIONS.rglob("vendor/manifest.json")]


@pytest.mark.parametrize(
    "folder", FOLDERS, ids=lambda folder: folder.relative_to(FUNCTIONS).parts[0]
)
def test_the_libraries_are_the_published_files(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    hashes = {library["file"]: library["sha256"] for library in manifest}
    files = [path for path in folder.iterdir() if path.name != "manifest.json"]
    assert {path.name: sha256(path.read_bytes()).hexdigest() for path in files} == hashes


@pytest.mark.parametrize(
    "folder", FOLDERS, ids=lambda folder: folder.relative_to(FUNCTIONS).parts[0]
)
def test_every_library_has_its_license_and_is_from_the_registry(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    for library in manifest:
        assert f"{library['name']}.LICENSE.txt" in {other["file"] for other in manifest}
        assert library["source"] == (
            f"https://registry.npmjs.org/{library['name']}/-/{library['name']}-{library['version']}.tgz"
        )
