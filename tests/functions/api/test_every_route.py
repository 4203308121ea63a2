"""The table of routes: every row can be called, is described, and refuses strangers in the one shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from openapi_spec_validator import validate

from afterimage.api.description.documentation import with_routes
from afterimage.api.description.openapi import openapi_of
from afterimage.api.dispatch import RouteTable, TableError
from afterimage.api.errors import STATUS_OF, ApiError, ErrorBody, ErrorCode
from afterimage.api.routes import Access, AppCheck, Cost, Route
from afterimage.api.table import TABLE
from afterimage.delivery.handler_names import handler_at
from tests.functions.api.conftest import ServedApi

ROUTES = TABLE.routes
PAGE = Path(__file__).resolve().parents[3] / "docs/api.md"


def route(method: Any, path: str) -> Route:
    return Route(method=method, path=path, handler="a:b", summary="", answers=None)


def sent(http: httpx.Client, address: str, row: Route, headers: dict[str, str]) -> httpx.Response:
    path = row.path
    for name in row.parameters:
        path = path.replace(f"{{{name}}}", "some-id")
    body: dict[str, Any] = {"json": {}} if row.body not in (None, bytes) else {}
    # Each row is asked from an address of its own: strangers are counted by theirs.
    origin = {"X-Forwarded-For": f"{row.method} {row.path}"}
    return http.request(row.method, f"{address}{path}", headers=headers | origin, **body)


def refused_with(answer: httpx.Response) -> ErrorBody:
    """The error, which has the one shape and nothing beside it."""
    body = answer.json()
    assert set(body) == {"success", "error", "detail", "code"}
    assert body["error"]
    assert body["code"] in set(ErrorCode)
    return msgspec.convert(body, ErrorBody)


def test_every_row_names_a_handler_that_is_there_and_says_what_it_does() -> None:
    """A row is complete: the handler can be imported, and money is only spent for genuine apps' one-use tokens."""
    assert len(ROUTES) >= 4
    for row in ROUTES:
        assert callable(handler_at(row.handler)), row.path
        assert row.summary
        assert (row.cost is Cost.SPENDS) == (row.app_check is AppCheck.CONSUMED), row.path
        assert row.access is Access.ANYBODY or row.app_check is not AppCheck.EXEMPT, row.path


def test_the_description_is_valid_and_says_what_the_table_says() -> None:
    """OpenAPI 3.1, and each operation once."""
    description = openapi_of(TABLE)
    validate(description)
    described = {(method.upper(), path) for path, methods in description["paths"].items() for method in methods}
    assert described == {(row.method, row.path) for row in ROUTES}


def test_the_page_holds_the_table() -> None:
    """docs/api.md says what is served today: `python -m afterimage.api docs` writes it."""
    text = PAGE.read_text(encoding="utf-8")
    assert with_routes(text, TABLE) == text


def test_nobody_gets_in_without_a_token_where_one_is_needed(served: ServedApi) -> None:
    """No token, no scheme, nonsense, somebody else's project: 401 in the one shape, at every route for users."""
    address = served.instance()
    foreign = served.user("alice", aud="demo-other", iss="https://securetoken.google.com/demo-other")
    wrong = ["", "Bearer", "Basic dXNlcg==", "Bearer nonsense", "Bearer a.b.c", foreign.headers["Authorization"]]
    for row in ROUTES:
        if row.access is Access.ANYBODY:
            # Google's answer alone means something there: nothing is asked for a token, and nothing is done.
            expected = 400 if row.path == "/api/phase5/auth/callback" else row.status
            assert sent(served.http, address, row, {}).status_code == expected
            continue
        for header in wrong:
            answer = sent(served.http, address, row, {"Authorization": header})
            assert (answer.status_code, refused_with(answer).code) == (401, ErrorCode.AUTHENTICATION_FAILED), row.path


def test_where_apps_are_checked_every_route_but_the_exempt_asks_for_a_token(served: ServedApi) -> None:
    """A user is not enough; a genuine app's token is, a limited-use one twice is not."""
    address = served.instance(API_APP_CHECK="on")
    alice = served.user("alice")
    for row in ROUTES:
        if row.app_check is AppCheck.EXEMPT:
            continue
        for token in ("", "nonsense", "a.b.c"):
            answer = sent(served.http, address, row, {**alice.headers, "X-Firebase-AppCheck": token})
            assert (answer.status_code, refused_with(answer).code) == (401, ErrorCode.APP_CHECK_FAILED), row.path
        genuine = {"X-Firebase-AppCheck": served.app_check_token(limited_use=row.app_check is AppCheck.CONSUMED)}
        first, second = (sent(served.http, address, row, alice.headers | genuine) for _ in range(2))
        assert first.status_code != 401, row.path
        assert (second.status_code == 401) == (row.app_check is AppCheck.CONSUMED), row.path


def test_an_error_code_has_a_status_and_a_refusal_its_sentence() -> None:
    """A program tells errors apart by code, a proxy by status."""
    assert set(STATUS_OF) == set(ErrorCode)
    refusal = ApiError(ErrorCode.FILE_TOO_LARGE, "the file is too large", "100 MB at most")
    assert msgspec.json.decode(msgspec.json.encode(refusal.body)) == {
        "success": False, "error": "the file is too large", "detail": "100 MB at most", "code": "FILE_TOO_LARGE",
    }  # fmt: skip


def test_a_literal_segment_wins_over_a_name_wherever_it_stands_in_the_table() -> None:
    """`/active` is not an id, whichever row came first."""
    table = RouteTable([route("GET", "/x/{id}"), route("GET", "/x/active"), route("POST", "/x/{id}")])
    assert table.match("GET", "/x/active").route.path == "/x/active"
    assert table.match("GET", "/x/a-1/").path == {"id": "a-1"}
    assert table.match("POST", "/x/active").path == {"id": "active"}
    assert table.methods_at("/x/active") == {"GET", "POST"}
    for path in ("/x/..", "/x/a%2Fb", "/x/ä", "/x/__a__", "/x/" + "a" * 129, "/x", "/y/a", "//x/a"):
        with pytest.raises(ApiError) as raised:
            table.match("GET", path)
        assert raised.value.code is ErrorCode.NOT_FOUND
    with pytest.raises(ApiError) as raised:
        table.match("DELETE", "/x/a")
    assert (raised.value.status, raised.value.headers) == (405, {"Allow": "GET, HEAD, OPTIONS, POST"})


@pytest.mark.parametrize("other", ["/x/{id}", "/x/{name}"])
def test_two_rows_for_the_same_requests_are_refused(other: str) -> None:
    """Which of two handlers answers is never a matter of order."""
    with pytest.raises(TableError, match="twice"):
        RouteTable([route("GET", "/x/{id}"), route("GET", other)])
