"""Publishing a saved file: the owner's mark on the content of a version, set with its save and gone with its last use.

The mark is the one that owners set themselves; what it makes public, and when, is for `publications` to decide.
"""

from __future__ import annotations

from dataclasses import replace

from afterimage.artifacts.contents import Content, ContentState, content_in, content_write
from afterimage.artifacts.refusals import in_the_way
from afterimage.artifacts.versions import Versions
from afterimage.paths import blob_path, object_id, published_mark_path
from afterimage.publications.publication import mark_in, original_address
from afterimage.store.documents import Expect, Replace


def publish_content(versions: Versions, user: str, digest: str) -> str | None:
    """Marks the bytes of a version as public, and returns the path at which the origin serves them once they are sound.

    None where they are kept packed: they would reach the world as gzip.
    """
    bucket, path = versions.contents.bucket, blob_path(user, digest)
    identifier = object_id(bucket, path)
    marked = published_mark_path(user, identifier)

    def attempt(_is_again: bool) -> Content:
        stored, mark = versions.documents.read_many([path, marked])
        content = content_in(stored)
        if content is None or content.state is not ContentState.STORED:
            raise in_the_way("the version was deleted meanwhile: there is nothing to publish")
        wanted = {"generation": content.generation, "original": True}
        if content.is_packed or (content.published_as and mark and mark_in(mark.fields) == mark_in(wanted)):
            return content
        versions.documents.commit(
            [
                content_write(user, replace(content, published_as=identifier), stored),
                Replace(path=marked, fields=wanted, expected=Expect.ANYTHING, server_times=("published_at",)),
            ]
        )
        return content

    content = versions.rounds.run(f"`{path}`", attempt)
    return None if content.is_packed else original_address(bucket, path, content.generation, content.content_type)
