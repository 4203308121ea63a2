"""Forms that a signed policy allows, V4 as the official SDK makes them and V2 as its documentation describes them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from google.cloud import storage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.emulator.storage.conftest import RunningStorage
from tests.emulator.storage.signing.requests_by_hand import local_account, unsigned_client
from tests.thoroughness import examples

ACCOUNT = local_account()
HOUR = timedelta(hours=1)
Fields = Mapping[str, str]


@pytest.fixture
def signing(running: RunningStorage) -> Iterator[storage.Client]:
    made = unsigned_client(running)
    yield made
    made.close()


def v4(client: storage.Client, bucket: str, key: str, **options: Any) -> tuple[str, dict[str, str]]:
    policy = client.generate_signed_post_policy_v4(
        bucket, key, **{"expiration": HOUR, "credentials": ACCOUNT, **options}
    )
    return policy["url"], policy["fields"]


def v2(
    client: storage.Client,
    bucket: str,
    key: str,
    *,
    conditions: Sequence[Any] = (),
    fields: Fields | None = None,
    expiration: timedelta = HOUR,
) -> tuple[str, dict[str, str]]:
    fields = dict(fields or {})
    document = {
        "expiration": (datetime.now(UTC) + expiration).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "conditions": [["eq", "$key", key], {"bucket": bucket}, *conditions, *({k: v} for k, v in fields.items())],
    }
    policy = base64.b64encode(json.dumps(document).encode()).decode()
    signature = base64.b64encode(ACCOUNT.sign_bytes(policy.encode())).decode()
    named = {"key": key, "GoogleAccessId": ACCOUNT.signer_email, "policy": policy, "signature": signature}
    return f"{client.api_endpoint}/{bucket}", fields | named


def post(
    url: str, fields: Fields, body: bytes = b"hello", name: str = "a photo.png", **options: Any
) -> requests.Response:
    return requests.post(
        url, data=fields, files={"file": (name, body, "image/png")}, timeout=30, allow_redirects=False, **options
    )


PICTURES = ("starts-with", "$Content-Type", "image/")
both = pytest.mark.parametrize("make", [v4, v2])


@both
def test_a_form_that_keeps_to_its_policy_is_stored_whole(
    running: RunningStorage, signing: storage.Client, bucket_name: str, make: Any
) -> None:
    """Every field that the policy allows is the object's afterwards."""
    fields = {
        "acl": "public-read", "Cache-Control": "private", "Content-Type": "text/plain", "Content-Disposition": "inline",
        "Content-Language": "de", "x-goog-meta-mood": "ünusual", "x-goog-storage-class": "NEARLINE",
        "x-goog-custom-time": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    url, form = make(signing, bucket_name, "a/ü.txt", fields=fields, conditions=[["content-length-range", 1, 5]])
    answer = post(url, {**form, "x-ignore-me": "yes"})
    assert answer.status_code == 204, answer.text
    blob = signing.bucket(bucket_name).get_blob("a/ü.txt")
    assert blob.download_as_bytes() == b"hello"
    assert (blob.cache_control, blob.content_type, blob.content_disposition) == ("private", "text/plain", "inline")
    assert (blob.content_language, blob.metadata, blob.storage_class) == ("de", {"mood": "ünusual"}, "NEARLINE")
    assert blob.custom_time == datetime(2026, 1, 1, tzinfo=UTC)
    assert "allUsers" in {entry["entity"] for entry in blob.acl}
    assert answer.headers["etag"] == f'"{blob.etag}"'


@both
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"key": "another"}, "InvalidPolicyDocument"),
        ({"x-goog-meta-b": "1"}, "InvalidPolicyDocument"),
        ({"x-goog-meta-a": "2"}, "InvalidPolicyDocument"),
        ({"x-goog-meta-a": None}, "InvalidPolicyDocument"),
        ({"bucket": "another-bucket"}, "InvalidPolicyDocument"),
        ({"acl": "public-read"}, "InvalidPolicyDocument"),
        ({"Content-Type": "text/html"}, "InvalidPolicyDocument"),
        ({"Content-Type": None}, "InvalidPolicyDocument"),
        ({"key": None}, "InvalidArgument"),
    ],
)
def test_a_form_that_departs_from_its_policy_stores_nothing(
    running: RunningStorage,
    signing: storage.Client,
    bucket_name: str,
    make: Any,
    change: dict[str, str | None],
    code: str,
) -> None:
    """A policy lists all that may be sent: what contradicts it, lacks or exceeds it is refused by name."""
    url, form = make(
        signing,
        bucket_name,
        "one",
        fields={"x-goog-meta-a": "1"},
        conditions=[["starts-with", "$Content-Type", "image/"]],
    )
    good = {**form, "Content-Type": "image/png"}
    wrong = {name: value for name, value in (good | change).items() if value is not None}
    answer = post(url, wrong)
    assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (400, True), answer.text
    assert not signing.bucket(bucket_name).blob("one").exists()
    assert post(url, good).status_code == 204


