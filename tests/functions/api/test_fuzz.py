"""The API against its own description: whatever a request looks like, no answer is a 5xx or another shape."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from afterimage.api.description.openapi import openapi_of
from afterimage.api.routes import NoQuery
from afterimage.api.table import TABLE
from tests.functions.api.conftest import ServedApi

EXAMPLES = 20
_users = itertools.count()


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
    for mode in modes:

        @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            user = served.user(f"fuzz-{next(_users)}")
            answer = case.call(base_url=address, headers=user.headers)
            assert answer.status_code < 500, answer.text
            # What makes a text a cursor cannot be described: a made-up one is refused, as it should be.
            excluded = [positive_data_acceptance] if "cursor" in route.query.__struct_fields__ else []
            case.validate_response(answer, excluded_checks=excluded)

        check()
