"""AWS Signature Version 4, for requests with a body and without a query: what the two AWS services asked here need."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlsplit

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, kw_only=True, slots=True)
class AwsKeys:
    """The account that signs."""

    identifier: str
    secret: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def signed_headers(
    keys: AwsKeys,
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes,
    region: str,
    service: str,
    now: datetime,
) -> dict[str, str]:
    """The headers to send: those given, the time, and the signature over all of them, the path and the body."""
    parts = urlsplit(url)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    sent = {**headers, "Host": parts.netloc, "X-Amz-Date": stamp}
    if keys.session_token:
        sent["X-Amz-Security-Token"] = keys.session_token
    lowered = {name.lower(): " ".join(value.split()) for name, value in sent.items()}
    names = ";".join(sorted(lowered))
    canonical = "\n".join([
        method,
        quote(parts.path or "/", safe="/~"),
        parts.query,
        *(f"{name}:{lowered[name]}" for name in sorted(lowered)),
        "",
        names,
        hashlib.sha256(content).hexdigest(),
    ])  # fmt: skip
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{keys.secret}".encode()
    for part in (stamp[:8], region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    credential = f"{keys.identifier}/{scope}"
    sent["Authorization"] = f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return sent
