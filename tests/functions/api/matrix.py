"""Who may do what, as data: for each route, what each kind of caller is told. A new route has to be entered here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

CALLERS: Final = ("nobody", "forged", "foreign", "other", "admin", "owner")
"""No token; text for a token; a token of another project; another user; an admin's claim; whose the resource is.

The owner comes last: what the owner deletes is there while the others try.
"""


class Row(NamedTuple):
    """What a request of each caller is answered, in the order of CALLERS, and what it sends."""

    told: tuple[int, int, int, int, int, int]
    body: Mapping[str, Any] | None = None
    query: str = ""


OPEN: Final = Row((200,) * 6)
LISTED: Final = Row((401, 401, 401, 200, 200, 200))
"""A list of one's own: others see theirs, which is empty."""
OWNED: Final = Row((401, 401, 401, 404, 404, 200))
"""An admin's claim opens the console's data, and nobody's generations or files."""
ADMINS: Final = Row((401, 401, 401, 403, 200, 403))
_STORAGE: Final = "/api/phase5/storage"
_AUTH: Final = "/api/phase5/auth"
_VERSIONS: Final = "/api/phase5/versions"
_VERSION: Final = {"file_id": "{file_id}", "version_id": "v1"}

MATRIX: Final[Mapping[tuple[str, str], Row]] = {
    ("GET", "/health"): OPEN,
    ("GET", "/api/phase5/status"): OPEN,
    ("GET", "/openapi.json"): OPEN,
    ("GET", "/docs"): OPEN,
    ("POST", "/api/account/erase"): Row((401, 401, 401, 403, 403, 202), {"confirm": "owner"}),
    ("GET", "/api/operations/users"): ADMINS,
    ("POST", "/api/operations/jobs"): Row((401, 401, 401, 403, 202, 403), {"kind": "media.replay"}),
    ("POST", "/generations/generate"): Row(
        (401, 401, 401, 403, 403, 200), {"prompt": "a shop", "project_id": "the-project"}
    ),
    ("POST", "/generations/iterate"): Row(OWNED.told, {"generation_id": "{generation_id}", "prompt": "more"}),
    ("GET", "/generations"): LISTED,
    ("GET", "/generations/active"): LISTED,
    ("GET", "/generations/project/{project_id}"): OWNED,
    ("GET", "/generations/{generation_id}"): OWNED,
    ("GET", "/generations/{generation_id}/iterations"): OWNED,
    ("POST", f"{_STORAGE}/save-artifact"): Row(OWNED.told, {"file_id": "{file_id}", "artifact_data": {"a": 3}}),
    ("POST", f"{_STORAGE}/upload"): Row(OWNED.told, {"a": 4}, "file_id={file_id}"),
    ("GET", f"{_STORAGE}/overview"): LISTED,
    ("GET", f"{_STORAGE}/recommendations"): LISTED,
    ("POST", f"{_STORAGE}/cleanup"): Row(LISTED.told, {"older_than_days": 1, "keep_newest": 1}),
    ("GET", f"{_STORAGE}/files"): LISTED,
    ("POST", f"{_STORAGE}/files/merge"): Row(OWNED.told, {"kept": "{file_id}", "others": ["{twin_id}"]}),
    ("GET", f"{_STORAGE}/files/{{file_id}}"): OWNED,
    ("PATCH", f"{_STORAGE}/files/{{file_id}}"): Row(OWNED.told, {"folder": "elsewhere"}),
    ("DELETE", f"{_STORAGE}/files/{{file_id}}"): OWNED,
    ("GET", f"{_STORAGE}/files/{{file_id}}/download"): OWNED,
    ("POST", f"{_STORAGE}/files/{{file_id}}/archive"): OWNED,
    ("POST", f"{_STORAGE}/files/{{file_id}}/restore"): OWNED,
    # Each file of a batch is answered by itself; that nobody announces a version of another's file has its own test.
    ("POST", f"{_STORAGE}/uploads"): Row(LISTED.told, {"files": [{"name": "a.txt", "size": 3}]}),
    ("GET", f"{_STORAGE}/uploads/{{upload_id}}"): OWNED,
    ("POST", f"{_STORAGE}/uploads/{{upload_id}}/start"): OWNED,
    ("POST", f"{_STORAGE}/uploads/{{upload_id}}/progress"): Row(OWNED.told, {"received_bytes": 1}),
    ("DELETE", f"{_STORAGE}/uploads/{{upload_id}}"): OWNED,
    ("GET", f"{_VERSIONS}/history/{{file_id}}"): OWNED,
    ("GET", f"{_VERSIONS}/timeline/{{file_id}}"): OWNED,
    ("GET", f"{_VERSIONS}/compare"): Row(OWNED.told, query="file_id={file_id}&version1_id=v1&version2_id=v2"),
    ("POST", f"{_VERSIONS}/revert"): Row(OWNED.told, _VERSION),
    ("POST", f"{_VERSIONS}/pin"): Row(OWNED.told, _VERSION),
    # Who may complete whose link has a table of attacks of its own.
    ("POST", f"{_AUTH}/authorize"): LISTED,
    ("GET", f"{_AUTH}/callback"): Row((400,) * 6),
    ("POST", f"{_AUTH}/complete"): Row((401, 401, 401, 404, 404, 404), {"state": "s" * 43, "ticket": "t" * 43}),
    ("GET", f"{_AUTH}/link"): LISTED,
    ("DELETE", f"{_AUTH}/link"): LISTED,
}
_NOT_THERE: Final = Row((401, 401, 401, 404, 404, 404))
NAMED_LIKE_VERBS: Final[Mapping[tuple[str, str], Row]] = {
    ("GET", "/generations/generate"): _NOT_THERE,
    ("GET", "/generations/iterate"): _NOT_THERE,
    ("GET", f"{_STORAGE}/files/merge"): _NOT_THERE,
    ("PATCH", f"{_STORAGE}/files/merge"): Row(_NOT_THERE.told, {"folder": "elsewhere"}),
    ("DELETE", f"{_STORAGE}/files/merge"): _NOT_THERE,
}
"""To a verb that they do not serve, these paths are ids, which nobody has."""
VERBS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
