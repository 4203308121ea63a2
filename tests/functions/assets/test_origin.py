"""The origin: what is published is for everybody to keep, what is signed for nobody to keep, and nothing else is."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from afterimage.api.errors import ApiError
from afterimage.edges.assets import origin as module
from afterimage.edges.assets.addresses import address_of
from afterimage.edges.assets.conditions import UnsatisfiableError, is_known, preferred_formats, range_asked
from afterimage.edges.assets.origin import AssetRequest, AssetResponse, Origin
from afterimage.edges.assets.signing import LONGEST, AssetSigner, SigningKeyError
from afterimage.edges.assets.warm_bytes import WarmBytes
from afterimage.paths import app_file_path, object_id, public_id
from afterimage.store.memory_files import MemoryFiles
from tests.functions.assets.gallery import (
    HEADERS,
    HTML,
    KEY,
    NETWORKS,
    PUBLIC,
    PUBLIC_WITH_ORIGINAL,
    SVG,
    Exhibit,
    Gallery,
    addresses_of,
)
from tests.functions.publishing import NOW


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    return Gallery.opened()


def asked(origin: Origin, target: str, method: str = "GET", **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers in lower case, and the whole body; a refusal as it would be written."""
    path, _, query = target.partition("?")
    parts = dict(part.split("=", 1) for part in query.split("&") if part)
    lowered = {name.lower().replace("_", "-"): value for name, value in headers.items()}
    try:
        answer: AssetResponse = origin.answer(AssetRequest(method=method, path=path, query=parts, headers=lowered))
    except ApiError as refusal:
        return refusal.status, {name.lower(): value for name, value in refusal.headers.items()}, b""
    return answer.status, {name.lower(): value for name, value in answer.headers.items()}, b"".join(answer.body)


def directives(headers: Mapping[str, str]) -> set[str]:
    return {
        directive.strip().partition("=")[0]
        for name, value in headers.items()
        if name.endswith("cache-control")
        for directive in value.lower().split(",")
    }


def may_be_kept(status: int, headers: Mapping[str, str]) -> bool:
    """Whether any cache of several people may keep this, by whatever header any network reads."""
    if status in {403, 404, 405} and "cache-control" not in headers:
        return True
    found = directives(headers)
    return "no-store" not in found and "private" not in found


def is_public(exhibit: Exhibit, what: str) -> bool:
    """What the world may have, by the kind of address; written down here once more, and apart from the code."""
    if what in {"variant", "as JPEG", "negotiated"}:
        return exhibit.shows_variants
    return what == "original" and exhibit.shows_original


@pytest.mark.parametrize("network", list(NETWORKS))
def test_no_private_byte_is_ever_for_everybody_to_keep(gallery: Gallery, network: str) -> None:
    """Visibility × address × header × network: whatever may be kept is published, and what is published may be."""
    origin = gallery.origin(network)
    counted = {"public": 0, "for nobody": 0, "refused": 0}
    for exhibit in gallery.exhibits.values():
        for what, target in addresses_of(gallery, exhibit):
            for said, headers in HEADERS.items():
                for method in ("GET", "HEAD"):
                    status, sent, body = asked(origin, target, method, **headers)
                    where = f"{network}, {exhibit.visibility}, {what}, {said}, {method}: {status} {dict(sent)}"
                    assert method == "GET" or body == b"", where
                    if may_be_kept(status, sent):
                        assert is_public(exhibit, what), where
                        assert status in {200, 206, 304}, where
                        counted["public"] += 1
                    elif status in {200, 206, 304}:
                        assert what in {"signed", "signed original"}, where
                        assert directives(sent) == {"private", "no-store"}, where
                        counted["for nobody"] += 1
                    else:
                        assert body == b"", where
                        counted["refused"] += 1
    assert min(counted.values()) > 100, counted
    assert sum(counted.values()) == len(gallery.exhibits) * 14 * len(HEADERS) * 2


@pytest.mark.parametrize("network", [name for name, found in NETWORKS.items() if found])
def test_nothing_sent_names_an_owner(gallery: Gallery, network: str) -> None:
    """Tags are digests; neither headers nor addresses of what is public say whose it is or what it is called."""
    for exhibit in gallery.exhibits.values():
        for what, target in addresses_of(gallery, exhibit):
            if is_public(exhibit, what):
                _, sent, _ = asked(gallery.origin(network), target)
                shown = f"{target} {dict(sent)}"
                assert not any(word in shown for word in ("alice", "card", "portrait", "users", "uploads"))


