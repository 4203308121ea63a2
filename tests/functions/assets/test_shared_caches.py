"""Real caches in front of the origin: they keep what is published, and nothing else; a hit costs nothing here."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, request
from werkzeug.serving import WSGIRequestHandler, make_server

from afterimage.edges.assets.origin import Origin
from afterimage.edges.assets.serving import answered
from afterimage.edges.cdn.exchange import Exchange
from afterimage.edges.cdn.purging import Purger
from afterimage.publications.purge_notes import SECOND_PASS_AFTER
from tests.functions.assets.gallery import HEADERS, PUBLIC, PUBLIC_WITH_ORIGINAL, Gallery, addresses_of
from tests.functions.assets.shared_caches import KINDS, PROGRAMS, Cache, VarnishNetwork, program_of
from tests.functions.publishing import NOW


@dataclass
class ServedOrigin:
    """The function's own code behind a socket, and how often it was asked."""

    origin: Origin
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def count(self, path: str) -> int:
        return self.asked.count(path)


class Silent(WSGIRequestHandler):
    """Says nothing of each request: a failure would drown in them."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return


@contextmanager
def served(origin: Origin) -> Iterator[ServedOrigin]:
    found = ServedOrigin(origin=origin)
    app = Flask("assets")

    def serve(path: str) -> Response:
        found.asked.append(f"/{path}")
        response: Response = answered(lambda: found.origin, request, "demo")
        return response

    app.add_url_rule("/<path:path>", "any", serve, methods=["GET", "HEAD", "POST"], provide_automatic_options=False)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    found.port = server.server_port
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class InFront:
    """A gallery, its origin, and a cache between it and the world."""

    gallery: Gallery
    origin: ServedOrigin
    cache: Cache


@pytest.fixture(params=list(KINDS))
def in_front(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[InFront]:
    kind: str = request.param
    if program_of(kind) is None:
        pytest.skip(f"`{PROGRAMS[kind]}` is not installed here: the other caches show the same")
    gallery = Gallery.opened()
    with served(gallery.origin("one that varies")) as origin, KINDS[kind](origin.port, tmp_path) as cache:
        yield InFront(gallery=gallery, origin=origin, cache=cache)


def variant_of(gallery: Gallery, visibility: str) -> str:
    exhibit = gallery.exhibits[visibility]
    return f"/a/{exhibit.public}/{exhibit.plan}/{next(iter(exhibit.derived))}"


def test_a_hit_costs_the_function_nothing(in_front: InFront) -> None:
    """Asked for a hundred times by many, sent by the function once."""
    target = variant_of(in_front.gallery, PUBLIC)
    bodies = {in_front.cache.get(target, User_Agent=f"reader {number}").content for number in range(100)}
    assert bodies == {in_front.gallery.exhibits[PUBLIC].derived[target.rpartition("/")[2]]}
    assert in_front.origin.count(target) == 1


def test_no_private_byte_comes_out_of_the_cache(in_front: InFront) -> None:
    """Whoever may see a file asks first, for every file by every address; then come strangers with every header."""
    gallery, cache = in_front.gallery, in_front.cache
    private = {}
    for exhibit in gallery.exhibits.values():
        for what, target in addresses_of(gallery, exhibit):
            answer = cache.get(target)
            if what in {"signed", "signed original"} and answer.status_code == 200:
                private[target] = answer.content
    assert len(private) > 10
    in_front.origin.origin = Gallery().origin()  # empty: what comes now comes from the cache
    for exhibit in gallery.exhibits.values():
        allowed = set(exhibit.derived.values()) if exhibit.shows_variants else set()
        allowed |= {exhibit.original} if exhibit.shows_original else set()
        for what, target in addresses_of(gallery, exhibit):
            for headers in HEADERS.values():
                answer = cache.get(target, **{name.replace("-", "_"): value for name, value in headers.items()})
                shown = answer.content if answer.status_code in {200, 206} else b""
                # What a cache puts together itself (a JPEG, several parts) is of the same file.
                is_made = what in {"as JPEG", "negotiated"} or "multipart" in answer.headers.get("content-type", "")
                is_allowed = any(shown in whole for whole in allowed) or (is_made and exhibit.shows_variants)
                assert not shown or is_allowed, (cache.name, exhibit.visibility, what)


def test_an_absence_is_not_remembered(in_front: InFront) -> None:
    """Asked for too early, published, there: no cache has kept the 404."""
    target = variant_of(in_front.gallery, "private")
    assert in_front.cache.get(target).status_code == 404
    exhibit = in_front.gallery.exhibits["private"]
    in_front.gallery.stage.mark(exhibit.generation, exhibit.name)
    in_front.gallery.stage.settle(exhibit.name)
    assert in_front.cache.get(target).status_code == 200


def test_formats_of_one_address_are_kept_apart(in_front: InFront) -> None:
    """WebP for one, JPEG for another, each from the cache the second time."""
    target = variant_of(in_front.gallery, PUBLIC).rpartition(".")[0]
    for _ in range(2):
        for accept, content_type in [("image/webp", "image/webp"), ("image/jpeg", "image/jpeg")]:
            assert in_front.cache.get(target, Accept=accept).headers["content-type"] == content_type
    assert in_front.origin.count(target) <= (2 if in_front.cache.name != "hishel" else 4)


def test_a_part_through_the_cache_is_a_part(in_front: InFront) -> None:
    """A player behind a cache gets what it asked for, whatever the cache asked for itself."""
    exhibit = in_front.gallery.exhibits[PUBLIC_WITH_ORIGINAL]
    target = f"/a/{exhibit.public}/original.png"
    for _ in range(2):
        answer = in_front.cache.get(target, Range="bytes=10-19")
        assert (answer.status_code, answer.content) == (206, exhibit.original[10:20])
    assert in_front.cache.get(target).content == exhibit.original


def test_what_is_taken_back_is_gone_from_a_real_cache_once_its_note_is_purged(tmp_path: Path) -> None:
    """From the owner's word to the cache's silence: mark gone, note written, tag purged; other files are still hits."""
    if program_of("varnish") is None:
        pytest.skip("`varnishd` is not installed here: the networks' contract servers show the same")
    gallery = Gallery.opened()
    with served(gallery.origin("one that varies")) as origin, KINDS["varnish"](origin.port, tmp_path) as cache:
        gone, kept = variant_of(gallery, PUBLIC), variant_of(gallery, PUBLIC_WITH_ORIGINAL)
        for target in (gone, kept):
            assert cache.get(target).status_code == 200
        exhibit, stage = gallery.exhibits[PUBLIC], gallery.stage
        stage.unmark(exhibit.name)
        stage.settle(exhibit.name)
        assert cache.get(gone).status_code == 200, "the cache has not been told yet"
        network: Any = VarnishNetwork(base_url=cache.base, exchange=Exchange())
        now = [NOW]
        purger = Purger(documents=stage.world.store, provider=network, now=lambda: now[0])
        while not purger.run().is_last:
            pass
        assert cache.get(gone).status_code == 404
        assert cache.get(kept).status_code == 200
        assert origin.count(kept) == 1
        now[0] += SECOND_PASS_AFTER
        purger.run()
        note = stage.note(exhibit.generation, exhibit.name)
        assert note is not None
        assert (note["state"], len(note["receipts"])) == ("done", 2)
