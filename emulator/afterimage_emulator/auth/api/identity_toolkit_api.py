"""The REST dialects of sign-in and user management: Identity Toolkit v1, its v3 predecessor, and Secure Token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from afterimage_emulator.auth.accounts.project_config import config_json, update_config
from afterimage_emulator.auth.accounts.projects import Project, Projects
from afterimage_emulator.auth.api.answers import asks_as_admin, json_body, require_admin, require_api_key
from afterimage_emulator.auth.errors import AuthError, not_in_auth, refused
from afterimage_emulator.auth.operations.account_changes import AccountChanges
from afterimage_emulator.auth.operations.administration import Administration
from afterimage_emulator.auth.operations.signing_in import SigningIn
from afterimage_emulator.auth.requests.request_reading import Request, read_request
from afterimage_emulator.auth.requests.requests import (
    BatchCreate,
    BatchDelete,
    CreateAuthUri,
    Delete,
    GrantToken,
    LookUpAccounts,
    QueryAccounts,
    ResetPassword,
    SendOobCode,
    SignInWithCustomToken,
    SignInWithEmailLink,
    SignInWithPassword,
    SignUp,
    Update,
)
from afterimage_emulator.auth.tokens.sessions import PROJECT_NUMBER, SignedInUsers
from afterimage_emulator.auth.tokens.sign_in_tokens import read_id_token, read_refresh_token
from afterimage_emulator.front.reached_at import reached_at
from afterimage_emulator.status import Code
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response
from afterimage_emulator.wire.router import Refusing, Router

TOOLKIT = "/identitytoolkit.googleapis.com"
OLD_TOOLKIT = "/www.googleapis.com/identitytoolkit/v3/relyingparty"
SECURE_TOKEN = "/securetoken.googleapis.com"  # noqa: S105  a path, not a secret

Handler = Callable[[HttpRequest], Awaitable[HttpResponse]]
# mypy cannot say "a class and an operation on its instances" for a table of different ones.
Operation = tuple[type[Request], Callable[..., dict[str, Any]]]

_DEFAULT_ORIGIN = "http://127.0.0.1:9099"
_NOT_HERE = (
    "signInWithIdp",
    "signInWithPhoneNumber",
    "signInWithGameCenter",
    "sendVerificationCode",
    "verifyIosClient",
    "issueSamlResponse",
    "revokeToken",
)
_OLD_NAMES = {
    "createAuthUri": "createAuthUri",
    "deleteAccount": "delete",
    "emailLinkSignin": "signInWithEmailLink",
    "getAccountInfo": "lookup",
    "getOobConfirmationCode": "sendOobCode",
    "resetPassword": "resetPassword",
    "setAccountInfo": "update",
    "signupNewUser": "signUp",
    "verifyCustomToken": "signInWithCustomToken",
    "verifyPassword": "signInWithPassword",
}
_OLD_NOT_HERE = (
    "verifyAssertion",
    "verifyPhoneNumber",
    "sendVerificationCode",
    "getRecaptchaParam",
    "publicKeys",
    "setProjectConfig",
    "signOutUser",
)


class IdentityToolkitApi:
    """Translates requests to operations; answers with what they return."""

    def __init__(self, *, projects: Projects, sessions: SignedInUsers) -> None:
        self._projects = projects
        self._sessions = sessions
        signing_in = SigningIn(sessions=sessions)
        changes = AccountChanges(sessions=sessions)
        self._administration = Administration(sessions=sessions)
        self._operations: Mapping[str, Operation] = {
            "signUp": (SignUp, signing_in.sign_up),
            "signInWithPassword": (SignInWithPassword, signing_in.sign_in_with_password),
            "signInWithCustomToken": (SignInWithCustomToken, signing_in.sign_in_with_custom_token),
            "signInWithEmailLink": (SignInWithEmailLink, signing_in.sign_in_with_email_link),
            "createAuthUri": (CreateAuthUri, signing_in.create_auth_uri),
            "lookup": (LookUpAccounts, self._administration.lookup),
            "update": (Update, changes.update),
            "delete": (Delete, changes.delete),
            "sendOobCode": (SendOobCode, changes.send_oob_code),
            "resetPassword": (ResetPassword, changes.reset_password),
        }
        self._admin_operations: Mapping[str, Operation] = {
            "signUp": (SignUp, signing_in.sign_up),
            "lookup": (LookUpAccounts, self._administration.lookup),
            "update": (Update, changes.update),
            "delete": (Delete, changes.delete),
            "sendOobCode": (SendOobCode, changes.send_oob_code),
            "query": (QueryAccounts, self._administration.query),
            "batchCreate": (BatchCreate, self._administration.batch_create),
            "batchDelete": (BatchDelete, self._administration.batch_delete),
        }

    def add_routes(self, router: Router) -> None:
        for name, operation in self._operations.items():
            router.add("POST", f"{TOOLKIT}/v1/accounts:{name}", self._for_clients(operation))
        for name, operation in self._admin_operations.items():
            path = "accounts" if name == "signUp" else f"accounts:{name}"
            router.add("POST", f"{TOOLKIT}/v1/projects/{{project}}/{path}", self._for_admins(operation))
        router.add("GET", f"{TOOLKIT}/v1/projects/{{project}}/accounts:batchGet", self._batch_get)
        router.add("GET", f"{TOOLKIT}/v1/projects", self._project_config)
        router.add("GET", f"{TOOLKIT}/v2/projects/{{project}}/config", self._read_config)
        router.add("PATCH", f"{TOOLKIT}/v2/projects/{{project}}/config", self._write_config)
        router.add("POST", f"{SECURE_TOKEN}/v1/token", self._grant_token)
        for old, name in _OLD_NAMES.items():
            router.add("POST", f"{OLD_TOOLKIT}/{old}", self._for_clients(self._operations[name]))
        router.add("GET", f"{OLD_TOOLKIT}/getProjectConfig", self._project_config)
        router.add("POST", f"{OLD_TOOLKIT}/uploadAccount", self._upload_accounts)
        router.add("POST", f"{OLD_TOOLKIT}/downloadAccount", self._download_accounts)
        self._add_routes_of_what_is_not_here(router)

    def _add_routes_of_what_is_not_here(self, router: Router) -> None:
        for name in _NOT_HERE:
            router.add("*", f"{TOOLKIT}/v1/accounts:{name}", _refusal(f"accounts.{name}"))
        for name in _OLD_NOT_HERE:
            router.add("*", f"{OLD_TOOLKIT}/{name}", _refusal(name))
        router.add("*", f"{TOOLKIT}/v1/projects/{{project}}:createSessionCookie", _refusal("createSessionCookie"))
        router.add("*", f"{TOOLKIT}/{{version}}/projects/{{project}}/tenants{{rest=**}}", _refusal("tenants"))
        router.add("*", f"{TOOLKIT}/v1/recaptchaParams", _refusal("recaptchaParams"))
        router.add("*", f"{TOOLKIT}/v1/publicKeys", _refusal("publicKeys"))
        router.add("*", f"{TOOLKIT}/v1/sessionCookiePublicKeys", _refusal("sessionCookiePublicKeys"))
        router.add("*", f"{TOOLKIT}/v2/accounts:revokeToken", _refusal("revokeToken"))
        router.add(
            "*", f"{TOOLKIT}/v2/projects/{{project}}/identityPlatform:initializeAuth", _refusal("initializeAuth")
        )
        for name in ("mfaEnrollment", "mfaSignIn", "passkeyEnrollment", "passkeySignIn"):
            router.add("*", f"{TOOLKIT}/v2/accounts/{name}:{{step}}", _refusal(name))
        for name in ("recaptchaConfig", "passwordPolicy", "defaultSupportedIdps"):
            router.add("*", f"{TOOLKIT}/v2/{name}", _refusal(name))
        for name in ("oauthIdpConfigs", "inboundSamlConfigs", "defaultSupportedIdpConfigs"):
            router.add("*", f"{TOOLKIT}/v2/projects/{{project}}/{name}{{rest=**}}", _refusal(name))

    # -- the two ways to an operation

    def _for_clients(self, operation: Operation) -> Handler:
        kind, perform = operation

        async def answer(request: HttpRequest) -> HttpResponse:
            is_admin = asks_as_admin(request)
            if not is_admin:
                require_api_key(request)
            body = await json_body(request)
            project = self._project_meant(body, is_admin=is_admin)
            parsed = read_request(kind, body, origin=reached_at(request, otherwise=_DEFAULT_ORIGIN))
            return json_response(perform(project, parsed, is_admin=is_admin))

        return answer

    def _for_admins(self, operation: Operation) -> Handler:
        kind, perform = operation

        async def answer(request: HttpRequest) -> HttpResponse:
            require_admin(request)
            parsed = read_request(kind, await json_body(request), origin=reached_at(request, otherwise=_DEFAULT_ORIGIN))
            return json_response(perform(self._projects.get(request.params["project"]), parsed, is_admin=True))

        return answer

    def _project_meant(self, body: Mapping[str, object], *, is_admin: bool) -> Project:
        """API keys name no project here: the default one is meant, unless a token or a code belongs to another."""
        target, id_token, code = body.get("targetProjectId"), body.get("idToken"), body.get("oobCode")
        if is_admin and isinstance(target, str):
            return self._projects.get(target)
        project = None
        if isinstance(id_token, str) and id_token:
            project = self._projects.known(read_id_token(id_token).project_id)
        elif isinstance(code, str):
            project = self._projects.of_code(code)
        return project or self._projects.get()

    # -- what is no operation on one account

    async def _batch_get(self, request: HttpRequest) -> HttpResponse:
        require_admin(request)
        answer = self._administration.batch_get(
            self._projects.get(request.params["project"]),
            page_token=request.query_value("nextPageToken"),
            max_results=request.query_value("maxResults"),
        )
        return json_response(answer)

    async def _upload_accounts(self, request: HttpRequest) -> HttpResponse:
        require_admin(request)
        body = await json_body(request)
        parsed = read_request(BatchCreate, body)
        return json_response(self._administration.batch_create(self._target(body), parsed, is_admin=True))

    async def _download_accounts(self, request: HttpRequest) -> HttpResponse:
        require_admin(request)
        body = await json_body(request)
        size, token = body.get("maxResults"), body.get("nextPageToken")
        answer = self._administration.batch_get(
            self._target(body),
            page_token=token if isinstance(token, str) else None,
            max_results=None if size is None else str(size),
        )
        return json_response(answer)

    def _target(self, body: Mapping[str, object]) -> Project:
        target = body.get("targetProjectId")
        if not isinstance(target, str) or not target:
            raise refused("INSUFFICIENT_PERMISSION")
        return self._projects.get(target)

    async def _project_config(self, request: HttpRequest) -> HttpResponse:
        require_api_key(request)
        return json_response({"projectId": PROJECT_NUMBER, "authorizedDomains": ["localhost"]})

    async def _read_config(self, request: HttpRequest) -> HttpResponse:
        require_admin(request)
        return json_response(config_json(self._projects.get(request.params["project"])))

    async def _write_config(self, request: HttpRequest) -> HttpResponse:
        require_admin(request)
        project = self._projects.get(request.params["project"])
        update_config(project, await json_body(request))
        return json_response(config_json(project))

    async def _grant_token(self, request: HttpRequest) -> HttpResponse:
        if not asks_as_admin(request):
            require_api_key(request)
        if "json" in (request.headers.get("content-type") or ""):
            fields = dict(await json_body(request))
        else:
            raw = await request.body.read()
            try:
                fields = dict(parse_qsl(raw.decode(errors="replace"), keep_blank_values=True, max_num_fields=100))
            except ValueError:
                raise AuthError(Code.INVALID_ARGUMENT, "the form has too many fields", reason="parseError") from None
        fields = {"grantType": fields.get("grant_type"), "refreshToken": fields.get("refresh_token"), **fields}
        grant = read_request(GrantToken, fields)
        project = None
        if grant.refresh_token:
            project = self._projects.known(read_refresh_token(grant.refresh_token).project_id)
        return json_response(self._sessions.grant(project or self._projects.get(), grant))


def _refusal(feature: str) -> Handler:
    async def refuse(request: HttpRequest) -> HttpResponse:
        raise not_in_auth(feature)

    return Refusing(not_in_auth(feature).message, refuse)
