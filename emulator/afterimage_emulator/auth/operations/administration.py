"""What admins do with accounts: look them up, list, count, import and delete many at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from afterimage_emulator.auth.accounts.account_json import account_json
from afterimage_emulator.auth.accounts.accounts import Account
from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.errors import AuthError, malformed, not_in_auth, refused
from afterimage_emulator.auth.operations.importing import imported_account
from afterimage_emulator.auth.requests.request_reading import read_request
from afterimage_emulator.auth.requests.requests import (
    BatchCreate,
    BatchDelete,
    ImportedUser,
    LookUpAccounts,
    QueryAccounts,
)
from afterimage_emulator.auth.tokens.sessions import SignedInUsers

LARGEST_PAGE = 1000
LARGEST_BATCH = 1000
_DEFAULT_PAGE = 20
_FRIENDLY = {
    "INVALID_CLAIMS": "Invalid custom claims provided.",
    "CLAIMS_TOO_LARGE": "Custom claims provided are too large.",
    "FORBIDDEN_CLAIM": "Custom claims provided include a reserved claim.",
    "EMAIL_EXISTS": "email exists in other account in database",
    "PHONE_NUMBER_EXISTS": "phone number exists in other account in database",
    "FEDERATED_USER_ID_ALREADY_LINKED": "raw id exists in other account in database",
    "DUPLICATE_LOCAL_ID": "localId belongs to an existing account - can not overwrite.",
}


class Administration:
    """The operations; each takes the project it works on and whether an admin asks."""

    def __init__(self, *, sessions: SignedInUsers) -> None:
        self._sessions = sessions

    def lookup(self, project: Project, request: LookUpAccounts, *, is_admin: bool) -> dict[str, Any]:
        answer = {"kind": "identitytoolkit#GetAccountInfoResponse"}
        if request.id_token and not (is_admin and request.local_id):
            account, _ = self._sessions.authenticate(project, request.id_token)
            return {**answer, "users": [account_json(account)]}
        if not is_admin:
            raise refused("MISSING_ID_TOKEN")
        found = {account.uid: account_json(account) for account in _named(project, request)}
        # Admin SDKs tell "nobody" by the field's absence.
        return {**answer, "users": list(found.values())} if found else answer

    def batch_get(self, project: Project, *, page_token: str | None, max_results: str | None) -> dict[str, object]:
        accounts, more = project.accounts.page(after_uid=page_token or None, limit=_page_size(max_results))
        answer: dict[str, Any] = {
            "kind": "identitytoolkit#DownloadAccountResponse",
            "users": [account_json(account) for account in accounts],
        }
        if more:
            answer["nextPageToken"] = accounts[-1].uid
        return answer

    def query(self, project: Project, request: QueryAccounts, *, is_admin: bool) -> dict[str, object]:
        if request.return_user_info is False:
            return {"recordsCount": str(len(project.accounts))}
        if request.sort_by not in (None, "SORT_BY_FIELD_UNSPECIFIED", "USER_ID"):
            raise not_in_auth(f"sortBy {request.sort_by}")
        accounts = list(project.accounts)
        if request.order == "DESC":
            accounts.reverse()
        first = max(0, request.offset or 0)
        last = first + request.limit if request.limit is not None and request.limit > 0 else None
        users = [account_json(account) for account in accounts[first:last]]
        return {"recordsCount": str(len(users)), "userInfo": users}

    def batch_create(self, project: Project, request: BatchCreate, *, is_admin: bool) -> dict[str, object]:
        """Imports what can be imported and names what cannot, by its place in the list."""
        if not request.users:
            raise refused("MISSING_USER_ACCOUNT")
        if len(request.users) > LARGEST_BATCH:
            raise refused("MAXIMUM_USER_COUNT_EXCEEDED")
        if not request.allow_overwrite:
            _check_distinct_uids(request.users)
        errors = []
        for index, fields in enumerate(request.users):
            message = self._import(project, fields, allow_overwrite=bool(request.allow_overwrite))
            if message is not None:
                errors.append({"index": index, "message": message})
        return {"kind": "identitytoolkit#UploadAccountResponse", "error": errors}

    def _import(self, project: Project, fields: Mapping[str, object], *, allow_overwrite: bool) -> str | None:
        try:
            account = imported_account(read_request(ImportedUser, fields), now_ms=self._sessions.now_ms())
            if account.valid_since_seconds is None:
                account = replace(account, valid_since_seconds=self._sessions.now_seconds())
            if allow_overwrite:
                project.accounts.put(account)
            else:
                project.accounts.create(account)
        except AuthError as error:
            return _FRIENDLY.get(error.message.partition(" : ")[0], error.message)
        return None

    def batch_delete(self, project: Project, request: BatchDelete, *, is_admin: bool) -> dict[str, object]:
        if not 0 < len(request.local_ids) <= LARGEST_BATCH:
            raise refused("LOCAL_ID_LIST_EXCEEDS_LIMIT")
        errors = []
        for index, uid in enumerate(request.local_ids):
            account = project.accounts.by_uid(uid)
            if account is not None and not account.disabled and not request.force:
                message = "NOT_DISABLED : Disable the account before batch deletion."
                errors.append({"index": index, "localId": uid, "message": message})
            else:
                project.accounts.delete(uid)
        return {"errors": errors} if errors else {}


def _named(project: Project, request: LookUpAccounts) -> Iterable[Account]:
    found = [project.accounts.by_uid(uid) for uid in request.local_id]
    found += [project.accounts.by_email(email.lower()) for email in request.email]
    found += [project.accounts.by_phone_number(number) for number in request.phone_number]
    for identity in request.federated_user_id:
        provider_id, raw_id = identity.get("providerId"), identity.get("rawId")
        if isinstance(provider_id, str) and isinstance(raw_id, str):
            found.append(project.accounts.by_identity(provider_id, raw_id))
    return [account for account in found if account is not None]


def _check_distinct_uids(users: Iterable[Mapping[str, object]]) -> None:
    seen = set()
    for user in users:
        uid = user.get("localId")
        if not isinstance(uid, str):
            continue
        if uid in seen:
            raise refused(f"DUPLICATE_LOCAL_ID : {uid}")
        seen.add(uid)


def _page_size(text: str | None) -> int | None:
    """A negative size is the official emulator's way to ask for everybody."""
    if text is None or text == "":
        return _DEFAULT_PAGE
    try:
        wanted = int(text[:10])
    except ValueError:
        raise malformed("`maxResults` must be a whole number") from None
    return None if wanted < 0 else min(wanted or _DEFAULT_PAGE, LARGEST_PAGE)
