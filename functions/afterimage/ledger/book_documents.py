"""The documents of the books: how amounts are added to one, and how those are found that are waiting for a roll-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from afterimage.ledger.books import Path
from afterimage.paths import BOOKS, BUCKETS
from afterimage.store.documents import LAST_ID, Change, Document, DocumentStore, Expect, Query, Version, Where

TOUCHED: Final = "touched_at"
"""When a document of the books was last added to, by the store's clock."""


def addition(
    path: str,
    amounts: Mapping[Path, int],
    *,
    put: Mapping[str, Any] | None = None,
    drop: Sequence[Path] = (),
    expected: Expect | Version = Expect.ANYTHING,
) -> Change:
    """Adds amounts to the integers under their paths, sets top-level fields, and marks the time of the touch."""
    return Change(path=path, amounts=amounts, put=put or {}, drop=drop, server_times=(TOUCHED,), expected=expected)


def buckets(store: DocumentStore, after: str, limit: int) -> list[Document]:
    """Buckets of any user that have not been rolled up, in the order of their paths, from behind the path `after`.

    Only those in the books, which nobody but functions writes; other collections of the same name do not count.
    """
    return store.beneath(BOOKS, BUCKETS, after=after, limit=limit)


def books_touched_since(store: DocumentStore, moment: datetime, limit: int) -> list[Document]:
    """Books of users touched at or after a moment, the oldest touch first."""
    is_newer = Where(field=TOUCHED, comparison=">=", value=moment)
    return store.find(Query(collection=BOOKS, where=(is_newer,), order_by=TOUCHED, limit=limit))


def ids_in(store: DocumentStore, collection: str, after: str, limit: int) -> list[str]:
    """Ids of a collection's documents, in order, from behind the id `after`."""
    return [found.id for found in store.page(collection, after, limit)]


def ids_above(store: DocumentStore, collection: str, group: str, after: str, limit: int) -> list[str]:
    """Ids that may have no document, but have some in the collection `group` below them."""
    found: list[str] = []
    # One document each: the next question leaps over everything else beneath the same id.
    while len(found) < limit:
        last = found[-1] if found else after
        behind = f"{collection}/{last}/{LAST_ID}/{LAST_ID}" if last else ""
        next_one = store.beneath(collection, group, after=behind, limit=1, paths_only=True)
        if not next_one:
            break
        found.append(next_one[0].path.split("/")[1])
    return found
