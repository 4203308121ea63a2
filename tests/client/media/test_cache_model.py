"""The folder against a naive model: what goes, what stays, and that rows and files agree after any script."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from afterimage_client.media import MediaCache
from afterimage_client.store import Store
from tests.client.manual_clock import ManualClock


@dataclass(slots=True)
class Kept:
    """One file as the model knows it."""

    size: int
    used: int
    expires: float
    is_uploaded: bool = True


class Model:
    """A dictionary, a budget, and the rule said in the plainest way."""

    def __init__(self) -> None:
        self.files: dict[str, Kept] = {}
        self.pinned: set[str] = set()
        self.dirty: set[str] = set()
        self.steps = 0

    def may_go(self, name: str) -> bool:
        return self.files[name].is_uploaded and name not in self.pinned and name not in self.dirty

    def make_room(self, most: int) -> None:
        while sum(each.size for each in self.files.values()) > most:
            free = [name for name in self.files if self.may_go(name)]
            if not free:
                return
            del self.files[min(free, key=lambda name: self.files[name].used)]

    def put(self, name: str, size: int, expires: float, *, is_uploaded: bool) -> None:
        self.steps += 1
        self.files[name] = Kept(size, self.steps, expires, is_uploaded)


def path_of(name: str) -> str:
    return f"media/{name}/picture.png"


def put(cache: MediaCache, store: Store, name: str, size: int, *, is_uploaded: bool) -> None:
    with store.database.transaction() as transaction:
        if is_uploaded:
            target = cache.target(name, path_of(name))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(bytes(size))
            cache.note_downloaded(transaction, name, path_of(name), size)
        else:
            cache.add(transaction, name, path_of(name), cache.prepare(bytes(size)), {})


def step(chance: random.Random, model: Model, cache: MediaCache, store: Store, clock: ManualClock) -> None:
    name = f"asset{chance.randrange(8)}"
    what = chance.choice(["download", "add", "use", "pin", "unpin", "dirty", "clean", "uploaded", "expire", "restart"])
    expires = clock.now() + 100
    if what in ("download", "add"):
        size = chance.randrange(1, 60)
        put(cache, store, name, size, is_uploaded=what == "download")
        is_ours = name in model.files and not model.files[name].is_uploaded
        if what == "add" or not is_ours:  # what is not uploaded stands against what comes down
            model.put(name, size, expires, is_uploaded=what == "download")
    elif what == "use":
        known = model.files.get(name)
        is_good = known is not None and (not known.is_uploaded or known.expires > clock.now())
        assert (cache.use(name, path_of(name)) is not None) == is_good
        if known is not None and is_good:
            model.steps += 1
            known.used = model.steps
    elif what in ("pin", "unpin"):
        getattr(cache, what)(name)
        (model.pinned.add if what == "pin" else model.pinned.discard)(name)
    elif what == "dirty":
        store.upsert_local("mediaAssets", {"id": name, "filename": f"{chance.random()}.png"})
        model.dirty.add(name)
    elif what == "clean":
        store.set_clean("mediaAssets", name, 0)
        model.dirty.discard(name)
    elif what == "uploaded" and name in model.files:
        with store.database.transaction() as transaction:
            cache.note_uploaded(transaction, name, path_of(name))
        model.files[name].is_uploaded, model.files[name].expires = True, expires
    elif what == "expire":
        clock.advance(chance.choice([1, 60]))
        cache.remove_expired()
        for old in [each for each in model.files if model.may_go(each) and model.files[each].expires <= clock.now()]:
            del model.files[old]
    elif what == "restart":
        report = cache.repair()
        assert (report.forgotten, report.removed, report.lost) == ([], [], [])


@pytest.mark.parametrize("seed", range(12))
def test_the_folder_is_as_the_model(seed: int, tmp_path: Path) -> None:
    """After every step of a random script the same files are there, by rows and on the disk."""
    chance = random.Random(seed)
    clock = ManualClock()
    store = Store(tmp_path / "model.db", clock=clock)
    cache = MediaCache(store, most_bytes=150, keep_seconds=100)
    model = Model()
    for number in range(120):
        step(chance, model, cache, store, clock)
        cache.make_room()
        model.make_room(150)
        told = f"seed {seed}, step {number}"
        assert {each.asset_id: each.bytes for each in cache.files()} == {
            name: each.size for name, each in model.files.items()
        }, told
        assert cache.check_invariants() == [], told
    assert store.check_invariants() == []
    store.close()
