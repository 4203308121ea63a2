"""Signs and checks with the local service account's key: for `signBlob`, and for whoever checks what was signed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from afterimage_emulator.configuration import ConfigurationError
from afterimage_emulator.credentials.local_credentials import private_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

KEY_ID: Final = "local"


UNKNOWN_SIGNERS_VARIABLE: Final = "AFTERIMAGE_ACCEPT_UNKNOWN_SIGNERS"
UNKNOWN_SIGNERS_FLAG: Final = "--accept-unknown-signers"
_SPOKEN: Final[Mapping[str, bool]] = {"": False, "0": False, "false": False, "1": True, "true": True}


def accepts_unknown_signers(environment: Mapping[str, str]) -> bool:
    """What the environment's variable says; anything but a yes or a no is refused, since both look alike later."""
    said = environment.get(UNKNOWN_SIGNERS_VARIABLE, "").strip().lower()
    if said not in _SPOKEN:
        raise ConfigurationError(f"{UNKNOWN_SIGNERS_VARIABLE}: `{said}` is neither `1` nor `0`")
    return _SPOKEN[said]


class LocalSigner:
    """Reads the key, and imports `cryptography`, when the first signature is made or checked: most runs need none."""

    def __init__(self, *, accounts: Iterable[str] = ()) -> None:
        """`accounts` are those whose key the suite hands out."""
        self._key: RSAPrivateKey | None = None
        self._accounts = set(accounts)

    def knows(self, email: str) -> bool:
        """Whether signatures of this account can only be the suite's: its own account, and those it has signed for."""
        return email in self._accounts

    def sign(self, email: str, message: bytes) -> bytes:
        """The suite stands for every account that asks it to sign: there is no other IAM here."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        signature = self._loaded().sign(message, PKCS1v15(), SHA256())
        self._accounts.add(email)
        return signature

    def has_signed(self, signature: bytes, message: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        try:
            self._loaded().public_key().verify(signature, message, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True

    def _loaded(self) -> RSAPrivateKey:
        if self._key is None:
            from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
            from cryptography.hazmat.primitives.serialization import load_pem_private_key

            loaded = load_pem_private_key(private_key().encode(), password=None)
            if not isinstance(loaded, RSAPrivateKey):
                raise TypeError(
                    "the local service account's key is no RSA key; remove it, and the next start makes one"
                )
            self._key = loaded
        return self._key
