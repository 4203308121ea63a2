"""The pages that stand for identity providers, as the SDKs open them: for a popup or redirect, and for its helper."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Final

from afterimage_emulator.auth.accounts.account_json import link_json
from afterimage_emulator.auth.accounts.projects import Project, Projects
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response

HANDLER: Final = "handler"
_PAGES: Final = files("afterimage_emulator.auth") / "pages"
_FILES: Final = {"handler": "handler.html", "iframe": "iframe.html"} | {
    name: name for name in ("handler.js", "iframe.js", "gapi.js")
}
_KINDS: Final = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8"}
# The page shows what requests carry, on an origin where administrators' requests are taken: no script but its own runs.
_NOTHING_ELSE: Final = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_NOBODY_KNOWN: Final = b'id="known">[]<'


class ProviderPages:
    """The pages know nothing of where they are served: Hosting serves them too, at addresses of its own."""

    def __init__(self, *, projects: Projects) -> None:
        self._projects = projects

    def answer(self, request: HttpRequest, name: str) -> HttpResponse | None:
        """None where there is no such page."""
        file = _FILES.get(name)
        if file is None:
            return None
        content = (_PAGES / file).read_bytes()
        headers = [
            ("content-type", _KINDS[file.rpartition(".")[2]]),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ]
        if name == HANDLER:
            for parameter in ("apiKey", "providerId"):
                if not request.query_value(parameter):
                    return json_response({"authEmulator": {"error": f"missing {parameter} query parameter"}}, 400)
            content = content.replace(_NOBODY_KNOWN, b'id="known">' + self._known(request) + b"<")
            headers.append(("content-security-policy", _NOTHING_ELSE))
        return HttpResponse(200, headers, content)

    def _known(self, request: HttpRequest) -> bytes:
        """The accounts that have signed in at this provider before, as JSON that stays JSON within a page."""
        provider_id = (request.query_value("providerId") or "").lower()
        known = [link_json(link) for link in self._project(request).accounts.linked_to(provider_id)]
        return json.dumps(known).replace("<", "\\u003c").encode()

    def _project(self, request: HttpRequest) -> Project:
        project = self._projects.get()
        tenant = request.query_value("tid") or request.query_value("tenantId")
        return project.tenant(tenant) if tenant else project
