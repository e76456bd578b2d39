"""A misspelled field fails the type check: the ledger accepts no `**fields: Any`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mypy import api

if TYPE_CHECKING:
    import pytest

LAYER = Path(__file__).parents[3] / "layers/scrip/src"

PREAMBLE = """
from dataclasses import replace
from scrip.domain.commands import Consume
from scrip.domain.entries import EntryType
from scrip.domain.grants import GrantKind
from scrip.domain.holds import give_back
from scrip.domain.posting import Draft
from scrip.domain.spending import spend

def change(draft: Draft, command: Consume) -> None:
"""

RIGHT = (
    "draft.account = replace(draft.account, used=1)",
    "draft.enter('e1', EntryType.USAGE, -1, command=command, feature='chat', cost=1)",
    "draft.grant('e1', EntryType.PROMO, GrantKind.PROMO, 1, command=command, source='e0')",
    "draft.posting(ended_hold='h1')",
    "spend(draft, 'e1', command, cost=1, taken=1, feature='chat', quantity=1)",
    "give_back(draft, (), 'e1', hold_id='h1', source='e0')",
)
MISSPELLED = (
    "draft.account = replace(draft.account, usd=1)",
    "draft.account = replace(draft.account, used='1')",
    "draft.enter('e1', EntryType.USAGE, -1, command=command, featrue='chat', cost=1)",
    "draft.enter('e1', EntryType.USAGE, -1, command=command, feature='chat', cost='1')",
    "draft.grant('e1', EntryType.PROMO, GrantKind.PROMO, 1, command=command, sorce='e0')",
    "draft.posting(end_hold='h1')",
    "spend(draft, 'e1', command, cost=1, taken=1, feature='chat', qantity=1)",
    "give_back(draft, (), 'e1', hold='h1', source='e0')",
)


def test_every_misspelled_field_is_an_error_and_nothing_else_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MYPYPATH", str(LAYER))
    planted = tmp_path / "planted.py"
    planted.write_text(PREAMBLE + "".join(f"    {line}\n" for line in (*RIGHT, *MISSPELLED)))
    options = ["--strict", "--cache-dir", str(tmp_path), "--config-file", "", "--no-error-summary"]
    found, trouble, _ = api.run([*options, str(planted)])
    assert not trouble
    lines = planted.read_text().splitlines()
    wrong = {lines[int(number) - 1].strip() for number in re.findall(r":(\d+): error:", found)}
    assert wrong == set(MISSPELLED), found
