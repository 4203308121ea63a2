"""One version of a document as it is kept, and what a commit makes of it."""

from __future__ import annotations

from collections.abc import Iterator

from afterimage_emulator.firestore.documents.values import Fields
from afterimage_emulator.firestore.documents.wire_bytes import micros_of
from afterimage_emulator.protos import firestore_v1


class StoredDocument:
    """One version of one document; `wire` is the whole google.firestore.v1.Document, serialized with its times."""

    __slots__ = ("create_time", "path", "update_time", "wire")

    def __init__(self, path: str, wire: bytes, create_time: int, update_time: int) -> None:
        self.path = path
        self.wire = wire
        self.create_time = create_time
        self.update_time = update_time

    def message(self) -> firestore_v1.Document:
        """A fresh message: whoever asks may change it."""
        return firestore_v1.Document.FromString(self.wire)

    def fields(self) -> Fields:
        return firestore_v1.Document.FromString(self.wire).fields

    def faults(self, name: str) -> Iterator[str]:
        """Where the bytes say something else than what is known of them."""
        message = self.message()
        if message.name != name:
            yield f"`{self.path}` is called `{message.name}` in its bytes"
        times = (micros_of(message.create_time), micros_of(message.update_time))
        if times != (self.create_time, self.update_time):
            yield f"`{self.path}` has the times {times} in its bytes, not {(self.create_time, self.update_time)}"

    def __repr__(self) -> str:
        return f"StoredDocument({self.path!r}, update_time={self.update_time})"


class Change:
    """What one commit did to one document. The fields are parsed at most once, for all who look at them."""

    __slots__ = ("_after_fields", "_before_fields", "after", "before", "collection", "path", "replies")

    def __init__(self, path: str, before: StoredDocument | None, after: StoredDocument | None) -> None:
        self.path = path
        self.collection = path[: path.rfind("/")]
        self.before = before
        self.after = after
        self._before_fields: Fields | None = None
        self._after_fields: Fields | None = None
        self.replies: dict[object, bytes] = {}  # what listeners were sent about it, to be sent to others too

    @property
    def before_fields(self) -> Fields:
        if self._before_fields is None:
            assert self.before is not None, f"`{self.path}` was not there before"
            self._before_fields = self.before.fields()
        return self._before_fields

    @property
    def after_fields(self) -> Fields:
        if self._after_fields is None:
            assert self.after is not None, f"`{self.path}` is not there any more"
            self._after_fields = self.after.fields()
        return self._after_fields
