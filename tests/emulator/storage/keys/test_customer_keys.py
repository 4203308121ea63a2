"""Keys that customers bring, and the names of keys in Cloud KMS: through google-cloud-storage and by hand."""

from __future__ import annotations

import base64
import hashlib
import os

import pytest
import requests
from google.api_core import exceptions
from google.cloud import storage

from afterimage_emulator.storage.uploads.in_parts import LEAST_PART_BYTES
from tests.emulator.storage.conftest import RunningStorage

KEY, OTHER = os.urandom(32), os.urandom(32)
KMS = "projects/p/locations/us/keyRings/r/cryptoKeys/k"


def headers_of(key: bytes, prefix: str = "x-goog-encryption-") -> dict[str, str]:
    return {
        f"{prefix}algorithm": "AES256",
        f"{prefix}key": base64.b64encode(key).decode(),
        f"{prefix}key-sha256": base64.b64encode(hashlib.sha256(key).digest()).decode(),
    }


def test_bytes_are_read_with_their_key_alone(running: RunningStorage, bucket: storage.Bucket) -> None:
    """Small and in chunks; another key and none are refused by every address; the metadata needs none."""
    for name, chunk_size in (("small", None), ("chunked", 256 * 1024)):
        blob = bucket.blob(name, encryption_key=KEY, chunk_size=chunk_size)
        blob.upload_from_string(b"x" * 300_000)
        assert bucket.blob(name, encryption_key=KEY).download_as_bytes() == b"x" * 300_000
        for key in (OTHER, None):
            with pytest.raises(exceptions.BadRequest):
                bucket.blob(name, encryption_key=key).download_as_bytes()
        for address in (f"{bucket.name}/{name}", f"v0/b/{bucket.name}/o/{name}?alt=media"):
            assert requests.get(f"{running.origin}/{address}", timeout=30).status_code == 400
        xml = requests.get(f"{running.origin}/{bucket.name}/{name}", headers=headers_of(KEY), timeout=30)
        assert (xml.status_code, xml.headers["x-goog-encryption-algorithm"]) == (200, "AES256")
    plain = bucket.get_blob("small")
    assert plain is not None
    assert (plain.size, plain.md5_hash, plain.crc32c) == (300_000, None, None)
    with_key = bucket.get_blob("small", encryption_key=KEY)
    assert with_key is not None
    assert with_key.md5_hash is not None
    assert [blob.md5_hash for blob in bucket.list_blobs()] == [None, None]
    with pytest.raises(exceptions.BadRequest):
        bucket.get_blob("small", encryption_key=OTHER)
    plain.metadata = {"a": "1"}
    plain.patch()
    plain.delete()


