"""Each parser of Storage is given what no client should send: production's refusals, never a 500, nothing dropped."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

import pytest

from tests.emulator.storage.fuzzing.asked import BUCKET, Answer, AskedStorage
from tests.emulator.storage.fuzzing.odd_inputs import OddInputs
from tests.thoroughness import examples

B: Final = f"/storage/v1/b/{BUCKET}"
UPLOAD: Final = f"/upload/storage/v1/b/{BUCKET}/o"
OWNER: Final = ("authorization", "Bearer owner")
KEY: Final = b"k" * 32
CONTENT: Final = b"these are the bytes of an object"
SOAK_SECONDS: Final = 12.0
Fuzz = Callable[[AskedStorage, OddInputs], None]


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[AskedStorage]:
    storage = AskedStorage(tmp_path)
    yield storage
    storage.close()


def put(asked: AskedStorage, name: str = "there", content: bytes = CONTENT) -> dict[str, Any]:
    answer = asked.ask("POST", UPLOAD, f"uploadType=media&name={quote(name, safe='')}", content)
    assert answer.is_taken, answer
    return answer.json()


def stored_of(asked: AskedStorage, answer: Answer, body: bytes) -> None:
    """An upload that was taken made an object, and its bytes are among those that were sent."""
    if answer.is_taken:
        found = asked.objects()
        assert found, f"taken, and nothing is there: {answer}"
        assert all(content in body for _, content in found.values()), answer
    else:
        assert not asked.objects(), f"refused, and something is there: {answer}"
    asked.empty()


def kept_of(sent: bytes, resource: Mapping[str, Any], fields: Mapping[str, Any], answer: Answer) -> None:
    """What a taken body says of these fields is what the resource tells.

    Null and empty values say nothing, nor does an object without any key that `fields` knows: like production, the
    service passes over names that it does not know.
    """
    try:
        body = json.loads(sent)
    except (ValueError, UnicodeDecodeError):
        return
    if not isinstance(body, dict):
        return
    for field, known in fields.items():
        said = body.get(field)
        says_nothing = isinstance(said, dict) and all(
            said.get(name) in (None, [], {}) for name in known if isinstance(name, str)
        )
        if said not in (None, "", []) and not says_nothing:
            assert field in resource, f"`{field}` was taken and dropped: {answer}"
            if isinstance(body[field], str):
                assert resource[field] == body[field], f"`{field}` was taken as another: {answer}"


# -- one function a parser


def related(asked: AskedStorage, odd: OddInputs) -> None:
    """multipart/related, of both dialects."""
    described = odd.json_bytes(
        {"name": "a", "contentType": "text/plain", "metadata": {"k": "v"}, "cacheControl": "no-store", "md5Hash": None}
    )
    boundary = "b0undary"
    body = odd.altered(
        b"--b0undary\r\nContent-Type: application/json\r\n\r\n" + described + b"\r\n--b0undary\r\n"
        b"Content-Type: text/plain\r\n\r\n" + CONTENT + b"\r\n--b0undary--\r\n"
    )
    kind = odd.text(f"multipart/related; boundary={boundary}")
    path, query = odd.chance.choice(((UPLOAD, "uploadType=multipart"), (f"/v0/b/{BUCKET}/o", "name=a")))
    answer = asked.ask("POST", path, query, body, [("content-type", kind), ("x-goog-upload-protocol", "multipart")])
    if answer.is_taken and body.startswith(
        b"--b0undary\r\nContent-Type: application/json\r\n\r\n" + described + b"\r\n--b"
    ):
        kept_of(described, answer.json(), {"contentType": "", "metadata": ["k"], "cacheControl": ""}, answer)
    stored_of(asked, answer, body)


def form(asked: AskedStorage, odd: OddInputs) -> None:
    """multipart/form-data with a signed policy, whose parts are odd before or after the signature."""
    policy = {
        "conditions": [{"key": "a"}, {"bucket": BUCKET}, ["starts-with", "$content-type", "text/"],
                       ["content-length-range", 0, 1000], ["eq", "$x-goog-meta-k", "v"]],
        "expiration": (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }  # fmt: skip
    fields = {"key": "a", "content-type": "text/plain", "x-goog-meta-k": "v", **signed(asked, odd.json_bytes(policy))}
    if odd.chance.random() < 0.4:
        name = odd.chance.choice(sorted(fields))
        fields[name] = odd.text(fields[name])
    parts = [
        f'--f\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    head = '--f\r\nContent-Disposition: form-data; name="file"; filename="x.txt"\r\nContent-Type: text/plain\r\n\r\n'
    body = "".join([*parts, head]).encode("utf-8", "surrogatepass") + CONTENT + b"\r\n--f--\r\n"
    body = odd.altered(body) if odd.chance.random() < 0.5 else body
    answer = asked.ask("POST", f"/{BUCKET}", "", body, [("content-type", "multipart/form-data; boundary=f")])
    if answer.is_taken:
        [(record, _)] = asked.objects().values()
        assert record.metadata.custom == {"k": "v"}, answer
    stored_of(asked, answer, body)


def signed(asked: AskedStorage, policy: bytes) -> dict[str, str]:
    """The fields of a policy that an HMAC key of the service signed."""
    made = asked.ask("POST", "/storage/v1/projects/p/hmacKeys", "serviceAccountEmail=a@b.example").json()
    metadata: Any = made["metadata"]
    date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = (date[:8], "auto", "storage", "goog4_request")
    key = f"GOOG4{made['secret']}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    text = base64.b64encode(policy).decode()
    return {
        "policy": text,
        "x-goog-algorithm": "GOOG4-HMAC-SHA256",
        "x-goog-credential": f"{metadata['accessId']}/{'/'.join(scope)}",
        "x-goog-date": date,
        "x-goog-signature": hmac.digest(key, text.encode(), "sha256").hex(),
    }


def parts_xml(asked: AskedStorage, odd: OddInputs) -> None:
    """The body that completes an upload in parts, and the numbers of parts."""
    begun = asked.ask("POST", f"/{BUCKET}/a", "uploads").body.decode()
    upload = begun.partition("<UploadId>")[2].partition("<")[0]
    part = asked.ask("PUT", f"/{BUCKET}/a", f"partNumber=1&uploadId={upload}", CONTENT)
    etag = part.headers.get("etag") or ""
    asked.ask("PUT", f"/{BUCKET}/a", f"partNumber={quote(odd.number())}&uploadId={quote(odd.text(upload))}", CONTENT)
    body = odd.altered(
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
        .encode()
    )  # fmt: skip
    answer = asked.ask("POST", f"/{BUCKET}/a", f"uploadId={upload}", body)
    stored_of(asked, answer, CONTENT)


def ranges(asked: AskedStorage, odd: OddInputs) -> None:
    """Range of downloads: a part of the bytes, all of them, or 416."""
    if not asked.objects():
        put(asked)
    header = odd.text(odd.chance.choice(("bytes=0-9", "bytes=5-", "bytes=-7", "bytes=0-0,5-9")))
    path = odd.chance.choice((f"/download{B}/o/there", f"/{BUCKET}/there", f"/v0/b/{BUCKET}/o/there"))
    answer = asked.ask("GET", path, "alt=media", headers=[("range", header)])
    assert answer.status in (200, 206, 416), answer
    if answer.status == 206:
        said = (answer.headers.get("content-range") or "").removeprefix("bytes ").partition("/")[0].partition("-")
        assert answer.body == CONTENT[int(said[0]) : int(said[2]) + 1], answer
    elif answer.status == 200:
        assert answer.body == CONTENT, answer


def globs(asked: AskedStorage, odd: OddInputs) -> None:
    """Globs, context filters, field selections, prefixes and offsets of listings."""
    if not asked.objects():
        put(asked)
    parameter, good = odd.chance.choice(
        (("matchGlob", "**/{a,b}[!c]?"), ("filter", 'contexts."a"="b"'), ("fields", "items(name,acl/entity),prefixes"),
         ("prefix", "th"), ("delimiter", "/"), ("startOffset", "a"), ("endOffset", "z"), ("maxResults", "3"),
         ("projection", "full"), ("versions", "true"), ("softDeleted", "true"), ("includeFoldersAsPrefixes", "false"))
    )  # fmt: skip
    asked.ask("GET", f"{B}/o", urlencode({parameter: odd.text(good)}))


def tokens(asked: AskedStorage, odd: OddInputs) -> None:
    """Tokens that the service gave out, altered: refused, or a page that tells no name twice."""
    for name in ("a", "b", "c"):
        if name not in asked.objects():
            put(asked, name)
    query, path = odd.chance.choice((("pageToken", f"{B}/o"), ("continuation-token", f"/{BUCKET}")))
    first = asked.ask("GET", f"{B}/o", "maxResults=1").json()["nextPageToken"]
    given = urlencode({query: odd.text(str(first)), **({"list-type": "2"} if path == f"/{BUCKET}" else {})})
    asked.ask("GET", path, given)
    asked.ask("GET", f"/{BUCKET}", urlencode({"marker": odd.text("a"), "max-keys": odd.number()}))
    asked.ask("GET", "/storage/v1/b", urlencode({"project": "p", "softDeleted": "true", "pageToken": odd.text("a#1")}))
    token = odd.text("token")
    rewrite = f"{B}/o/a/rewriteTo/b/{BUCKET}/o/d"
    step = {"maxBytesRewrittenPerCall": odd.number(), **({"rewriteToken": token} if odd.chance.random() < 0.5 else {})}
    asked.ask("POST", rewrite, urlencode(step), odd.json_bytes({"storageClass": "NEARLINE"}))


def preconditions(asked: AskedStorage, odd: OddInputs) -> None:
    """Numbers of generations in queries and headers, and etags: what is no number changes nothing."""
    before = put(asked) if not asked.objects() else dict(asked.ask("GET", f"{B}/o/there").json())
    name = odd.chance.choice(("ifGenerationMatch", "ifGenerationNotMatch", "ifMetagenerationMatch", "generation",
                              "ifMetagenerationNotMatch", "ifSourceGenerationMatch"))  # fmt: skip
    answer = asked.ask("PATCH", f"{B}/o/there", urlencode({name: odd.number()}), b'{"contentType":"text/new"}')
    if not answer.is_taken:
        assert asked.ask("GET", f"{B}/o/there").json()["metageneration"] == before["metageneration"], answer
    header = odd.chance.choice(("x-goog-if-generation-match", "x-goog-if-metageneration-match", "if-match"))
    asked.ask("PUT", f"/{BUCKET}/there", "", CONTENT, [(header, odd.number())])
    compose = {
        "sourceObjects": [{"name": "there", "generation": "1", "objectPreconditions": {"ifGenerationMatch": "1"}}]
    }
    asked.ask("POST", f"{B}/o/whole/compose", "", odd.json_bytes(compose))


def customer_keys(asked: AskedStorage, odd: OddInputs) -> None:
    """The three headers of a key: the object is under it, or refused; never stored without."""
    digest = base64.b64encode(hashlib.sha256(KEY).digest()).decode()
    good = {"algorithm": "AES256", "key": base64.b64encode(KEY).decode(), "key-sha256": digest}
    odd_one = odd.chance.choice(sorted(good))
    good[odd_one] = odd.text(good[odd_one])
    if odd.chance.random() < 0.2:
        del good[odd.chance.choice(sorted(good))]
    headers = [(f"x-goog-encryption-{name}", value) for name, value in good.items()]
    answer = asked.ask("POST", UPLOAD, "uploadType=media&name=a", CONTENT, headers)
    if answer.is_taken:
        assert "customerEncryption" in answer.json(), answer
    stored_of(asked, answer, CONTENT)


def notifications(asked: AskedStorage, odd: OddInputs) -> None:
    """The bodies of notifications."""
    body = odd.json_bytes(
        {"topic": "projects/p/topics/known", "payload_format": "JSON_API_V1", "event_types": ["OBJECT_FINALIZE"],
         "custom_attributes": {"k": "v"}, "object_name_prefix": "a"}
    )  # fmt: skip
    answer = asked.ask("POST", f"{B}/notificationConfigs", "", body)
    if answer.is_taken:
        told = answer.json()
        kept_of(body, told, {"payload_format": "", "custom_attributes": ["k"], "object_name_prefix": ""}, answer)
        assert asked.ask("GET", f"{B}/notificationConfigs/{told['id']}").json() == told
        asked.ask("DELETE", f"{B}/notificationConfigs/{told['id']}")


def access_lists(asked: AskedStorage, odd: OddInputs) -> None:
    """Entries and whole lists of objects and buckets, and policies."""
    if not asked.objects():
        put(asked)
    entry: Any = {"entity": "user-a@b.example", "role": "READER"}
    path = odd.chance.choice((f"{B}/acl", f"{B}/defaultObjectAcl", f"{B}/o/there/acl"))
    body = odd.json_bytes(entry)
    answer = asked.ask("POST", path, "", body)
    if answer.is_taken:
        kept_of(body, answer.json(), {"role": ""}, answer)
    asked.ask("PATCH", f"{B}/o/there", odd.text("predefinedAcl=publicRead"), odd.json_bytes({"acl": [entry, entry]}))
    policy = {
        "version": 3,
        "etag": "CAE=",
        "bindings": [{"role": "roles/storage.admin", "members": ["user:a@b.example"]}],
    }
    asked.ask("PUT", f"{B}/iam", "", odd.json_bytes(policy))
    asked.empty()


def resumable(asked: AskedStorage, odd: OddInputs) -> None:
    """Sessions of both dialects: their starts, positions, commands and ends."""
    if odd.chance.random() < 0.5:
        start = [("x-upload-content-length", odd.number()), ("x-upload-content-type", odd.text("text/plain"))]
        begun = asked.ask("POST", UPLOAD, "uploadType=resumable", odd.json_bytes({"name": "a"}), start)
        position = [("content-range", odd.text(f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"))]
        name, method = "location", "PUT"
    else:
        command = [("x-goog-upload-command", odd.text("start")), ("x-goog-upload-protocol", "resumable"),
                   ("x-goog-upload-header-content-length", odd.number())]  # fmt: skip
        begun = asked.ask("POST", f"/v0/b/{BUCKET}/o", "name=a", odd.json_bytes({}), command)
        position = [("x-goog-upload-command", odd.text("upload, finalize")), ("x-goog-upload-offset", odd.number())]
        name, method = "x-goog-upload-url", "POST"
    place = begun.headers.get(name)
    if place is None:
        asked.empty()
        return
    path, _, query = place.partition("localhost")[2].partition("?")
    query = odd.text(query) if odd.chance.random() < 0.2 else query
    hashes = [("x-goog-hash", odd.text("crc32c=AAAAAA=="))] if odd.chance.random() < 0.3 else []
    answer = asked.ask(method, path, query, CONTENT, [*position, *hashes])
    if answer.is_taken and answer.headers.get("x-goog-upload-status") in (None, "final"):
        stored_of(asked, answer, CONTENT)
    else:
        asked.empty()


def settings(asked: AskedStorage, odd: OddInputs) -> None:
    """The settings of a bucket: what is taken is told again."""
    good: dict[str, Any] = {
        "labels": {"a": "b"}, "cors": [{"origin": ["*"], "method": ["GET"], "maxAgeSeconds": 5}],
        "versioning": {"enabled": True}, "website": {"mainPageSuffix": "i"}, "rpo": "DEFAULT",
        "retentionPolicy": {"retentionPeriod": "5"}, "softDeletePolicy": {"retentionDurationSeconds": "0"},
        "lifecycle": {"rule": [
            {"action": {"type": "Delete"}, "condition": {"age": 1, "matchesPattern": "a+"}},
            {"action": {"type": "SetStorageClass", "storageClass": "NEARLINE"}, "condition": {"matchesPrefix": ["a"]}},
        ]},
        "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": False}, "publicAccessPrevention": "inherited"},
        "encryption": {"googleManagedEncryptionEnforcementConfig": {"restrictionMode": "NotRestricted"}},
        "autoclass": {"enabled": False}, "hierarchicalNamespace": {"enabled": False},
        "billing": {"requesterPays": False}, "storageClass": "STANDARD",
    }  # fmt: skip
    chosen = dict(odd.chance.sample(sorted(good.items()), 3))
    method, path = odd.chance.choice((("PATCH", B), ("PUT", B), ("POST", "/storage/v1/b")))
    body = odd.json_bytes({**chosen, **({"name": "another-bucket"} if method == "POST" else {})})
    answer = asked.ask(method, path, "", body)
    if answer.is_taken:
        chosen.pop("hierarchicalNamespace", None)  # what a patch says of it is passed over
        kept_of(body, answer.json(), chosen, answer)
    asked.empty()


def batches(asked: AskedStorage, odd: OddInputs) -> None:
    """Batches of calls: each is answered, or the whole is refused."""
    call = b"--b\nContent-Type: application/http\n\nGET http://localhost/storage/v1/b HTTP/1.1\nX: y\n\n"
    body = odd.altered(call * 2 + b"--b--\n")
    asked.ask("POST", "/batch/storage/v1", "", body, [("content-type", odd.text('multipart/mixed; boundary="b"'))])


def signatures(asked: AskedStorage, odd: OddInputs) -> None:
    """Queries of signed URLs: none of these was ever signed, so none is taken."""
    if not asked.objects():
        put(asked)
    date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    query = urlencode(
        {"X-Goog-Algorithm": "GOOG4-RSA-SHA256", "X-Goog-Date": date, "X-Goog-Expires": "60",
         "X-Goog-Credential": f"a@b.example/{date[:8]}/auto/storage/goog4_request", "X-Goog-SignedHeaders": "host",
         "X-Goog-Signature": "00" * 256}
    )  # fmt: skip
    odd_query = odd.text(query)
    answer = asked.ask("DELETE", f"/{BUCKET}/there", odd_query)
    if {"x-goog-signature", "x-goog-algorithm"} & {name.lower() for name, _ in parse_qsl(odd_query)}:
        assert not answer.is_taken, answer


def kept_apart(asked: AskedStorage, odd: OddInputs) -> None:
    """Names of folders, bulk restores, HMAC keys and lengths of XML's own headers."""
    asked.ask("POST", f"{B}/managedFolders", "", odd.json_bytes({"name": "a/b/"}))
    asked.ask("POST", f"{B}/folders", "recursive=true", odd.json_bytes({"name": "a/b/"}))
    restored = {"matchGlobs": ["**"], "softDeletedAfterTime": "2030-01-01T00:00:00Z", "allowOverwrite": True}
    asked.ask("POST", f"{B}/o/bulkRestore", "", odd.json_bytes(restored))
    asked.ask("POST", "/storage/v1/projects/p/hmacKeys", urlencode({"serviceAccountEmail": odd.text("a@b.example")}))
    headers = [
        ("x-goog-content-length-range", odd.text("0,100")),
        ("x-goog-custom-time", odd.text("2030-01-01T00:00:00Z")),
    ]
    answer = asked.ask("PUT", f"/{BUCKET}/a", "", CONTENT, headers)
    stored_of(asked, answer, CONTENT)