def one(gallery: Gallery, visibility: str = PUBLIC) -> tuple[Exhibit, str]:
    exhibit = gallery.exhibits[visibility]
    return exhibit, f"/a/{exhibit.public}/{exhibit.plan}/{next(iter(exhibit.derived))}"


def test_an_original_s_tag_does_not_say_when_it_was_stored(gallery: Gallery) -> None:
    """Its generation would let whoever guesses an owner and a name check the guess against the address."""
    exhibit = gallery.exhibits[PUBLIC_WITH_ORIGINAL]
    for target in (f"/a/{exhibit.public}/original.png", gallery.signed(exhibit, "original.png")):
        _, sent, _ = asked(gallery.origin(), target)
        assert str(exhibit.generation) not in sent["etag"]
        assert sent["etag"] == f'"{exhibit.public[:32]}"'


def test_a_published_file_is_sent_as_it_was_stored(gallery: Gallery) -> None:
    """The same bytes, their type, and how long they may be kept: a day where nothing else is said."""
    exhibit, target = one(gallery)
    status, sent, body = asked(gallery.origin("cloudflare"), target)
    assert (status, body) == (200, next(iter(exhibit.derived.values())))
    assert sent["content-type"] == "image/webp"
    assert sent["cache-control"] == "public, max-age=86400, immutable"
    assert sent["cache-tag"] == f"a-{exhibit.public},a-everything"
    assert int(sent["content-length"]) == len(body)


def test_how_long_is_said_by_family(gallery: Gallery) -> None:
    """One family by its name, all others by the star."""
    _, target = one(gallery)
    for keep_for, seconds in [
        ({"ai_image": timedelta(hours=2)}, 7200),
        ({"*": timedelta(hours=3)}, 10800),
        ({"*": timedelta(hours=3), "ai_image": timedelta(hours=1)}, 3600),
        ({"media": timedelta(hours=1)}, 86400),
    ]:
        _, sent, _ = asked(gallery.origin(keep_for=keep_for), target)
        assert sent["cache-control"] == f"public, max-age={seconds}, immutable"


def test_what_a_client_has_is_not_sent_again(gallery: Gallery) -> None:
    """304, with all that a cache renews what it has with."""
    _, target = one(gallery)
    origin = gallery.origin("cloudfront")
    _, first, _ = asked(origin, target)
    status, sent, body = asked(origin, target, If_None_Match=f'"other", W/{first["etag"]}')
    assert (status, body) == (304, b"")
    assert {name: sent[name] for name in ("etag", "cache-control", "cache-tag")} == {
        name: first[name] for name in ("etag", "cache-control", "cache-tag")
    }
    assert asked(origin, target, If_None_Match='"other"')[0] == 200


def test_parts_are_sent_and_put_together_make_the_whole(gallery: Gallery) -> None:
    """A player seeks in a film; also where a cache asks with the tag of what it has."""
    exhibit = gallery.exhibits[PUBLIC_WITH_ORIGINAL]
    origin, target, whole = gallery.origin(), f"/a/{exhibit.public}/original.png", exhibit.original
    _, first, _ = asked(origin, target)
    parts = []
    for start in range(0, len(whole), 50):
        status, sent, body = asked(origin, target, Range=f"bytes={start}-{start + 49}", If_Range=first["etag"])
        assert status == 206
        assert sent["content-range"] == f"bytes {start}-{min(start + 50, len(whole)) - 1}/{len(whole)}"
        parts.append(body)
    assert b"".join(parts) == whole
    assert asked(origin, target, Range="bytes=0-9", If_Range='"of before"')[2] == whole
    assert asked(origin, target, Range=f"bytes={len(whole)}-")[:1] == (416,)


def test_one_address_gives_each_client_the_format_it_takes_best_where_the_network_keeps_them_apart(
    gallery: Gallery,
) -> None:
    """WebP for those who read it, JPEG for all others; said with `Vary`."""
    exhibit, target = one(gallery)
    target = target.rpartition(".")[0]
    for network in ("none", "one that varies"):
        origin = gallery.origin(network)
        for accept, content_type in [
            ("image/avif,image/webp,*/*", "image/webp"),
            ("image/webp", "image/webp"),
            ("image/webp;q=0,image/*", "image/jpeg"),
            ("*/*", "image/jpeg"),
            ("", "image/jpeg"),
        ]:
            status, sent, _ = asked(origin, target, Accept=accept)
            assert (status, sent["content-type"], sent["vary"]) == (200, content_type, "Accept")
    assert exhibit.shows_variants


