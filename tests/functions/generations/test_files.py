"""Names and archives: what a model names stays inside its project, and the same files are the same bytes."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage.generations.faults import UnusableProjectError
from afterimage.generations.generator import Assignment, Mode
from afterimage.generations.project_files import archive_of, checked_files, files_in, safe_name
from afterimage.generations.templates import TemplateGenerator

OUTSIDE = [
    "", ".", "..", "../a", "a/../b", "a/..", "/etc/passwd", "//a", "\\\\server\\a", "..\\a", "C:\\a", "c:a", "a//b",
    "a/./b", "a/", "./", "a\x00b", "a\nb", "a\u202eb", "con", "a/NUL.txt", "lpt1.c", "a.", "a/b. ", " a", "a:b", "a|b",
    "x" * 121, "/".join(["x" * 100] * 5),
]  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_leads_out_or_that_not_every_system_stores_is_refused(name: str) -> None:
    """Up, absolute, drives, devices, controls, length: none of them reaches an archive."""
    with pytest.raises(UnusableProjectError):
        checked_files({"good.py": "", name: ""})


@given(st.text(max_size=60))
def test_whatever_a_model_names_lies_inside_or_is_refused(name: str) -> None:
    """A name that is taken is relative, has no part that leads up, and is taken as it is a second time."""
    try:
        safe = safe_name(name)
    except UnusableProjectError:
        return
    assert not safe.startswith("/")
    assert all(part not in {"", ".", ".."} for part in safe.split("/"))
    assert safe_name(safe) == safe


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"A.py": "", "a.py": ""},
        {"é": "", "e\u0301": ""},
        {"a": "", "a/b": ""},
        {"a": "x" * (1024 * 1024 + 1)},
        {f"{number}": "x" * 1_000_000 for number in range(11)},
        {f"{number}": "" for number in range(501)},
    ],
)
def test_a_project_that_cannot_be_unpacked_everywhere_is_refused(files: dict[str, str]) -> None:
    """No file, two that are one, a file that is a folder, too large, too many."""
    with pytest.raises(UnusableProjectError):
        checked_files(files)


def test_the_same_files_always_make_the_same_archive() -> None:
    """Whatever order they come in; and what is read back is what was put in, as plain files of nobody."""
    files = checked_files({"./b\\c.txt": "ä", "a.py": "1", "empty": ""})
    assert list(files) == ["a.py", "b/c.txt", "empty"]
    archive = archive_of(files)
    assert archive == archive_of(dict(reversed(files.items())))
    assert archive[4:8] == bytes(4), "gzip's own time"
    assert files_in(archive) == files
    with tarfile.open(fileobj=io.BytesIO(archive)) as unpacked:
        assert {(entry.type, entry.mode, entry.mtime, entry.uid, entry.uname) for entry in unpacked} == {
            (tarfile.REGTYPE, 0o644, 0, 0, "")
        }


def test_a_bomb_in_the_place_of_an_archive_is_not_unpacked() -> None:
    """The limit counts unpacked bytes."""
    with pytest.raises(UnusableProjectError):
        files_in(archive_of({"a": b"\x00" * 30_000_000}))


@pytest.mark.parametrize(
    "prompt", ["Build a to-do list for two cats", "class", "  ???  ", "`rm -rf` <script>", "import os"]
)
def test_the_offline_generator_makes_the_same_project_of_the_same_prompt(prompt: str) -> None:
    """Whatever the words are: valid Python under names that can be kept, the same each time, more when enhanced."""
    generator = TemplateGenerator()
    small, large = (generator.make(Assignment(prompt=prompt, mode=mode)).files for mode in get_args(Mode))
    assert small == generator.make(Assignment(prompt=prompt, mode="classic")).files
    assert set(small) < set(large)
    for name, data in checked_files(large).items():
        if name.endswith(".py"):
            compile(data, name, "exec")
            assert all(part.isidentifier() for part in name.removesuffix(".py").split("/"))


def test_the_offline_generator_makes_a_project_that_runs(tmp_path: Path) -> None:
    """After an iteration its tests pass and its command answers, with the new topic among the old ones."""
    generator = TemplateGenerator()
    made = generator.make(Assignment(prompt="Build a to-do list for two cats", mode="enhanced"))
    again = generator.make(Assignment(prompt="add dogs", mode="enhanced", files=made.files))
    assert set(made.files) < set(again.files)
    for name, data in checked_files(again.files).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    [package] = [name.partition("/")[0] for name in again.files if name.endswith("__main__.py")]
    for command, said in (([package], b'"dogs"'), (["pytest", "-q", "-p", "no:cacheprovider"], b"1 passed")):
        ended = subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, check=False)
        assert (ended.returncode, said in ended.stdout) == (0, True), ended.stdout + ended.stderr
    assert (
        b'"cats"'
        in subprocess.run([sys.executable, "-m", package], cwd=tmp_path, capture_output=True, check=True).stdout
    )
