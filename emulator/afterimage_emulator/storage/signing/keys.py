"""Whose signatures can be checked here: the suite's own service account, accounts it signs for, and HMAC keys."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

from afterimage_emulator.credentials.local_signer import UNKNOWN_SIGNERS_FLAG, UNKNOWN_SIGNERS_VARIABLE, LocalSigner
from afterimage_emulator.storage.errors import Reason, SpecificError
from afterimage_emulator.storage.signing.canonical import wire_bytes
from afterimage_emulator.storage.signing.hmac_keys import HmacKeys

_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your Google secret key and signing method."
)
_HEX: Final = re.compile(r"(?:[0-9a-f]{2}){1,1024}")


class SigningKeys:
    """`accept_unknown` lets signatures pass whose key is not known here; those of known keys are always checked."""

    def __init__(self, *, signer: LocalSigner, hmac_keys: HmacKeys, accept_unknown: bool = False) -> None:
        self._signer = signer
        self._hmac_keys = hmac_keys
        self._accept_unknown = accept_unknown

    def check_rsa(
        self,
        email: str,
        signature: bytes | None,
        messages: Sequence[str],
        canonical: str | None,
        *,
        is_email_signed: bool,
    ) -> str:
        """The signer's address. One of the messages must be what was signed; the first is shown where none is.

        Where the address is part of what is signed, the suite's key proves it, also after a restart. Where it is not
        (V2), it must be one that the key is known to stand for.
        """
        is_known = self._signer.knows(email)
        if (
            signature is not None
            and (is_known or is_email_signed)
            and any(self._signer.has_signed(signature, wire_bytes(message)) for message in messages)
        ):
            return email
        if is_known:
            raise mismatch(messages[0], canonical)
        if self._accept_unknown and signature is not None:
            return email
        raise mismatch(messages[0], canonical, unknown=email)

    def check_hmac(
        self,
        access_id: str,
        signature: bytes | None,
        messages: Sequence[str],
        canonical: str | None,
        *,
        scope: Sequence[str] | None,
        scheme: str = "GOOG4",
    ) -> str:
        """The address of the account whose key it is. V4 derives the key from `scope`; V2 has none, and HMAC-SHA1."""
        key = self._hmac_keys.find(access_id)
        if key is None:
            if self._accept_unknown and signature is not None:
                return access_id
            raise mismatch(messages[0], canonical, unknown=access_id)
        if key.state != "ACTIVE":
            code = "KeyDeleted" if key.state == "DELETED" else "KeyInactive"
            raise SpecificError(Reason.LOGIN_REQUIRED, code, f"the HMAC key `{access_id}` is {key.state}")
        for message in messages:
            if scope is None:
                made = hmac.digest(key.secret.encode(), wire_bytes(message), hashlib.sha1)
            else:
                derived = (scheme + key.secret).encode()
                for part in scope:
                    derived = hmac.digest(derived, part.encode("latin-1", "replace"), hashlib.sha256)
                made = hmac.digest(derived, wire_bytes(message), hashlib.sha256)
            if signature is not None and hmac.compare_digest(made, signature):
                return key.email
        raise mismatch(messages[0], canonical)


def mismatch(string_to_sign: str, canonical: str | None, *, unknown: str | None = None) -> SpecificError:
    details = _MISMATCH
    if unknown is not None:
        details = (
            f"the key of `{unknown[:254]}` is not known here, so its signature cannot be checked; sign with the "
            f"suite's service account (GOOGLE_APPLICATION_CREDENTIALS as the suite sets it), or start the suite with "
            f"{UNKNOWN_SIGNERS_FLAG} ({UNKNOWN_SIGNERS_VARIABLE}=1)"
        )
    return SpecificError(
        Reason.FORBIDDEN,
        "SignatureDoesNotMatch",
        details,
        string_to_sign=string_to_sign,
        canonical_request=canonical,
    )


def from_hex(text: str) -> bytes | None:
    """Lower-case hex; None for what is none, which no key can have made."""
    return bytes.fromhex(text) if _HEX.fullmatch(text) else None


def from_base64(text: str) -> bytes | None:
    """Standard base64 in its one canonical spelling."""
    try:
        decoded = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    return decoded if binascii.b2a_base64(decoded, newline=False).decode() == text else None
