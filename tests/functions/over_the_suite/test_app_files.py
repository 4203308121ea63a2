"""The app's own files: smaller where asked, the same program still, under addresses that change with their content."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.cloud import storage

from afterimage.edges.assets.app_files import AppFileError, app_files_in, minify_file, store_app_file
from afterimage.store.memory_files import MemoryFiles
from tests.functions.over_the_suite.conftest import Cloud

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"
FILES = {
    "app.css": b"a  {  color : red ;  }\n\n/* a comment */\n",
    "app.js": b"// a comment\nfunction twice ( number ) {\n  return number * 2 ;\n}\nconsole.log ( twice ( 21 ) ) ;\n",
    "index.html": b"<!doctype html>\n<html>\n  <body>\n    <p>  Hello  </p>\n  </body>\n</html>\n",
    "mark.svg": b'<svg xmlns="http://www.w3.org/2000/svg">\n  <!-- a comment -->\n  <path d="M 1 1"/>\n</svg>\n',
    "data.json": b'{ "a" : [ 1 , 2 ] }\n',
    "picture.png": b"\x89PNG\r\n\x1a\n...",
}


def folder_of(tmp_path: Path, files: dict[str, bytes] = FILES) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def test_each_kind_becomes_smaller_and_others_are_left_as_they_are(tmp_path: Path) -> None:
    """CSS, JavaScript, JSON, HTML and SVG where it was asked for; a picture never, and nothing where it was not."""
    folder = folder_of(tmp_path)
    for file in app_files_in(folder, minified=True):
        if file.name == "picture.png":
            assert file.data == FILES[file.name]
        else:
            assert len(file.data) < file.original_size
            assert b"comment" not in file.data
    assert {file.name: file.data for file in app_files_in(folder, minified=False)} == FILES


def test_a_minified_program_does_what_it_did() -> None:
    """Run by Node, where there is one."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed here: nothing else runs the program")
    said = [
        subprocess.run([node, "-e", data.decode()], capture_output=True, check=True, timeout=60).stdout
        for data in (FILES["app.js"], minify_file("app.js", FILES["app.js"]))
    ]
    assert said == [b"42\n", b"42\n"]


def test_an_address_changes_with_the_content_and_with_nothing_else(tmp_path: Path) -> None:
    """So a cache may keep it for a year; published again, nothing is written."""
    [file] = app_files_in(folder_of(tmp_path, {"app.css": b"a{}"}), minified=False)
    (tmp_path / "app/app.css").write_bytes(b"b{}")
    [changed] = app_files_in(tmp_path / "app", minified=False)
    assert changed.address != file.address
    files = MemoryFiles()
    assert [store_app_file(files, "derived", file) for _ in range(2)] == [True, False]
    assert files.files["derived", f"_app/{file.digest}/app.css"][1] == b"a{}"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("app.exe", b"MZ", "app.exe"),
        ("broken.js", b"function ( {{", "broken.js"),
        ("latin.css", b"a{content:'\xe9'}", "latin.css"),
        ("a b.css", b"a{}", "a b.css"),
    ],
)
def test_a_file_that_cannot_be_published_is_named(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    """Nothing broken goes out, and nothing goes out that would not be served."""
    with pytest.raises(AppFileError, match=said):
        list(app_files_in(folder_of(tmp_path, {name: data}), minified=True))


def test_a_folder_is_published_from_a_terminal(cloud: Cloud, tmp_path: Path) -> None:
    """The program prints where everything is, and it is there; a broken file publishes nothing at all."""
    environment = {**os.environ, "GCLOUD_PROJECT": cloud.pipeline.settings.project_id, "CDN_BASE_URL": "https://cdn.x"}
    command = [sys.executable, "-m", "afterimage.edges.assets", str(folder_of(tmp_path)), "--minify"]
    done = subprocess.run(
        command, cwd=FUNCTIONS, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    addresses = json.loads(done.stdout)
    assert set(addresses) == set(FILES)
    assert addresses["app.css"].startswith("https://cdn.x/app/")
    bucket: storage.Bucket = cloud.storage.bucket(cloud.pipeline.settings.derived_bucket)
    blob = bucket.blob("_app/" + addresses["app.css"].removeprefix("https://cdn.x/app/"))
    assert blob.download_as_bytes() == b"a{color:red}"
    (tmp_path / "app/app.js").write_text("function ( {{")
    (tmp_path / "app/app.css").write_text("b{}")
    count = len(list(bucket.list_blobs()))
    failed = subprocess.run(command, cwd=FUNCTIONS, env=environment, capture_output=True, text=True, timeout=120)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "app.js" in failed.stderr
    assert len(list(bucket.list_blobs())) == count
