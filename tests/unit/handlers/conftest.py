"""The functions, called through their own handlers, over the world of fakes."""

from __future__ import annotations

import pytest

from tests.support.app import (
    App,
    wired,
)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> App:
    return wired(monkeypatch)


@pytest.fixture
def waiting_app(monkeypatch: pytest.MonkeyPatch) -> App:
    """An app of a stage with the door `wait`."""
    return wired(monkeypatch, waits=True)


@pytest.fixture
def picture_app(monkeypatch: pytest.MonkeyPatch) -> App:
    """An app of a stage with the doors `thumbnails` and `wait`."""
    return wired(monkeypatch, waits=True, thumbnails=True)
