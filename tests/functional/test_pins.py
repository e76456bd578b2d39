"""Every package that is installed anywhere is pinned to a version and its hashes."""

import re
import tomllib

import pytest

from tests.functional.conftest import ROOT

LISTS = sorted(
    path.relative_to(ROOT)
    for pattern in (
        "requirements/*.txt",
        "layers/**/requirements.txt",
    )
    for path in ROOT.glob(pattern)
)
PINNED = re.compile(
    r"[A-Za-z0-9._-]+(\[[a-z,-]+\])?==[^ ;]+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+"
)


@pytest.mark.parametrize("path", LISTS, ids=str)
def test_every_requirement_has_a_version_and_hashes(path: str) -> None:
    lines = (ROOT / path).read_text().splitlines()
    text = "\n".join(line for line in lines if not line.strip().startswith("#"))
    assert text
    # pip checks all hashes as soon as there is one.
    assert PINNED.sub("", text).strip() == ""


def test_the_lock_has_hashes_of_all_packages_but_our_own() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    for package in lock["package"]:
        files = [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
        is_ours = "registry" not in package["source"]
        assert is_ours or files, package["name"]
        assert all(file["hash"].startswith("sha256:") for file in files)


def test_pip_installs_nothing_without_a_hash() -> None:
    installs = re.findall(r".*pip (?:install|sync) .*", (ROOT / "Makefile").read_text())
    assert len(installs) == 3
    assert all("--require-hashes" in line for line in installs)
