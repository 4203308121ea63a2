"""The REST dialect of settings, Identity Toolkit v2: a project's configuration, its tenants, its providers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.api.addressed import Addressed, Handler, refusal
from afterimage_emulator.auth.api.answers import json_body
from afterimage_emulator.auth.configuration.project_config import config_json, update_config
from afterimage_emulator.auth.configuration.tenant_config import (
    create_tenant,
    known_tenant,
    list_tenants,
    tenant_json,
    update_tenant,
)
from afterimage_emulator.auth.errors import malformed
from afterimage_emulator.auth.settings.provider_configs import KINDS, OIDC, ProviderKind
from afterimage_emulator.auth.settings.provider_configs import provider_config_json as provider_json
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response
from afterimage_emulator.wire.router import Router

_PROJECT = "/identitytoolkit.googleapis.com/v2/projects/{project}"
_TENANT = f"{_PROJECT}/tenants/{{tenant}}"


class SettingsApi:
    """For administrators alone; what a tenant has of its own stands below its path."""

    def __init__(self, *, addressed: Addressed) -> None:
        self._addressed = addressed

    def add_routes(self, router: Router) -> None:
        router.add("GET", f"{_PROJECT}/config", self._read_config)
        router.add("PATCH", f"{_PROJECT}/config", self._write_config)
        for scope in (_PROJECT, _TENANT):
            for kind in KINDS.values():
                self._add_provider_routes(router, f"{scope}/{kind.collection}", kind)
        router.add("POST", f"{_PROJECT}/tenants", self._create_tenant)
        router.add("GET", f"{_PROJECT}/tenants", self._list_tenants)
        for verb in ("getIamPolicy", "setIamPolicy", "testIamPermissions"):
            router.add("POST", f"{_TENANT}:{verb}", refusal(verb))
        router.add("GET", _TENANT, self._read_tenant)
        router.add("PATCH", _TENANT, self._update_tenant)
        router.add("DELETE", _TENANT, self._delete_tenant)

    # -- the project's configuration

    async def _read_config(self, request: HttpRequest) -> HttpResponse:
        self._addressed.require_admin_of_project(request)
        return json_response(config_json(self._project(request)))

    async def _write_config(self, request: HttpRequest) -> HttpResponse:
        self._addressed.require_admin_of_project(request)
        project = self._project(request)
        update_config(project, await json_body(request), mask=request.query_value("updateMask"))
        return json_response(config_json(project))

    # -- tenants

    async def _create_tenant(self, request: HttpRequest) -> HttpResponse:
        self._addressed.require_admin_of_project(request)
        return json_response(create_tenant(self._project(request), await json_body(request)))

    async def _list_tenants(self, request: HttpRequest) -> HttpResponse:
        self._addressed.require_admin_of_project(request)
        answer = list_tenants(self._project(request), after=request.query_value("pageToken"), size=_page_size(request))
        return json_response(answer)

    async def _read_tenant(self, request: HttpRequest) -> HttpResponse:
        self._addressed.require_admin_of_project(request)
        return json_response(tenant_json(self._known_tenant(request)))

    async def _update_tenant(self, request: HttpRequest) -> HttpResponse:
        self._addressed.require_admin_of_project(request)
        body = await json_body(request)
        return json_response(update_tenant(self._known_tenant(request), body, request.query_value("updateMask")))

    async def _delete_tenant(self, request: HttpRequest) -> HttpResponse:
        self._addressed.require_admin_of_project(request)
        self._project(request).tenants.pop(request.params["tenant"], None)
        return json_response({})

    # -- providers of a project or of a tenant

    def _add_provider_routes(self, router: Router, path: str, kind: ProviderKind) -> None:
        def handled(work: Callable[[Project, str, HttpRequest, Any], dict[str, object]]) -> Handler:
            async def answer(request: HttpRequest) -> HttpResponse:
                self._addressed.require_admin_of_project(request)
                project = self._addressed.of_path(request)
                body = await json_body(request) if request.method in ("POST", "PATCH") else {}
                return json_response(work(project, request.params.get("config", ""), request, body))

            return answer

        def create(project: Project, name: str, request: HttpRequest, body: Any) -> dict[str, object]:
            given = request.query_value("oauthIdpConfigId" if kind is OIDC else "inboundSamlConfigId") or ""
            return provider_json(kind, given, project.providers.create(kind, given, body), parent=_parent(project))

        def read(project: Project, name: str, request: HttpRequest, body: Any) -> dict[str, object]:
            return provider_json(kind, name, project.providers.get(kind, name), parent=_parent(project))

        def update(project: Project, name: str, request: HttpRequest, body: Any) -> dict[str, object]:
            changed = project.providers.update(kind, name, body, request.query_value("updateMask"))
            return provider_json(kind, name, changed, parent=_parent(project))

        def delete(project: Project, name: str, request: HttpRequest, body: Any) -> dict[str, object]:
            project.providers.delete(kind, name)
            return {}

        def listed(project: Project, name: str, request: HttpRequest, body: Any) -> dict[str, object]:
            names, more = project.providers.page(kind, after=request.query_value("pageToken"), size=_page_size(request))
            found = [
                provider_json(kind, one, project.providers.get(kind, one), parent=_parent(project)) for one in names
            ]
            return {kind.collection: found, **({"nextPageToken": names[-1]} if more else {})}

        router.add("POST", path, handled(create))
        router.add("GET", path, handled(listed))
        router.add("GET", f"{path}/{{config}}", handled(read))
        router.add("PATCH", f"{path}/{{config}}", handled(update))
        router.add("DELETE", f"{path}/{{config}}", handled(delete))

    # -- inside

    def _project(self, request: HttpRequest) -> Project:
        return self._addressed.projects.get(request.params["project"])

    def _known_tenant(self, request: HttpRequest) -> Project:
        return known_tenant(self._project(request), request.params["tenant"])


def _parent(project: Project) -> str:
    tenant = "" if project.tenant_id is None else f"/tenants/{project.tenant_id}"
    return f"projects/{project.id}{tenant}"


def _page_size(request: HttpRequest) -> int | None:
    text = request.query_value("pageSize")
    if not text:
        return None
    if not text.isdecimal() or len(text) > 9:
        raise malformed("/pageSize must be integer")
    return int(text)
