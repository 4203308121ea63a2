"""The Hosting service: every site of firebase.json, each with a port of its own, put together from this package."""

from __future__ import annotations

import html
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path

from afterimage_emulator.configuration import Address, HostingSection
from afterimage_emulator.hosting.file_answers import file_answer, read_content
from afterimage_emulator.hosting.function_rewrites import ANSWER_LIMIT_SECONDS, FunctionRewrites, FunctionsBeside
from afterimage_emulator.hosting.installed_sdk import InstalledSdk
from afterimage_emulator.hosting.live_settings import LiveSettings
from afterimage_emulator.hosting.public_files import PublicFiles
from afterimage_emulator.hosting.redirects import Redirect
from afterimage_emulator.hosting.request_paths import RequestPath, read_path
from afterimage_emulator.hosting.reserved_pages import PREFIX, AuthPage, ReservedPages
from afterimage_emulator.hosting.routing import MISSING_PAGE, Decision, Missing, ShownFile, decide, missing
from afterimage_emulator.hosting.site_settings import FunctionTarget, NotServedHere, SiteSettings
from afterimage_emulator.hosting.visitor_languages import language_folders
from afterimage_emulator.hosting.withheld_files import WithheldFiles
from afterimage_emulator.status import HTTP_STATUS, StatusError
from afterimage_emulator.wire.grpc_methods import GrpcMethod
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, text_response
from afterimage_emulator.wire.offered import Offered

_TOLD_LIMIT = 100
_log = logging.getLogger("afterimage_emulator.hosting")