PARSERS: Final[tuple[Fuzz, ...]] = (
    related, form, parts_xml, ranges, globs, tokens, preconditions, customer_keys, notifications, access_lists,
    resumable, settings, batches, signatures, kept_apart,
)  # fmt: skip


@contextmanager
def failing_by(seed: int) -> Iterator[None]:
    """Says by which seed a failure is made again."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"OddInputs({seed}) makes it again")
        raise


@pytest.mark.parametrize("parser", PARSERS, ids=lambda one: str(one.__name__))
def test_odd_inputs_are_taken_whole_or_refused(asked: AskedStorage, parser: Fuzz) -> None:
    """Status, shape and effect of every answer fit together, and the store is whole afterwards."""
    first = int(time.time())
    for seed in range(first, first + examples(450)):
        with failing_by(seed):
            parser(asked, OddInputs(seed))


@pytest.mark.soak
@pytest.mark.parametrize("parser", PARSERS, ids=lambda one: str(one.__name__))
def test_odd_inputs_for_a_while(asked: AskedStorage, parser: Fuzz) -> None:
    """As above, for as many inputs as half a minute has room for."""
    seed, ends = time.time_ns(), time.monotonic() + SOAK_SECONDS
    while time.monotonic() < ends:
        seed += 1
        with failing_by(seed):
            parser(asked, OddInputs(seed))
