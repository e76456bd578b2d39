"""Rules for every page: its code is run or marked, and its links and files exist."""

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.documentation import DOCS, GUIDES, NOT_RUN, README, ROOT, blocks, without_blocks

NO_CODE = {"json", "text", "yaml"}

SECRET_IN_ARGUMENTS = re.compile(
    r"--(password|secret-string|client-secret|auth-parameters)[ =](?!file:///dev/stdin)"
    r"|\bcurl\b.*( -u| --user| -H ['\"]Authorization)"
    r"|(PASSWORD|SECRET|TOKEN|API_KEY)=['\"]?[\w-]"
    r"|\b(whsec|sk|rk)_\w"
    r"|(?<!-)> ?\S*(secret|password|token|known)"
)
NO_SECRETS = {
    ROOT / "docs/tutorial.md": "Bearer $SCRIP_",
    GUIDES: "AWS_SECRET_ACCESS_KEY=test",
}
"""Credentials of a local stack: everyone who can reach it may do everything there."""

PATH = re.compile(r"`([\w.*-]+(?:/[\w.*-]+)+\.(?:py|md|yaml|toml|json|html))`")
PATHS_BEGIN_AT = (ROOT, ROOT / "layers/scrip/src/scrip")

EXAMPLES = [ROOT / "examples/README.md", *sorted((ROOT / "examples").glob("*/README.md"))]
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *EXAMPLES, *DOCS]


def named(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_block_of_code_is_run_or_marked_as_not_run(document: Path) -> None:
    tests = [test.read_text() for test in (ROOT / "tests").rglob("test_*.py")]
    for block in blocks(document):
        assert block.language, f"no language:\n{block.text}"
        is_in_session = block.is_shell or block.file
        if block.is_run and not is_in_session and block.language not in NO_CODE:
            assert any(named(document) in test for test in tests), (
                f"no test runs this:\n{block.text}"
            )
    remarks = document.read_text().count(NOT_RUN)
    assert remarks == sum(not block.is_run for block in blocks(document)), (
        "a remark without a block"
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_no_command_has_a_secret_in_its_arguments_or_writes_one_to_a_file(document: Path) -> None:
    for block in blocks(document):
        for command in block.text.replace("\\\n", "").splitlines() if block.is_shell else ():
            is_public = NO_SECRETS.get(document, "\n") in command
            assert is_public or not SECRET_IN_ARGUMENTS.search(command), command


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_no_command_sets_a_parameter_that_the_next_deployment_takes_back(document: Path) -> None:
    """`sam deploy` without the option takes what samconfig.toml has, as the guides go on to do."""
    for block in blocks(document):
        assert "deploy --parameter-overrides" not in block.text, block.text


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_has_a_target(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(document.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (document.parent / path).resolve() if path else document
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_file_that_a_page_names_exists(document: Path) -> None:
    for path in PATH.findall(without_blocks(document.read_text())):
        assert any([*root.glob(path)] for root in PATHS_BEGIN_AT), path


def test_every_page_can_be_reached_from_the_index() -> None:
    seen, waiting = set(), [ROOT / "docs/README.md"]
    while waiting:
        document = waiting.pop()
        seen.add(document)
        for target in re.findall(r"\]\(([^)\s#]+\.md)", document.read_text()):
            linked = (document.parent / target).resolve()
            waiting += [linked] if linked not in seen else []
    assert set(DOCUMENTS) <= seen


def test_every_page_is_in_the_menu_of_the_site() -> None:
    def pages(item: object) -> list[str]:
        match item:
            case str():
                return [item]
            case dict():
                return [page for section in item.values() for page in pages(section)]
            case list():
                return [page for below in item for page in pages(below)]
        raise TypeError(item)

    menu = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    assert sorted(pages(menu)) == sorted(str(page.relative_to(ROOT / "docs")) for page in DOCS)


def anchors(document: Path) -> set[str]:
    """Return GitHub's anchors for a document's headings."""
    taken: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.*)$", without_blocks(document.read_text()), re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        found.add(f"{name}-{taken[name]}" if taken[name] else name)
        taken[name] += 1
    return found
