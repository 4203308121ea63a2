"""The emulator's own routes: state of a project for tests to read and clear, and the page behind e-mailed links."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from afterimage_emulator.auth.accounts.account_json import account_json, present
from afterimage_emulator.auth.accounts.links import checked_continue_url
from afterimage_emulator.auth.accounts.oob_codes import OobCode, Purpose
from afterimage_emulator.auth.accounts.projects import Project, Projects
from afterimage_emulator.auth.api.answers import json_body
from afterimage_emulator.auth.api.provider_pages import ProviderPages
from afterimage_emulator.auth.configuration.project_config import switches_json, update_config
from afterimage_emulator.auth.errors import AuthError
from afterimage_emulator.auth.operations.account_changes import AccountChanges
from afterimage_emulator.auth.requests.requests import ResetPassword, Update
from afterimage_emulator.auth.tokens.sessions import SignedInUsers
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response
from afterimage_emulator.wire.router import Router

CONTROL_PREFIX = "/emulator/v1/"
_PROJECT = CONTROL_PREFIX + "projects/{project}"
_MODES = {
    "resetPassword": Purpose.PASSWORD_RESET,
    "verifyEmail": Purpose.VERIFY_EMAIL,
    "verifyAndChangeEmail": Purpose.VERIFY_AND_CHANGE_EMAIL,
    "recoverEmail": Purpose.RECOVER_EMAIL,
}
_DONE = {
    "resetPassword": "password has been successfully updated",
    "verifyEmail": "email has been successfully verified",
    "verifyAndChangeEmail": "email has been successfully changed",
    "recoverEmail": "email has been successfully reset",
}
_ASKED = {
    "resetPassword": ("reset your password", "resetting your password"),
    "verifyEmail": ("verify your email", "verifying your email"),
    "verifyAndChangeEmail": ("change your email", "changing your email"),
}
_PLACEHOLDER = "NEW_PASSWORD_HERE"


class AuthControlApi:
    """Asks nobody who they are: it exists only locally, behind the guard of the port."""

    def __init__(self, *, projects: Projects, sessions: SignedInUsers, pages: ProviderPages) -> None:
        self._projects = projects
        self._pages = pages
        self._changes = AccountChanges(sessions=sessions)

    def add_routes(self, router: Router) -> None:
        router.add("GET", "/", self._about)
        for scope in (_PROJECT, f"{_PROJECT}/tenants/{{tenant}}"):
            router.add("GET", f"{scope}/accounts", self._list_accounts)
            router.add("DELETE", f"{scope}/accounts", self._delete_accounts)
            router.add("GET", f"{scope}/oobCodes", self._list_oob_codes)
            router.add("GET", f"{scope}/verificationCodes", self._list_verification_codes)
        router.add("GET", f"{_PROJECT}/config", self._read_config)
        router.add("PATCH", f"{_PROJECT}/config", self._write_config)
        router.add("GET", "/emulator/action", self._follow_link)
        router.add("GET", "/emulator/auth/{page}", self._provider_page)

    async def _about(self, request: HttpRequest) -> HttpResponse:
        return json_response({"authEmulator": {"ready": True, "docs": "docs/auth.md"}})

    async def _list_accounts(self, request: HttpRequest) -> HttpResponse:
        project = self._project(request)
        return json_response({"users": [account_json(account) for account in project.accounts]})

    async def _delete_accounts(self, request: HttpRequest) -> HttpResponse:
        self._project(request).accounts.clear()
        return json_response({})

    async def _read_config(self, request: HttpRequest) -> HttpResponse:
        return json_response(switches_json(self._project(request)))

    async def _write_config(self, request: HttpRequest) -> HttpResponse:
        project = self._project(request)
        update_config(project, await json_body(request))
        return json_response(switches_json(project))

    async def _list_oob_codes(self, request: HttpRequest) -> HttpResponse:
        return json_response({"oobCodes": [_code_json(code) for code in self._project(request).oob_codes]})

    async def _list_verification_codes(self, request: HttpRequest) -> HttpResponse:
        """What SMS would have carried, and nobody has used yet."""
        codes = [
            {"phoneNumber": code.phone_number, "sessionInfo": code.session_info, "code": code.code}
            for code in self._project(request).phone_codes
        ]
        return json_response({"verificationCodes": codes})

    async def _provider_page(self, request: HttpRequest) -> HttpResponse:
        page = self._pages.answer(request, request.params["page"])
        if page is None:
            raise StatusError(Code.NOT_FOUND, f"Auth has no page `{request.params['page'][:100]}`")
        return page

    async def _follow_link(self, request: HttpRequest) -> HttpResponse:
        """What clicking a link in an e-mail would do; a new password comes as `&newPassword=`."""
        text, mode = request.query_value("oobCode") or "", request.query_value("mode") or ""
        for name, value in (("apiKey", request.query_value("apiKey")), ("oobCode", text)):
            if not value:
                return _page({"error": f"missing {name} query parameter", "instructions": f"add `&{name}=` to the URL"})
        if mode == "signIn":
            return _lead_to_sign_in(request)
        if mode not in _MODES:
            return _page({"error": "Invalid mode"})
        project = self._projects.of_code(text)
        code = None if project is None else project.oob_codes.get(text)
        if project is None or code is None or _MODES[mode] is not code.purpose:
            return _page(_unusable(mode))
        password = request.query_value("newPassword")
        try:
            if code.purpose is not Purpose.PASSWORD_RESET:
                self._changes.update(project, Update(oob_code=code.code), is_admin=False)
            elif not password or password == _PLACEHOLDER:
                return _page(_without_password(code, password))
            else:
                self._changes.reset_password(
                    project, ResetPassword(oob_code=code.code, new_password=password), is_admin=False
                )
        except AuthError as error:
            return _page(_unusable(mode) if error.message == "INVALID_OOB_CODE" else {"error": error.message})
        target = request.query_value("continueUrl") or code.continue_url
        if target is not None and mode != "recoverEmail":
            try:
                return HttpResponse(303, [("location", checked_continue_url(target))])
            except AuthError as error:
                return _page({"error": error.message})
        told = {"newEmail": code.new_email} if code.new_email is not None else {"email": code.email}
        return _page({"success": f"The {_DONE[mode]}.", **told}, 200)

    def _project(self, request: HttpRequest) -> Project:
        project = self._projects.get(request.params["project"])
        tenant = request.params.get("tenant")
        return project if tenant is None else project.tenant(tenant)


def _lead_to_sign_in(request: HttpRequest) -> HttpResponse:
    """The code is the app's to use: its page gets all that the link says, a used one's too, and signs in with it."""
    target = request.query_value("continueUrl")
    if not target:
        instructions = "To sign in, append &continueUrl=YOUR_APP_URL to the link."
        return _page({"error": "Missing continueUrl query parameter", "instructions": instructions})
    try:
        parts = urlsplit(checked_continue_url(target))
    except AuthError as error:
        return _page({"error": error.message})
    told = {name: value for name, value in parse_qsl(request.raw_query) if name != "continueUrl"}
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in told]
    url = urlunsplit(parts._replace(query=urlencode([*kept, *told.items()])))
    return HttpResponse(303, [("location", url)])


def _code_json(code: OobCode) -> dict[str, object]:
    return present(
        {
            "email": code.email,
            "newEmail": code.new_email,
            "oobCode": code.code,
            "oobLink": code.link,
            "requestType": code.purpose.value,
        }
    )


def _unusable(mode: str) -> dict[str, object]:
    if mode == "recoverEmail":
        return {
            "error": "Requested mode does not match the OOB code provided.",
            "instructions": "Change the address again: that makes a new link.",
        }
    what, again = _ASKED[mode]
    return {
        "error": f"Your request to {what} has expired or the link has already been used.",
        "instructions": f"Try {again} again.",
    }


def _without_password(code: OobCode, password: str | None) -> dict[str, object]:
    return {
        "error": f"newPassword must be something other than '{_PLACEHOLDER}'"
        if password
        else "missing newPassword query parameter",
        "instructions": f"To reset the password for {code.email}, GET this URL with the password in it.",
        "urlTemplate": f"{code.link}&newPassword={_PLACEHOLDER}",
    }


def _page(content: dict[str, object], status: int = 400) -> HttpResponse:
    return json_response({"authEmulator": content}, status)
