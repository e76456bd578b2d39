"""Findings: what the model says is wrong, of one of four kinds.

- lost: credits are gone, or an answer said that something stands which does not;
- made: credits came out of nowhere;
- double: one request, payment or period took effect more than once;
- violation: any other rule is broken.
"""

from __future__ import annotations

from typing import NoReturn

KINDS = ("lost", "made", "double", "violation")


class Wrong(BaseException):
    """Something is not as it must be. The product must not catch it."""

    def __init__(self, kind: str, sentence: str) -> None:
        """Say what it is, and of which kind."""
        super().__init__(f"{kind}: {sentence}")
        self.kind = kind


def wrong(kind: str, sentence: str) -> NoReturn:
    """Say what is wrong.

    Raises:
        Wrong: always.
    """
    assert kind in KINDS, kind
    raise Wrong(kind, sentence)
