"""What users store is shown, and cannot act: pages of Storage run no script in the name of the suite."""

from __future__ import annotations

from urllib.parse import quote

import pytest
import requests
from google.cloud import storage

from tests.emulator.storage.conftest import RunningStorage

PAGES = [
    "text/html", "TEXT/HTML; charset=utf-8", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/xml",
    "text/xsl", "multipart/x-mixed-replace", "image/png, text/html", "image/png;, text/html", "made/up", "*/*",
]  # fmt: skip
INERT = [
    "image/png", "image/webp", "audio/mpeg", "video/mp4; codecs=avc1", "application/pdf", "application/json",
    "text/plain; charset=utf-8", "application/octet-stream",
]  # fmt: skip


@pytest.mark.parametrize("media_type", [*PAGES, *INERT])
@pytest.mark.parametrize("place", ["/{b}/one", "/storage/v1/b/{b}/o/one?alt=media", "/v0/b/{b}/o/one?alt=media",
                                   "/{b}/one?response-content-type={type}"])  # fmt: skip
def test_what_could_be_a_page_is_sandboxed(
    running: RunningStorage, client: storage.Client, bucket_name: str, media_type: str, place: str
) -> None:
    """Every way to an object says that nothing is to be guessed, and locks up whatever a browser could run."""
    client.bucket(bucket_name).blob("one").upload_from_string(
        b"<script>", content_type="image/png" if "{type}" in place else media_type
    )
    address = place.format(b=bucket_name, type=quote(media_type, safe=""))
    answer = requests.get(running.origin + address, timeout=30)
    assert answer.content == b"<script>"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers.get("content-security-policy") == ("sandbox" if media_type in PAGES else None)


def test_an_error_that_repeats_a_name_is_sandboxed_too(running: RunningStorage, bucket_name: str) -> None:
    """The name of what was not found is the asker's own text, and comes back as a page."""
    name = "<script>alert(1)<%2Fscript>"
    answer = requests.get(f"{running.origin}/download/storage/v1/b/{bucket_name}/o/{name}?alt=media", timeout=30)
    assert (answer.status_code, answer.headers["content-security-policy"]) == (404, "sandbox")
