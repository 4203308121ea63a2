"""Exports: whole or not at all, never over something that is not one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from afterimage_emulator.configuration import ConfigurationError
from afterimage_emulator.exports import METADATA_FILE, export_services, import_services


class Holder:
    """A service that holds one text."""

    def __init__(self, text: str = "", *, breaks: bool = False) -> None:
        self.text = text
        self.breaks = breaks

    async def export_to(self, directory: Path) -> None:
        (directory / "text").write_text(self.text)
        if self.breaks:
            raise OSError("disk full")

    async def import_from(self, directory: Path) -> None:
        self.text = (directory / "text").read_text()


async def test_what_is_exported_is_what_is_imported(tmp_path: Path) -> None:
    """Every service gets its own back, and a second export replaces the first."""
    await export_services({"firestore": Holder("old")}, tmp_path / "export")
    await export_services({"firestore": Holder("documents"), "storage": Holder("files")}, tmp_path / "export")
    documents, files, accounts = Holder(), Holder(), Holder("untouched")
    services = {"firestore": documents, "storage": files, "auth": accounts}
    assert await import_services(services, tmp_path / "export") == ["firestore", "storage"]
    assert (documents.text, files.text, accounts.text) == ("documents", "files", "untouched")
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


async def test_an_export_that_fails_leaves_the_earlier_one_whole(tmp_path: Path) -> None:
    """A full disk at the wrong moment costs the new export, never the old one."""
    await export_services({"firestore": Holder("old")}, tmp_path / "export")
    with pytest.raises(OSError, match="disk full"):
        await export_services({"firestore": Holder("new"), "storage": Holder(breaks=True)}, tmp_path / "export")
    kept = Holder()
    await import_services({"firestore": kept}, tmp_path / "export")
    assert kept.text == "old"


async def test_a_folder_that_is_no_export_is_not_replaced(tmp_path: Path) -> None:
    """`--export-on-exit ~` must not empty somebody's home."""
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(ConfigurationError, match="nothing was written"):
        await export_services({"firestore": Holder("new")}, tmp_path)
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("content", [None, "{", json.dumps({"firestore": 3})])
async def test_a_folder_that_is_no_export_is_not_imported(tmp_path: Path, content: str | None) -> None:
    """What is missing or broken is named; what the export does not hold is left alone."""
    if content is not None:
        (tmp_path / METADATA_FILE).write_text(content)
    holder = Holder("kept")
    if content == json.dumps({"firestore": 3}):
        assert await import_services({"firestore": holder}, tmp_path) == []
    else:
        with pytest.raises(ConfigurationError, match=METADATA_FILE):
            await import_services({"firestore": holder}, tmp_path)
    assert holder.text == "kept"
