"""The bytes of contents in the store of files: put there once under their digest, read back, packed where it pays."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from afterimage.artifacts.contents import Content, ContentState
from afterimage.artifacts.file_types import PACKABLE
from afterimage.faults import TransientError
from afterimage.paths import blob_path
from afterimage.store.documents import ConflictError, ErasedError, Expect
from afterimage.store.files import FileAbout, FileStore, GoneError, StoredFile

PIECE_BYTES: Final = 8 * 1024 * 1024
_CACHE_CONTROL: Final = "private, max-age=0, no-transform"
_PACKED_CACHE: Final = "private, max-age=0"
"""Without `no-transform`: Cloud Storage unpacks for a reader that does not take gzip."""
_ROUNDS: Final = 5


@dataclass(frozen=True, kw_only=True)
class ContentBytes:
    """Bytes of all users, in one bucket."""

    files: FileStore
    bucket: str
    pack_from_bytes: int
    """Larger contents are packed, where their type allows it."""

    def put(
        self,
        user: str,
        digest: str,
        source: bytes | StoredFile,
        content_type: str,
        known: Content | None,
        *,
        packs: bool = True,
    ) -> Content:
        """Makes sure that the bytes are there; `known` is what the content's document said before.

        Whoever comes second finds what the first has stored: the name is the digest, so the bytes are the same.
        """
        name = blob_path(user, digest)
        if known is not None and known.state is ContentState.DELETING:
            # Its collector may be dead. What it was to delete is deleted; nothing newer can be.
            self.files.delete(self.bucket, name, generation=known.generation)
        size = source.size if isinstance(source, StoredFile) else len(source)
        may_pack = packs and size > self.pack_from_bytes and content_type in PACKABLE
        for _ in range(_ROUNDS):
            try:
                stored = self._stored(name, source, content_type, may_pack=may_pack)
            except ErasedError:
                raise
            except ConflictError:
                there = self.files.find(self.bucket, name)
                if there is None:
                    continue
                stored = there
            return Content(
                digest=digest,
                size=size,
                stored_bytes=stored.size,
                generation=stored.generation,
                content_type=content_type,
                is_packed=stored.content_encoding == "gzip",
            )
        raise TransientError(f"the bytes of `{digest}` come and go; try again")

    def read(self, user: str, content: Content, most: int) -> bytes:
        """The content itself, unpacked; its first `most` bytes at most."""
        file = self._file(user, content)
        if not content.is_packed:
            return self.files.read(file, 0, most)
        return zlib.decompressobj(wbits=31).decompress(self.files.read(file), most)

    def delete(self, user: str, content: Content) -> None:
        """Deletes this generation and no other."""
        self.files.delete(self.bucket, blob_path(user, content.digest), generation=content.generation)

    def pieces(self, file: StoredFile) -> Iterator[bytes]:
        """The stored bytes in pieces that fit into memory."""
        for start in range(0, file.size, PIECE_BYTES):
            yield self.files.read(file, start, min(start + PIECE_BYTES, file.size))

    def unpacked_pieces(self, file: StoredFile, most: int) -> Iterator[bytes]:
        """The content itself in pieces, unpacked where it is stored so; no more than a piece above `most` bytes."""
        if file.content_encoding != "gzip":
            yield from self.pieces(file)
            return
        unpacking, told = zlib.decompressobj(wbits=31), 0
        for packed in self.pieces(file):
            while packed and told <= most:
                try:
                    piece = unpacking.decompress(packed, PIECE_BYTES)
                except zlib.error:
                    # Not what its encoding says: whoever compares digests finds that out.
                    yield packed
                    return
                packed, told = unpacking.unconsumed_tail, told + len(piece)
                yield piece

    def _stored(self, name: str, source: bytes | StoredFile, content_type: str, *, may_pack: bool) -> StoredFile:
        if may_pack:
            data = b"".join(self.pieces(source)) if isinstance(source, StoredFile) else source
            packed = gzip.compress(data, compresslevel=6, mtime=0)
            # What packing does not make smaller would take more than was reserved for it.
            if len(packed) < len(data):
                about = FileAbout(content_type=content_type, content_encoding="gzip", cache_control=_PACKED_CACHE)
                return self.files.write(self.bucket, name, packed, about, expected=Expect.ABSENT)
        about = FileAbout(content_type=content_type, cache_control=_CACHE_CONTROL)
        if isinstance(source, StoredFile):
            return self.files.copy(source, name, about, expected=Expect.ABSENT)
        return self.files.write(self.bucket, name, source, about, expected=Expect.ABSENT)

    def _file(self, user: str, content: Content) -> StoredFile:
        name = blob_path(user, content.digest)
        found = self.files.find(self.bucket, name)
        if found is None or found.generation != content.generation:
            raise GoneError(name)
        return found