@pytest.mark.parametrize("network", ["cloudflare", "cloudfront", "vercel"])
def test_where_the_network_does_not_a_client_is_sent_to_the_format_s_own_address(
    gallery: Gallery, network: str
) -> None:
    """Nobody keeps that answer; the address it leads to is for everybody."""
    exhibit, target = one(gallery)
    origin, target = gallery.origin(network), target.rpartition(".")[0]
    for accept, ending in [("image/webp", "webp"), ("image/jpeg", "jpg")]:
        status, sent, _ = asked(origin, target, Accept=accept)
        assert status == 302
        assert not may_be_kept(status, sent)
        followed = f"/a/{exhibit.public}/{exhibit.plan}/{sent['location']}"
        assert followed.endswith(f".{ending}")
        assert asked(origin, followed)[0] == 200


def test_a_jpeg_is_made_of_the_derived_picture(gallery: Gallery) -> None:
    """The same picture in the same size, made once; with the tag of its own that a cache needs."""
    exhibit, target = one(gallery)
    origin = gallery.origin()
    status, sent, body = asked(origin, f"{target.rpartition('.')[0]}.jpg")
    assert (status, sent["content-type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(body)) as made, Image.open(io.BytesIO(next(iter(exhibit.derived.values())))) as source:
        assert (made.format, made.size) == ("JPEG", source.size)
    assert sent["etag"] != asked(origin, target)[1]["etag"]
    assert asked(origin, f"{target.rpartition('.')[0]}.jpg", Range="bytes=2-5")[2] == body[2:6]


@pytest.mark.parametrize(("data", "content_type"), [(SVG, "image/svg+xml"), (HTML, "text/html")], ids=["SVG", "HTML"])
def test_what_could_run_a_program_is_saved_and_never_shown(data: bytes, content_type: str) -> None:
    """Published by its owner, declared as whatever: an attachment, in a sandbox, of no type that a browser runs."""
    gallery = Gallery()
    name = "users/alice/ai_generated/images/evil_portrait.png"
    generation = gallery.stage.world.upload(name, data, content_type=content_type).generation
    gallery.stage.pipeline.finalized("uploads", name, generation)
    record = gallery.stage.world.documents[gallery.stage.record_path(name)][0]
    gallery.stage.mark(generation, name, original=True)
    gallery.stage.settle(name)
    assert record["status"] in {"ready", "unsupported"}
    [tail] = (gallery.stage.published(generation, name) or {})["files"]
    status, sent, _ = asked(gallery.origin(), f"/a/{public_id('uploads', name, generation)}/{tail}")
    assert status == 200
    assert sent["content-disposition"].startswith("attachment")
    assert "sandbox" in sent["content-security-policy"]
    assert sent["x-content-type-options"] == "nosniff"
    assert sent["content-type"] == "application/octet-stream"


def test_what_a_browser_shows_is_shown_alone(gallery: Gallery) -> None:
    """A picture opened as a page loads nothing and runs nothing; other sites may show it, fonts and textures too."""
    _, target = one(gallery)
    _, sent, _ = asked(gallery.origin(), target)
    assert "content-disposition" not in sent
    assert "sandbox" in sent["content-security-policy"]
    assert sent["cross-origin-resource-policy"] == "cross-origin"
    assert sent["access-control-allow-origin"] == "*"


def test_the_app_s_own_files_are_served_as_what_they_are(gallery: Gallery) -> None:
    """By their digest, so for a year; a type that is not known is not served."""
    made = gallery.stage.world.made
    bucket = gallery.stage.world.stores().derived.bucket
    for name, data in [("app.js", b"let a=1"), ("index.html", b"<p>"), ("a.exe", b"MZ")]:
        made.put(bucket, app_file_path("0123456789abcdef", name), data, content_type="application/x-anything")
    origin = gallery.origin("cloudflare")
    status, sent, body = asked(origin, "/app/0123456789abcdef/app.js")
    assert (status, body, sent["content-type"]) == (200, b"let a=1", "text/javascript; charset=utf-8")
    assert sent["cache-control"] == "public, max-age=31536000, immutable"
    assert sent["cache-tag"] == "a-app,a-everything"
    assert asked(origin, "/app/0123456789abcdef/index.html")[1]["content-type"] == "text/html; charset=utf-8"
    assert asked(origin, "/app/0123456789abcdef/a.exe")[0] == 404
    assert asked(origin, "/app/fedcba9876543210/app.js")[0] == 404


def test_a_query_makes_no_second_entry_of_any_cache(gallery: Gallery) -> None:
    """A thousand queries would be a thousand requests to the function; each is sent back before any store is asked."""
    _, target = one(gallery)
    calls: list[str] = []
    gallery.stage.world.store.before = calls.append
    status, sent, _ = asked(gallery.origin(), f"{target}?v=1")
    gallery.stage.world.store.before = lambda _call: None
    assert (status, sent["location"]) == (302, target.rpartition("/")[2])
    assert calls == []


def test_a_file_whose_bytes_are_gone_is_not_there(gallery: Gallery) -> None:
    """Its event has not come yet: an error before the first byte, which nobody keeps, and no half of an answer."""
    own = Gallery.opened()
    exhibit, target = one(own)
    own.stage.world.made.files.clear()
    assert asked(own.origin(), target)[0] == 404
    original = own.exhibits[PUBLIC_WITH_ORIGINAL]
    own.stage.world.upload(original.name, b"something else")
    status, sent, body = asked(own.origin(), f"/a/{original.public}/original.png")
    assert (status, body) == (404, b"")
    assert not may_be_kept(status, sent)
    assert exhibit.visibility == PUBLIC


def test_bytes_other_than_those_that_were_published_are_not_sent() -> None:
    """Somebody wrote over a derived file by hand: its length says so, and nobody keeps what is there now."""
    own = Gallery.opened()
    exhibit, target = one(own)
    stored = {name: (file, data) for (_, name), (file, data) in own.stage.world.made.files.items()}
    for name, (file, data) in stored.items():
        own.stage.world.made.files[file.bucket, name] = (replace(file, size=len(data) + 1), data + b"!")
    assert asked(own.origin(), target)[0] == 404
    own.stage.world.made.files.clear()
    assert asked(own.origin(), f"{target.rpartition('.')[0]}.jpg")[0] == 404
    assert exhibit.visibility == PUBLIC


def test_a_signed_address_opens_what_is_sound_and_still_there(gallery: Gallery) -> None:
    """It needs no publication; but a file that was stored anew, deleted or quarantined is no more what was signed."""
    for exhibit in gallery.exhibits.values():
        status, sent, body = asked(gallery.origin(), gallery.signed(exhibit, "original.png"))
        if exhibit.visibility in {"quarantined", "failed", "processing", "deleted", "stored anew"}:
            assert (status, body) == (404, b""), exhibit.visibility
        elif exhibit.visibility == "media without an owner":
            assert status in {200, 404}
        else:
            assert (status, body, sent["cache-control"]) == (200, exhibit.original, "private, no-store")
    unsigned = replace(gallery.origin(), signer=None)
    assert asked(unsigned, gallery.signed(gallery.exhibits[PUBLIC], "original.png"))[0] == 403


def test_warm_bytes_are_served_without_storage_and_never_without_a_publication(gallery: Gallery) -> None:
    """What is in memory spares Cloud Storage a request; whether it is public is asked all the same."""
    own = Gallery.opened()
    exhibit, target = one(own)
    origin = own.origin()
    asked(origin, target)
    calls: list[str] = []
    own.stage.world.made.before = calls.append
    assert asked(origin, target)[0] == 200
    assert calls == []
    own.stage.unmark(exhibit.name)
    own.stage.settle(exhibit.name)
    assert asked(origin, target)[0] == 404


def test_long_files_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more than a piece in memory; beyond what the platform sends with a length, without one."""
    monkeypatch.setattr(module, "PIECE_BYTES", 1000)
    monkeypatch.setattr(module, "LARGEST_WITH_LENGTH_BYTES", 5000)
    gallery = Gallery.opened()
    exhibit = gallery.exhibits[PUBLIC_WITH_ORIGINAL]
    data = bytes(range(256)) * 40
    store = gallery.stage.world.uploads
    generation = store.put("uploads", exhibit.name, data, content_type="video/mp4").generation
    path = f"publications/{exhibit.public}"
    fields = gallery.stage.world.documents[path][0]
    fields["files"]["original.png"] |= {"bytes": len(data), "generation": generation}
    origin = gallery.origin(warm=WarmBytes(largest_bytes=100))
    reads: list[str] = []
    store.before = lambda call: reads.append(call) if call == "read" else None
    status, sent, body = asked(origin, f"/a/{exhibit.public}/original.png")
    assert (status, body) == (200, data)
    assert "content-length" not in sent
    assert len(reads) == 11
    part = asked(origin, f"/a/{exhibit.public}/original.png", Range="bytes=500-2600")
    assert (part[2], part[1]["content-length"]) == (data[500:2601], "2101")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PURGE"])
def test_nothing_is_changed_from_here(gallery: Gallery, method: str) -> None:
    """The origin reads; a purge is asked of the network, never of us."""
    _, target = one(gallery)
    assert asked(gallery.origin(), target, method)[0] == 405


ZEROS = "0" * 40
STRANGE_PATHS = [
    "", "/", "/a", "/a/", "/a//x", "/a/../s", f"/a/{ZEROS}", f"/a/{ZEROS}/..", f"/a/{'g' * 40}/original.png",
    f"/a/{ZEROS}/original.png/x", f"/a/{ZEROS}/original.png\n", f"/a/{ZEROS}/../../x.webp", "/s/!!/1/original.png",
    "/s/YQ/1/original.png", "/s/YWI/1/original.png", "/app/0123456789abcdef/..", "/app/0123456789abcdef/.x",
    "/app/0123456789abcdef/a/b.js", f"/A/{ZEROS}/original.png", f"/a/{ZEROS}/original.PNG", "/" + "x" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("path", STRANGE_PATHS, ids=range(len(STRANGE_PATHS)))
def test_paths_outside_the_grammar_ask_no_store(path: str) -> None:
    """Each is turned away by the pattern alone."""
    assert address_of(path) is None


def test_an_object_id_is_read_only_as_it_is_written() -> None:
    """Two spellings of one object would be two signed addresses of it."""
    written = object_id("bucket", "users/alice/x")
    assert address_of(f"/s/{written}/1/original.png") is not None
    assert address_of(f"/s/{written[:-1]}{chr(ord(written[-1]) + 1)}/1/original.png") is None


@given(size=st.integers(0, 40), first=st.integers(0, 60), last=st.integers(0, 60) | st.none())
def test_a_range_is_what_the_standard_says(size: int, first: int, last: int | None) -> None:
    """Against a naive reading: the positions that are asked for and are there."""
    header = f"bytes={first}-{'' if last is None else last}"
    wanted = [at for at in range(size) if at >= first and (last is None or at <= last)]
    try:
        found = range_asked(header, size)
    except UnsatisfiableError:
        assert first >= size
        return
    if found is None:
        assert last is not None
        assert last < first
        return
    assert list(range(found.start, found.end)) == wanted


@pytest.mark.parametrize(
    "header", ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "items=0-1", "bytes=0-1,2-3", "bytes=--1"]
)
def test_a_range_that_is_none_means_the_whole(header: str) -> None:
    """The standard lets a server ignore what it does not read."""
    assert range_asked(header, 10) is None


@given(st.text(max_size=200))
def test_no_header_is_an_error_of_ours(text: str) -> None:
    """Whatever stands in `Accept`, `If-None-Match` and `Range`, there is an answer."""
    assert preferred_formats(text)[-1] == "jpg"
    assert is_known(text, "e") in {True, False}
    try:
        range_asked(text, 10)
    except UnsatisfiableError:
        return


def test_signatures_open_one_path_for_a_time_and_with_one_key() -> None:
    """Nothing can be changed, exchanged or prolonged; a key that can be guessed is refused."""
    signer = AssetSigner(key=KEY)
    path, _, query = signer.signed("/s/x/1/original.png", NOW + timedelta(hours=1), now=NOW).partition("?")
    parts: dict[str, Any] = dict(part.split("=") for part in query.split("&"))
    assert signer.is_valid(path, parts["expires"], parts["signature"], now=NOW)
    assert not signer.is_valid(path, parts["expires"], parts["signature"], now=NOW + timedelta(hours=1))
    assert not signer.is_valid(path + "x", parts["expires"], parts["signature"], now=NOW)
    assert not signer.is_valid(path, str(int(parts["expires"]) + 1), parts["signature"], now=NOW)
    assert not signer.is_valid(path, parts["expires"], parts["signature"][:-1], now=NOW)
    assert not signer.is_valid(path, parts["expires"], parts["signature"].upper() + "é", now=NOW)
    assert not AssetSigner(key="x" * 32).is_valid(path, parts["expires"], parts["signature"], now=NOW)
    with pytest.raises(ValueError, match="expires_at"):
        signer.signed(path, NOW + LONGEST + timedelta(seconds=1), now=NOW)
    with pytest.raises(SigningKeyError, match="ASSETS_SIGNING_KEY"):
        AssetSigner(key="short")
    assert KEY not in repr(signer)


def test_memory_for_warm_bytes_is_bounded() -> None:
    """The longest unused go first, and what is too large is never held."""
    warm = WarmBytes(most_bytes=100, largest_bytes=40)
    for number in range(10):
        warm.put(f"{number}", bytes(30))
        warm.get("0")
    assert warm.held_bytes <= 100
    assert warm.get("0") is not None
    assert warm.get("5") is None
    warm.put("large", bytes(41))
    assert warm.get("large") is None
    assert MemoryFiles().files == {}
