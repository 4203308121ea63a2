"""The contract of the store of files: every implementation keeps each of these promises."""

from __future__ import annotations

import gzip
import hashlib
from base64 import b64encode

import pytest

from afterimage.store.documents import ConflictError, Expect
from afterimage.store.files import FileAbout, FileStore, GoneError, StoredFile

PLAIN = FileAbout(content_type="text/plain")


def write(files: FileStore, bucket: str, name: str, data: bytes = b"x", **metadata: str) -> StoredFile:
    about = FileAbout(content_type="text/plain", metadata=metadata)
    return files.write(bucket, name, data, about, expected=Expect.ANYTHING)


@pytest.mark.parametrize("name", ["a.txt", "ü/\U0001f600.png", "a/../b", "with space/100%25.txt", "x" * 1024])
def test_a_file_comes_back_as_it_was_written(files: FileStore, bucket: str, name: str) -> None:
    """Its bytes, whole and in part, and what is known about it, under any name."""
    data = bytes(range(256)) * 4
    about = FileAbout(content_type="image/png", metadata={"card_id": "é"})
    written = files.write(bucket, name, data, about, expected=Expect.ABSENT)
    found = files.find(bucket, name)
    assert found is not None
    assert (found.bucket, found.name, found.generation) == (bucket, name, written.generation)
    assert (found.size, found.content_type, found.metadata) == (1024, "image/png", {"card_id": "é"})
    assert found.md5 == b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    assert files.read(found) == data
    assert files.read(found, 10, 20) == data[10:20]
    assert files.read(found, 1000) == data[1000:]
    assert files.read(found, 0, 1) == data[:1]


def test_an_empty_file_is_a_file(files: FileStore, bucket: str) -> None:
    """Nought bytes, and everything else."""
    write(files, bucket, "empty", b"")
    found = files.find(bucket, "empty")
    assert found is not None
    assert (found.size, files.read(found)) == (0, b"")


def test_packed_bytes_come_as_they_are_stored(files: FileStore, bucket: str) -> None:
    """Whatever a file says of itself, the store unpacks nothing."""
    packed = gzip.compress(b"text" * 100)
    assert files.read(write(files, bucket, "x.gz", packed)) == packed


def test_a_file_is_copied_whole_and_described_anew(files: FileStore, bucket: str) -> None:
    """The bytes of exactly this generation, under another name, which is not overwritten unless that is wanted."""
    first = write(files, bucket, "from", b"one", card_id="c")
    about = FileAbout(content_type="image/png", content_encoding="gzip", metadata={"a": "b"})
    copied = files.copy(first, "to", about, expected=Expect.ABSENT)
    assert (copied.name, copied.size, copied.content_type, copied.content_encoding, copied.metadata) == (
        "to", 3, "image/png", "gzip", {"a": "b"},
    )  # fmt: skip
    assert files.find(bucket, "to") == copied
    assert files.read(copied) == b"one"
    with pytest.raises(ConflictError):
        files.copy(first, "to", PLAIN, expected=Expect.ABSENT)
    second = write(files, bucket, "from", b"two")
    with pytest.raises(GoneError):
        files.copy(first, "other", PLAIN, expected=Expect.ABSENT)
    files.copy(second, "to", PLAIN, expected=copied.generation)
    files.delete(bucket, "from")
    with pytest.raises(GoneError):
        files.copy(second, "other", PLAIN, expected=Expect.ABSENT)
    assert files.find(bucket, "other") is None


def test_a_file_says_how_its_bytes_are_packed(files: FileStore, bucket: str) -> None:
    """The store keeps the packed bytes, and their encoding beside them."""
    packed = gzip.compress(b"text" * 100)
    about = FileAbout(content_type="text/plain", content_encoding="gzip")
    written = files.write(bucket, "packed", packed, about, expected=Expect.ABSENT)
    found = files.find(bucket, "packed")
    assert found is not None
    assert (found.content_encoding, found.size) == (written.content_encoding, written.size) == ("gzip", len(packed))
    assert files.read(found) == packed


