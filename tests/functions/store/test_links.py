"""Links to files: each good for one thing, made anew in time, and signed with whatever an account has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import google.auth
import httpx
import pytest
from google.cloud import storage

from afterimage.store.cloud_links import LINK_LIFETIME, CloudLinks

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


def test_an_account_without_a_key_has_iam_sign(bucket: str) -> None:
    """Given its name and a token, the client asks IAM; a token that has run out is renewed first."""

    class Keyless:
        """What a machine of Google's has: a token, and a name."""

        valid = False
        service_account_email = "robot@demo.iam.gserviceaccount.com"
        token = ""

        def refresh(self, _request: object) -> None:
            self.token, self.valid = "fresh", True

    asked: list[dict[str, object]] = []

    class Recorder:
        """Stands for the client, whose request to IAM goes to a fixed address of Google's."""

        def bucket(self, _name: str) -> Recorder:
            return self

        blob = bucket

        def generate_signed_url(self, **options: object) -> str:
            asked.append(options)
            return "https://signed"

    parts: tuple[Any, Any] = Recorder(), Keyless()
    links = CloudLinks(*parts)
    links.download(bucket, NAME, shown_as="a", content_type="text/plain")
    assert (asked[0]["service_account_email"], asked[0]["access_token"]) == (Keyless.service_account_email, "fresh")
    assert "credentials" not in asked[0]
