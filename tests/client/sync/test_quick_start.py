"""The page about the sync begins with a program; it runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from afterimage_client.store import Store
from afterimage_emulator.background import BackgroundSuite

PAGE = Path(__file__).resolve().parents[3] / "docs" / "sync.md"


async def test_the_pages_first_program_runs(
    suite: BackgroundSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copied and run, it writes a campaign here and there."""
    for name, value in suite.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    program: dict[str, Any] = {}
    exec(compile(found[1], str(PAGE), "exec"), program)
    await program["main"]()
    store = Store(tmp_path / "content.db")
    assert store.get_by_id("campaigns", "the-pass") == {"id": "the-pass", "name": "The High Pass", "rev": 0}
    assert store.check_invariants() == []
    store.close()