def test_a_key_is_never_kept(own_service: RunningStorage, bucket_name: str) -> None:
    """Its hash is; neither the key nor its text is in what the service remembers or writes."""
    url = f"{own_service.origin}/upload/storage/v1/b/{bucket_name}/o?uploadType=media&name=a"
    answer = requests.post(url, b"bytes", headers=headers_of(KEY), timeout=30)
    assert answer.json()["customerEncryption"]["keySha256"] == headers_of(KEY)["x-goog-encryption-key-sha256"]
    kept = repr(list(own_service.service.store.everything()))
    assert base64.b64encode(KEY).decode() not in kept
    assert repr(KEY) not in kept


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"algorithm": "AES128"}, "customerEncryptionAlgorithmIsInvalid"),
        ({"algorithm": None}, "customerEncryptionAlgorithmIsInvalid"),
        ({"key": None}, "customerEncryptionKeyFormatIsInvalid"),
        ({"key": "short"}, "customerEncryptionKeyFormatIsInvalid"),
        ({"key": base64.b64encode(b"x" * 31).decode()}, "customerEncryptionKeyFormatIsInvalid"),
        ({"key": base64.b64encode(OTHER).decode()}, "customerEncryptionKeySha256IsInvalid"),
        ({"key-sha256": None}, "customerEncryptionKeySha256IsInvalid"),
        ({"key-sha256": "?"}, "customerEncryptionKeySha256IsInvalid"),
    ],
)
def test_headers_that_do_not_fit_are_refused(
    running: RunningStorage, bucket: storage.Bucket, change: dict[str, str | None], reason: str
) -> None:
    """400 with production's reason, in JSON and in XML, and nothing is stored."""
    changed = {**headers_of(KEY), **{f"x-goog-encryption-{name}": value for name, value in change.items()}}
    headers = {name: value for name, value in changed.items() if value is not None}
    url = f"{running.origin}/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=a"
    answer = requests.post(url, b"bytes", headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (400, reason)
    xml = requests.put(f"{running.origin}/{bucket.name}/a", b"bytes", headers=headers, timeout=30)
    assert (xml.status_code, f"<Code>{reason[0].upper()}{reason[1:]}</Code>" in xml.text) == (400, True)
    assert not bucket.blob("a").exists()


def test_copies_change_keys(running: RunningStorage, bucket: storage.Bucket) -> None:
    """A rewrite shows the old key and brings the new one; no copy takes its source's; plain objects take none."""
    source = bucket.blob("a", encryption_key=KEY)
    source.upload_from_string(b"bytes")
    rotated = bucket.blob("a", encryption_key=OTHER)
    token, *_ = rotated.rewrite(source)
    assert token is None
    assert rotated.download_as_bytes() == b"bytes"
    plain = bucket.blob("plain")
    plain.rewrite(rotated)
    assert bucket.blob("plain").download_as_bytes() == b"bytes"
    for wrong in (bucket.blob("a", encryption_key=KEY), bucket.blob("a"), bucket.blob("plain", encryption_key=KEY)):
        with pytest.raises(exceptions.BadRequest):
            bucket.blob("no").rewrite(wrong)
    with pytest.raises(exceptions.BadRequest):
        bucket.copy_blob(bucket.blob("a"), bucket, "no")
    with pytest.raises(exceptions.BadRequest):
        plain.compose([rotated])
    xml = requests.put(
        f"{running.origin}/{bucket.name}/xml",
        headers={
            "x-goog-copy-source": f"{bucket.name}/a",
            **headers_of(OTHER, "x-goog-copy-source-encryption-"),
            **headers_of(KEY),
        },
        timeout=30,
    )
    assert xml.status_code == 200, xml.text
    assert bucket.blob("xml", encryption_key=KEY).download_as_bytes() == b"bytes"
    moved = bucket.move_blob(bucket.blob("xml"), "moved")
    assert bucket.blob(moved.name, encryption_key=KEY).download_as_bytes() == b"bytes"


def test_parts_are_all_under_one_key(running: RunningStorage, bucket: storage.Bucket) -> None:
    """The key of the first request stands on every further one, and the end names no checksum."""
    url, key = f"{running.origin}/{bucket.name}/whole", headers_of(KEY)
    begun = requests.post(f"{url}?uploads", headers=key, timeout=30)
    upload_id = begun.text.partition("<UploadId>")[2].partition("<")[0]
    part = f"{url}?partNumber=1&uploadId={upload_id}"
    for wrong in ({}, headers_of(OTHER)):
        refused = requests.put(part, b"x", headers=wrong, timeout=30)
        assert (refused.status_code, "CustomerEncryptionKeyIsIncorrect" in refused.text) == (400, True)
    etag = requests.put(part, b"x" * LEAST_PART_BYTES, headers=key, timeout=30).headers["etag"]
    body = (
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    )
    assert requests.post(f"{url}?uploadId={upload_id}", body, timeout=30).status_code == 400
    done = requests.post(f"{url}?uploadId={upload_id}", body, headers=key, timeout=30)
    assert (done.status_code, "x-goog-hash" in done.headers) == (200, False)
    assert bucket.blob("whole", encryption_key=KEY).download_as_bytes() == b"x" * LEAST_PART_BYTES


def test_names_of_kms_keys_are_kept(running: RunningStorage, bucket: storage.Bucket) -> None:
    """The bucket's default and an upload's own, as a version; a copy takes that of its place, a patch changes none."""
    bucket.default_kms_key_name = KMS
    bucket.patch()
    blob = bucket.blob("a")
    blob.upload_from_string("x")
    assert blob.kms_key_name == f"{KMS}/cryptoKeyVersions/1"
    own = bucket.blob("own", kms_key_name=f"{KMS}2")
    own.upload_from_string("x")
    assert own.kms_key_name == f"{KMS}2/cryptoKeyVersions/1"
    assert bucket.copy_blob(own, bucket, "copy").kms_key_name == blob.kms_key_name
    rewritten = bucket.blob("rewritten", kms_key_name=f"{KMS}3")
    rewritten.rewrite(own)
    assert rewritten.kms_key_name == f"{KMS}3/cryptoKeyVersions/1"
    own.reload()
    own.update()
    url = f"{running.origin}/storage/v1/b/{bucket.name}/o/own"
    assert requests.patch(url, json={"kmsKeyName": KMS}, timeout=30).status_code == 400
    upload = f"{running.origin}/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=b"
    for name in ("k", f"{KMS}/cryptoKeyVersions/1", "projects//locations/us/keyRings/r/cryptoKeys/k"):
        assert requests.post(f"{upload}&kmsKeyName={name}", b"x", timeout=30).status_code == 400
        body = {"encryption": {"defaultKmsKeyName": name}}
        assert requests.patch(f"{running.origin}/storage/v1/b/{bucket.name}", json=body, timeout=30).status_code == 400
    both = requests.post(f"{upload}&kmsKeyName={KMS}", b"x", headers=headers_of(KEY), timeout=30)
    assert both.status_code == 409
    with_key = bucket.blob("with-key", encryption_key=KEY)
    with_key.upload_from_string("x")
    assert with_key.kms_key_name is None
