"""Lists of documents and of collection ids, page by page."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable
from itertools import islice
from typing import Any, Final

from google.protobuf.message import DecodeError

from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.field_paths import DOCUMENT_NAME, format_field_path, get_field, parse_mask
from afterimage_emulator.firestore.documents.resource_paths import (
    check_collection_id,
    collection_under,
    id_key,
    invalid_argument,
    parse_parent,
)
from afterimage_emulator.firestore.documents.stored_documents import StoredDocument
from afterimage_emulator.firestore.documents.wire_bytes import field
from afterimage_emulator.firestore.operations.reads import Reads, View, masked, once_indexed, view_of
from afterimage_emulator.firestore.queries.query import Query
from afterimage_emulator.firestore.queries.query_executor import run_query
from afterimage_emulator.firestore.queries.query_parser import parse_query
from afterimage_emulator.firestore.transactions.sessions import Sessions
from afterimage_emulator.front.callers import Caller
from afterimage_emulator.front.rules_gate import RulesGate
from afterimage_emulator.protos import firestore_v1

DEFAULT_PAGE_SIZE: Final = 300
MAXIMUM_PAGE_SIZE: Final = 5000


class Listings:
    """ListDocuments and ListCollectionIds."""

    def __init__(self, sessions: Sessions, reads: Reads, gate: RulesGate[Database]) -> None:
        self._sessions = sessions
        self._reads = reads
        self._gate = gate

    def list_documents(self, request: firestore_v1.ListDocumentsRequest, caller: Caller) -> bytes | Awaitable[bytes]:
        """The serialized ListDocumentsResponse."""
        name, parent = parse_parent(request.parent)
        session = self._sessions.of(name)
        page_size = _page_size(request, DEFAULT_PAGE_SIZE)
        view = view_of(session, request, may_begin=False)
        if request.show_missing:
            self._gate.check_admin(caller, session.database, "show_missing")
            return self._list_with_missing(request, parent, page_size, view)
        source = self._as_query(request, page_size)
        query = parse_query(name, parent, source)
        self._reads.authorize_query(session, query, caller)
        return once_indexed(session.database, query, lambda: self._list(request, page_size, view, query))

    def _list(self, request: firestore_v1.ListDocumentsRequest, page_size: int, view: View, query: Query) -> bytes:
        session = view.session
        documents = list(run_query(session.database, query, at=view.at))
        view.note((), query)
        if view.transaction is not None and view.locks:
            session.transactions.refresh(view.transaction)
            view.transaction.queries.append(query)
        page = documents[:page_size]
        token = _token_after(page[-1], query) if len(documents) > page_size else ""
        mask = parse_mask(request.mask.field_paths) if request.HasField("mask") else None
        shown = [field(1, d.wire if mask is None else masked(d, mask)) for d in page]
        return b"".join(shown) + (field(2, token.encode()) if token else b"")

    def _as_query(self, request: firestore_v1.ListDocumentsRequest, page_size: int) -> firestore_v1.StructuredQuery:
        source = firestore_v1.StructuredQuery()
        if request.collection_id:  # without one: all collections directly below the parent
            source.from_.add(collection_id=request.collection_id)
        for part in filter(None, (part.strip() for part in request.order_by.split(","))):
            path, _, direction = part.partition(" ")
            if direction.strip().lower() not in ("", "asc", "desc"):
                raise invalid_argument(f"`order_by` has the direction `{direction}`; it must be asc or desc")
            order = source.order_by.add(direction=2 if direction.strip().lower() == "desc" else 1)
            order.field.field_path = path
        if all(order.field.field_path != "__name__" for order in source.order_by):  # page tokens say the name too
            last = source.order_by[-1].direction if source.order_by else 1
            source.order_by.add(direction=last).field.field_path = "__name__"
        if request.page_token:
            source.start_at.CopyFrom(_parse_token(request.page_token))
        source.limit.value = page_size + 1
        return source

    def _list_with_missing(
        self, request: firestore_v1.ListDocumentsRequest, parent: str, page_size: int, view: View
    ) -> bytes:
        """Documents, and ids of documents that do not exist but have collections below them."""
        if request.order_by:
            raise invalid_argument("`show_missing` cannot be used with `order_by`")
        check_collection_id(request.collection_id)
        database = view.session.database
        path = collection_under(parent, request.collection_id)
        ids = _ids_with_missing(database, path, view.at)
        after = _id_in(request.page_token)
        ordered = [key for key in sorted(ids, key=id_key) if after is None or id_key(key) > id_key(after)]
        shown: list[bytes] = []
        mask = parse_mask(request.mask.field_paths) if request.HasField("mask") else None
        for document_id in ordered[:page_size]:
            document = database.get(f"{path}/{document_id}", view.at)
            if document is None:
                name = f"{database.name.documents}/{path}/{document_id}"
                shown.append(field(1, field(1, name.encode())))
            else:
                shown.append(field(1, document.wire if mask is None else masked(document, mask)))
        if len(ordered) > page_size:
            token = _id_token(ordered[page_size - 1])
            shown.append(field(2, token))
        return b"".join(shown)

    def list_collection_ids(self, request: firestore_v1.ListCollectionIdsRequest, caller: Caller) -> bytes:
        """The serialized ListCollectionIdsResponse."""
        name, parent = parse_parent(request.parent)
        database = self._sessions.of(name).database
        self._gate.check_admin(caller, database, "ListCollectionIds")
        view = view_of(self._sessions.of(name), request, may_begin=False)
        depth = parent.count("/") + 1 if parent else 0
        ids = {c.path.split("/")[depth] for c in database.collections_under(parent)}
        if view.at is not None:
            ids = _collection_ids_at(database, parent, view.at)
        after = _id_in(request.page_token) or ""
        ordered = sorted(collection_id for collection_id in ids if collection_id > after)
        page_size = _page_size(request, MAXIMUM_PAGE_SIZE)
        page = ordered[:page_size]
        shown = [field(1, collection_id.encode()) for collection_id in page]
        if len(ordered) > page_size:
            shown.append(field(2, _id_token(page[-1])))
        return b"".join(shown)


def _page_size(request: firestore_v1.ListDocumentsRequest | firestore_v1.ListCollectionIdsRequest, default: int) -> int:
    if request.page_size < 0:
        raise invalid_argument(f"`page_size` must not be negative, but is {request.page_size}")
    return min(request.page_size or default, MAXIMUM_PAGE_SIZE)


def _ids_with_missing(database: Database, path: str, at: int | None) -> set[str]:
    prefix = f"{path}/"
    paths = {d.path for c in database.collections.values() for d in _below(c.documents, c.path, prefix, path)}
    if at is not None:
        paths |= {changed for changed in database.changed_since(at) if changed.startswith(prefix)}
        paths = {found for found in paths if database.get(found, at) is not None}
    return {found[len(prefix) :].split("/", 1)[0] for found in paths}


def _below(documents: dict[str, StoredDocument], collection: str, prefix: str, path: str) -> Any:
    """All documents of the collection itself, one of each collection below it."""
    if collection == path:
        return documents.values()
    return islice(documents.values(), 1) if collection.startswith(prefix) else ()


def _collection_ids_at(database: Database, parent: str, at: int) -> set[str]:
    prefix = f"{parent}/" if parent else ""
    depth = parent.count("/") + 1 if parent else 0
    paths = {d.path for c in database.collections_under(parent) for d in c.documents.values()}
    paths |= {path for path in database.changed_since(at) if path.startswith(prefix)}
    return {path.split("/")[depth] for path in paths if database.get(path, at) is not None}


def _token_after(last: StoredDocument, query: Query) -> str:
    """A cursor behind the last document shown."""
    cursor = firestore_v1.Cursor(before=False)
    message = last.message()
    for order in query.orders:
        if order.path == DOCUMENT_NAME:
            cursor.values.add().reference_value = message.name
        else:
            value = get_field(message.fields, order.path)
            assert value is not None, f"a result without `{format_field_path(order.path)}`"
            cursor.values.add().CopyFrom(value)
    return base64.urlsafe_b64encode(cursor.SerializeToString()).decode()


def _parse_token(token: str) -> Any:
    try:
        return firestore_v1.Cursor.FromString(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error, DecodeError):
        raise invalid_argument(f"`{token}` is no page token of this list; begin again without one") from None


def _id_token(last_id: str) -> bytes:
    return base64.urlsafe_b64encode(b"\0" + last_id.encode())


def _id_in(token: str) -> str | None:
    if not token:
        return None
    try:
        decoded = base64.urlsafe_b64decode(token)
        if decoded[:1] == b"\0":
            return decoded[1:].decode()
    except (ValueError, binascii.Error):
        pass
    raise invalid_argument(f"`{token}` is no page token of this list; begin again without one")
