"""A transfer that failed for good stops itself alone: asking again is a retry, and adding again makes way."""

from __future__ import annotations

import pytest

from afterimage_client import StorageError
from tests.client.media.conftest import DATA, Shelf


async def test_a_file_that_was_not_there_is_fetched_when_it_is(shelf: Shelf) -> None:
    """The first `fetch` says that there is none; the next one asks anew, and waits for nothing of the first."""
    shelf.library.start()
    with pytest.raises(StorageError, match="object-not-found"):
        await shelf.library.fetch("a", shelf.picture("a"))
    with pytest.raises(StorageError, match="object-not-found"):
        await shelf.library.fetch("a", shelf.picture("a"))
    path = await shelf.put("a")
    assert (await shelf.library.fetch("a", path)).read_bytes() == DATA
    assert shelf.store.queue.dead_letters() == []


async def test_one_file_of_an_asset_that_fails_stops_no_other_of_it(shelf: Shelf) -> None:
    """A variant that is gone does not keep the original from coming."""
    path = await shelf.put("a")
    shelf.library.start()
    with pytest.raises(StorageError, match="object-not-found"):
        await shelf.library.fetch("a", shelf.picture("variant"))
    assert (await shelf.library.fetch("a", path)).read_bytes() == DATA


async def test_a_file_that_was_refused_may_be_added_anew(shelf: Shelf) -> None:
    """The rules refuse six megabytes; a smaller picture of the same place goes up without a person's help."""
    path = shelf.picture("a")
    shelf.library.add("a", path, bytes(6 * 1024 * 1024), mime_type="image/png")
    report = await shelf.library.sync_all()
    assert len(report.failed) == 1
    shelf.library.add("a", path, DATA, mime_type="image/png")
    report = await shelf.library.sync_all()
    assert (len(report.done), report.failed) == (1, [])
    assert await shelf.app.storage.object(path).read() == DATA
    assert shelf.store.queue.dead_letters() == []
