"""Owns who a request is from: nobody acts in another's name. A bare `user_id` proves nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from afterimage_client.errors import WorkerError
from afterimage_client.worker.callers.signing import Signature, SignatureVerifier

QUEUE_METHOD: Final = "POST"
QUEUE_PATH: Final = "/run"
SIGNATURE_HEADERS: Final = {
    "x-afterimage-key": "key",
    "x-afterimage-user": "uid",
    "x-afterimage-time": "time",
    "x-afterimage-nonce": "nonce",
    "x-afterimage-signature": "signature",
}


@dataclass(frozen=True, kw_only=True)
class Callers:
    """The two proofs that count: a user's ID token, or a signature with a shared key."""

    uid_of_token: Callable[[str], str]
    queue: SignatureVerifier
    http: SignatureVerifier

    def of_job(self, given: Mapping[str, Any]) -> str | None:
        """The user whom a queue's job comes from, by what stands in its input; None where there is no proof."""
        if "signature" in given or "signed_request" in given:
            signature, text = given.get("signature"), given.get("signed_request")
            if not isinstance(signature, Mapping) or not isinstance(text, str):
                raise WorkerError(
                    "unauthenticated",
                    "`signature` and `signed_request` belong together",
                    way_out="send both, as docs/worker-signature.md says",
                )
            found = Signature.from_fields(signature)
            return self.queue.verify(found, method=QUEUE_METHOD, path=QUEUE_PATH, body=_bytes_of(text))
        return self._of_token(given.get("id_token"))

    def of_http(self, *, method: str, path: str, headers: Mapping[str, str], body: bytes) -> str | None:
        """The user whom an HTTP request comes from; header names are in lower case."""
        if any(name in headers for name in SIGNATURE_HEADERS):
            fields: dict[str, object] = {own: headers.get(name, "") for name, own in SIGNATURE_HEADERS.items()}
            fields["uid"] = unquote(str(fields["uid"]), errors="replace")
            return self.http.verify(Signature.from_fields(fields), method=method, path=path, body=body)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return self._of_token(token.strip()) if scheme.lower() == "bearer" else None

    def _of_token(self, token: object) -> str | None:
        if token is None:
            return None
        if not isinstance(token, str) or not 0 < len(token) <= 10_000:
            raise WorkerError(
                "unauthenticated", "`id_token` is no ID token", way_out="send the one of the signed-in user"
            )
        return self.uid_of_token(token)


def _bytes_of(text: str) -> bytes:
    """What was signed. No two texts have the same bytes: a replacement would let one pass for another."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise WorkerError(
            "unauthenticated", "`signed_request` holds half a character", way_out="send the text that was signed"
        ) from None


def what_was_signed(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of a job: of a signed one those in the text that was signed, and nothing beside it."""
    text = given.get("signed_request")
    if not isinstance(text, str):
        return given
    try:
        parameters = json.loads(text)
    except (ValueError, RecursionError):
        parameters = None
    if not isinstance(parameters, dict):
        raise WorkerError("invalid-request", "`signed_request` holds no JSON object", way_out="sign the parameters")
    return parameters


def proven(uid: str | None, claimed: str) -> str:
    """The user in whose name is written; refuses a bare claim, and a claim of somebody else."""
    if uid is None:
        raise WorkerError(
            "unauthenticated",
            "a `user_id` alone proves nothing",
            way_out="send the user's `id_token`, or a request signed by your server",
        )
    if claimed and claimed != uid:
        raise WorkerError(
            "permission-denied", "`user_id` is not the user who was proven", way_out="leave it out, or name that user"
        )
    return uid
