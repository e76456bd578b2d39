"""What the changelog says about the releases between two versions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import dedent

UNRELEASED = "Unreleased"
"""The heading of what the next version changes, which this code has already."""

WANTED = ("Before you update", "Security", "Changed", "Deprecated", "Removed")
"""The sections that say what is different for those who use Scrip already, as they are printed."""


@dataclass(frozen=True)
class Release:
    """A release: by section, its points in Markdown."""

    version: str
    sections: dict[str, list[str]]


def number(version: str) -> tuple[int, ...]:
    """Return a version as something that can be compared."""
    return tuple(map(int, version.split(".")))


def releases_between(changelog: str, deployed: str, version: str) -> list[Release]:
    """Return the releases after a deployed version up to another one, oldest first.

    What is unreleased counts as part of that one.
    """
    found = [
        Release(version if name == UNRELEASED else name, dict(_sections(text)))
        for name, text in _parts(changelog, "##")
    ]
    return [
        one for one in reversed(found) if number(deployed) < number(one.version) <= number(version)
    ]


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    sections = dict(_parts(text, "###"))
    for name in WANTED:
        if name in sections:
            points = re.split(r"^- ", sections[name], flags=re.MULTILINE)[1:]
            yield name, [dedent(f"  {point}").strip() for point in points]


def _parts(text: str, mark: str) -> Iterator[tuple[str, str]]:
    """Yield the parts of a text under the headings of a level, with the heading's first word."""
    _, *parts = re.split(rf"^{mark} ", text, flags=re.MULTILINE)
    for part in parts:
        heading, _, body = part.partition("\n")
        yield heading.partition(" - ")[0].strip(), body
