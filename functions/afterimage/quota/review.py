"""What a user keeps, read once: every head with the contents that its versions refer to. The ground of all advice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from afterimage.artifacts.contents import Content, content_in
from afterimage.artifacts.heads import Head, VersionEntry, head_in
from afterimage.paths import artifacts_path, blob_path
from afterimage.store.documents import DocumentReader

MOST_REVIEWED: Final = 2_000
"""Files that one review looks at; a user with more gets advice on these."""
_PAGE: Final = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """Heads and contents, as far as they were read."""

    heads: tuple[Head, ...]
    contents: Mapping[str, Content]
    is_cut: bool

    def freed_by(self, gone: Iterable[VersionEntry]) -> int:
        """The bytes that go if exactly these versions do: those of contents that nothing else refers to."""
        dropped = Counter(entry.digest for entry in gone)
        return sum(
            self.contents[digest].counted_bytes
            for digest, count in dropped.items()
            if digest in self.contents and self.contents[digest].references <= count
        )


def review(documents: DocumentReader, user: str, most: int = MOST_REVIEWED) -> Review:
    heads: list[Head] = []
    after = ""
    while len(heads) < most:
        page = documents.page(artifacts_path(user), after, min(_PAGE, most - len(heads)))
        heads += [head for each in page if (head := head_in(each)) is not None]
        if not page:
            break
        after = page[-1].id
    digests = sorted({entry.digest for head in heads for entry in head.versions})
    contents: dict[str, Content] = {}
    for start in range(0, len(digests), _PAGE):
        paths = [blob_path(user, digest) for digest in digests[start : start + _PAGE]]
        found = (content_in(each) for each in documents.read_many(paths))
        contents |= {content.digest: content for content in found if content is not None}
    return Review(heads=tuple(heads), contents=contents, is_cut=len(heads) >= most)
