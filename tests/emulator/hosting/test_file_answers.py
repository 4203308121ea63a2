"""Files are answered with validators, ranges and compression as browsers and download managers expect them."""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulator.hosting.running_site import Site, serving

TEXT = "".join(f"line {number}\n" for number in range(2000))
LARGE = random.Random(7).randbytes(9 * 1024 * 1024)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    files: dict[str, str | bytes] = {
        "public/text.txt": TEXT,
        "public/small.txt": "small",
        "public/empty.txt": "",
        "public/large.bin": LARGE,
        "public/picture.png": b"\x89PNG" + bytes(5000),
        "public/page.html": "<p>page" + " " * 2000,
        "public/404.html": "gone",
        "public/app.mjs": "1",
        "public/module.wasm": b"\0asm",
        "public/unknown.zzz": "?",
        "public/none": "?",
    }
    with serving(tmp_path_factory.mktemp("files"), {"public": "public"}, f"demo-files-{os.getpid()}", files) as running:
        yield running


@pytest.mark.parametrize("name", ["text.txt", "small.txt", "empty.txt", "large.bin", "page.html"])
def test_a_known_version_is_not_sent_again(site: Site, name: str) -> None:
    """By its ETag, strong or weak, in a list or as a star; by its date; and HEAD tells the same without the body."""
    first = site.ask(f"/{name}")
    etag, modified = first.headers["etag"], first.headers["last-modified"]
    for condition in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = site.ask(f"/{name}", {"if-none-match": condition})
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == etag
    assert site.ask(f"/{name}", {"if-modified-since": modified}).status == 304
    assert site.ask(f"/{name}", {"if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT"}).status == 200
    assert site.ask(f"/{name}", {"if-modified-since": "no date"}).status == 200
    assert site.ask(f"/{name}", {"if-none-match": '"other"', "if-modified-since": modified}).status == 200
    head = site.ask(f"/{name}", method="HEAD")
    assert head.body == b""
    assert {**head.headers, "date": ""} == {**first.headers, "date": ""}


def test_an_edit_is_seen_at_once(tmp_path: Path, project_id: str) -> None:
    """Also one of the same size within the same moment of the file system's clock; a file that goes is gone."""
    with serving(tmp_path, {"public": "public"}, project_id, {"public/a.js": "let a = 1"}) as site:
        before = site.ask("/a.js")
        moment = (tmp_path / "public/a.js").stat()
        site.write({"public/a.js": "let a = 2"})
        os.utime(tmp_path / "public/a.js", ns=(moment.st_atime_ns, moment.st_mtime_ns))
        after = site.ask("/a.js", {"if-none-match": before.headers["etag"]})
        assert (after.status, after.text, after.headers["cache-control"]) == (200, "let a = 2", "no-cache")
        (tmp_path / "public/a.js").unlink()
        assert site.ask("/a.js").status == 404
        site.write({"public/a.js": "let a = 3"})
        assert site.ask("/a.js").text == "let a = 3"


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [("bytes=0-99", 0, 99), ("bytes=500-", 500, None), ("bytes=-100", -100, None), ("bytes=10-99999999", 10, None)],
)
@pytest.mark.parametrize("name", ["text.txt", "large.bin"])
def test_a_part_is_sent_where_a_part_is_asked_for(
    site: Site, name: str, wanted: str, first: int, last: int | None
) -> None:
    """Of a file in memory and of one that goes straight from the disk; also where the client takes gzip."""
    whole = TEXT.encode() if name == "text.txt" else LARGE
    expected = whole[first:] if last is None else whole[first : last + 1]
    answer = site.ask(f"/{name}", {"range": wanted, "accept-encoding": "gzip"})
    start = first % len(whole)
    assert (answer.status, answer.body) == (206, expected)
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/{len(whole)}"
    assert "content-encoding" not in answer.headers
    assert answer.headers["etag"] == site.ask(f"/{name}").headers["etag"]


def test_parts_that_do_not_fit(site: Site) -> None:
    """Outside the file is 416; several parts, or a part of another version, are answered with the whole."""
    outside = site.ask("/text.txt", {"range": "bytes=999999-"})
    assert (outside.status, outside.headers["content-range"]) == (416, f"bytes */{len(TEXT)}")
    etag = site.ask("/text.txt").headers["etag"]
    for headers in (
        {"range": "bytes=0-1,5-6"},
        {"range": "lines=0-1"},
        {"range": "bytes=0-9", "if-range": '"other"'},
        {"range": "bytes=0-9", "if-range": f"W/{etag}"},
    ):
        assert (site.ask("/text.txt", headers).status, site.ask("/text.txt", headers).text) == (200, TEXT)
    assert site.ask("/text.txt", {"range": "bytes=0-9", "if-range": etag}).status == 206


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("*", True),
        ("GZIP", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("identity", False),
        ("", False),
        ("xgzip", False),
    ],
)
def test_text_is_packed_where_the_client_takes_it(site: Site, accepted: str, packed: bool) -> None:
    """With an ETag of its own, and told apart for caches."""
    plain = site.ask("/text.txt")
    answer = site.ask("/text.txt", {"accept-encoding": accepted})
    assert (answer.headers.get("content-encoding") == "gzip") is packed
    assert (gzip.decompress(answer.body) if packed else answer.body) == TEXT.encode()
    assert (answer.headers["etag"] != plain.headers["etag"]) is packed
    assert answer.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    known = site.ask("/text.txt", {"accept-encoding": accepted, "if-none-match": answer.headers["etag"]})
    assert known.status == 304


@pytest.mark.parametrize("name", ["small.txt", "picture.png", "large.bin"])
def test_what_compression_would_not_make_smaller_is_sent_as_it_is(site: Site, name: str) -> None:
    """Little texts, pictures, and what is too large to hold."""
    answer = site.ask(f"/{name}", {"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert answer.body == (site.folder / "public" / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("page.html", "text/html; charset=utf-8"),
        ("app.mjs", "text/javascript; charset=utf-8"),
        ("module.wasm", "application/wasm"),
        ("picture.png", "image/png"),
        ("unknown.zzz", "application/octet-stream"),
        ("none", "application/octet-stream"),
    ],
)
def test_the_kind_of_content_is_told_by_the_name(site: Site, name: str, kind: str) -> None:
    """The same on every machine, whatever its own tables say."""
    assert site.ask(f"/{name}").headers["content-type"] == kind


def test_the_page_for_what_is_missing_is_whole(site: Site) -> None:
    """A browser that asks for a part of something that is not there is not told that it has it."""
    answer = site.ask("/nothing", {"range": "bytes=0-1", "if-none-match": "*"})
    assert (answer.status, answer.text) == (404, "gone")


def test_headers_of_firebase_json_win(tmp_path: Path, project_id: str) -> None:
    """Over the suite's own, in any spelling; the last rule over those before it."""
    headers = [
        {"source": "**", "headers": [{"key": "Cache-Control", "value": "max-age=60"}, {"key": "X-One", "value": "1"}]},
        {"source": "/a.txt", "headers": [{"key": "CACHE-CONTROL", "value": "max-age=90"}]},
    ]
    with serving(tmp_path, {"public": "public", "headers": headers}, project_id, {"public/a.txt": "a"}) as site:
        answer = site.ask("/a.txt")
        assert (answer.headers["cache-control"], answer.headers["x-one"]) == ("max-age=90", "1")
        assert site.ask("/a.txt", {"if-none-match": "*"}).headers["cache-control"] == "max-age=90"
