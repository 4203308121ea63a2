"""The routes by which tools steer the service: reset, clear, rules and their coverage, export and import, shutdown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from afterimage_emulator.clock import NANOS_PER_SECOND, Clock
from afterimage_emulator.firestore.documents.document_store import DocumentStore
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName, invalid_argument, parse_database
from afterimage_emulator.firestore.documents.stored_documents import Change
from afterimage_emulator.firestore.rules.loaded_rules import LoadedRules
from afterimage_emulator.firestore.transactions.sessions import Sessions
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response, text_response
from afterimage_emulator.wire.offered import Offered
from afterimage_emulator.wire.router import Router

_PROJECT: Final = "/emulator/v1/projects/{project}"
_DOCUMENTS: Final = _PROJECT + "/databases/{database}/documents"


class ControlRoutes:
    """Everything under /emulator/v1, and POST /reset and /shutdown."""

    def __init__(
        self,
        *,
        store: DocumentStore,
        sessions: Sessions,
        rules: LoadedRules,
        clock: Clock,
        kept: Callable[[], Awaitable[None]],
        shut_down: Callable[[], None] | None = None,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._rules = rules
        self._clock = clock
        self._kept = kept
        self._shut_down = shut_down
        self._router = Router()
        add = self._router.add
        add("POST", "/reset", self._reset)
        add("POST", "/shutdown", self._shutdown)
        add("PUT POST", _PROJECT + ":securityRules", self._load_rules)
        add("GET", _PROJECT + ":securityRules", self._show_rules)
        add("GET", _PROJECT + ":ruleCoverage", self._coverage)
        add("GET", _PROJECT + ":ruleCoverage.html", self._coverage_page)
        add("POST", _PROJECT + ":export", self._export)
        add("POST", _PROJECT + ":import", self._import)
        add("DELETE", _DOCUMENTS, self._clear)
        add("DELETE", _DOCUMENTS + "/{path=**}", self._clear_below)

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        return await self._router(request)

    def offered(self) -> Sequence[Offered]:
        return self._router.offered()

    async def _reset(self, request: HttpRequest) -> HttpResponse:
        self._sessions.reset()
        await self._kept()
        return json_response({})

    async def _shutdown(self, request: HttpRequest) -> HttpResponse:
        if self._shut_down is None:
            raise StatusError(Code.UNIMPLEMENTED, "this service cannot stop itself; stop the suite that runs it")
        self._shut_down()
        return text_response("Shutting down\n")

    # -- documents

    async def _clear(self, request: HttpRequest) -> HttpResponse:
        """All documents of one database; nobody needs to be signed in for that, and no function hears of it."""
        name = DatabaseName(request.params["project"], request.params["database"])
        session = self._sessions.of(name)
        session.transactions.end_all()
        session.database.clear()
        await self._kept()
        return json_response({})

    async def _clear_below(self, request: HttpRequest) -> HttpResponse:
        """A document with everything below it, or a collection."""
        database = self._store.database(DatabaseName(request.params["project"], request.params["database"]))
        path = request.params["path"].strip("/")
        doomed = [
            document
            for collection in tuple(database.collections.values())
            for document in collection.documents.values()
            if document.path == path or document.path.startswith(f"{path}/")
        ]
        changes = [Change(document.path, document, None) for document in doomed]
        database.commit(changes, database.next_commit_time())
        await self._kept()
        return json_response({})

    # -- rules

    async def _load_rules(self, request: HttpRequest) -> HttpResponse:
        body = await request.json()
        source, file_name = _rules_source(body)
        ignores_errors = isinstance(body, dict) and bool(body.get("ignore_errors", body.get("ignoreErrors")))
        issues = self._rules.load(request.params["project"], source, file_name=file_name)
        await self._kept()
        if any(issue.get("severity") == "ERROR" for issue in issues) and not ignores_errors:
            first = next(issue for issue in issues if issue.get("severity") == "ERROR")
            message = f"the rules do not compile: {first.get('description')}"
            error = {"code": 400, "message": message, "status": Code.INVALID_ARGUMENT.name}
            return json_response({"error": error, "issues": issues}, 400)
        return json_response({"issues": issues} if issues else {})

    async def _show_rules(self, request: HttpRequest) -> HttpResponse:
        file_name, source = self._rules.source(request.params["project"])
        return json_response({"rules": {"files": [{"name": file_name, "content": source}]}})

    async def _coverage(self, request: HttpRequest) -> HttpResponse:
        return json_response(self._rules.coverage(request.params["project"]))

    async def _coverage_page(self, request: HttpRequest) -> HttpResponse:
        page = self._rules.coverage_page(request.params["project"])
        return HttpResponse(200, [("content-type", "text/html; charset=utf-8")], page.encode())

    # -- export and import

    async def _export(self, request: HttpRequest) -> HttpResponse:
        """One database where the body names it, else all of the project."""
        body = await request.json()
        directory, name = _directory(body), _text_in(body, "export_name", "exportName") or self._name_by_now()
        project = request.params["project"]
        database = _text_in(body, "database", "database")
        named = parse_database(database) if database else None
        wanted = [one for one in self._store.databases() if one.name.project == project and named in (None, one.name)]
        if not directory.is_dir():
            raise StatusError(Code.FAILED_PRECONDITION, f"export_directory must be a directory, not `{directory}`")
        from afterimage_emulator.firestore.exports.broken_exports import inside
        from afterimage_emulator.firestore.exports.databases import export_databases

        try:
            await export_databases(wanted, inside(directory, name, of="export_name"), name=name, project=project)
        except OSError as error:
            raise StatusError(Code.FAILED_PRECONDITION, f"`{error.filename}`: {error.strerror}") from None
        return json_response({})

    def _name_by_now(self) -> str:
        return f"firestore_export_{self._clock.now_ns() // NANOS_PER_SECOND}"

    async def _import(self, request: HttpRequest) -> HttpResponse:
        """`export_directory` is the overall metadata file, as the official one takes it, or the folder it lies in."""
        body = await request.json()
        source, name = _directory(body), _text_in(body, "export_name", "exportName")
        from afterimage_emulator.firestore.exports.databases import import_folder, import_tree

        project = request.params["project"]
        if source.is_file():
            await import_tree(self._store, source, project=project)
        else:
            await import_folder(self._store, source / name if name else source, project=project)
        await self._kept()
        return json_response({})


def _rules_source(body: Any) -> tuple[str, str]:
    try:
        files = body["rules"]["files"]
        first = files[0]
        source = first["content"]
    except (TypeError, KeyError, IndexError):
        raise invalid_argument('the body must be {"rules": {"files": [{"content": "…"}]}}') from None
    if not isinstance(source, str):
        raise invalid_argument("`rules.files[0].content` must be text")
    return source, str(first.get("name") or "firestore.rules")


def _directory(body: Any) -> Path:
    given = body.get("export_directory", body.get("exportDirectory")) if isinstance(body, dict) else None
    if not isinstance(given, str) or not given:
        raise invalid_argument('the body must be {"export_directory": "…", "export_name": "…"}')
    return Path(given)


def _text_in(body: Any, name: str, other_name: str) -> str:
    given = body.get(name, body.get(other_name)) if isinstance(body, dict) else None
    return given if isinstance(given, str) else ""
