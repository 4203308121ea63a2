"""What the wheel holds: all that runs, its licence and types, and nothing secret."""

from __future__ import annotations

import configparser
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest


@pytest.fixture
def packed(wheel: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(wheel)


def in_info(packed: zipfile.ZipFile, name: str) -> str:
    (found,) = [each for each in packed.namelist() if each.endswith(f".dist-info/{name}")]
    return packed.read(found).decode()


@pytest.fixture
def metadata(packed: zipfile.ZipFile) -> Message:
    return message_from_string(in_info(packed, "METADATA"))


def test_no_key_is_in_the_wheel(packed: zipfile.ZipFile) -> None:
    """Whoever builds it has a private key for local use on his machine, and keeps it."""
    for name in packed.namelist():
        assert b"-----BEGIN PRIVATE KEY-----\nM" not in packed.read(name), name
        assert not name.endswith((".pem", ".key", ".p12", ".env")), name


def test_everything_that_is_not_code_is_there_too(packed: zipfile.ZipFile) -> None:
    """Descriptors with their notice, the licence, the mark that says the package is typed, and the console's page."""
    names = set(packed.namelist())
    page = Path(__file__).resolve().parents[3] / "emulator/afterimage_emulator/console/page"
    assert {f"afterimage_emulator/console/page/{file.name}" for file in page.iterdir()} <= names
    assert {"afterimage_emulator/py.typed", "afterimage_emulator/protos/descriptors.pb"} <= names
    assert "Apache License" in in_info(packed, "licenses/LICENSE")
    assert "descriptors.pb" in in_info(packed, "licenses/afterimage_emulator/protos/NOTICE")
    assert not [name for name in names if not name.startswith("afterimage_emulator")], "it installs nothing else"


def test_nothing_of_googles_sdks_is_asked_for(metadata: Message) -> None:
    """A user's own versions of the SDKs stay as they are: the suite needs none, and bounds nothing from above."""
    needed = metadata.get_all("Requires-Dist") or []
    at_run_time = {line for line in needed if "extra ==" not in line}
    names = {line.split(">")[0].split(";")[0].strip().lower() for line in at_run_time}
    assert names == {
        "cronsim", "cryptography", "google-crc32c", "google-re2", "h2", "httptools", "protobuf", "pyyaml",
        "sortedcontainers",
    }  # fmt: skip
    assert not [line for line in needed if "<" in line or "==" in line.split(";")[0]]


def test_the_command_and_the_fixtures_are_found_by_name(packed: zipfile.ZipFile) -> None:
    """The command is called like the package, so that `uvx` and `pipx run` find it."""
    entries = configparser.ConfigParser(delimiters=("=",))
    entries.read_string(in_info(packed, "entry_points.txt"))
    assert dict(entries["console_scripts"]) == {"afterimage-emulator": "afterimage_emulator.__main__:run"}
    for name, place in entries["pytest11"].items():
        assert name == place, "a plugin named otherwise than its module clashes with `pytest_plugins`"
