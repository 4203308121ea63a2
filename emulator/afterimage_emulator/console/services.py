"""Hands the page's requests to the services of its suite, as their administrator, and answers what no service does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from afterimage_emulator.configuration import Configuration
from afterimage_emulator.firestore.documents.document_store import Database, DocumentStore
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName, id_key
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http_messages import Headers, HttpHandler, HttpRequest, HttpResponse, json_response
from afterimage_emulator.wire.router import Router

PREFIX: Final = "/console/services/"
SHOWN_MISSING: Final = 1_000
_DEFAULT: Final = "(default)"
# What the page needs of each service; not, for one, the route that ends the process.
_REACHED: Final[Mapping[str, tuple[str, ...]]] = {
    "auth": ("/identitytoolkit.googleapis.com/v1/projects/", "/identitytoolkit.googleapis.com/v2/projects/"),
    "firestore": ("/v1/", "/emulator/v1/"),
    "pubsub": ("/v1/projects/",),
    "storage": ("/storage/v1/b", "/download/storage/v1/b/", "/upload/storage/v1/b/"),
    "tasks": ("/v2/projects/",),
}

# Stored HTML is no page of the console's origin, however it is opened.
_NO_PAGE: Final = (
    ("content-security-policy", "default-src 'none'; sandbox"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
)


class ConsoleServices:
    """Everything under /console/services. A request that comes here has shown the console's token."""

    def __init__(self, services: Mapping[str, Any], *, project: str, configuration: Configuration) -> None:
        self._services = services
        self._project = project
        self._configuration = configuration
        self._routes = Router()
        self._routes.add("GET", PREFIX + "firestore/databases", self._databases)
        self._routes.add("GET", PREFIX + "firestore/missing", self._missing)
        self._routes.add("*", PREFIX + "{service}/{path=**}", self._pass_on)

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        return await self._routes(request)

    def _service(self, name: str) -> Any:
        service = self._services.get(name)
        if service is None:
            raise StatusError(
                Code.NOT_FOUND, f"this suite runs no service `{name[:40]}`; start it with `--only {name[:40]}`"
            )
        return service

    async def _pass_on(self, request: HttpRequest) -> HttpResponse:
        """Faults and counts of requests are for programs: what a developer looks at changes neither."""
        name = request.params["service"]
        handler: HttpHandler = self._service(name).http
        path = request.raw_path.removeprefix(f"{PREFIX}{name}")
        if not path.startswith(_REACHED.get(name, ())):
            raise StatusError(Code.NOT_FOUND, f"the console reaches no `{path[:200]}` of the service `{name}`")
        # Without the page's origin: the service would name it as one that may read the answer.
        given = [(passed, request.headers.get(passed)) for passed in ("content-type", "range")]
        headers = Headers([("authorization", "Bearer owner"), *((key, value) for key, value in given if value)])
        answer = await handler(dataclasses.replace(request, raw_path=path, headers=headers, params={}))
        kept = [(header, value) for header, value in answer.headers if header.lower() == "content-type"]
        return HttpResponse(answer.status, [*kept, *_NO_PAGE], answer.body)

    # -- Firestore

    async def _databases(self, request: HttpRequest) -> HttpResponse:
        """Those that firebase.json names, and those that somebody used."""
        store: DocumentStore = self._service("firestore").store
        found = {database.name.database for database in store.databases() if database.name.project == self._project}
        found |= {target.database for target in self._configuration.firestore} | {_DEFAULT}
        return json_response({"databases": sorted(found, key=lambda name: (name != _DEFAULT, name))})

    async def _missing(self, request: HttpRequest) -> HttpResponse:
        """Ids in a collection that stand for no document, and have collections below them."""
        store: DocumentStore = self._service("firestore").store
        collection = request.query_value("collection") or ""
        database = store.database(DatabaseName(self._project, request.query_value("database") or _DEFAULT))
        ids = sorted(_missing_ids(database, collection), key=id_key)
        return json_response({"ids": list(islice(ids, SHOWN_MISSING)), "total": len(ids)})


def _missing_ids(database: Database, collection: str) -> set[str]:
    """Looks at collections, which are few where documents are many."""
    start = len(collection) + 1
    ids = {below.path[start:].partition("/")[0] for below in database.collections_under(collection)}
    return {found for found in ids if database.get(f"{collection}/{found}") is None}
