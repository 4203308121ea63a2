"""The documents of the books: how amounts are added to one, and how those are found that are waiting for a roll-up."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from afterimage.ledger.books import Path
from afterimage.paths import BOOKS, BUCKETS, books_path
from afterimage.store.documents import LAST_ID, Change, Document, DocumentStore, Expect, Query, Version, Where

TOUCHED: Final = "touched_at"
"""When a document of the books was last added to, by the store's clock."""
TOUCH_SHARD: Final = "touch_shard"
"""Stands before `touched_at` in the index: a value that rises with every write would bring all of them to one place."""
TOUCH_SHARDS: Final = 64
TOUCH_LANES: Final = tuple(tuple(range(first, first + 16)) for first in range(0, TOUCH_SHARDS, 16))
"""Shards that one query asks for: an idle minute costs a read for each query, and not for each shard."""


def addition(
    path: str,
    amounts: Mapping[Path, int],
    *,
    put: Mapping[str, Any] | None = None,
    drop: Sequence[Path] = (),
    expected: Expect | Version = Expect.ANYTHING,
) -> Change:
    """Adds amounts to the integers under their paths, sets top-level fields, and marks the time of the touch."""
    marked = dict(put or {})
    if path == books_path(user := path.rpartition("/")[2]):
        marked[TOUCH_SHARD] = touch_shard(user)
    return Change(path=path, amounts=amounts, put=marked, drop=drop, server_times=(TOUCHED,), expected=expected)


def touch_shard(user: str) -> int:
    """One of the shards, the same one always."""
    return zlib.crc32(user.encode()) % TOUCH_SHARDS


def buckets(store: DocumentStore, after: str, limit: int) -> list[Document]:
    """Buckets of any user that have not been rolled up, in the order of their paths, from behind the path `after`.

    Only those in the books, which nobody but functions writes; other collections of the same name do not count.
    """
    return store.beneath(BOOKS, BUCKETS, after=after, limit=limit)


def books_touched_since(
    store: DocumentStore, shards: Sequence[int], moment: datetime, limit: int, *, after_id: str = ""
) -> list[Document]:
    """Books of a lane's users touched at or after a moment, the oldest touch first.

    With `after_id` only those behind that user, where several were touched at this moment.
    """
    of_lane = Where(field=TOUCH_SHARD, comparison="in", value=tuple(shards))
    is_newer = Where(field=TOUCHED, comparison=">=", value=moment)
    after = moment if after_id else None
    return store.find(
        Query(
            collection=BOOKS,
            where=(of_lane, is_newer),
            order_by=TOUCHED,
            after_id=after_id,
            after_value=after,
            limit=limit,
        )
    )


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
