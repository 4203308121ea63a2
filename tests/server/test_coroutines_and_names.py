"""What programs and operators know by name: three coroutines over the folder, and the settings of the page."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from afterimage_server import configuration, storage_helper
from afterimage_server.machine import open_machine

ROOT = Path(__file__).resolve().parents[2]


async def test_the_coroutines_that_programs_know_work_with_no_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saved once however often, beside a server that has the folder open; both fields are always in a response."""
    monkeypatch.setenv("LOCAL_STORAGE_PATH", str(tmp_path))
    monkeypatch.delenv("USE_CLOUD_STORAGE", raising=False)
    server = open_machine(configuration.read_server_settings())
    machine = open_machine(configuration.read_server_settings())
    monkeypatch.setattr(storage_helper, "opened_machine", lambda: machine)
    machine.address.base = "http://127.0.0.1:8000"
    response = {"id": "g", "project_id": "p", "version": 1, "status": "completed"}
    early = await storage_helper.enrich_generation_response(response)
    assert early == {**response, "download_url": None, "cloud_storage_enabled": False}
    for _ in range(2):
        saved = await storage_helper.save_generation_with_cloud(
            project_id="p", generation_id="g", version=1, files={"a.py": "1"}, metadata={"mode": "classic"}
        )
    assert (saved["files_count"], saved["cloud_storage_enabled"]) == (1, False)
    enriched = await storage_helper.enrich_generation_response(response)
    assert enriched["download_url"] == saved["download_url"]
    assert saved["download_url"].startswith("http://127.0.0.1:8000/local/files/")
    [file] = server.folder.files.walk(server.settings.api.originals_bucket, "")
    assert server.folder.files.read(file)[:2] == b"\x1f\x8b"
    assert server.folder.check_invariants() == []
    machine.close()
    server.close()


def test_every_setting_that_is_written_down_is_read() -> None:
    """Those of the page, the unit and the image: a name that nobody reads would be believed."""
    page = (ROOT / "docs/machine.md").read_text().partition("\n## Settings\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`([A-Z_]{4,})`", row)}
    unit = configparser.RawConfigParser(strict=False, comment_prefixes="#")
    unit.read(ROOT / "server/afterimage-server.service")
    assert unit["Service"]["ExecStart"].endswith("python -m afterimage_server")
    text = (ROOT / "server/afterimage-server.service").read_text()
    named |= set(re.findall(r"^Environment=([A-Z_]+)=", text, re.MULTILINE))
    image = (ROOT / "server/Dockerfile").read_text()
    named |= set(re.findall(r"\b(SERVER_HOST|LOCAL_STORAGE_PATH|CACHE_PATH)=", image))
    assert re.search(r"^USER afterimage$", image, re.MULTILINE)
    assert len(named) > 15
    sources = "".join(path.read_text() for path in (ROOT / "server/afterimage_server").rglob("*.py"))
    sources += (ROOT / "functions/afterimage/settings.py").read_text()
    assert {name for name in named - {"PYTHONUNBUFFERED"} if f'"{name}"' not in sources} == set()
