"""Settings of these tests."""

from pathlib import Path

import pytest

from synth import cache


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the user's cache, or that of another test."""
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "cache"))
