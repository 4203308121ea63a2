"""Exports: whole or not at all, never over something that is not one."""

from __future__ import annotations

import errno
import json
import logging
from pathlib import Path

import pytest

from afterimage_emulator.configuration import ConfigurationError
from afterimage_emulator.exports import METADATA_FILE, ExportError, export_services, import_services


class Holder:
    """A service that holds one text."""

    def __init__(self, text: str = "", *, breaks: bool = False) -> None:
        self.text = text
        self.breaks = breaks

    async def export_to(self, directory: Path) -> None:
        (directory / "text").write_text(self.text)
        if self.breaks:
            raise OSError(errno.ENOSPC, "No space left on device")

    async def import_from(self, source: Path) -> None:
        self.text = (source / "text").read_text()


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
    with pytest.raises(ExportError, match=r"nothing is exported to .* stays: No space left on device"):
        await export_services({"firestore": Holder("new"), "storage": Holder(breaks=True)}, tmp_path / "export")
    kept = Holder()
    await import_services({"firestore": kept}, tmp_path / "export")
    assert kept.text == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


async def test_a_folder_that_is_no_export_is_not_replaced(tmp_path: Path) -> None:
    """`--export-on-exit ~` must not empty somebody's home."""
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(ConfigurationError, match="nothing was written"):
        await export_services({"firestore": Holder("new")}, tmp_path)
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("content", [None, "{", "[]", json.dumps({"firestore": 3})])
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


async def test_services_that_do_not_run_keep_their_part(tmp_path: Path) -> None:
    """Also those that this suite has not: what the official one wrote beside is still there for it."""
    services = {"firestore": Holder("documents"), "auth": Holder("accounts"), "database": Holder("of another suite")}
    await export_services(services, tmp_path / "export")
    await export_services({"firestore": Holder("newer")}, tmp_path / "export")
    found = {name: Holder() for name in services}
    await import_services(found, tmp_path / "export")
    assert {name: holder.text for name, holder in found.items()} == {
        "firestore": "newer",
        "auth": "accounts",
        "database": "of another suite",
    }


async def test_an_export_that_was_interrupted_is_found_again(tmp_path: Path) -> None:
    """A crash between the two renames leaves the earlier export under another name only."""
    await export_services({"firestore": Holder("kept")}, tmp_path / "export")
    (tmp_path / "export").rename(tmp_path / ".export.previous")
    holder = Holder()
    await import_services({"firestore": holder}, tmp_path / "export")
    assert holder.text == "kept"
    (tmp_path / "export").rename(tmp_path / ".export.previous")
    await export_services({"auth": Holder("new")}, tmp_path / "export")
    await import_services({"firestore": holder}, tmp_path / "export")
    assert holder.text == "kept"


async def test_missing_parts_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A service that the export says nothing of begins empty and that is said; a part that is gone is an error."""
    await export_services({"firestore": Holder("kept")}, tmp_path / "export")
    with caplog.at_level(logging.INFO, logger="afterimage_emulator"):
        await import_services({"firestore": Holder(), "auth": Holder()}, tmp_path / "export")
    assert "holds nothing of auth: begun empty" in caplog.text
    (tmp_path / "export/firestore_export").rename(tmp_path / "elsewhere")
    with pytest.raises(ExportError, match=r"firestore's part in .*firestore_export`, which is not there"):
        await import_services({"firestore": Holder()}, tmp_path / "export")


@pytest.mark.parametrize("path", ["../outside", "/etc", "x/../../outside", ".", "\0"])
async def test_no_name_in_an_export_leads_out_of_it(tmp_path: Path, path: str) -> None:
    """Neither to be read, nor to be kept as the part of a service that does not run."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/text").write_text("secret")
    (tmp_path / "export").mkdir()
    metadata = {"firestore": {"path": path}, "auth": {"path": path}}
    (tmp_path / "export" / METADATA_FILE).write_text(json.dumps(metadata))
    holder = Holder("before")
    with pytest.raises(ExportError, match=r"lies outside|no file's name"):
        await import_services({"firestore": holder}, tmp_path / "export")
    with pytest.raises(ExportError, match=r"lies outside|no file's name"):
        await export_services({"firestore": holder}, tmp_path / "export")
    assert holder.text == "before"


async def test_no_link_in_an_export_leads_out_of_it(tmp_path: Path) -> None:
    """A file of a foreign export must not be one of this machine."""
    (tmp_path / "secret").write_text("secret")
    await export_services({"firestore": Holder("kept")}, tmp_path / "export")
    text = tmp_path / "export/firestore_export/text"
    text.unlink()
    text.symlink_to(tmp_path / "secret")
    with pytest.raises(ExportError, match="link that leads out"):
        await import_services({"firestore": Holder()}, tmp_path / "export")


async def test_a_broken_part_is_one_sentence(tmp_path: Path) -> None:
    """Whatever its reader stumbles over: the export, the service and what is wrong."""
    await export_services({"firestore": Holder("kept")}, tmp_path / "export")
    (tmp_path / "export/firestore_export/text").write_bytes(b"\xff")
    with pytest.raises(
        ExportError, match=r"export` cannot be imported: firestore's part is broken: UnicodeDecodeError"
    ):
        await import_services({"firestore": Holder()}, tmp_path / "export")


async def test_an_export_of_firestore_alone_is_taken(tmp_path: Path) -> None:
    """As production makes them: the metadata file lies at the top, and nothing says so."""
    (tmp_path / "2026-10-02T02:00:05_12345.overall_export_metadata").write_text("from production")

    class Reader(Holder):
        async def import_from(self, source: Path) -> None:
            self.text = source.read_text()

    documents, accounts = Reader(), Holder("kept")
    assert await import_services({"firestore": documents, "auth": accounts}, tmp_path) == ["firestore"]
    assert (documents.text, accounts.text) == ("from production", "kept")
