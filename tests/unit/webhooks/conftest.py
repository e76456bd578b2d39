"""The settings that translation depends on."""

from collections.abc import Iterator

import pytest

from scrip.settings import settings


@pytest.fixture(autouse=True)
def stage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run on stage dev, or with the environment that a test is parametrized with."""
    for name, value in {"TABLE_NAME": "scrip", **getattr(request, "param", {})}.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield
    settings.cache_clear()
