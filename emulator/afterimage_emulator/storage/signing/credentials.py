"""What V4 URLs and V4 policies say of their signer: algorithm, credential, date, and how long they hold (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from afterimage_emulator.storage.errors import Reason, SpecificError

SECOND_NS: Final = 1_000_000_000
LONGEST_SECONDS: Final = 7 * 24 * 3600
_AHEAD_SECONDS: Final = 15 * 60
_DATE: Final = re.compile(r"\d{8}T\d{6}Z")
_WORD: Final = re.compile(r"[A-Za-z0-9-]{1,63}")


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One way to sign, with the words that its credentials end in."""

    name: str
    service: str
    request: str
    scheme: str = ""

    @property
    def is_hmac(self) -> bool:
        return bool(self.scheme)


ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    one.name: one
    for one in (
        Algorithm("GOOG4-RSA-SHA256", "storage", "goog4_request"),
        Algorithm("GOOG4-HMAC-SHA256", "storage", "goog4_request", "GOOG4"),
        Algorithm("AWS4-HMAC-SHA256", "s3", "aws4_request", "AWS4"),
    )
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Credential:
    """The signer of a request, the date of its signature and the scope."""

    algorithm: Algorithm
    signer: str
    scope: tuple[str, str, str, str]
    date: str
    date_ns: int


def read_credential(*, algorithm: str, credential: str, date: str, now_ns: int) -> Credential:
    """Refuses what is malformed, contradicts itself, or is dated ahead."""
    known = ALGORITHMS.get(algorithm)
    if known is None:
        raise malformed_credential("Algorithm", f"`{shown(algorithm)}` is none of {', '.join(ALGORITHMS)}")
    signer, _, rest = credential.partition("/")
    scope = tuple(rest.split("/"))
    if len(scope) != 4 or not signer or not all(_WORD.fullmatch(word.replace("_", "-")) for word in scope):
        raise malformed_credential(
            "Credential", f"`{shown(credential)}` is not `signer/YYYYMMDD/location/{known.service}/…`"
        )
    if scope[2:] != (known.service, known.request):
        raise malformed_credential(
            "Credential", f"`{shown(credential)}` must end in `/{known.service}/{known.request}`"
        )
    date_ns = _moment(date)
    if date_ns is None:
        raise malformed_credential("Date", f"`{shown(date)}` is not written YYYYMMDDTHHMMSSZ")
    if scope[0] != date[:8]:
        raise malformed_credential("Credential", f"its date `{scope[0]}` is not that of `{date}`")
    if date_ns > now_ns + _AHEAD_SECONDS * SECOND_NS:
        raise SpecificError(
            Reason.FORBIDDEN,
            "AccessDenied",
            f"the request is dated `{date}`, more than 15 minutes ahead of the suite's clock ({printed(now_ns)})",
        )
    return Credential(
        algorithm=known, signer=signer, scope=(scope[0], scope[1], scope[2], scope[3]), date=date, date_ns=date_ns
    )


def malformed_credential(parameter: str, details: str) -> SpecificError:
    return SpecificError(
        Reason.INVALID,
        "MalformedSecurityHeader",
        f"Your request has a malformed header. {details}",
        parameter=parameter,
    )


def expired(at_ns: int) -> SpecificError:
    return SpecificError(
        Reason.INVALID,
        "ExpiredToken",
        f"The provided token has expired. Request signature expired at: {printed(at_ns)}",
    )


def printed(moment_ns: int) -> str:
    try:
        return datetime.fromtimestamp(moment_ns // SECOND_NS, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return str(moment_ns // SECOND_NS)


def shown(text: str) -> str:
    return text[:100]


def _moment(text: str) -> int | None:
    if _DATE.fullmatch(text) is None or not text.isascii():
        return None
    try:
        return int(datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()) * SECOND_NS
    except ValueError:
        return None
