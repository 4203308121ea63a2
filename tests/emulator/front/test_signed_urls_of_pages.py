"""What pages that Storage itself serves may do with signed URLs, which carry their own proof."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.oauth2.service_account import Credentials

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.suite import Suite


@dataclass(frozen=True, kw_only=True)
class Signing:
    """Where Storage is, who signs for it, and a program that asks it."""

    endpoint: str
    account: Credentials
    client: storage.Client


@pytest.fixture
def in_time(project_id: str, tmp_path: Path) -> Iterator[Signing]:
    """A suite whose clock nobody has moved: the SDK dates what it signs by the machine's."""
    configuration = Configuration(root=tmp_path, project_id=project_id)
    with BackgroundSuite(Suite(configuration, only=("storage",), free_ports=True)) as running:
        environment = running.environment()
        endpoint = environment["STORAGE_EMULATOR_HOST"]
        with open(environment["GOOGLE_APPLICATION_CREDENTIALS"]) as file:
            account = Credentials.from_service_account_info(json.load(file))
        client = storage.Client(
            project="demo", credentials=AnonymousCredentials(), client_options={"api_endpoint": endpoint}
        )
        yield Signing(endpoint=endpoint, account=account, client=client)


def test_a_stored_page_uses_signed_urls_and_nothing_else(in_time: Signing) -> None:
    """A page of a bucket uploads by a signed URL, and continues an upload whose address it has; that is all."""
    endpoint, account, client = in_time.endpoint, in_time.account, in_time.client
    blob = client.bucket("a-page").blob("one")
    page = {"Origin": endpoint}
    for version in ("v2", "v4"):
        options = {"version": version, "expiration": timedelta(hours=1), "credentials": account}
        url = blob.generate_signed_url(method="PUT", **options)
        assert requests.put(url, b"here", headers=page, timeout=30).status_code == 200
        for refused in (
            requests.put(url.replace("/one", "/two"), b"here", headers=page, timeout=30),
            requests.delete(url, headers=page, timeout=30),
            requests.put(f"{endpoint}/a-page/one", b"here", headers=page, timeout=30),
            requests.put(url, b"here", headers=page | {"Authorization": "Bearer owner"}, timeout=30),
        ):
            assert refused.status_code == 403
            assert "which the suite itself serves" in refused.text
        start = blob.generate_signed_url(method="RESUMABLE", **options)
        begun = requests.post(start, headers=page | {"x-goog-resumable": "start"}, timeout=30)
        assert begun.status_code == 201
        assert requests.put(begun.headers["location"], b"more", headers=page, timeout=30).status_code == 200
        made_up = f"{endpoint}/upload/storage/v1/b/a-page/o?uploadType=resumable&upload_id=guessed"
        assert requests.put(made_up, b"more", headers=page, timeout=30).status_code == 403
    by_program = client.bucket("a-page").blob("two").create_resumable_upload_session(content_type="text/plain")
    assert requests.put(by_program, b"more", headers=page, timeout=30).status_code == 200


def test_a_stored_page_sends_forms_with_a_policy_only(in_time: Signing) -> None:
    """A form's proof is in its body: with a signed policy it uploads, without one it is refused."""
    endpoint, account, client = in_time.endpoint, in_time.account, in_time.client
    policy = client.generate_signed_post_policy_v4("a-page", "form", timedelta(hours=1), credentials=account)
    page = {"Origin": endpoint}
    files = {"file": ("name.txt", b"here")}

    def send(url: str, fields: dict[str, str], **headers: str) -> int:
        return requests.post(url, data=fields, files=files, headers=page | headers, timeout=30).status_code

    assert send(policy["url"], policy["fields"]) == 204
    assert client.bucket("a-page").blob("form").download_as_bytes() == b"here"
    assert send(policy["url"], {"key": "other"}) == 403
    assert send(policy["url"], {"key": "other"}, Authorization="Bearer owner") == 403
    assert send(f"{endpoint}/a-page/other", policy["fields"], **{"x-goog-resumable": "start"}) == 403
    assert not client.bucket("a-page").blob("other").exists()
