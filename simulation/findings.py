"""Findings of the model, each of one of four kinds.

- lost: credits are gone, or a response has an entry that does not exist;
- made: credits came out of nowhere;
- double: one request, payment or period took effect more than once;
- violation: any other rule is broken.
"""

from __future__ import annotations

from typing import NoReturn

KINDS = ("lost", "made", "double", "violation")


class Wrong(BaseException):
    """A rule is broken. The product cannot catch this."""

    def __init__(self, kind: str, sentence: str) -> None:
        """Create a finding of a kind."""
        super().__init__(f"{kind}: {sentence}")
        self.kind = kind


def wrong(kind: str, sentence: str) -> NoReturn:
    """Report a finding.

    Raises:
        Wrong: always.
    """
    assert kind in KINDS, kind
    raise Wrong(kind, sentence)
