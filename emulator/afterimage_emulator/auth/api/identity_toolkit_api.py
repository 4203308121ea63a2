"""The REST dialects of sign-in and user management: Identity Toolkit v1 and v2, its v3 predecessor, Secure Token."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from afterimage_emulator.auth.accounts.projects import Projects
from afterimage_emulator.auth.api.addressed import Addressed, Operation, refusal
from afterimage_emulator.auth.api.answers import asks_as_admin, json_body, require_admin, require_api_key
from afterimage_emulator.auth.blocking.asked_functions import AskedFunctions
from afterimage_emulator.auth.errors import refused, unreadable
from afterimage_emulator.auth.operations.account_changes import AccountChanges
from afterimage_emulator.auth.operations.administration import Administration
from afterimage_emulator.auth.operations.entrance import Entrance
from afterimage_emulator.auth.operations.passkeys import Passkeys
from afterimage_emulator.auth.operations.phone_sign_in import PhoneSignIn
from afterimage_emulator.auth.operations.provider_sign_in import ProviderSignIn
from afterimage_emulator.auth.operations.second_factor_operations import SecondFactorOperations
from afterimage_emulator.auth.operations.session_cookies import SessionCookies
from afterimage_emulator.auth.operations.signing_in import SigningIn
from afterimage_emulator.auth.operations.signing_up import SigningUp
from afterimage_emulator.auth.requests.request_reading import read_request
from afterimage_emulator.auth.requests.requests import (
    BatchCreate,
    BatchDelete,
    CreateAuthUri,
    CreateSessionCookie,
    Delete,
    EnrollSecondFactor,
    GrantToken,
    LookUpAccounts,
    QueryAccounts,
    ResetPassword,
    SendOobCode,
    SendVerificationCode,
    SignInWithCustomToken,
    SignInWithEmailLink,
    SignInWithIdp,
    SignInWithPassword,
    SignInWithPhoneNumber,
    SignInWithSecondFactor,
    SignUp,
    Update,
    UsePasskey,
    WithdrawSecondFactor,
)
from afterimage_emulator.auth.settings.password_policy import policy_json
from afterimage_emulator.auth.tokens.sessions import PROJECT_NUMBER, SignedInUsers
from afterimage_emulator.auth.tokens.sign_in_tokens import read_refresh_token
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response
from afterimage_emulator.wire.router import Router

TOOLKIT = "/identitytoolkit.googleapis.com"
OLD_TOOLKIT = "/www.googleapis.com/identitytoolkit/v3/relyingparty"
SECURE_TOKEN = "/securetoken.googleapis.com"  # noqa: S105  a path, not a secret

_NOT_HERE = ("signInWithGameCenter", "verifyIosClient", "issueSamlResponse")
_OLD_NAMES = {
    "createAuthUri": "createAuthUri",
    "deleteAccount": "delete",
    "emailLinkSignin": "signInWithEmailLink",
    "getAccountInfo": "lookup",
    "getOobConfirmationCode": "sendOobCode",
    "resetPassword": "resetPassword",
    "sendVerificationCode": "sendVerificationCode",
    "setAccountInfo": "update",
    "signupNewUser": "signUp",
    "verifyAssertion": "signInWithIdp",
    "verifyCustomToken": "signInWithCustomToken",
    "verifyPassword": "signInWithPassword",
    "verifyPhoneNumber": "signInWithPhoneNumber",
}
_OLD_NOT_HERE = ("setProjectConfig", "signOutUser")
_RECAPTCHA = {
    "kind": "identitytoolkit#GetRecaptchaParamResponse",
    "recaptchaStoken": (
        "This-is-a-fake-token__Dont-send-this-to-the-Recaptcha-service__The-Auth-Emulator-does-not-support-Recaptcha"
    ),
    "recaptchaSiteKey": "Fake-key__Do-not-send-this-to-Recaptcha_",
}


class IdentityToolkitApi:
    """Translates requests to operations; answers with what they return."""

    def __init__(
        self, *, projects: Projects, sessions: SignedInUsers, functions: AskedFunctions, addressed: Addressed
    ) -> None:
        self._projects = projects
        self._sessions = sessions
        self._addressed = addressed
        entrance = Entrance(sessions=sessions, functions=functions)
        signing_up = SigningUp(sessions=sessions, entrance=entrance)
        signing_in = SigningIn(sessions=sessions, entrance=entrance)
        providers = ProviderSignIn(sessions=sessions, entrance=entrance)
        phones = PhoneSignIn(sessions=sessions, entrance=entrance)
        changes = AccountChanges(sessions=sessions)
        self._administration = Administration(sessions=sessions)
        self._cookies = SessionCookies(sessions=sessions)
        self._passkeys = Passkeys(sessions=sessions)
        self._factors = SecondFactorOperations(sessions=sessions, entrance=entrance)
        shared: Mapping[str, Operation] = {
            "signUp": (SignUp, signing_up.sign_up),
            "lookup": (LookUpAccounts, self._administration.lookup),
            "update": (Update, changes.update),
            "delete": (Delete, changes.delete),
            "sendOobCode": (SendOobCode, changes.send_oob_code),
        }
        self._operations: Mapping[str, Operation] = {
            **shared,
            "signInWithPassword": (SignInWithPassword, signing_in.sign_in_with_password),
            "signInWithCustomToken": (SignInWithCustomToken, signing_in.sign_in_with_custom_token),
            "signInWithEmailLink": (SignInWithEmailLink, signing_in.sign_in_with_email_link),
            "signInWithIdp": (SignInWithIdp, providers.sign_in_with_idp),
            "signInWithPhoneNumber": (SignInWithPhoneNumber, phones.sign_in_with_phone_number),
            "sendVerificationCode": (SendVerificationCode, phones.send_verification_code),
            "createAuthUri": (CreateAuthUri, signing_in.create_auth_uri),
            "resetPassword": (ResetPassword, changes.reset_password),
        }
        self._admin_operations: Mapping[str, Operation] = {
            **shared,
            "query": (QueryAccounts, self._administration.query),
            "batchCreate": (BatchCreate, self._administration.batch_create),
        }

    def forget(self) -> None:
        self._factors.forget()

    def add_routes(self, router: Router) -> None:
        addressed, factors = self._addressed, self._factors
        for name, operation in self._operations.items():
            router.add("POST", f"{TOOLKIT}/v1/accounts:{name}", addressed.for_clients(operation))
        second_factors: Mapping[str, Operation] = {
            "mfaEnrollment:start": (EnrollSecondFactor, factors.start_enrollment),
            "mfaEnrollment:finalize": (EnrollSecondFactor, factors.finalize_enrollment),
            "mfaEnrollment:withdraw": (WithdrawSecondFactor, factors.withdraw),
            "mfaSignIn:start": (SignInWithSecondFactor, factors.start_sign_in),
            "mfaSignIn:finalize": (SignInWithSecondFactor, factors.finalize_sign_in),
        }
        passkeys = self._passkeys
        credentials: Mapping[str, Operation] = {
            "passkeyEnrollment:start": (UsePasskey, passkeys.start_enrollment),
            "passkeyEnrollment:finalize": (UsePasskey, passkeys.finalize_enrollment),
            "passkeySignIn:start": (UsePasskey, passkeys.start_sign_in),
            "passkeySignIn:finalize": (UsePasskey, passkeys.finalize_sign_in),
        }
        for name, operation in {**second_factors, **credentials}.items():
            router.add("POST", f"{TOOLKIT}/v2/accounts/{name}", addressed.for_clients(operation))
        for scope in ("{project}", "{project}/tenants/{tenant}"):
            self._add_admin_routes(router, f"{TOOLKIT}/v1/projects/{scope}")
        router.add("GET", f"{TOOLKIT}/v1/projects", self._project_config)
        router.add("GET", f"{TOOLKIT}/v1/recaptchaParams", self._recaptcha_parameters)
        router.add("GET", f"{TOOLKIT}/v2/passwordPolicy", self._password_policy)
        router.add("POST", f"{SECURE_TOKEN}/v1/token", self._grant_token)
        for old, name in _OLD_NAMES.items():
            router.add("POST", f"{OLD_TOOLKIT}/{old}", addressed.for_clients(self._operations[name]))
        router.add("GET", f"{OLD_TOOLKIT}/getProjectConfig", self._project_config)
        router.add("GET", f"{OLD_TOOLKIT}/getRecaptchaParam", self._recaptcha_parameters)
        router.add("POST", f"{OLD_TOOLKIT}/uploadAccount", self._upload_accounts)
        router.add("POST", f"{OLD_TOOLKIT}/downloadAccount", self._download_accounts)
        self._add_routes_of_what_is_not_here(router)

    def _add_admin_routes(self, router: Router, scope: str) -> None:
        addressed = self._addressed
        for name, operation in self._admin_operations.items():
            path = "accounts" if name == "signUp" else f"accounts:{name}"
            router.add("POST", f"{scope}/{path}", addressed.for_admins(operation))
        router.add("GET", f"{scope}/accounts:batchGet", self._batch_get)
        batch_delete: Operation = (BatchDelete, self._administration.batch_delete)
        cookie: Operation = (CreateSessionCookie, self._cookies.create)
        router.add("POST", f"{scope}/accounts:batchDelete", addressed.for_admins(batch_delete))
        router.add("POST", f"{scope}:createSessionCookie", addressed.for_admins(cookie))

    def _add_routes_of_what_is_not_here(self, router: Router) -> None:
        for name in _NOT_HERE:
            router.add("*", f"{TOOLKIT}/v1/accounts:{name}", refusal(f"accounts.{name}"))
        for name in _OLD_NOT_HERE:
            router.add("*", f"{OLD_TOOLKIT}/{name}", refusal(name))
        router.add("*", f"{TOOLKIT}/v1/sessionCookiePublicKeys", refusal("sessionCookiePublicKeys"))
        router.add("*", f"{TOOLKIT}/v2/accounts:revokeToken", refusal("revokeToken"))
        router.add("*", f"{TOOLKIT}/v2/projects/{{project}}/identityPlatform:initializeAuth", refusal("initializeAuth"))
        for name in ("recaptchaConfig", "defaultSupportedIdps"):
            router.add("*", f"{TOOLKIT}/v2/{name}", refusal(name))
        for scope in ("{project}", "{project}/tenants/{tenant}"):
            router.add(
                "*",
                f"{TOOLKIT}/v2/projects/{scope}/defaultSupportedIdpConfigs{{rest=**}}",
                refusal("defaultSupportedIdpConfigs"),
            )

    # -- what is no operation on one account

    async def _batch_get(self, request: HttpRequest) -> HttpResponse:
        self._addressed.require_admin_of_project(request)
        answer = self._administration.batch_get(
            self._addressed.of_path(request),
            page_token=request.query_value("nextPageToken"),
            max_results=request.query_value("maxResults"),
        )
        return json_response(answer)

    async def _upload_accounts(self, request: HttpRequest) -> HttpResponse:
        require_admin(request)
        body = await json_body(request)
        project = self._projects.get(_target(body))
        parsed = read_request(BatchCreate, body)
        return json_response(self._administration.batch_create(project, parsed, is_admin=True))

    async def _download_accounts(self, request: HttpRequest) -> HttpResponse:
        require_admin(request)
        body = await json_body(request)
        size, token = body.get("maxResults"), body.get("nextPageToken")
        answer = self._administration.batch_get(
            self._projects.get(_target(body)),
            page_token=token if isinstance(token, str) else None,
            max_results=None if size is None else str(size),
        )
        return json_response(answer)

    async def _project_config(self, request: HttpRequest) -> HttpResponse:
        require_api_key(request)
        return json_response({"projectId": PROJECT_NUMBER, "authorizedDomains": ["localhost"]})

    async def _recaptcha_parameters(self, request: HttpRequest) -> HttpResponse:
        require_api_key(request)
        return json_response(_RECAPTCHA)

    async def _password_policy(self, request: HttpRequest) -> HttpResponse:
        require_api_key(request)
        return json_response(policy_json(self._addressed.of_query(request).sign_in.password_policy))

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
                raise unreadable("the form has too many fields") from None
        fields = {"grantType": fields.get("grant_type"), "refreshToken": fields.get("refresh_token"), **fields}
        grant = read_request(GrantToken, fields)
        project = None
        if grant.refresh_token:
            token = read_refresh_token(grant.refresh_token)
            project = self._projects.known(token.project_id)
            if project is not None and token.tenant_id is not None:
                project = project.tenant(token.tenant_id)
        return json_response(self._sessions.grant(project or self._projects.get(), grant))


def _target(body: Mapping[str, object]) -> str:
    target = body.get("targetProjectId")
    if not isinstance(target, str) or not target:
        raise refused("INSUFFICIENT_PERMISSION")
    return target
