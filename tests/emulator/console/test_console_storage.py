"""The console's Storage page in a real browser: folders, previews that run nothing, and metadata."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.suite import Suite
from tests.browser.page import Browser
from tests.emulator.console.test_console_api import token_of
from tests.emulator.console.test_console_firestore import click, fill, focus, until_closed, until_rows
from tests.emulator.console.test_console_page import CONTRAST, opened, press, until
from tests.emulator.front.guarded_ports import send

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PAGE = "<script>window.ran = true</script>"
DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" onload="window.ran = true"/>'


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    root, project = tmp_path_factory.mktemp("console-storage"), f"demo-console-storage-{os.getpid()}"
    suite = Suite(Configuration(root=root, project_id=project), only=("storage",), free_ports=True, console=True)
    with BackgroundSuite(suite) as started:
        yield started


@pytest.fixture
def bucket(running: BackgroundSuite) -> storage.Bucket:
    """The default bucket, through the official SDK, with a page, a drawing and a picture in it."""
    running.reset()
    client = storage.Client(
        project=running.suite.project_id,
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": f"http://{running.address('storage')}"},
    )
    found = client.bucket(running.default_bucket)
    for name, content, kind in (
        ("a/page.html", PAGE, "text/html"),
        ("a/drawing.svg", DRAWING, "image/svg+xml"),
        ("a/pixel.png", PIXEL, "image/png"),
        ("top #1?.txt", "x" * 70_000, "text/plain"),
    ):
        found.blob(name).upload_from_string(content, content_type=kind)
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_objects_are_previewed_and_run_nothing(
    scheme: str, browser: Browser, running: BackgroundSuite, bucket: storage.Bucket
) -> None:
    """Folders open from the keyboard; HTML and SVG are text, a picture is a picture."""
    page = opened(browser, running, "storage")
    page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    until_rows(page, "Folders and objects", ["a/folder", "top #1?.txt68.4 KiB"])
    focus(page, "Folders and objects")
    press(page, "End")
    until(page, "document.querySelector('storage-page section').textContent.includes('the first 64 KiB')")
    press(page, "Home")
    press(page, "Enter")
    until_rows(page, "Folders and objects", ["drawing.svg68 B", "page.html34 B", "pixel.png70 B"])
    for text in (DRAWING, PAGE):
        press(page, "ArrowDown")
        until(page, f"document.querySelector('pre.preview')?.textContent === {text!r}")
        assert page.run("() => document.querySelectorAll('img, iframe, storage-page svg').length") == 0
    press(page, "ArrowDown")
    until(page, "document.querySelector('img.preview')?.naturalWidth === 1")
    assert page.run("() => window.ran === undefined")
    assert page.run(CONTRAST) == []
    assert page.console == []


def test_metadata_is_changed_unless_somebody_else_did(
    browser: Browser, running: BackgroundSuite, bucket: storage.Bucket
) -> None:
    """Names that are gone from the text go; a change that somebody made meanwhile is not overwritten; deleting asks."""
    blob = bucket.blob("a/page.html")
    blob.metadata = {"old": "1", "kept": "2"}
    blob.patch()
    page = opened(browser, running, f"storage/{bucket.name}/a")
    until(page, "document.querySelectorAll('storage-page .item').length === 3")
    page.run("() => document.querySelectorAll('storage-page .item')[1].click()")
    until(page, "document.querySelector('storage-page textarea')?.value.includes('kept')")
    fill(page, "Custom metadata as JSON", '{"kept": "2", "new": "3"}')
    fill(page, "Content type", "text/plain")
    click(page, "Save metadata")
    until(page, "document.querySelector('storage-page textarea').value.includes('\\n  \"new\"')")
    blob.reload()
    assert (blob.metadata, blob.content_type) == ({"kept": "2", "new": "3"}, "text/plain")
    blob.metadata = {"theirs": "4"}
    blob.patch()
    fill(page, "Custom metadata as JSON", "{}")
    click(page, "Save metadata")
    until(page, "document.querySelector('storage-page section .bad')?.textContent")
    blob.reload()
    assert blob.metadata is not None
    assert blob.metadata["theirs"] == "4"
    click(page, "Delete object")
    click(page, "Delete")
    until_closed(page)
    until_rows(page, "Folders and objects", ["drawing.svg68 B", "pixel.png70 B"])
    assert not blob.exists()


def test_what_is_stored_is_no_page_of_the_console(running: BackgroundSuite, bucket: storage.Bucket) -> None:
    """Even opened as a page, it would be in a sandbox without scripts; and no one opens it without the token."""
    path = f"/console/services/storage/download/storage/v1/b/{bucket.name}/o/a%2Fpage.html?alt=media"
    assert send(running.address("ui"), "GET", path).status == 403
    answer = send(running.address("ui"), "GET", path, {"x-console-token": token_of(running), "range": "bytes=0-6"})
    assert (answer.status, answer.body) == (206, b"<script")
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"


DROP = """(name, type, text) => {
  const dropped = new DataTransfer();
  dropped.items.add(new File([window.film && type === "video/webm" ? window.film : text], name, { type }));
  document.querySelector("upload-list").dispatchEvent(
    new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
}"""
# A film of this browser's own making: it can surely play it.
FILM = """async () => {
  const canvas = document.createElement("canvas");
  const drawn = canvas.getContext("2d");
  const recorder = new MediaRecorder(canvas.captureStream(), { mimeType: "video/webm" });
  const parts = [];
  const stopped = new Promise((resolve) => { recorder.onstop = resolve; });
  recorder.ondataavailable = ({ data }) => data.size && parts.push(data);
  recorder.start(10);
  for (let frame = 0; parts.length < 2; frame++) {
    drawn.fillRect(frame % 300, 0, 1, 150);
    await new Promise((resume) => requestAnimationFrame(resume));
  }
  recorder.stop();
  await stopped;
  window.film = new Blob(parts);
}"""


def test_files_are_dropped_in_and_replace_nothing_unasked(
    browser: Browser, running: BackgroundSuite, bucket: storage.Bucket
) -> None:
    """Into the folder in sight, with progress; what is there already stays until somebody says so; a film is played."""
    page = opened(browser, running, f"storage/{bucket.name}/a")
    until(page, "document.querySelectorAll('storage-page .item').length === 3")
    page.run(FILM)
    page.run(DROP, "new", "text/plain", "n" * 3_000_000)
    page.run(DROP, "film", "video/webm", "")
    until(page, "document.querySelectorAll('storage-page .item').length === 5")
    until(page, "[...document.querySelectorAll('progress')].every((one) => one.value === one.max)")
    stored = bucket.get_blob("a/new")
    assert stored is not None
    assert (stored.size, stored.content_type) == (3_000_000, "text/plain")
    bucket.blob("a/new").upload_from_string("theirs")
    page.run(DROP, "new", "text/plain", "mine")
    until(page, "document.querySelector('upload-list .bad')?.textContent === 'there is such an object already'")
    assert bucket.blob("a/new").download_as_bytes() == b"theirs"
    assert page.run(CONTRAST) == []
    click(page, "Replace it")
    until(page, "document.querySelector('upload-list .bad') === null")
    until(page, "document.querySelector('upload-list [role=status]').textContent === 'stored'")
    assert bucket.blob("a/new").download_as_bytes() == b"mine"
    page.run("() => [...document.querySelectorAll('.item')].find((row) => row.textContent.startsWith('film')).click()")
    until(
        page,
        "document.querySelector('video.preview')?.error || document.querySelector('video.preview')?.readyState > 0",
    )
    assert page.run("() => document.querySelector('video.preview').error") is None
    assert not [line for line in page.console if "412" not in line]
