"""The origin on the wire: how an address is spelt, and what of one request is in the answer that all others get."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping

import pytest
from flask import Request
from werkzeug.test import create_environ

from afterimage.edges.assets.serving import answered
from tests.functions.assets.gallery import PUBLIC, PUBLIC_WITH_ORIGINAL, Gallery
from tests.functions.assets.test_shared_caches import ServedOrigin, served, variant_of

SENT = "alice-7f3a90c2"


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    return Gallery.opened()


@pytest.fixture(scope="module")
def there(gallery: Gallery) -> Iterator[ServedOrigin]:
    with served(gallery.origin("cloudflare")) as found:
        yield found


def fetched(there: ServedOrigin, target: str) -> tuple[int, Mapping[str, str]]:
    """What is answered to a target exactly as it is written here."""
    connection = http.client.HTTPConnection("127.0.0.1", there.port, timeout=20)
    try:
        connection.request("GET", target, headers={"X-Request-Id": SENT})
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


@pytest.mark.parametrize("query", ["?", "?&", "?&&&&", "?=", "?v=1"])
def test_every_query_is_sent_back_also_one_that_says_nothing(gallery: Gallery, there: ServedOrigin, query: str) -> None:
    """A cache keeps `?&&` apart from `?&&&`: without end, and each time the function would be asked."""
    target = variant_of(gallery, PUBLIC)
    status, headers = fetched(there, target + query)
    assert (status, headers["cache-control"]) == (302, "private, no-store")
    assert headers["location"] == target.rpartition("/")[2]


def test_an_address_is_spelt_in_one_way(gallery: Gallery, there: ServedOrigin) -> None:
    """With a `%` or a fragment: each would be a further entry of every cache, without end."""
    target = variant_of(gallery, PUBLIC)
    for same in (target, f"http://cdn.example.com{target}"):
        assert fetched(there, same)[0] == 200
    in_percents = (target.replace("/a/", "/%61/", 1), f"{target[:-1]}%70", target.replace("/a/", "/a%2F", 1))
    for other in (*in_percents, f"{target}#x"):
        status, headers = fetched(there, other)
        assert (status, headers["cache-control"]) == (404, "private, no-store"), other


@pytest.mark.parametrize(("before", "status"), [("", 200), ("/", 404), ("////", 404)])
def test_slashes_more_are_another_address(gallery: Gallery, before: str, status: int) -> None:
    """As the server of a deployed function hands them on: gone from the path, there in what was asked for."""
    target = before + variant_of(gallery, PUBLIC)
    asked = Request({**create_environ(path="/"), "PATH_INFO": target, "RAW_URI": target})
    assert asked.path == variant_of(gallery, PUBLIC)
    assert answered(lambda: gallery.origin("cloudflare"), asked, "demo").status_code == status


def test_what_everybody_keeps_says_nothing_of_who_asked_first(gallery: Gallery, there: ServedOrigin) -> None:
    """The id of a request is in the answers that are for its sender alone."""
    exhibit = gallery.exhibits[PUBLIC_WITH_ORIGINAL]
    for target in (variant_of(gallery, PUBLIC), f"/a/{exhibit.public}/original.png"):
        status, headers = fetched(there, target)
        assert (status, "x-request-id" in headers) == (200, False)
        assert SENT not in str(headers)
    for target in ("/a/none", gallery.signed(exhibit, "original.png")):
        assert fetched(there, target)[1]["x-request-id"] == SENT