@both
def test_signature_time_and_length_of_a_form_are_checked(
    running: RunningStorage, signing: storage.Client, bucket_name: str, make: Any
) -> None:
    """Another policy under the same signature, a policy whose time is over, and bytes outside the range are refused."""
    url, form = make(signing, bucket_name, "one", conditions=[["content-length-range", 2, 4]])
    _, other = make(signing, bucket_name, "one", conditions=[["content-length-range", 0, 10**9]])
    name = "x-goog-signature" if make is v4 else "signature"
    for changed in ({"policy": other["policy"]}, {name: other[name]}, {name: form[name][:-1]}):
        answer = post(url, {**form, **changed}, b"abc")
        assert answer.status_code == 403, answer.text
        assert "<Code>SignatureDoesNotMatch</Code>" in answer.text
    assert "<Code>InvalidPolicyDocument</Code>" in post(url, {k: v for k, v in form.items() if k != name}, b"abc").text
    for body, code in ((b"a", "EntityTooSmall"), (b"abcde", "EntityTooLarge"), (b"a" * 3_000_000, "EntityTooLarge")):
        assert f"<Code>{code}</Code>" in post(url, form, body).text
    url, late = make(signing, bucket_name, "one", expiration=timedelta(seconds=-1))
    assert "Policy expired." in post(url, late).text
    assert not signing.bucket(bucket_name).blob("one").exists()


def test_the_form_says_how_it_is_answered(running: RunningStorage, signing: storage.Client, bucket_name: str) -> None:
    """204 by default, 200 or 201 with what was stored, or a redirect that tells the page."""
    for status in ("200", "201", "204"):
        url, form = v4(signing, bucket_name, "one", fields={"success_action_status": status})
        answer = post(url, form)
        assert answer.status_code == int(status)
    url, form = v4(signing, bucket_name, "one & two", fields={"success_action_status": "201"})
    assert "<PostResponse>" in (text := post(url, form).text)
    assert "<Key>one &amp; two</Key>" in text
    there = "http://localhost:3000/done?a=b"
    url, form = v4(signing, bucket_name, "one", fields={"success_action_redirect": there})
    answer = post(url, form)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{there}&bucket={bucket_name}&key=one&etag=")


@both
def test_the_name_of_the_file_may_be_the_objects(
    running: RunningStorage, signing: storage.Client, bucket_name: str, make: Any
) -> None:
    """`${filename}` stands for the file's own name, and a folder in that name leads nowhere else."""
    key = "uploads/${filename}"
    url, form = make(signing, bucket_name, key)
    assert post(url, form, name="../../a photo.png").status_code == 204
    assert [blob.name for blob in signing.list_blobs(bucket_name)] == ["uploads/a photo.png"]


def test_forms_reach_their_bucket_by_every_address(
    running: RunningStorage, signing: storage.Client, bucket_name: str
) -> None:
    """The bucket stands in the path, in the host, or in the policy alone."""
    signing.create_bucket(bucket_name)
    _, form = v4(signing, bucket_name, "one")
    port = running.server.port
    for host, path in (
        (f"{bucket_name}.localhost:{port}", "/"),
        (f"localhost:{port}", "/"),
        (f"localhost:{port}", f"/{bucket_name}"),
        (f"localhost:{port}", f"/{bucket_name}/"),
    ):
        answer = post(f"{running.origin}{path}", form, headers={"Host": host})
        assert answer.status_code == 204, (host, path, answer.text)
    elsewhere = post(f"{running.origin}/another-bucket", form)
    assert "<Code>InvalidPolicyDocument</Code>" in elsewhere.text


def test_a_form_without_a_policy_is_an_administrators(
    running: RunningStorage, signing: storage.Client, bucket_name: str
) -> None:
    """Any page can send a form: without a policy it needs an administrator's credential, and is never dropped."""
    url = f"{running.origin}/{bucket_name}"
    answer = post(url, {"key": "one"})
    assert (answer.status_code, "<Code>AccessDenied</Code>" in answer.text) == (403, True)
    answer = post(url, {"key": "one", "x-goog-meta-a": "1"}, headers={"Authorization": "Bearer owner"})
    assert answer.status_code == 204
    assert signing.bucket(bucket_name).get_blob("one").metadata == {"a": "1"}
    dropped = post(url, {"key": "one", "colour": "red"}, headers={"Authorization": "Bearer owner"})
    assert (dropped.status_code, "colour" in dropped.text) == (400, True)


WORDS = st.sampled_from(
    ["eq", "starts-with", "content-length-range", "$key", "$", "2026-01-01T00:00:00Z", "9999-99-99T99:99:99Z"]
)
KEYS = st.sampled_from(["expiration", "conditions", "key", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner),
    max_leaves=12,
)


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=st.one_of(JSON.map(json.dumps), st.text(max_size=30), st.just("[" * 50_000)))
def test_no_policy_is_too_odd_for_an_answer(running: RunningStorage, bucket_name: str, document: str) -> None:
    """A policy with a good signature and any content at all is answered with 400, and stores nothing."""
    policy = base64.b64encode(document.encode("utf-8", "replace")).decode()
    signature = base64.b64encode(ACCOUNT.sign_bytes(policy.encode())).decode()
    form = {"key": "k", "GoogleAccessId": ACCOUNT.signer_email, "policy": policy, "signature": signature}
    assert post(f"{running.origin}/{bucket_name}", form).status_code == 400


PIECES = st.sampled_from(
    [
        b"--x",
        b"\r\n",
        b"--",
        b"Content-Disposition: form-data; name=",
        b'"file"',
        b'"key"',
        b"; filename=",
        b"\xff",
        b'"',
    ]
)


@settings(max_examples=examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.lists(PIECES, max_size=20).map(b"".join))
def test_no_form_is_too_odd_for_an_answer(running: RunningStorage, bucket_name: str, body: bytes) -> None:
    """Broken forms are refused with 4xx wherever they break."""
    answer = requests.post(
        f"{running.origin}/{bucket_name}", body, headers={"Content-Type": "multipart/form-data; boundary=x"}, timeout=30
    )
    assert 400 <= answer.status_code < 500
