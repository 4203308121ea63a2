"""The packaged descriptors are those of the pinned client packages, and protoc can work with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from afterimage_emulator.protos.pool import DESCRIPTORS, messages


def test_collecting_from_the_pinned_packages_makes_the_packaged_file(tmp_path: Path) -> None:
    """Nobody needs the client packages at run time, and nothing here is older than what is pinned."""
    made = tmp_path / "descriptors.pb"
    subprocess.run([sys.executable, "-m", "afterimage_emulator.protos.collect", str(made)], check=True)
    assert made.read_bytes() == DESCRIPTORS.read_bytes(), "run `python -m afterimage_emulator.protos.collect`"


def test_the_verify_write_stands_in_its_oneof() -> None:
    """A write is one of four operations; setting another takes the place of `verify`."""
    write = messages("google.firestore.v1").Write(verify="projects/p/databases/(default)/documents/c/d")
    assert write.WhichOneof("operation") == "verify"
    write.delete = "projects/p/databases/(default)/documents/c/d"
    assert (write.WhichOneof("operation"), write.verify) == ("delete", "")
