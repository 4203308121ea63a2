"""What admins do with accounts: look them up, list, count, import and delete many at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

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
    "INVALID_PHONE_NUMBER": "phone number format is invalid",
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

    def lookup(self, project: Project, request: LookUpAccounts, *, is_admin: bool) -> dict[str, object]:
        answer: dict[str, object] = {"kind": "identitytoolkit#GetAccountInfoResponse"}
        if not is_admin:
            if not request.id_token:
                raise refused("MISSING_ID_TOKEN")
            account, _ = self._sessions.authenticate(project, request.id_token)
            return {**answer, "users": [account_json(account)]}
        found = {account.uid: account_json(account) for account in _named(project, request)}
        # Admin SDKs tell "nobody" by the field's absence.
        return {**answer, "users": list(found.values())} if found else answer

    def batch_get(self, project: Project, *, page_token: str | None, max_results: str | None) -> dict[str, object]:
        accounts, more = project.accounts.page(after_uid=page_token or None, limit=_page_size(max_results))
        answer: dict[str, object] = {
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
        if request.sanity_check:
            _check_distinct_names(request.users, emails=not project.settings.allow_duplicate_emails)
        if not request.allow_overwrite:
            _check_distinct_uids(request.users)
        errors = []
        for index, fields in enumerate(request.users):
            message = self._import(project, request, fields)
            if message is not None:
                errors.append({"index": index, "message": message})
        return {"kind": "identitytoolkit#UploadAccountResponse", "error": errors}

    def _import(self, project: Project, request: BatchCreate, fields: Mapping[str, object]) -> str | None:
        try:
            user = read_request(ImportedUser, fields)
            if user.tenant_id and user.tenant_id != project.tenant_id:
                raise refused("Tenant id in userInfo does not match the tenant id in request.")
            account = imported_account(user, now_ms=self._sessions.now_ms(), tenant_id=project.tenant_id)
            # Tokens of before an import end, whatever it says.
            account = replace(
                account,
                valid_since_seconds=self._sessions.now_seconds(),
                email_verified=bool(account.email_verified),
                disabled=bool(account.disabled),
            )
            if request.allow_overwrite:
                project.accounts.put(account)
            else:
                project.accounts.create(account)
        except AuthError as error:
            code = error.message.partition(" : ")[0]
            if code == "EMAIL_EXISTS" and not request.sanity_check:
                return f"((email exists in another account: {fields.get('email')}))"
            return _FRIENDLY.get(code, error.message)
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


def _check_distinct_names(users: Iterable[Mapping[str, object]], *, emails: bool) -> None:
    addresses: set[str] = set()
    identities: set[tuple[str, str]] = set()
    for user in users:
        email, links = user.get("email"), user.get("providerUserInfo")
        if emails and isinstance(email, str) and email:
            if email in addresses:
                raise refused(f"DUPLICATE_EMAIL : {email}")
            addresses.add(email)
        for link in links if isinstance(links, list) else ():
            provider_id, raw_id = (
                (link.get("providerId"), link.get("rawId")) if isinstance(link, dict) else (None, None)
            )
            if not isinstance(provider_id, str) or not isinstance(raw_id, str):
                continue
            if (provider_id, raw_id) in identities:
                raise refused(f"DUPLICATE_RAW_ID : Provider id({provider_id}), Raw id({raw_id})")
            identities.add((provider_id, raw_id))


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
        raise malformed(" must be integer") from None
    return None if wanted < 0 else min(wanted or _DEFAULT_PAGE, LARGEST_PAGE)
