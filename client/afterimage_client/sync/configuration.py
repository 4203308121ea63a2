"""How one collection is synced: its hooks, how it is pulled, and the eight collections that are ready made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from afterimage_client.firestore.firestore import Firestore
from afterimage_client.firestore.references import Query
from afterimage_client.store.schema import COLLECTIONS
from afterimage_client.store.store import Store
from afterimage_client.sync.decisions import Hooks
from afterimage_client.sync.merging import MergeDocument, MergeField

Document = dict[str, Any]
_WITHOUT_REV: Final = frozenset({"sessions"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionSyncConfig:
    """A collection and its hooks. What is left out, the store does itself.

    `upsert` and `set_clean` are called in the transaction that writes the store's own rows, so that tables of the app's
    move with them or not at all. `is_dirty` may hold back what comes from the server while the app edits.
    """

    collection_name: str
    get_by_id: Callable[[Store, str], Document | None] | None = None
    upsert: Callable[[Store, Document], None] | None = None
    set_clean: Callable[[Store, str, int | None], None] | None = None
    is_dirty: Callable[[Store, str], bool] | None = None
    get_rev_from_doc: Callable[[Mapping[str, Any]], int | None] | None = None
    merge_conflict: MergeDocument | None = None
    """What is there and what is here, to what shall stand: asked where both changed one field."""
    merge_field: MergeField | None = None
    """As `merge_conflict`, for one field; it is asked first."""
    apply_patch_op: Callable[[Document, Mapping[str, Any]], Document] | None = None
    has_rev: bool = True
    query: Callable[[Firestore], Query] | None = None
    """Which documents are pulled; all of the collection where there is none."""
    is_partial: bool = False
    """Only documents that were opened are pulled."""
    interval_seconds: float | None = None
    """Pulls now and then, instead of listening."""
    updated_field: str = ""
    """A field that every write sets to the server's time: a pull then asks only for what is newer than the last one."""

    def __post_init__(self) -> None:
        if not isinstance(self.collection_name, str) or not self.collection_name or "/" in self.collection_name:
            raise ValueError(f"`{self.collection_name}` is no collection of the root: give its name")
        seconds = self.interval_seconds
        if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
            raise ValueError(f"`interval_seconds` is `{seconds!r}`: give more than 0, or None to listen")

    @property
    def decides_with_hooks(self) -> bool:
        """Whether code of the app runs between reading a document and writing it: what it writes must not be missed."""
        return any((self.is_dirty, self.merge_field, self.merge_conflict))

    @property
    def hooks(self) -> Hooks:
        return Hooks(merge_field=self.merge_field, merge_document=self.merge_conflict)

    def query_on(self, firestore: Firestore) -> Query:
        return self.query(firestore) if self.query is not None else firestore.collection(self.collection_name)


def content_configs(**options: Any) -> list[CollectionSyncConfig]:
    """The eight collections, ready made; `options` go to each of them."""
    return [
        CollectionSyncConfig(collection_name=name, has_rev=name not in _WITHOUT_REV, **options) for name in COLLECTIONS
    ]
