"""The packaged descriptors are those of the pinned client packages, and protoc can work with them."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from afterimage_emulator.protos.pool import DESCRIPTORS, message_class, messages
from afterimage_emulator.protos.stubs import MODULES


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


def test_the_stubs_are_those_of_the_packaged_descriptors(tmp_path: Path) -> None:
    """A type checker knows each message as it is: a field that is not there, or of another type, is found unrun."""
    subprocess.run([sys.executable, "-m", "afterimage_emulator.protos.stubs", str(tmp_path)], check=True)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert len(made) == len(MODULES)
    kept = {name: (DESCRIPTORS.parent / name).read_text() for name in made}
    assert made == kept, "run `python -m afterimage_emulator.protos.stubs`"


def test_a_type_checker_knows_what_a_write_has(tmp_path: Path) -> None:
    """`verify` is a choice beside its siblings; a misspelt field, choice or value of another type is an error."""
    program = tmp_path / "program.py"
    program.write_text(
        "from afterimage_emulator.protos import firestore_v1\n\n"
        'write = firestore_v1.Write(verify="a")\n'
        "reveal_type(write.WhichOneof('operation'))\n"
        "write.verfy = 'a'\n"
        "write.HasField('updat')\n"
        "write.delete = 1\n"
    )
    # In the folder of the package, so that the checker finds it as it finds its own sources.
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", f"--cache-dir={tmp_path / 'cache'}", str(program)],
        cwd=DESCRIPTORS.parents[2],
        capture_output=True,
        text=True,
    )
    lines = [line.split(":")[1] for line in checked.stdout.splitlines() if ": error:" in line]
    assert lines == ["5", "6", "7"], checked.stdout
    revealed = checked.stdout.split("Revealed type is")[1].splitlines()[0]
    assert all(f"'{choice}'" in revealed for choice in ("update", "delete", "transform", "verify")), revealed


@pytest.mark.parametrize(("package", "module"), MODULES.items())
def test_a_module_gives_the_classes_of_its_package(package: str, module: str) -> None:
    """What is imported by name is the class that the pool has, made once; other names are no attributes."""
    found = importlib.import_module(f"afterimage_emulator.protos.{module}")
    stub = (DESCRIPTORS.parent / f"{module}.pyi").read_text()
    names = re.findall(r"^class (\w+)\(Message\):", stub, re.MULTILINE)
    assert names
    for name in names:
        assert getattr(found, name) is message_class(f"{package}.{name}")
        assert vars(found)[name] is getattr(found, name)
    with pytest.raises(AttributeError, match=f"`{package}` has no message `Nothing`"):
        _ = found.Nothing