def test_a_file_is_written_only_where_it_was_expected(files: FileStore, bucket: str) -> None:
    """Absent, one generation, or anything; generations grow, and who is late has changed nothing."""
    with pytest.raises(ConflictError):
        files.write(bucket, "a", b"0", PLAIN, expected=7)
    first = files.write(bucket, "a", b"1", PLAIN, expected=Expect.ABSENT)
    with pytest.raises(ConflictError):
        files.write(bucket, "a", b"2", PLAIN, expected=Expect.ABSENT)
    second = files.write(bucket, "a", b"3", PLAIN, expected=first.generation)
    with pytest.raises(ConflictError):
        files.write(bucket, "a", b"4", PLAIN, expected=first.generation)
    assert files.read(second) == b"3"
    third = write(files, bucket, "a", b"5")
    assert first.generation < second.generation < third.generation


def test_a_generation_that_was_overwritten_or_deleted_is_gone(files: FileStore, bucket: str) -> None:
    """For reading and for stamping; whatever is live can be found."""
    first = write(files, bucket, "a", b"first")
    second = write(files, bucket, "a", b"second")
    with pytest.raises(GoneError):
        files.read(first)
    with pytest.raises((GoneError, ConflictError)):
        files.stamp(first, {"a": "b"})
    assert files.find(bucket, "a") == second
    files.delete(bucket, "a")
    with pytest.raises(GoneError):
        files.read(second)
    with pytest.raises(GoneError):
        files.stamp(second, {"a": "b"})
    assert files.find(bucket, "a") is None


def test_a_stamp_loses_nobody_s_metadata(files: FileStore, bucket: str) -> None:
    """Keys of others stay; who stamps what has changed since must look again."""
    first = write(files, bucket, "a", card_id="7")
    files.stamp(first, {"later": "yes"})
    with pytest.raises(ConflictError):
        files.stamp(first, {"status": "ready"})
    again = files.find(bucket, "a")
    assert again is not None
    assert (again.generation, again.metageneration > first.metageneration) == (first.generation, True)
    files.stamp(again, {"status": "ready", "card_id": "8"})
    found = files.find(bucket, "a")
    assert found is not None
    assert found.metadata == {"card_id": "8", "later": "yes", "status": "ready"}


def test_a_generation_is_deleted_and_no_other(files: FileStore, bucket: str) -> None:
    """Deleting one that is not live is no error, and spares the one that is."""
    first = write(files, bucket, "a", b"1")
    second = write(files, bucket, "a", b"2")
    files.delete(bucket, "a", generation=first.generation)
    assert files.find(bucket, "a") == second
    files.delete(bucket, "a", generation=second.generation)
    files.delete(bucket, "a", generation=second.generation)
    files.delete(bucket, "a")
    assert files.find(bucket, "a") is None


def test_files_come_in_the_order_of_their_names(files: FileStore, bucket: str) -> None:
    """Under a prefix, of one bucket, all or behind a name that need not exist; in pages, each file once."""
    names = ["a/!", "a/1", "a/10", "a/9/deep", "a/~", "a/é", "a/\U0001f600"]
    for name in [*reversed(names), "b/1", "a"]:
        write(files, bucket, name)
    write(files, f"other-{bucket}", "a/other")
    assert [file.name for file in files.walk(bucket, "a/")] == names
    assert [file.name for file in files.walk(bucket, "", "a/é")] == ["a/\U0001f600", "b/1"]
    assert [file.name for file in files.walk(bucket, "a/", "a/2")] == names[3:]
    found, token, pages = list[str](), "", 0
    while pages == 0 or token:
        page = files.page(bucket, "a/", token, 3)
        found += [file.name for file in page.files]
        token, pages = page.next_token, pages + 1
    assert (found, pages) == (names, 3)
    assert files.page(bucket, "none/", "", 3).files == ()
