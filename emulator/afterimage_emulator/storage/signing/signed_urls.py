"""Signed URLs, V4 and V2: whether a request is one, and whether it may do what it asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from afterimage_emulator.clock import Clock
from afterimage_emulator.storage.errors import Reason, SpecificError
from afterimage_emulator.storage.signing.canonical import (
    SignedRequest,
    canonical_request,
    parameters,
    string_to_sign_v4,
    strings_to_sign_v2,
)
from afterimage_emulator.storage.signing.credentials import (
    LONGEST_SECONDS,
    SECOND_NS,
    expired,
    malformed_credential,
    read_credential,
    shown,
)
from afterimage_emulator.storage.signing.keys import SigningKeys, from_base64, from_hex

_V4: Final = ("algorithm", "credential", "date", "expires", "signedheaders", "signature")
_V2: Final = ("googleaccessid", "signature")
_PREFIXES: Final = ("x-goog-", "x-amz-")
_HEADER: Final = re.compile(r"[!#$%&'*+./0-9a-z^_`|~-]{1,256}")
_SIGNATURE_NAMES: Final = frozenset({"X-Goog-Signature", "x-goog-signature", "X-Amz-Signature", "x-amz-signature"})
_METHODS: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "POST"})
_PARTS: Final = frozenset({"uploads", "uploadid"})


class SignedUrls:
    """Checks by the suite's clock."""

    def __init__(self, *, clock: Clock, keys: SigningKeys) -> None:
        self._clock = clock
        self._keys = keys

    def is_signed(self, request: SignedRequest) -> bool:
        """Whether the query claims a signature at all: half of one is a claim, too."""
        names = parameters(request.query)
        if any(prefix + part in names for prefix in _PREFIXES for part in ("algorithm", "credential", "signature")):
            return True
        return any(name in names for name in _V2)

    def check(self, request: SignedRequest) -> str:
        """The account that signed, where the signature holds for exactly this request."""
        if request.method not in _METHODS:
            raise SpecificError(Reason.INVALID, "InvalidArgument", f"no URL can be signed for `{request.method}`")
        names = parameters(request.query)
        starts = (request.headers.get("x-goog-resumable") or "").strip() == "start" or _PARTS & names.keys()
        if request.method == "POST" and not starts:
            raise SpecificError(
                Reason.INVALID,
                "InvalidArgument",
                "a URL signed for POST starts a resumable upload; send the header `x-goog-resumable: start`",
            )
        for prefix in _PREFIXES:
            if any(prefix + part in names for part in ("algorithm", "credential", "signature")):
                return self._check_v4(request, names, prefix)
        return self._check_v2(request)

    def _check_v4(self, request: SignedRequest, names: Mapping[str, list[str]], prefix: str) -> str:
        said = {part: _only(names, prefix + part) for part in _V4}
        now_ns = self._clock.now_ns()
        credential = read_credential(
            algorithm=said["algorithm"], credential=said["credential"], date=said["date"], now_ns=now_ns
        )
        if (prefix == "x-amz-") != (credential.algorithm.scheme == "AWS4"):
            raise malformed_credential(
                "Algorithm", f"`{credential.algorithm.name}` does not go with `{prefix}` parameters"
            )
        seconds = said["expires"]
        if re.fullmatch(r"[0-9]{1,7}", seconds) is None or not 1 <= int(seconds) <= LONGEST_SECONDS:
            raise malformed_credential(
                "Expires", f"`{shown(seconds)}` is not a number of seconds from 1 to {LONGEST_SECONDS}"
            )
        expires_ns = credential.date_ns + int(seconds) * SECOND_NS
        signed_headers = said["signedheaders"].split(";")
        _check_headers(request, signed_headers)
        if now_ns > expires_ns:
            raise expired(expires_ns)
        canonical = [
            canonical_request(request, signed_headers=signed_headers, signature=f"{prefix}signature", host=host)
            for host in _hosts(request)
        ]
        messages = [
            string_to_sign_v4(
                one, algorithm=credential.algorithm.name, date=credential.date, scope="/".join(credential.scope)
            )
            for one in canonical
        ]
        # Its own name is the one part of the query that the signature does not cover.
        spelt = {name for name, _ in request.query if name.lower() == f"{prefix}signature"}
        signature = from_hex(said["signature"]) if spelt <= _SIGNATURE_NAMES else None
        if credential.algorithm.is_hmac:
            return self._keys.check_hmac(
                credential.signer,
                signature,
                messages,
                canonical[0],
                scope=credential.scope,
                scheme=credential.algorithm.scheme,
            )
        return self._keys.check_rsa(credential.signer, signature, messages, canonical[0], is_email_signed=True)

    def _check_v2(self, request: SignedRequest) -> str:
        exact: dict[str, list[str]] = {}
        for name, value in request.query:
            exact.setdefault(name, []).append(value)
        access_id, expires, signature = (_only(exact, name) for name in ("GoogleAccessId", "Expires", "Signature"))
        if re.fullmatch(r"[0-9]{1,12}", expires) is None:
            raise malformed_credential("Expires", f"`{shown(expires)}` is not a number of seconds since 1970")
        if self._clock.now_ns() > int(expires) * SECOND_NS:
            raise expired(int(expires) * SECOND_NS)
        messages = strings_to_sign_v2(request, expires=expires)
        if "@" in access_id:
            return self._keys.check_rsa(access_id, from_base64(signature), messages, None, is_email_signed=False)
        return self._keys.check_hmac(access_id, from_base64(signature), messages, None, scope=None)


def _only(names: Mapping[str, list[str]], name: str) -> str:
    values = names.get(name, [])
    if len(values) == 1 and values[0]:
        return values[0]
    raise SpecificError(
        Reason.INVALID,
        "InvalidArgument",
        f"a signed URL has `{name}` exactly once; this one has it {len(values)} times"
        if len(values) != 1
        else f"the parameter `{name}` is empty",
        parameter=name,
    )


def _check_headers(request: SignedRequest, signed: Sequence[str]) -> None:
    if not all(_HEADER.fullmatch(name) for name in signed):
        raise malformed_credential("SignedHeaders", "its names are not lower-case header names with `;` between")
    if "host" not in signed:
        raise malformed_credential("SignedHeaders", "Host header not signed.")
    for name in signed:
        if name not in request.headers:
            raise malformed_credential(name, "Header was included in signedheaders, but not in the request.")
    for header in request.headers.items():
        if header[0].startswith(_PREFIXES) and header[0] not in signed:
            raise malformed_credential(header[0], "Header must be signed")


def _hosts(request: SignedRequest) -> list[str]:
    """As it was sent, and without the port, which some SDKs leave out of what they sign."""
    sent = " ".join((request.headers.get("host") or "").split())
    bare = re.sub(r":[0-9]{0,5}$", "", sent)
    return [sent] if bare == sent else [sent, bare]
