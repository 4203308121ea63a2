"""Runs queries: reads the ranges that the planner chose, merges alternatives, and looks into the past where asked."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice

from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.field_paths import DOCUMENT_NAME, get_field
from afterimage_emulator.firestore.documents.indexes import Entry, IndexDefinition, IndexedDocuments, Reversed
from afterimage_emulator.firestore.documents.stored_documents import StoredDocument
from afterimage_emulator.firestore.documents.values import NO_FIELDS, SortKey
from afterimage_emulator.firestore.queries.nearest import nearest_documents
from afterimage_emulator.firestore.queries.query import Condition, Query
from afterimage_emulator.firestore.queries.query_planner import Lookup, Scan, plan_alternative

Found = tuple[SortKey, StoredDocument]
"""A document with its order key; the key is empty where nobody asked for it."""


def run_query(database: Database, query: Query, *, at: int | None = None) -> Iterator[StoredDocument]:
    """The documents in order. Read on only while the database does not change: take a list to keep it."""
    if query.limit == 0:
        return iter(())
    if query.nearest is not None:
        return iter(nearest_documents(query.nearest, candidates(database, query, at=at)))
    if query.offset and at is None:
        exact = _exact_range(database, query)
        if exact is not None:
            return _behind_offset(database, query, *exact)
    documents = (document for _, document in _all_matches(database, query, at))
    if query.offset or query.limit is not None:
        end = None if query.limit is None else query.offset + query.limit
        return islice(documents, query.offset, end)
    return documents


async def build_indexes(database: Database, query: Query) -> None:
    """Makes the indexes that a query needs, in turns with other work."""
    for indexed, definition in _unbuilt(database, query):
        await indexed.build(definition)


def lacks_indexes(database: Database, query: Query) -> bool:
    """Whether running the query now would first make an index that takes long."""
    return any(True for _ in _unbuilt(database, query))


def _unbuilt(database: Database, query: Query) -> Iterator[tuple[IndexedDocuments, IndexDefinition]]:
    if not query.collection_id or query.limit == 0:
        return
    indexed = _indexed(database, query)
    if indexed is None:
        return
    for conditions in query.alternatives:
        plan = plan_alternative(query, conditions)
        if isinstance(plan, Scan) and indexed.takes_long(plan.definition):
            yield indexed, plan.definition


def candidates(database: Database, query: Query, *, at: int | None = None) -> Iterator[StoredDocument]:
    """What the filters of a query select, before it is ranked, limited or cut."""
    return (document for _, document in _all_matches(database, query, at))


def run_query_with_keys(database: Database, query: Query) -> Iterator[Found]:
    """The documents with their order keys, for those who keep a window of the results."""
    matches = _with_keys(database, query)
    end = None if query.limit is None else query.offset + query.limit
    return islice(matches, query.offset, end)


def _with_keys(database: Database, query: Query) -> Iterator[Found]:
    for _, document in _all_matches(database, query, None):
        key = query.order_key(document.fields() if query.needs_fields else NO_FIELDS, document.path)
        assert key is not None, f"`{document.path}` was found and has no place in the order"
        yield key, document


def count_matches(database: Database, query: Query, *, up_to: int | None, at: int | None = None) -> int:
    """How many documents a query has; where one range of an index is the answer, without reading it."""
    limits = [limit for limit in (query.limit, up_to) if limit is not None]
    if at is None and not query.offset and query.nearest is None:
        exact = _exact_range(database, query)
        if exact is not None:
            return min([exact[2] - exact[1], *limits])
    found = run_query(database, query, at=at)
    return sum(1 for _ in (found if up_to is None else islice(found, up_to)))


def _exact_range(database: Database, query: Query) -> tuple[Scan | None, int, int] | None:
    """Where one range of an index is the answer: from which of its entries up to which. None where it is not so."""
    if not query.collection_id or len(query.alternatives) != 1 or (query.all_descendants and query.parent):
        return None
    plan = plan_alternative(query, query.alternatives[0])
    if plan is None:
        return None, 0, 0
    if not isinstance(plan, Scan) or not plan.is_exact:
        return None
    indexed = _indexed(database, query)
    if indexed is None:
        return None, 0, 0
    entries = indexed.index(plan.definition).entries
    return plan, entries.bisect_left(plan.low), entries.bisect_left(plan.high)


def _behind_offset(
    database: Database, query: Query, scan: Scan | None, first: int, end: int
) -> Iterator[StoredDocument]:
    """Goes straight to the first document behind the offset."""
    indexed = _indexed(database, query)
    if scan is None or indexed is None:
        return
    if scan.backwards:
        end = max(first, end - query.offset)
        first = first if query.limit is None else max(first, end - query.limit)
    else:
        first = min(end, first + query.offset)
        end = end if query.limit is None else min(end, first + query.limit)
    for entry in indexed.index(scan.definition).entries.islice(first, end, scan.backwards):
        document = database.get(entry[-1])
        assert document is not None, f"the index still has `{entry[-1]}`"
        yield document


def _all_matches(database: Database, query: Query, at: int | None) -> Iterator[Found]:
    """All matches in order, each once; the key beside a document is set only where something had to be merged."""
    if not query.collection_id:
        return _sorted_matches(database, query, at)
    changed: set[str] = set()
    if at is not None and database.commits_since(at):
        changed = {path for path in database.changed_since(at) if query.covers(path)}
    plans = [plan for plan in (plan_alternative(query, conditions) for conditions in query.alternatives) if plan]
    needs_keys = len(plans) > 1 or bool(changed)
    streams = [_read(database, query, plan, needs_keys) for plan in plans]
    if not needs_keys:
        return streams[0] if streams else iter(())
    if changed:
        streams = [((k, d) for k, d in stream if d.path not in changed) for stream in streams]
        streams.append(_sorted_past(database, query, changed, at))
    return _each_once(heapq.merge(*streams, key=lambda found: found[0]))


def _each_once(found: Iterator[Found]) -> Iterator[Found]:
    seen: set[str] = set()
    for key, document in found:
        if document.path not in seen:
            seen.add(document.path)
            yield key, document


def _indexed(database: Database, query: Query) -> IndexedDocuments | None:
    if query.all_descendants:
        return database.indexed_group(query.collection_id)
    return database.indexed_collection(query.collection_path)


def _read(database: Database, query: Query, plan: Lookup | Scan, needs_keys: bool) -> Iterator[Found]:
    if isinstance(plan, Lookup):
        return _look_up(database, query, plan)
    return _scan(database, query, plan, needs_keys)


def _look_up(database: Database, query: Query, plan: Lookup) -> Iterator[Found]:
    if query.all_descendants:
        path = "/".join(_id_of(key) for key in plan.key)
    else:
        path = f"{query.collection_path}/{_id_of(plan.key)}"
    document = database.get(path)
    if document is not None and query.covers(path):
        key = query.fits(document.fields(), path)
        if key is not None:
            yield key, document


def _id_of(key: SortKey) -> str:
    return f"__id{key[1]}__" if key[0] == 0 else key[1]


def _scan(database: Database, query: Query, scan: Scan, needs_keys: bool) -> Iterator[Found]:
    indexed = _indexed(database, query)
    if indexed is None:
        return
    entries = indexed.index(scan.definition).entries
    below = f"{query.parent}/" if query.all_descendants and query.parent else ""
    positions, leftover = scan.positions, scan.leftover
    for entry in entries.irange(scan.low, scan.high, (True, False), scan.backwards):
        path: str = entry[-1]
        if below and not path.startswith(below):
            continue
        if positions and not all(_holds_at(condition, entry[place]) for condition, place in positions):
            continue
        document = database.get(path)
        assert document is not None, f"the index still has `{path}`"
        if leftover and not _leftover_holds(query, leftover, document):
            continue
        yield (_key_of(query, scan, entry) if needs_keys else ()), document


def _holds_at(condition: Condition, key: SortKey | Reversed) -> bool:
    if isinstance(key, Reversed):
        key = key.key
    if condition.path == DOCUMENT_NAME and condition.op in ("!=", "not-in"):
        return key not in condition.keys
    return bool(condition.holds_for(key))


def _leftover_holds(query: Query, leftover: Sequence[Condition], document: StoredDocument) -> bool:
    fields = document.fields()
    for condition in leftover:
        if condition.op == "exists":
            if get_field(fields, condition.path) is None:
                return False
        elif condition.op == "is within bounds":
            key = query.order_key(fields, document.path)
            if key is None or not query.is_within_bounds(key):
                return False
        elif not query.all_hold((condition,), fields, document.path):
            return False
    return True


def _key_of(query: Query, scan: Scan, entry: Entry) -> SortKey:
    keys = []
    for (place, descending, fixed), order in zip(scan.order_places, query.orders, strict=True):
        key = fixed if place < 0 else entry[place]
        if isinstance(key, Reversed):
            key = key.key
        keys.append(Reversed(key) if descending else key)
        if order.path == DOCUMENT_NAME:
            break  # nothing behind it decides
    return tuple(keys)


def _sorted_past(database: Database, query: Query, paths: set[str], at: int | None) -> Iterator[Found]:
    """The matches among a few documents as they were, in order."""
    found: list[Found] = []
    for path in paths:
        document = database.get(path, at)
        if document is not None:
            key = query.fits(document.fields() if query.needs_fields else NO_FIELDS, path)
            if key is not None:
                found.append((key, document))
    found.sort(key=lambda item: item[0])
    return iter(found)


def _sorted_matches(database: Database, query: Query, at: int | None) -> Iterator[Found]:
    """Queries without a collection id have no index: all that lies below their parent is read and sorted."""
    paths = {
        document.path
        for collection in database.collections_under(query.parent)
        if query.all_descendants or collection.parent == query.parent
        for document in collection.documents.values()
    }
    if at is not None:
        paths |= {path for path in database.changed_since(at) if query.covers(path)}
    return _sorted_past(database, query, paths, at)
