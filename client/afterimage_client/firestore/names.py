"""Owns document and collection paths: what is one, and its full name on the wire (pure)."""

from __future__ import annotations

import secrets
import string
from typing import Final

from afterimage_client.errors import FirestoreError

_ID_LETTERS: Final = string.ascii_letters + string.digits
_LONGEST_ID_BYTES: Final = 1500


def new_document_id() -> str:
    """20 random letters and digits, as every Firebase SDK makes them."""
    return "".join(secrets.choice(_ID_LETTERS) for _ in range(20))


def check_path(path: str, *, is_document: bool) -> str:
    """The path as it is stored; refuses what cannot be one."""
    segments = path.strip("/").split("/") if isinstance(path, str) else []
    kind = "document" if is_document else "collection"
    if not segments or not segments[0] or (len(segments) % 2 == 0) is not is_document:
        wanted = "an even" if is_document else "an odd"
        raise _invalid(f"`{path}` is no {kind} path", f"a {kind} path has {wanted} number of segments")
    for segment in segments:
        if not segment or segment in (".", "..") or (segment.startswith("__") and segment.endswith("__")):
            raise _invalid(f"`{path}` is no {kind} path: `{segment}` cannot be an id", "use another id")
        if len(segment.encode(errors="surrogatepass")) > _LONGEST_ID_BYTES:
            raise _invalid(f"an id of `{path[:60]}…` is longer than {_LONGEST_ID_BYTES} bytes", "shorten it")
    return "/".join(segments)


def path_of_name(name: str) -> str:
    """The path inside its database, of a full name."""
    return name.split("/documents/", 1)[1] if "/documents/" in name else ""


def _invalid(message: str, way_out: str) -> FirestoreError:
    return FirestoreError("invalid-argument", message, way_out=way_out)
