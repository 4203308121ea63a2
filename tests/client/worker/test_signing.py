"""The signature: what docs/worker-signature.md says, and nothing that differs in one part of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from afterimage_client.errors import WorkerError
from afterimage_client.worker.callers.proof import Callers
from afterimage_client.worker.callers.signing import NonceMemory, Signature, SignatureVerifier, SigningKeys

PAGE = Path(__file__).resolve().parents[3] / "docs/worker-signature.md"
FIRST = "first:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
SECOND = "second:" + "BB" * 32
NOW = 1764518400
REQUEST: dict[str, Any] = {"method": "POST", "path": "/generate", "body": b"{}"}


def verifier(keys: str = FIRST, *, now: int = NOW, nonces: NonceMemory | None = None) -> SignatureVerifier:
    return SignatureVerifier(keys=SigningKeys.from_text(keys), window_seconds=300, nonces=nonces, now=lambda: now)


def signed(**changes: Any) -> Signature:
    return SigningKeys.from_text(FIRST).sign(**{**REQUEST, "uid": "alice", "at": NOW, **changes})


def test_the_vectors_of_the_page_hold() -> None:
    """Whoever implements the page comes to these very digits."""
    (block,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    vectors = json.loads(block)
    assert len(vectors) == 3
    for vector in vectors:
        request = {"method": vector["method"], "path": vector["path"], "body": vector["body"].encode()}
        made = signed(**request, uid=vector["uid"], nonce="0123456789abcdef")
        assert made.digest == vector["signature"]
        assert verifier().verify(made, **request) == vector["uid"]


@pytest.mark.parametrize(
    "change",
    [{"method": "PUT"}, {"path": "/generate?x"}, {"path": "/Generate"}, {"body": b"{} "}],
    ids=["method", "query", "path", "body"],
)
def test_a_signature_fits_its_own_request_alone(change: dict[str, Any]) -> None:
    """Changed in any part, the request is nobody's."""
    with pytest.raises(WorkerError, match="does not fit"):
        verifier().verify(signed(), **{**REQUEST, **change})


@pytest.mark.parametrize("change", [{"uid": "bob"}, {"time": NOW - 1}, {"nonce": "f" * 16}, {"key": "second"}])
def test_what_stands_beside_the_request_is_signed_too(change: dict[str, Any]) -> None:
    """User, time, nonce and the key's name cannot be exchanged."""
    forged = Signature.from_fields(signed().to_fields() | change)
    with pytest.raises(WorkerError, match="does not fit"):
        verifier(f"{FIRST},{SECOND}").verify(forged, **REQUEST)


def test_a_key_can_be_changed_without_a_pause() -> None:
    """The first key signs and all are accepted, so each step of the change leaves both sides at work."""
    new = SigningKeys.from_text(f"{SECOND},{FIRST}").sign(**REQUEST, uid="alice", at=NOW)
    assert new.key == "second"
    assert verifier(f"{FIRST},{SECOND}").verify(new, **REQUEST) == "alice"
    with pytest.raises(WorkerError, match="not known"):
        verifier(FIRST).verify(new, **REQUEST)


@pytest.mark.parametrize(("now", "reason"), [(NOW + 301, "older"), (NOW - 61, "future")])
def test_outside_the_window_nothing_is_accepted(now: int, reason: str) -> None:
    """The two edges themselves are inside."""
    assert verifier(now=NOW + 300).verify(signed(), **REQUEST) == "alice"
    assert verifier(now=NOW - 60).verify(signed(), **REQUEST) == "alice"
    with pytest.raises(WorkerError, match=reason):
        verifier(now=now).verify(signed(), **REQUEST)


def test_a_request_is_accepted_once_where_nonces_are_kept() -> None:
    """A copy is refused as long as the window would let it in; a forgery uses no nonce up."""
    nonces, once = NonceMemory(), signed()
    with pytest.raises(WorkerError, match="does not fit"):
        verifier(nonces=nonces).verify(once, **{**REQUEST, "body": b"forged"})
    assert verifier(nonces=nonces).verify(once, **REQUEST) == "alice"
    for now in (NOW, NOW + 300):
        with pytest.raises(WorkerError, match="used before"):
            verifier(nonces=nonces, now=now).verify(once, **REQUEST)


def test_a_full_memory_of_nonces_refuses_and_forgets_only_what_is_over() -> None:
    """Forgetting a nonce early would let its request in again."""
    nonces = NonceMemory(most=2)
    for _ in range(2):
        verifier(nonces=nonces).verify(signed(), **REQUEST)
    with pytest.raises(WorkerError, match="too many"):
        verifier(nonces=nonces).verify(signed(), **REQUEST)
    later = signed(at=NOW + 600)
    assert verifier(nonces=nonces, now=NOW + 600).verify(later, **REQUEST) == "alice"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"key": "a b"},
        {"uid": "a\nb"},
        {"uid": ""},
        {"uid": "\ud800"},
        {"uid": "x" * 129},
        {"time": "soon"},
        {"time": True},
        {"time": "9" * 13},
        {"nonce": "short"},
        {"nonce": "0123456789abcdef\n"},
        {"signature": "F" * 64},
        {"signature": 7},
    ],
)
def test_what_is_no_signature_is_refused_by_name(fields: dict[str, object]) -> None:
    """A client's odd values end in a refusal, never in a fault of the worker."""
    given = signed().to_fields() | fields if fields else {}
    with pytest.raises(WorkerError) as refusal:
        Signature.from_fields(given)
    assert refusal.value.code == "unauthenticated"


def test_a_job_s_text_stands_for_itself_alone() -> None:
    """Half a character has no bytes, and is not taken for the `?` that was signed."""
    queue = verifier()
    callers = Callers(uid_of_token=lambda _token: "", queue=queue, http=queue)
    text = '{"prompt": "who?"}'
    signature = signed(method="POST", path="/run", body=text.encode()).to_fields()
    assert callers.of_job({"signature": signature, "signed_request": text}) == "alice"
    with pytest.raises(WorkerError) as refusal:
        callers.of_job({"signature": signature, "signed_request": text.replace("?", "\ud800")})
    assert refusal.value.code == "unauthenticated"


@pytest.mark.parametrize("text", ["short:AAAA", "no base64:%%%", "first", f"{FIRST},{FIRST}"])
def test_keys_that_cannot_be_used_are_refused_at_once(text: str) -> None:
    """A weak or broken key is found when the worker starts, not when it matters."""
    with pytest.raises(WorkerError) as refusal:
        SigningKeys.from_text(text)
    assert refusal.value.code == "invalid-options"
