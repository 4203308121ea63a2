"""Which project, and which of its tenants, a request is about; and the two ways to an operation."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from afterimage_emulator.auth.accounts.projects import Project, Projects
from afterimage_emulator.auth.api.answers import asks_as_admin, json_body, require_api_key
from afterimage_emulator.auth.errors import AuthError, not_in_auth, refused
from afterimage_emulator.auth.requests.request_reading import Request, read_request
from afterimage_emulator.auth.tokens.sign_in_tokens import IdToken, read_id_token
from afterimage_emulator.front.reached_at import reached_at
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response
from afterimage_emulator.wire.router import Refusing

Handler = Callable[[HttpRequest], Awaitable[HttpResponse]]
# mypy cannot say "a class and an operation on its instances" for a table of different ones.
Operation = tuple[type[Request], Callable[..., Any]]

_DEFAULT_ORIGIN = "http://127.0.0.1:9099"
_ADMINS_ONLY = "INSUFFICIENT_PERMISSION : Only authenticated requests can specify target_project_id."


class Addressed:
    """Finds what is meant; API keys name no project, so clients mean the suite's unless a token says otherwise."""

    def __init__(self, *, projects: Projects) -> None:
        self.projects = projects

    def for_clients(self, operation: Operation) -> Handler:
        """With an API key; an administrator may ask too, for any project."""
        kind, perform = operation

        async def answer(request: HttpRequest) -> HttpResponse:
            is_admin = asks_as_admin(request)
            if not is_admin:
                require_api_key(request)
            body = await json_body(request)
            project = self.meant(request, body, is_admin=is_admin)
            return await _performed(perform, project, kind, body, request, is_admin=is_admin)

        return answer

    def for_admins(self, operation: Operation) -> Handler:
        """The project, and maybe a tenant, stand in the path."""
        kind, perform = operation

        async def answer(request: HttpRequest) -> HttpResponse:
            self.require_admin_of_project(request)
            body = await json_body(request)
            project = self.meant(request, body, is_admin=True)
            return await _performed(perform, project, kind, body, request, is_admin=True)

        return answer

    def require_admin_of_project(self, request: HttpRequest) -> None:
        """Somebody with an API key is told that projects are named by administrators only."""
        if not asks_as_admin(request):
            require_api_key(request)
            raise refused(_ADMINS_ONLY)

    def meant(self, request: HttpRequest, body: Mapping[str, object], *, is_admin: bool) -> Project:
        """Everything that names a tenant must name the same one."""
        target, id_token = body.get("targetProjectId"), body.get("idToken")
        if isinstance(target, str) and target and not is_admin:
            raise refused(_ADMINS_ONLY)
        token = _readable(id_token) if isinstance(id_token, str) and id_token else None
        named = request.params.get("project") or (target if isinstance(target, str) else None)
        project = None
        if named:
            project = self.projects.get(named)
        elif token is not None and not is_admin:
            project = self.projects.known(token.project_id)
        elif isinstance(code := body.get("oobCode"), str) and code and not is_admin:
            of_code = self.projects.of_code(code)
            if of_code is not None:
                project = self.projects.get(of_code.id)
        project = project or self.projects.get()
        tenants = (request.params.get("tenant"), body.get("tenantId"), None if token is None else token.tenant_id)
        return self._tenant(project, {tenant for tenant in tenants if isinstance(tenant, str) and tenant})

    def _tenant(self, project: Project, named: set[str]) -> Project:
        if len(named) > 1:
            raise refused("TENANT_ID_MISMATCH")
        return project.tenant(named.pop()) if named else project

    def of_path(self, request: HttpRequest) -> Project:
        """The project of a path, or the tenant where the path names one."""
        project = self.projects.get(request.params["project"])
        tenant = request.params.get("tenant")
        return project if tenant is None else project.tenant(tenant)

    def of_query(self, request: HttpRequest) -> Project:
        """A client's question without a body: the suite's project, or the tenant that `tenantId` names."""
        project = self.projects.get()
        tenant = request.query_value("tenantId")
        return project.tenant(tenant) if tenant else project


def refusal(feature: str) -> Handler:
    """What answers for a feature that is not here; the table of routes tells why."""

    async def refuse(request: HttpRequest) -> HttpResponse:
        raise not_in_auth(feature)

    return Refusing(not_in_auth(feature).message, refuse)


async def _performed(
    perform: Callable[..., Any],
    project: Project,
    kind: type[Request],
    body: Mapping[str, object],
    request: HttpRequest,
    *,
    is_admin: bool,
) -> HttpResponse:
    parsed = read_request(kind, body, origin=reached_at(request, otherwise=_DEFAULT_ORIGIN))
    if project.sign_in.is_disabled:
        raise refused("PROJECT_DISABLED")
    answer = perform(project, parsed, is_admin=is_admin)
    return json_response(await answer if inspect.isawaitable(answer) else answer)


def _readable(id_token: str) -> IdToken | None:
    """What an operation cannot read, it refuses itself."""
    try:
        return read_id_token(id_token)
    except AuthError:
        return None
