"""URLs that the official SDK signs: accepted as they are, refused when anything in them is changed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import pytest
from google.cloud import storage
from google.oauth2.service_account import Credentials
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.emulator.storage.conftest import RunningStorage
from tests.emulator.storage.signing.requests_by_hand import local_account, send, unsigned_client
from tests.thoroughness import examples

NAMES = ["plain.txt", "a folder/ü !*'()~&=+%.txt", "/leading//double/", "x" * 900, "%41 is not A"]
HOUR = timedelta(hours=1)


@pytest.fixture
def signing(running: RunningStorage) -> Iterator[storage.Client]:
    made = unsigned_client(running)
    yield made
    made.close()


ACCOUNT = local_account()


def sign(blob: storage.Blob, **options: Any) -> str:
    signed: str = blob.generate_signed_url(**{"credentials": ACCOUNT, "expiration": HOUR, **options})
    return signed


def style(name: str, running: RunningStorage, bucket_name: str) -> dict[str, Any]:
    styles: dict[str, dict[str, Any]] = {
        "path": {},
        "virtual host": {"virtual_hosted_style": True},
        "bucket-bound host": {"bucket_bound_hostname": f"{bucket_name}:{running.server.port}"},
    }
    return styles[name]


@pytest.mark.parametrize("version", ["v2", "v4"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("hosted", ["path", "virtual host", "bucket-bound host"])
def test_an_object_goes_through_its_whole_life_by_signed_urls(
    running: RunningStorage, signing: storage.Client, bucket_name: str, version: str, name: str, hosted: str
) -> None:
    """Each verb has its URL, whatever the style of the URL and the name; the next verb's is another."""
    bucket_name = f"{bucket_name}.example"
    signing.create_bucket(bucket_name)
    blob = signing.bucket(bucket_name).blob(name)
    further = style(hosted, running, bucket_name)

    def url(method: str, **options: Any) -> str:
        return sign(blob, version=version, method=method, **options, **further)

    headers = {"Content-Type": "text/plain; charset=utf-8", "x-goog-meta-mood": "curious,  and  more"}
    put = url("PUT", content_type=headers["Content-Type"], headers={"x-goog-meta-mood": "curious,  and  more"})
    assert send(running, "PUT", put, headers, b"hello").status == 200
    assert send(running, "GET", url("GET")).body == b"hello"
    assert send(running, "HEAD", url("HEAD")).headers["content-length"] == "5"
    blob.reload()
    assert (blob.content_type, blob.metadata) == (headers["Content-Type"], {"mood": headers["x-goog-meta-mood"]})
    started = send(running, "POST", url("RESUMABLE"), {"x-goog-resumable": "start"})
    assert started.status == 201, started.body
    location = started.headers["location"]
    piece = {"Content-Range": "bytes 0-3/*"}
    assert send(running, "PUT", location, piece, b"here").status == 308
    assert send(running, "PUT", location, {"Content-Range": "bytes 4-9/10"}, b" again").status == 200
    assert send(running, "GET", url("GET")).body == b"here again"
    assert send(running, "DELETE", url("DELETE")).status == 204
    gone = send(running, "GET", url("GET"))
    assert (gone.status, gone.element("Code")) == (404, "NoSuchKey")
    assert gone.element("Details") == f"No such object: {bucket_name}/{name}"


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_answers_can_be_told_what_to_say(
    running: RunningStorage, signing: storage.Client, bucket_name: str, version: str
) -> None:
    """A signed URL may name the type, the file name and the generation that the answer has."""
    blob = signing.create_bucket(bucket_name).blob("report")
    blob.upload_from_string("first", content_type="text/plain")
    first = blob.generation
    blob.upload_from_string("second")
    url = sign(blob, version=version, response_type="text/csv", response_disposition='attachment; filename="ü.csv"')
    answered = send(running, "GET", url)
    assert answered.headers["content-type"] == "text/csv"
    assert answered.headers["content-disposition"].encode("latin-1").decode() == 'attachment; filename="ü.csv"'
    old = send(running, "GET", sign(blob, version=version, generation=first))
    assert (old.status, old.element("Code")) == (404, "NoSuchKey")


def equivalent(one: str, other: str) -> bool:
    """Whether two URLs differ in their percent-encoding only, which proxies change and servers undo."""
    first, second = ([unquote_to_bytes(piece) for piece in url.split("&") if piece] for url in (one, other))
    return first == second


PRINTABLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#")
FREE_IN_V2 = ("response-content", "generation")


@pytest.mark.parametrize("version", ["v2", "v4"])
@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), written=st.one_of(PRINTABLE, st.just("")), replaces=st.booleans())
@example(place=0, written="?", replaces=False)
def test_a_url_changed_in_any_one_character_is_refused(
    running: RunningStorage,
    signing: storage.Client,
    bucket_name: str,
    version: str,
    place: int,
    written: str,
    replaces: bool,
) -> None:
    """Path, parameters and signature hold together: no character of them can be exchanged, added or left out."""
    bucket = signing.bucket(bucket_name)
    bucket.blob("one").upload_from_string("what is stored")
    url = sign(bucket.blob("one"), version=version, **({"query_parameters": {"a": "x y"}} if version == "v4" else {}))
    start = url.index("/", len("http://")) + 1
    at = start + place % (len(url) - start)
    altered = url[:at] + written + url[at + (1 if replaces else 0) :]
    assume(not equivalent(altered, url) and not (version == "v2" and any(word in altered for word in FREE_IN_V2)))
    answer = send(running, "GET", altered)
    assert 400 <= answer.status < 500, (altered, answer)
    assert b"what is stored" not in answer.body


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_verb_and_headers_belong_to_the_signature(
    running: RunningStorage, signing: storage.Client, bucket_name: str, version: str
) -> None:
    """A URL serves its own verb only, with the headers that were signed and no further ones that mean something."""
    blob = signing.bucket(bucket_name).blob("one")
    blob.upload_from_string("old")
    signed = {"Content-Type": "text/plain", "x-goog-meta-a": "1"}
    md5 = base64.b64encode(hashlib.md5(b"new").digest()).decode()
    url = sign(
        blob, version=version, method="PUT", content_type="text/plain", content_md5=md5, headers={"x-goog-meta-a": "1"}
    )
    good = {**signed, "Content-MD5": md5}
    assert send(running, "PUT", url, good, b"new").status == 200
    wrong = [
        {**good, "Content-Type": "text/html"},
        {**good, "x-goog-meta-a": "2"},
        {**good, "x-goog-meta-b": "1"},
        {**good, "x-goog-acl": "public-read"},
        {**good, "Content-MD5": base64.b64encode(hashlib.md5(b"newer").digest()).decode()},
        *({name: value for name, value in good.items() if name != left_out} for left_out in good),
    ]
    for headers in wrong:
        answer = send(running, "PUT", url, headers, b"newer")
        assert answer.status in (400, 403), (headers, answer)
        assert answer.element("Code") in ("SignatureDoesNotMatch", "MalformedSecurityHeader")
    for verb in ("GET", "HEAD", "DELETE", "POST"):
        assert send(running, verb, url, good).status in (400, 403), verb
    assert send(running, "PUT", url, good, b"newer").status == 400, "the bytes are not those of the signed checksum"
    assert signing.bucket(bucket_name).blob("one").download_as_bytes() == b"new"


