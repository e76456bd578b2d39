"""`scrip health` on a stack: what it prints, and how it ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from scrip.settings import Settings
from scrip_cli.exit_codes import ExitCode
from scrip_cli.main import app
from scrip_cli.session import Session

if TYPE_CHECKING:
    from scrip.store.client import Table


@pytest.fixture(autouse=True)
def stack(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack of a version without queues, whose parameter names two features."""
    monkeypatch.setattr(Session, "table", lambda _: table)
    monkeypatch.setattr(Session, "settings", lambda _: Settings(table_name=table.name))
    monkeypatch.setattr(Session, "client", lambda *_: None)
    monkeypatch.setattr(Session, "resource", lambda *_: None)
    monkeypatch.setattr(Session, "parameters", lambda _: {"RequiredFeatures": "chat,summary"})


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["health", *words])


def test_the_features_of_the_stacks_parameter_are_checked() -> None:
    ran = run()
    assert (ran.exit_code, ran.stdout) == (ExitCode.FOUND, "feature_missing  summary\n")


def test_json_is_what_the_api_answers() -> None:
    ran = run("--json")
    assert (ran.exit_code, json.loads(ran.stdout)) == (
        ExitCode.FOUND,
        {
            "status": "degraded",
            "problems": [{"code": "feature_missing", "subject": "summary"}],
            "queues": {"renew": None, "renew_dead_letters": None, "events_dead_letters": None},
            "watermark_age_seconds": None,
            "audit": None,
        },
    )


@pytest.mark.parametrize("features", ["chat, image-generation", ""])
def test_features_that_are_named_are_checked_instead(features: str) -> None:
    ran = run("--features", features)
    assert (ran.exit_code, ran.stdout) == (ExitCode.DONE, "")
    assert "The stack is healthy." in ran.stderr