class HostingService:
    """Serves what `sections` describe. `read_again` reads them anew from `file`, whenever that changes.

    `private_files` and `private_folders` are the project's own, which no site is served.
    """

    grpc: Sequence[GrpcMethod] = ()

    def __init__(
        self,
        *,
        sections: Sequence[HostingSection],
        root: Path,
        project_id: str,
        default_bucket: str,
        addresses: Callable[[], Mapping[str, Address]],
        auth_page: AuthPage | None = None,
        functions: FunctionsBeside | None = None,
        file: Path | None = None,
        read_again: Callable[[], Sequence[HostingSection]] = list,
        private_files: Iterable[Path] = (),
        private_folders: Iterable[Path] = (),
        answer_limit_seconds: float | None = ANSWER_LIMIT_SECONDS,
    ) -> None:
        self._live = LiveSettings(sections, root, file=file, read_again=read_again)
        self._withheld = WithheldFiles(private_files, private_folders)
        self._reserved = ReservedPages(
            project_id=project_id,
            default_bucket=default_bucket,
            addresses=addresses,
            sdk=InstalledSdk(root),
            auth_page=auth_page,
        )
        self._rewrites = FunctionRewrites(
            functions,
            project_id=project_id,
            address=lambda: str(addresses().get("functions", "127.0.0.1")),
            answer_limit_seconds=answer_limit_seconds,
        )
        self._told: set[str] = set()

    # -- what the suite asks

    async def http(self, request: HttpRequest) -> HttpResponse:
        """The first site's port."""
        return await self._answer(request, 0)

    def further_sites(self) -> Mapping[str, Callable[[HttpRequest], Awaitable[HttpResponse]]]:
        """Handlers for the ports of the other sites, by their names."""

        def handler(index: int) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
            async def answer(request: HttpRequest) -> HttpResponse:
                return await self._answer(request, index)

            return answer

        sites = self._live.sites()
        return {site.name or str(index): handler(index) for index, site in enumerate(sites) if index}

    def warnings(self) -> list[str]:
        found = [warning for site in self._live.sites() for warning in site.warnings]
        folders = [site.public for site in self._live.sites() if site.public is not None]
        absent = [folder for folder in folders if not folder.is_dir()]
        return found + [f"the public folder `{folder}` of Hosting does not exist" for folder in absent]

    def offered(self) -> Sequence[Offered]:
        """Each project's own addresses, and none of the suite's."""
        return ()

    def is_admin_route(self, request: HttpRequest) -> bool:
        """A site is for everybody; what its functions guard, they guard themselves."""
        return False

    def reset(self) -> None:
        """A site has no data: its files are the project's."""

    async def export_to(self, directory: Path) -> None:
        """A site has no data of its own."""

    async def import_from(self, directory: Path) -> None:
        """A site has no data of its own."""

    async def close(self) -> None:
        await self._rewrites.close()

    # -- a request

    async def _answer(self, request: HttpRequest, index: int) -> HttpResponse:
        sites = self._live.sites()
        if index >= len(sites):
            return text_response("firebase.json describes no such site under `hosting`; add one, or start again", 404)
        settings = sites[index]
        if request.raw_path.startswith(PREFIX):
            return await self._reserved.answer(request, [settings.public] if settings.public is not None else [])
        try:
            path = read_path(request.raw_path)
        except StatusError as error:
            return text_response(error.message, HTTP_STATUS[error.code])
        files = PublicFiles(settings.public, ignore=settings.ignore, withheld=self._withheld, tell=self._tell)
        languages = [] if settings.languages is None else language_folders(settings.languages, request.headers)
        decision = decide(settings, files, path, request.raw_query, languages=languages)
        if isinstance(decision, Redirect):
            leading = HttpResponse(decision.status, [("location", decision.location)])
            return leading if decision.is_ordered else _with_headers(leading, settings, [path.text])
        if isinstance(decision, FunctionTarget):
            called = await self._rewrites.call(request, decision)
            if called is not None:
                return _with_headers(called, settings, [path.text])
            decision = missing(files, languages)
        return await self._shown(request, settings, path, decision)

    async def _shown(
        self, request: HttpRequest, settings: SiteSettings, path: RequestPath, decision: Decision
    ) -> HttpResponse:
        """Files and pages, with the headers that firebase.json gives to their path."""
        about = [path.text]
        try:
            if isinstance(decision, ShownFile):
                content = await read_content(decision.file)
                answer = await file_answer(content, request.headers, status=decision.status)
                if settings.languages is not None:
                    answer.with_header("vary", "Accept-Language, Cookie, X-Country-Code")
                return _with_headers(answer, settings, about)
            if isinstance(decision, NotServedHere):
                return text_response(decision.reason, 501)
            page = decision.page if isinstance(decision, Missing) else None
            about.append(f"/{MISSING_PAGE}")
            if page is not None:
                shown = await file_answer(await read_content(page), request.headers, status=404)
                return _with_headers(shown, settings, about)
        except OSError as error:
            _log.debug("a file went away while it was served: %s", error)
        return _with_headers(_nothing_there(request.raw_path), settings, about)

    def _tell(self, name: str, reason: str) -> None:
        """Once for each file: production would publish it."""
        if name not in self._told and len(self._told) < _TOLD_LIMIT:
            self._told.add(name)
            _log.warning(
                "`%s` is not served: %s; production would publish it, so name it in `ignore` of `hosting`", name, reason
            )


def _with_headers(answer: HttpResponse, settings: SiteSettings, paths: Sequence[str]) -> HttpResponse:
    """Later rules win, and each wins over what the answer brought along."""
    chosen = {
        name: value
        for path in paths
        for rule in settings.headers
        if rule.source.covers(path)
        for name, value in rule.headers
    }
    if chosen:
        kept = [(name, value) for name, value in answer.headers if name.lower() not in chosen]
        answer.headers = [*kept, *chosen.items()]
    return answer


def _nothing_there(raw_path: str) -> HttpResponse:
    body = (
        "<!doctype html><meta charset=utf-8><title>404</title>"
        "<h1>Nothing is here</h1>"
        f"<p>No file and no rewrite of this site answers <code>{html.escape(raw_path[:200])}</code>. "
        f"A file <code>{MISSING_PAGE}</code> in its folder would be shown instead of this page.</p>\n"
    )
    return HttpResponse(
        404, [("content-type", "text/html; charset=utf-8"), ("cache-control", "no-cache")], body.encode()
    )
