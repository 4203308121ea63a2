"""Queries over all collections of one name that lie beneath one root, and never elsewhere.

Anybody may own collections of the same name: a player may write `players/{uid}/objects/{id}` with any content, so no
field proves who wrote a document. Its path does. Each query is therefore bounded by paths, in the query itself: what
lies beneath another root is neither returned, nor counted against a limit, nor read. Ask only about roots beneath which
the rules let nobody write but functions, or look at the path of what is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from google.cloud.firestore_v1 import Client

LAST_ID: Final = "\U0010ffff" * 375
"""1,500 bytes of the greatest character: no id comes behind it."""
_FIRST_ID: Final = "\x01"
_TIMEOUT_SECONDS: Final = 30.0


def documents_beneath(
    client: Client, root: str, group: str, *, behind: str, limit: int, names_only: bool = False
) -> Sequence[Any]:
    """Documents of collections called `group` under `root/…`, in the order of their paths, from behind a path.

    They come as protobuf messages: the client's own documents refuse references into other projects. `behind` may be
    empty, and need not be the path of a document that exists.
    """
    from google.cloud.firestore_v1 import types

    def name(path: str) -> str:
        return f"{client._database_string}/documents/{path}"

    first = f"{root}/{_FIRST_ID}/{group}/{_FIRST_ID}"

    def bound(path: str, *, before: bool) -> types.Cursor:
        return types.Cursor(values=[types.Value(reference_value=name(path))], before=before)

    query = types.StructuredQuery(
        from_=[{"collection_id": group, "all_descendants": True}],
        # Bounds on the path alone need no index of the group: it is how Firestore itself splits such queries.
        order_by=[{"field": {"field_path": "__name__"}}],
        start_at=bound(behind or first, before=not behind),
        end_at=bound(f"{root}/{LAST_ID}/{group}/{LAST_ID}", before=False),
        limit=limit,
    )
    if names_only:
        query.select = types.StructuredQuery.Projection(fields=[{"field_path": "__name__"}])
    request = types.RunQueryRequest(parent=f"{client._database_string}/documents", structured_query=query)
    answers = client._firestore_api.run_query(request=request, metadata=client._rpc_metadata, timeout=_TIMEOUT_SECONDS)
    return [types.Document.pb(answer.document) for answer in answers if "document" in answer]


def path_of(document: Any) -> str:
    """The path of a document from its whole name."""
    path: str = document.name.partition("/documents/")[2]
    return path
