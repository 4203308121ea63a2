"""One line of JSON for each request, as Cloud Logging reads it: what was asked, how it ended, how long it took."""

from __future__ import annotations

import json
import re
import secrets
import sys
from typing import Any, Final

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
_TRACE: Final = re.compile(r"([0-9a-f]{32})/")


def request_id_of(sent: str, trace: str) -> str:
    """The caller's own id where it is fit to be logged, else the platform's, else a new one."""
    if _REQUEST_ID.fullmatch(sent):
        return sent
    found = _TRACE.match(trace)
    return found[1] if found else secrets.token_hex(16)


def log_request(*, severity: str, message: str, project_id: str, trace: str, **fields: Any) -> None:
    entry: dict[str, Any] = {"severity": severity, "message": message, **fields}
    found = _TRACE.match(trace)
    if found:
        entry["logging.googleapis.com/trace"] = f"projects/{project_id}/traces/{found[1]}"
    # One write for one line: lines of requests that end at the same moment do not mix.
    sys.stdout.write(json.dumps(entry) + "\n")
    sys.stdout.flush()
