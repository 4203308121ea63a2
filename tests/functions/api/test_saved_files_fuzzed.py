"""Whatever is sent to the routes of saved files gets an answer in the one shape, and never a fault of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from afterimage.api.admission.tokens import FirebaseTokens
from afterimage.api.application import Api
from afterimage.api.dispatch import RouteTable
from afterimage.api.errors import ErrorCode
from afterimage.api.rooms.storage_routes import STORAGE_ROUTES
from afterimage.api.rooms.versions_routes import VERSIONS_ROUTES
from afterimage.api.routes import Route
from afterimage.api.services import Services
from afterimage.artifacts.descriptions import Description
from afterimage.artifacts.handlers import library_over
from afterimage.artifacts.library import Saving
from afterimage.artifacts.versions import file_of_save
from afterimage.settings import read_settings
from afterimage.store.memory_documents import MemoryDocuments
from afterimage.store.memory_files import MemoryFiles
from afterimage.store.memory_links import MemoryLinks
from tests.thoroughness import examples

ROUTES = (*STORAGE_ROUTES, *VERSIONS_ROUTES)
FILE = file_of_save("ana", "begin")
"""The id of the one file that is there."""
SETTINGS = read_settings({"GCLOUD_PROJECT": "demo-x", "API_APP_CHECK": "off"})


class AnybodyTokens(FirebaseTokens):
    """Believes that every caller is the same user."""

    def __init__(self) -> None:
        super().__init__(lambda: None)  # no app is ever asked

    def user(self, id_token: str) -> Mapping[str, Any]:
        return {"uid": "ana"}


def odd_values(kind: Any) -> st.SearchStrategy[Any]:
    """Values for a field, mostly of its type and at its edges, now and then of another."""
    texts = st.sampled_from(["", ".", "..", "a/b", "v1", "1", "v999999999", "x" * 3000, "é\u0000\n", "__x__", FILE])
    numbers = st.sampled_from([0, 1, -1, 2**31, 2**63, 10**30, 1.5])
    anything = st.none() | st.booleans() | numbers | texts | st.lists(texts, max_size=3)
    text = str(kind)
    likely = texts if "str" in text else numbers if "int" in text else st.booleans() if "bool" in text else anything
    return st.one_of(likely, likely, likely, anything)


def bodies(kind: Any) -> st.SearchStrategy[Any]:
    if kind is None or kind is bytes:
        return st.none()
    fields = {field.encode_name: odd_values(field.type) for field in msgspec.structs.fields(kind)}
    return st.fixed_dictionaries({}, optional=fields)


@pytest.mark.parametrize("row", ROUTES, ids=lambda row: f"{row.method} {row.path}")
@hypothesis_settings(max_examples=examples(25))
@given(data=st.data())
def test_every_request_is_answered(row: Route, data: st.DataObject) -> None:
    """Fields and parameters of every kind, at routes with and without a file behind them."""
    documents, files = MemoryDocuments(), MemoryFiles()
    services = Services(
        documents=lambda: documents,
        files=lambda: files,
        links=MemoryLinks,
        settings=lambda: SETTINGS,
        tokens=AnybodyTokens(),
    )
    library = library_over(documents, files, SETTINGS)
    for number, save in enumerate(("begin", "again")):
        saving = Saving(file=FILE if number else None)
        library.save("ana", b'{"a": %d}' % number, Description(name="a.json"), saving, save=save)
    api, flask = Api(RouteTable(ROUTES), services), Flask("fuzz")
    path = row.path
    for name in row.parameters:
        path = path.replace(f"{{{name}}}", data.draw(st.sampled_from([FILE, "nobody", "a" * 128])))
    body = data.draw(bodies(row.body))
    query = {name: str(value) for name, value in (data.draw(bodies(row.query)) or {}).items()}
    content = data.draw(st.binary(max_size=50)) if row.body is bytes else json.dumps(body).encode()
    with flask.test_request_context(
        path, method=row.method, query_string=query, data=content, content_type="application/json",
        headers={"Authorization": "Bearer any"},
    ) as context:  # fmt: skip
        answer = api(context.request)
    assert answer.status_code < 500 or answer.status_code == 507, answer.get_data(as_text=True)
    shown = json.loads(answer.get_data())
    if answer.status_code >= 400:
        assert set(shown) == {"success", "error", "detail", "code"}
        assert shown["code"] in set(ErrorCode)