def test_a_mismatch_shows_what_was_compared(running: RunningStorage, signing: storage.Client, bucket_name: str) -> None:
    """What production shows of a signature that does not match: both strings, as the server made them."""
    blob = signing.bucket(bucket_name).blob("a b&c")
    for version in ("v2", "v4"):
        url = sign(blob, version=version, method="PUT")
        answer = send(running, "GET", url)
        assert (answer.status, answer.element("Code")) == (403, "SignatureDoesNotMatch")
        assert answer.element("Message") == "Access denied."
        assert answer.headers["content-type"] == "application/xml; charset=UTF-8"
        assert f"/{bucket_name}/a%20b%26c" in answer.element("StringToSign" if version == "v2" else "CanonicalRequest")
        assert ("CanonicalRequest" in answer.body.decode()) == (version == "v4")
    request = answer.element("CanonicalRequest")
    assert request.startswith(f"GET\n/{bucket_name}/a%20b%26c\nX-Goog-Algorithm=GOOG4-RSA-SHA256&")
    assert request.endswith("\nhost\nUNSIGNED-PAYLOAD")
    digest = hashlib.sha256(request.encode()).hexdigest()
    assert answer.element("StringToSign").endswith(f"/auto/storage/goog4_request\n{digest}")


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_a_url_holds_until_its_last_second_by_the_suites_clock(
    own_service: RunningStorage, bucket_name: str, version: str
) -> None:
    """Time moved by hand makes URLs run out, so that nobody has to wait for it."""
    client = unsigned_client(own_service)
    blob = client.bucket(bucket_name).blob("one")
    blob.upload_from_string("here")
    expires = datetime.now(UTC).replace(microsecond=0) + HOUR
    url = sign(blob, version=version, expiration=expires)
    if version == "v4":  # its seconds count from the moment of signing, cut to a second
        parts = dict(piece.split("=") for piece in url.partition("?")[2].split("&"))
        signed_at = datetime.strptime(parts["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        expires = signed_at + timedelta(seconds=int(parts["X-Goog-Expires"]))
    own_service.call(lambda: own_service.clock.freeze(expires))
    assert send(own_service, "GET", url).body == b"here"
    own_service.call(lambda: own_service.clock.advance(1))
    answer = send(own_service, "GET", url)
    assert (answer.status, answer.element("Code")) == (400, "ExpiredToken")
    assert answer.element("Message") == "Invalid argument."
    assert answer.element("Details").endswith(f"Request signature expired at: {expires.isoformat()}")
    client.close()


def query_of(url: str) -> dict[str, str]:
    return dict(piece.split("=", 1) for piece in url.partition("?")[2].split("&"))


@pytest.mark.parametrize(
    ("changes", "status", "code", "parameter"),
    [
        ({"X-Goog-Algorithm": "GOOG4-MD5"}, 400, "MalformedSecurityHeader", "Algorithm"),
        ({"X-Goog-Credential": "somebody"}, 400, "MalformedSecurityHeader", "Credential"),
        ({"X-Goog-Credential": "a%40b.c/20260101/auto/s3/goog4_request"}, 400, "MalformedSecurityHeader", "Credential"),
        ({"X-Goog-Date": "yesterday"}, 400, "MalformedSecurityHeader", "Date"),
        ({"X-Goog-Date": "20261332T256199Z"}, 400, "MalformedSecurityHeader", "Date"),
        ({"X-Goog-Expires": "604801"}, 400, "MalformedSecurityHeader", "Expires"),
        ({"X-Goog-Expires": "0"}, 400, "MalformedSecurityHeader", "Expires"),
        ({"X-Goog-Expires": "-5"}, 400, "MalformedSecurityHeader", "Expires"),
        ({"X-Goog-SignedHeaders": "x-goog-meta-a"}, 400, "MalformedSecurityHeader", "SignedHeaders"),
        ({"X-Goog-SignedHeaders": "host%3Bx-goog-meta-a"}, 400, "MalformedSecurityHeader", "x-goog-meta-a"),
        ({"X-Goog-Signature": "00"}, 403, "SignatureDoesNotMatch", None),
        ({"X-Goog-Signature": "z"}, 403, "SignatureDoesNotMatch", None),
        ({"X-Goog-Signature": None}, 400, "InvalidArgument", "x-goog-signature"),
        ({"X-Goog-Date": None}, 400, "InvalidArgument", "x-goog-date"),
        ({"X-Goog-Credential": "20%40b.c"}, 400, "MalformedSecurityHeader", "Credential"),
    ],
)
def test_malformed_signatures_are_named(
    running: RunningStorage,
    signing: storage.Client,
    bucket_name: str,
    changes: dict[str, str | None],
    status: int,
    code: str,
    parameter: str | None,
) -> None:
    """Each fault of a V4 query has production's code, and the parameter that is at fault."""
    url = sign(signing.bucket(bucket_name).blob("one"), version="v4")
    query = {name: value for name, value in (query_of(url) | changes).items() if value is not None}
    answer = send(running, "GET", url.partition("?")[0] + "?" + "&".join(f"{n}={v}" for n, v in query.items()))
    assert (answer.status, answer.element("Code")) == (status, code)
    if parameter is not None:
        assert answer.element("ParameterName") == parameter


def test_a_url_dated_ahead_is_refused(own_service: RunningStorage, bucket_name: str) -> None:
    """A URL of next week does not work today, however far its clock is off."""
    client = unsigned_client(own_service)
    url = sign(client.bucket(bucket_name).blob("one"), version="v4")
    own_service.call(lambda: own_service.clock.freeze(datetime.now(UTC) - timedelta(minutes=16)))
    answer = send(own_service, "GET", url)
    assert (answer.status, answer.element("Code")) == (403, "AccessDenied")
    client.close()


def stranger(email: str = "app@other-project.iam.gserviceaccount.com") -> Credentials:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Credentials.from_service_account_info({"client_email": email, "private_key": pem, "token_uri": "unused"})


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_a_key_that_nobody_knows_is_refused_with_the_way_out(
    running: RunningStorage, signing: storage.Client, bucket_name: str, tmp_path: Path, version: str
) -> None:
    """A signature that cannot be checked proves nothing; who wants it taken nevertheless says so, and knows how."""
    url = sign(signing.bucket(bucket_name).blob("one"), version=version, credentials=stranger())
    answer = send(running, "GET", url)
    assert (answer.status, answer.element("Code")) == (403, "SignatureDoesNotMatch")
    assert "--accept-unknown-signers (AFTERIMAGE_ACCEPT_UNKNOWN_SIGNERS=1)" in answer.element("Details")
    trusting = RunningStorage(tmp_path, accept_unknown_signers=True)
    client = unsigned_client(trusting)
    blob = client.bucket(bucket_name).blob("one")
    blob.upload_from_string("here")
    assert send(trusting, "GET", sign(blob, version=version, credentials=stranger())).body == b"here"
    forged = sign(blob, version=version, credentials=stranger("local-suite@demo-storage.iam.gserviceaccount.com"))
    assert send(trusting, "GET", forged).status == 403, "the suite's own account is always checked"
    client.close()
    trusting.stop()


def test_an_account_that_the_suite_signed_for_is_known(
    running: RunningStorage, signing: storage.Client, bucket_name: str
) -> None:
    """What IAM's signBlob of the suite signs is checked like the suite's own."""
    blob = signing.bucket(bucket_name).blob("one")
    blob.upload_from_string("here")
    email = f"app@{bucket_name}.iam.gserviceaccount.com"
    url = sign(blob, version="v4", credentials=Credentials(SuiteSigner(running, email), email, "unused"))
    assert send(running, "GET", url).body == b"here"
    altered = send(running, "GET", url + "&a=b")
    assert (altered.status, altered.element("Code")) == (403, "SignatureDoesNotMatch")
    assert "--accept-unknown-signers" not in altered.element("Details")


class SuiteSigner:
    """What the SDK's credentials ask for signatures: the running suite's signer, for one account."""

    key_id = None

    def __init__(self, running: RunningStorage, email: str) -> None:
        self._running = running
        self._email = email

    def sign(self, message: bytes) -> bytes:
        return self._running.signer.sign(self._email, message)


def test_an_authorization_header_takes_the_place_of_the_signature(
    running: RunningStorage, signing: storage.Client, bucket_name: str
) -> None:
    """As in production: a page whose HTTP client adds the user's token to everything finds out here."""
    blob = signing.bucket(bucket_name).blob("one")
    blob.upload_from_string("here")
    url = sign(blob, version="v4")
    answer = send(running, "GET", url, {"Authorization": "Bearer some.id.token"})
    assert (answer.status, answer.element("Code")) == (401, "AuthenticationRequired")
    assert send(running, "GET", url, {"Authorization": "Bearer owner"}).body == b"here"


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_the_length_of_an_upload_can_be_signed(
    running: RunningStorage, signing: storage.Client, bucket_name: str, version: str
) -> None:
    """More or fewer bytes than allowed are refused and leave nothing, in one request and in several."""
    blob = signing.bucket(bucket_name).blob("one")
    limits = {"x-goog-content-length-range": "3,5"}
    url = sign(blob, version=version, method="PUT", headers=dict(limits))
    start = sign(blob, version=version, method="RESUMABLE", headers=dict(limits))
    for body, code in ((b"ab", "EntityTooSmall"), (b"abcdef", "EntityTooLarge")):
        answer = send(running, "PUT", url, limits, body)
        assert (answer.status, answer.element("Code")) == (400, code)
        location = send(running, "POST", start, {**limits, "x-goog-resumable": "start"}).headers["location"]
        answer = send(running, "PUT", location, {}, body)
        assert (answer.status, answer.element("Code")) == (400, code)
    assert not blob.exists()
    assert send(running, "PUT", url, limits, b"abc").status == 200


# -- HMAC keys


def hmac_url(origin: str, path: str, *, access_id: str, secret: str, method: str = "GET") -> str:
    """A V4 URL as gsutil makes them: lower-case names, the bucket's own region, an HMAC key."""
    date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{date[:8]}/europe-west1/storage/goog4_request"
    query = "&".join(
        f"{name}={quote(value, safe='')}"
        for name, value in (
            ("x-goog-algorithm", "GOOG4-HMAC-SHA256"),
            ("x-goog-credential", f"{access_id}/{scope}"),
            ("x-goog-date", date),
            ("x-goog-expires", "3600"),
            ("x-goog-signedheaders", "host"),
        )
    )
    host = origin.removeprefix("http://")
    canonical = "\n".join((method, path, query, f"host:{host}\n", "host", "UNSIGNED-PAYLOAD"))
    message = "\n".join(("GOOG4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = ("GOOG4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return f"{origin}{path}?{query}&x-goog-signature={hmac.digest(key, message.encode(), 'sha256').hex()}"


def test_hmac_keys_are_made_listed_and_deleted_by_the_sdk(running: RunningStorage, bucket_name: str) -> None:
    """The official client's whole use of HMAC keys, and a URL that one of them signed."""
    client = unsigned_client(running)
    email = f"{bucket_name}@demo.iam.gserviceaccount.com"
    metadata, secret = client.create_hmac_key(email, project_id="demo")
    assert (len(metadata.access_id), len(secret), metadata.state) == (61, 40, "ACTIVE")
    client.bucket(bucket_name).blob("one").upload_from_string("here")
    origin, path = f"http://localhost:{running.server.port}", f"/{bucket_name}/one"
    url = hmac_url(origin, path, access_id=metadata.access_id, secret=secret)
    assert send(running, "GET", url).body == b"here"
    wrong = send(running, "GET", hmac_url(origin, path, access_id=metadata.access_id, secret=secret[:-1]))
    assert (wrong.status, wrong.element("Code")) == (403, "SignatureDoesNotMatch")
    assert send(running, "PUT", url).status == 403
    with pytest.raises(Exception, match="ACTIVE"):
        metadata.delete()
    metadata.state = "INACTIVE"
    metadata.update()
    inactive = send(running, "GET", url)
    assert (inactive.status, inactive.element("Code")) == (401, "KeyInactive")
    assert [key.access_id for key in client.list_hmac_keys(service_account_email=email, project_id="demo")] == [
        metadata.access_id
    ]
    metadata.delete()
    assert send(running, "GET", url).element("Code") == "KeyDeleted"
    assert not list(client.list_hmac_keys(service_account_email=email, project_id="demo"))
    [kept] = client.list_hmac_keys(service_account_email=email, project_id="demo", show_deleted_keys=True)
    assert (kept.state, kept.access_id) == ("DELETED", metadata.access_id)
    assert client.get_hmac_key_metadata(metadata.access_id, project_id="demo").state == "DELETED"
    for _ in range(10):
        client.create_hmac_key(email, project_id="demo")
    with pytest.raises(Exception, match="10 HMAC keys"):
        client.create_hmac_key(email, project_id="demo")
    client.close()


# -- whatever comes


@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=st.lists(
        st.tuples(
            st.sampled_from(
                ["X-Goog-Algorithm", "X-Goog-Credential", "X-Goog-Date", "X-Goog-Expires", "X-Goog-SignedHeaders",
                 "X-Goog-Signature", "GoogleAccessId", "Expires", "Signature", "X-Amz-Algorithm", "generation", "a"]
            ),
            st.one_of(
                st.sampled_from(
                    ["GOOG4-RSA-SHA256", "GOOG4-HMAC-SHA256", "AWS4-HMAC-SHA256", "a/20260101/b/storage/goog4_request",
                     "20260101T000000Z", "host", "3600", "99999999999", "local-suite@x", "host;host", "%00", "%ff"]
                ),
                st.text(PRINTABLE, max_size=20),
            ),
        ),
        max_size=8,
    ),
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
)  # fmt: skip
@example(query=[("X-Goog-Signature", "%ff")], method="GET")
def test_no_query_is_too_odd_for_an_answer(
    running: RunningStorage, bucket_name: str, query: list[tuple[str, str]], method: str
) -> None:
    """Parsers of signatures answer 4xx for whatever they are sent, and never stumble."""
    text = "&".join(f"{name}={value.replace('&', '%26')}" for name, value in query)
    answer = send(running, method, f"{running.origin}/{bucket_name}/one?{text}")
    assert answer.status < 500, answer
