"""Who may do what, as data: for each route, what each kind of caller is told. A new route has to be entered here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

CALLERS: Final = ("nobody", "forged", "foreign", "owner", "other", "admin")
"""No token; text for a token; a token of another project; whose the resource is; another user; an admin's claim."""


class Row(NamedTuple):
    """What a request of each caller is answered, in the order of CALLERS, and what it sends."""

    told: tuple[int, int, int, int, int, int]
    body: Mapping[str, Any] | None = None


OPEN: Final = Row((200,) * 6)
LISTED: Final = Row((401, 401, 401, 200, 200, 200))
"""A list of one's own: others see theirs, which is empty."""
OWNED: Final = Row((401, 401, 401, 200, 404, 404))
"""An admin's claim opens the console's data, and nobody's generations."""

MATRIX: Final[Mapping[tuple[str, str], Row]] = {
    ("GET", "/health"): OPEN,
    ("GET", "/api/phase5/status"): OPEN,
    ("GET", "/openapi.json"): OPEN,
    ("GET", "/docs"): OPEN,
    ("POST", "/generations/generate"): Row(
        (401, 401, 401, 200, 403, 403), {"prompt": "a shop", "project_id": "the-project"}
    ),
    ("POST", "/generations/iterate"): Row(OWNED.told, {"generation_id": "{generation_id}", "prompt": "more"}),
    ("GET", "/generations"): LISTED,
    ("GET", "/generations/active"): LISTED,
    ("GET", "/generations/project/{project_id}"): OWNED,
    ("GET", "/generations/{generation_id}"): OWNED,
    ("GET", "/generations/{generation_id}/iterations"): OWNED,
}
NAMED_LIKE_VERBS: Final[Mapping[tuple[str, str], Row]] = {
    ("GET", path): Row((401, 401, 401, 404, 404, 404)) for path in ("/generations/generate", "/generations/iterate")
}
"""To a verb that they do not serve, these paths are ids, which nobody has."""
VERBS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
