"""A keeper of keys in Google's cloud: Cloud KMS, asked over REST, with checksums in both directions."""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import google_crc32c
import httpx2

from afterimage.edges.drive.faults import DriveBusyError, KeyUnknownError
from afterimage.edges.drive.keys.sealing import WrappedKey
from afterimage.settings import SettingsError

KMS_API: Final = "https://cloudkms.googleapis.com"
KMS_SCOPE: Final = "https://www.googleapis.com/auth/cloudkms"
KMS_KEY: Final = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+")
_TIMEOUT_SECONDS: Final = 20.0


def _new_kms_client() -> httpx2.Client:
    return httpx2.Client(timeout=_TIMEOUT_SECONDS, follow_redirects=False)


@dataclass(frozen=True, kw_only=True)
class CloudKms:
    """One key, whose versions Cloud KMS keeps and rotates."""

    name: str
    """`projects/…/locations/…/keyRings/…/cryptoKeys/…`"""
    token: Callable[[], str] = field(repr=False)
    """An access token of the account that this runs as."""
    api: str = KMS_API
    client: httpx2.Client = field(default_factory=_new_kms_client)

    def __post_init__(self) -> None:
        if not KMS_KEY.fullmatch(self.name):
            raise SettingsError(f"`{self.name}` names no key of Cloud KMS; write `projects/…/cryptoKeys/NAME`")

    def wrap(self, key: bytes, about: bytes) -> WrappedKey:
        said = self._asked("encrypt", _checked("plaintext", key) | _checked("additionalAuthenticatedData", about))
        if not (said.get("verifiedPlaintextCrc32c") and said.get("verifiedAdditionalAuthenticatedDataCrc32c")):
            raise DriveBusyError("Cloud KMS did not get the key as it was sent: ask again")
        return WrappedKey(version=said["name"].rpartition("/")[2], data=_taken(said, "ciphertext"))

    def unwrap(self, wrapped: WrappedKey, about: bytes) -> bytes:
        return self._decrypted(wrapped, about)[0]

    def rewrapped(self, wrapped: WrappedKey, about: bytes) -> WrappedKey | None:
        key, is_primary = self._decrypted(wrapped, about)
        return None if is_primary else self.wrap(key, about)

    def _decrypted(self, wrapped: WrappedKey, about: bytes) -> tuple[bytes, bool]:
        body = _checked("ciphertext", wrapped.data) | _checked("additionalAuthenticatedData", about)
        said = self._asked("decrypt", body)
        return _taken(said, "plaintext"), bool(said.get("usedPrimary"))

    def _asked(self, verb: str, body: Mapping[str, str]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json"}
        try:
            answer = self.client.post(
                f"{self.api}/v1/{self.name}:{verb}", headers=headers, content=json.dumps(dict(body)).encode()
            )
        except httpx2.HTTPError as error:
            raise DriveBusyError(f"no answer from Cloud KMS: {type(error).__name__}") from error
        if answer.status_code in {400, 404} and verb == "decrypt":
            raise KeyUnknownError(f"Cloud KMS does not open this with `{self.name}`: another key, or it was touched")
        if not answer.is_success:
            # Busy, or a right that an operator can still give: the same again may succeed.
            raise DriveBusyError(f"Cloud KMS answered {answer.status_code} to `{verb}` with `{self.name}`")
        found: dict[str, Any] = answer.json()
        return found


def _checked(name: str, data: bytes) -> dict[str, str]:
    return {name: b64encode(data).decode(), f"{name}Crc32c": str(google_crc32c.value(data))}


def _taken(said: Mapping[str, Any], name: str) -> bytes:
    try:
        data = b64decode(said[name], validate=True)
    except (KeyError, binascii.Error) as error:
        raise DriveBusyError(f"Cloud KMS answered without `{name}`: ask again") from error
    if str(said.get(f"{name}Crc32c")) != str(google_crc32c.value(data)):
        raise DriveBusyError(f"`{name}` of Cloud KMS arrived damaged: ask again")
    return data
