"""Links to files: each good for one thing, made anew in time, and signed with whatever an account has."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import google.auth
import httpx
import pytest
from google.cloud import storage

from afterimage.store.cloud_links import LINK_LIFETIME, CloudLinks
from afterimage_emulator.background import BackgroundSuite
from tests.functions.conftest import FUNCTIONS
from tests.functions.store.googles_machine import GooglesMachine

NAME = "artifacts/ana/blobs/0a"


@pytest.fixture
def client(sdk_environment: dict[str, str], project_id: str) -> storage.Client:
    return storage.Client(project=project_id)


def test_a_link_to_read_is_kept_until_half_its_life(client: storage.Client, bucket: str) -> None:
    """The same file under the same name is signed once; then again, so that nobody is given one that runs out."""
    moment = [datetime.now(UTC)]
    links = CloudLinks(client, google.auth.default()[0], now=lambda: moment[0])

    def link(shown_as: str = "a.txt") -> str:
        return links.download(bucket, NAME, shown_as=shown_as, content_type="text/plain").url

    first = link()
    assert link() == first
    assert link("b.txt") != first
    moment[0] += LINK_LIFETIME / 2 + timedelta(seconds=1)
    assert links.download(bucket, NAME, shown_as="a.txt", content_type="text/plain").expires_at > moment[0]
    assert links.download(bucket, NAME, shown_as="a.txt", content_type="text/plain").expires_at == (
        moment[0] + LINK_LIFETIME
    )


def test_a_link_to_one_generation_reads_no_other(client: storage.Client, bucket: str) -> None:
    """It is kept like the others until half its life; what is stored later under the same name has its own."""
    moment = [datetime.now(UTC)]
    links = CloudLinks(client, google.auth.default()[0], now=lambda: moment[0])
    blob = client.bucket(bucket).blob(NAME)
    blob.upload_from_string(b"first")
    first = links.download_generation(bucket, NAME, int(blob.generation or 0))
    assert httpx.get(first.url, trust_env=False).content == b"first"
    blob.upload_from_string(b"second")
    second = links.download_generation(bucket, NAME, int(blob.generation or 0))
    assert httpx.get(first.url, trust_env=False).status_code == 404
    assert httpx.get(second.url, trust_env=False).content == b"second"
    moment[0] += LINK_LIFETIME / 2 - timedelta(seconds=1)
    assert links.download_generation(bucket, NAME, int(blob.generation or 0)) == second
    moment[0] += timedelta(seconds=1)
    assert links.download_generation(bucket, NAME, int(blob.generation or 0)).expires_at == moment[0] + LINK_LIFETIME


def test_a_link_does_what_it_is_for_and_nothing_else(client: storage.Client, bucket: str) -> None:
    """It reads one file; another name, another verb or another type is refused."""
    client.bucket(bucket).blob(NAME).upload_from_string(b"bytes", "text/html")
    links = CloudLinks(client, google.auth.default()[0])
    link = links.download(bucket, NAME, shown_as='a"\n/é.html', content_type="text/plain")
    with httpx.Client(trust_env=False) as http:
        read = http.get(link.url)
        assert (read.content, read.headers["content-type"]) == (b"bytes", "text/plain")
        assert read.headers["content-disposition"] == "attachment; filename*=UTF-8''a%22%0A%2F%C3%A9.html"
        assert http.get(link.url.replace("text%2Fplain", "text%2Fhtml")).status_code == 403
        assert http.get(link.url.replace("blobs/0a", "blobs/0b")).status_code == 403
        assert http.put(link.url, content=b"others").status_code == 403
        begin = links.start_upload(bucket, f"{NAME}-new", size=5, content_type="text/plain")
        assert http.post(begin.url).status_code in {400, 403}
        longer = dict(begin.headers) | {"x-goog-content-length-range": "0,50"}
        assert http.post(begin.url, headers=longer).status_code == 403
        assert http.post(begin.url, headers=dict(begin.headers)).status_code == 201


SIGNS_AS_DEPLOYED = """
import sys
sys.path.insert(0, sys.argv[1])
from afterimage.store import clients
links, bucket, generation = clients.links(), sys.argv[2], int(sys.argv[3])
for name in ("artifacts/ana/blobs/0a", "artifacts/ana/blobs/0a", "artifacts/ana/blobs/0b"):
    print(links.download_generation(bucket, name, generation).url)
print(links.start_upload(bucket, "new", size=4, content_type="text/plain").url)
"""


def test_an_account_without_a_key_has_iam_sign(
    suite: BackgroundSuite, client: storage.Client, bucket: str, tmp_path: Path
) -> None:
    """As on Google's machines, with the official libraries: account and token of the metadata server, IAM's `signBlob`
    behind TLS, a new token where the old one runs out; and Storage takes what was signed."""
    blob = client.bucket(bucket).blob(NAME)
    blob.upload_from_string(b"bytes")
    machine = GooglesMachine(suite.address("hub"), tmp_path)
    try:
        told = subprocess.run(
            [sys.executable, "-c", SIGNS_AS_DEPLOYED, str(FUNCTIONS), bucket, str(blob.generation)],
            env={**os.environ, **machine.environment, "GCLOUD_PROJECT": str(client.project)},
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        machine.stop()
    first, again, other, upload = told.stdout.split()
    assert machine.signed_with == ["Bearer token-1", "Bearer token-2", "Bearer token-3"], "one call for each link"
    assert (again, "robot%40demo.iam.gserviceaccount.com" in first) == (first, True)
    with httpx.Client(trust_env=False) as http:
        assert http.get(first).content == b"bytes"
        assert http.get(first.replace("blobs/0a", "blobs/0b")).status_code == 403
        assert http.get(other).status_code == 404
        limits = {"content-type": "text/plain", "x-goog-if-generation-match": "0", "x-goog-resumable": "start"}
        begun = http.post(upload, headers=limits | {"x-goog-content-length-range": "4,4"})
        assert begun.status_code == 201
        assert http.put(begun.headers["location"], content=b"more").status_code == 200
