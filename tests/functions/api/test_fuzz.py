"""The API against its own description: whatever a request looks like, no answer is a 5xx or another shape."""

from __future__ import annotations

import itertools
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from afterimage.api.description.openapi import openapi_of
from afterimage.api.routes import NoQuery
from afterimage.api.table import TABLE
from tests.functions.api.conftest import ServedApi
from tests.thoroughness import examples

EXAMPLES = examples(30)
STORAGE = "/api/phase5/storage"
BEYOND_A_SCHEMA = {
    ("POST", f"{STORAGE}/save-artifact"): "data or text, one of the two; names, folders and tags letter by letter",
    ("POST", f"{STORAGE}/upload"): "bytes decide over the type, and have to agree with the name",
    ("POST", f"{STORAGE}/files/merge"): "the file that stays is none of the others",
    ("POST", f"{STORAGE}/cleanup"): "a whole number is written without a point",
    ("POST", f"{STORAGE}/uploads"): "a whole number is written without a point",
    ("POST", f"{STORAGE}/uploads/{{upload_id}}/progress"): "a whole number is written without a point",
    ("GET", "/api/phase5/auth/callback"): "a state that was begun, and a code or an error",
    ("PATCH", f"{STORAGE}/files/{{file_id}}"): "names, folders and tags letter by letter",
}
"""Routes that refuse more than their schema can say, and what."""
_users = itertools.count()


@pytest.mark.hypothesis
@pytest.mark.parametrize("route", TABLE.routes, ids=lambda route: f"{route.method} {route.path}")
def test_whatever_is_sent_is_answered_as_described(served: ServedApi, route: Any) -> None:
    """Valid requests and broken ones, made from the description: every status and body is one that it names."""
    schema = schemathesis.openapi.from_dict(openapi_of(TABLE))
    operation = schema[route.path][route.method]
    address = served.instance(GENERATE_WAIT_SECONDS="0")
    served.waiting = []
    modes = [schemathesis.GenerationMode.POSITIVE]
    if route.parameters or route.query is not NoQuery or route.body is not None:
        modes.append(schemathesis.GenerationMode.NEGATIVE)
    # The same handlers over other stores: each run tries other examples.
    count = EXAMPLES if served.is_in_cloud else max(4, EXAMPLES // 3)
    for mode in modes:

        @settings(max_examples=count, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            user = served.user(f"fuzz-{next(_users)}")
            # As long as every other client here waits: a busy machine is no fault of the API.
            answer = case.call(base_url=address, headers=user.headers, timeout=60)
            assert answer.status_code < 500, answer.text
            # What makes a text a cursor cannot be described: a made-up one is refused, as it should be.
            is_open = "cursor" in route.query.__struct_fields__ or (route.method, route.path) in BEYOND_A_SCHEMA
            # Its probes without a token soon meet the ceiling for strangers; test_every_route.py asks every route.
            excluded = [ignored_auth, *([positive_data_acceptance] if is_open else [])]
            if not set(case.query or {}) <= set(httpx.URL(answer.request.url or "").params):
                # An unknown name with an empty list does not travel: what arrived is valid.
                excluded.append(negative_data_rejection)
            case.validate_response(answer, excluded_checks=excluded)

        check()
