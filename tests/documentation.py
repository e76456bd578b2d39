"""The documentation for its tests: pages, their fenced blocks, and those that are run.

A page is a session. Its blocks are executed in order, as a reader would:

    ```sh          commands, run in one shell
    ```text        right after commands: what they print; `...` matches anything
    ```python x.py a file that the reader saves as x.py, in any language

A line `*Not run by our tests: needs AWS.*`, or another need, right before a block says that it is
only shown. Other code that is not saved to a file is run by a test of its own for the page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
GUIDES = ROOT / "docs/how-to/README.md"
DOCS = sorted((ROOT / "docs").rglob("*.md"))

NOT_RUN = "Not run by our tests: needs "

BLOCK = re.compile(
    rf"(?P<not_run>^\*{NOT_RUN}[^*]+\.\*\n\n)?"
    r"^```(?P<language>\w*) ?(?P<file>\S*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: `heading` is the one above it, `file` the name that a reader saves it as."""

    heading: str
    language: str
    file: str
    text: str
    is_run: bool
    is_shell: bool
    """Whether it has commands, or what the commands right before it print."""


@cache
def blocks(page: Path) -> list[Block]:
    """Return a page's fenced blocks in order."""
    text = page.read_text()
    found: list[Block] = []
    end = 0
    for match in BLOCK.finditer(text):
        above = re.findall(r"^#+ (.*)$", without_blocks(text[: match.start()]), re.MULTILINE)
        is_next = bool(found) and not text[end : match.start()].strip()
        is_output = match["language"] == "text" and is_next and found[-1].language == "sh"
        found.append(
            Block(
                heading=above[-1],
                language=match["language"],
                file=match["file"],
                text=match["text"],
                is_run=match["not_run"] is None,
                is_shell=match["language"] == "sh" or is_output,
            ),
        )
        end = match.end()
    return found


def session(page: Path) -> list[Block]:
    """Return the blocks of a page that are run, in order: files, commands and their output.

    Every guide begins with the blocks of the guides' index.
    """
    found = [block for block in blocks(page) if block.is_run and (block.is_shell or block.file)]
    is_guide = page.parent == GUIDES.parent and page != GUIDES
    return session(GUIDES) + found if found and is_guide else found


def without_blocks(text: str) -> str:
    """Return the prose of a page."""
    return BLOCK.sub("", text)


def examples(page: str, language: str) -> list[str]:
    """Return a page's blocks in a language, for a test of its own."""
    found = blocks(ROOT / page)
    return [block.text for block in found if block.language == language and block.is_run]
