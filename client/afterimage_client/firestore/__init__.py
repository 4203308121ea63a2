"""Firestore as a user: documents, queries, transactions, batches and listeners, under the security rules."""

from __future__ import annotations

from afterimage_client.firestore.batches import WriteBatch
from afterimage_client.firestore.field_paths import DOCUMENT_ID
from afterimage_client.firestore.firestore import Firestore
from afterimage_client.firestore.listening.listeners import ChangeListener, DocumentListener, Listener, QueryListener
from afterimage_client.firestore.queries import And, Average, Count, FieldFilter, Or, Sum
from afterimage_client.firestore.references import CollectionReference, DocumentReference, Query
from afterimage_client.firestore.snapshots import (
    ChangeKind,
    Changes,
    DocumentChange,
    DocumentSnapshot,
    QuerySnapshot,
    WriteResult,
)
from afterimage_client.firestore.transactions import Transaction
from afterimage_client.firestore.transforms import (
    DELETE_FIELD,
    SERVER_TIMESTAMP,
    ArrayRemove,
    ArrayUnion,
    Increment,
    Maximum,
    Minimum,
)
from afterimage_client.firestore.values import GeoPoint, Vector

__all__ = [
    "DELETE_FIELD",
    "DOCUMENT_ID",
    "SERVER_TIMESTAMP",
    "And",
    "ArrayRemove",
    "ArrayUnion",
    "Average",
    "ChangeKind",
    "ChangeListener",
    "Changes",
    "CollectionReference",
    "Count",
    "DocumentChange",
    "DocumentListener",
    "DocumentReference",
    "DocumentSnapshot",
    "FieldFilter",
    "Firestore",
    "GeoPoint",
    "Increment",
    "Listener",
    "Maximum",
    "Minimum",
    "Or",
    "Query",
    "QueryListener",
    "QuerySnapshot",
    "Sum",
    "Transaction",
    "Vector",
    "WriteBatch",
    "WriteResult",
]
