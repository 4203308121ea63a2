"""PartitionQuery: cuts a collection group into ranges of about as many documents, for readers that share the work."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.resource_paths import invalid_argument, parse_parent
from afterimage_emulator.firestore.documents.wire_bytes import micros_of
from afterimage_emulator.firestore.queries.query_executor import run_query
from afterimage_emulator.firestore.queries.query_parser import parse_query
from afterimage_emulator.firestore.transactions.sessions import Sessions
from afterimage_emulator.front.callers import Caller
from afterimage_emulator.front.rules_gate import RulesGate
from afterimage_emulator.protos import firestore_v1

_ASCENDING: Final = 1
_NAME: Final = "__name__"


class Partitions:
    """Answers PartitionQuery."""

    def __init__(self, sessions: Sessions, gate: RulesGate[Database]) -> None:
        self._sessions = sessions
        self._gate = gate

    def partition(self, request: firestore_v1.PartitionQueryRequest, caller: Caller) -> bytes:
        """The serialized PartitionQueryResponse."""
        name, parent = parse_parent(request.parent)
        session = self._sessions.of(name)
        self._gate.check_admin(caller, session.database, "PartitionQuery")
        _check(request, parent)
        reply = firestore_v1.PartitionQueryResponse()
        at = None
        if request.HasField("read_time"):
            at = micros_of(request.read_time)
            session.database.check_read_time(at)
        if not _is_cut(request.structured_query):
            return reply.SerializeToString()
        query = parse_query(name, parent, request.structured_query)
        names = [f"{name.documents}/{document.path}" for document in run_query(session.database, query, at=at)]
        cuts = _evenly(names, request.partition_count)
        first = _position_in(request)
        page = cuts[first : first + request.page_size] if request.page_size else cuts[first:]
        for cut in page:
            reply.partitions.add().values.add().reference_value = cut
        if first + len(page) < len(cuts):
            reply.next_page_token = _token(request, first + len(page))
        return reply.SerializeToString()


def _check(request: firestore_v1.PartitionQueryRequest, parent: str) -> None:
    source = request.structured_query
    if request.partition_count <= 0:
        raise invalid_argument("Partition count must be greater than zero.")
    if request.page_size < 0:
        raise invalid_argument("Page size must be nonnegative.")
    if parent:
        raise invalid_argument("Ancestor queries are not supported.")
    if not source.from_ or not source.from_[0].all_descendants:
        raise invalid_argument("Query must select all descendant collections.")
    if source.HasField("limit"):
        raise invalid_argument("Query limit is not supported.")
    if source.offset:
        raise invalid_argument("Query offset is not supported.")
    if source.HasField("select"):
        raise invalid_argument("Property masks are not supported.")
    if source.HasField("start_at"):
        raise invalid_argument("Query start cursors are not supported.")
    if source.HasField("end_at"):
        raise invalid_argument("Query end cursors are not supported.")
    if source.HasField("where"):
        raise invalid_argument("Query filters are not supported.")


def _is_cut(source: firestore_v1.StructuredQuery) -> bool:
    """Only a collection group in the order of its names is; anything else is one range, which is no error."""
    orders = [(order.field.field_path, order.direction) for order in source.order_by]
    return bool(source.from_[0].collection_id) and orders == [(_NAME, _ASCENDING)]


def _evenly(names: list[str], count: int) -> list[str]:
    """So many names, as far apart as can be: they cut the list into one range more."""
    count = min(count, max(0, len(names) - 1))
    return [names[(number + 1) * len(names) // (count + 1)] for number in range(count)]


def _token(request: firestore_v1.PartitionQueryRequest, position: int) -> str:
    return base64.urlsafe_b64encode(position.to_bytes(4, "big") + _digest(request)).decode()


def _position_in(request: firestore_v1.PartitionQueryRequest) -> int:
    if not request.page_token:
        return 0
    try:
        content = base64.b64decode(request.page_token, altchars=b"-_", validate=True)
    except ValueError:
        raise invalid_argument("invalid page token") from None
    if len(content) < 4:
        raise invalid_argument("invalid page token")
    if content[4:] != _digest(request):
        raise invalid_argument("Invalid page token.")
    return int.from_bytes(content[:4], "big")


def _digest(request: firestore_v1.PartitionQueryRequest) -> bytes:
    """A token goes on with the request that it came from, whatever the size of the page."""
    query = request.structured_query.SerializeToString(deterministic=True)
    return hashlib.sha256(f"{request.parent} {request.partition_count} ".encode() + query).digest()[:12]
