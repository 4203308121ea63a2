"""Owns who is signed in: every way in and out, and an ID token that is renewed before it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from afterimage_client.auth.identity_toolkit import IdentityToolkit
from afterimage_client.auth.persistence import SessionStore
from afterimage_client.auth.refusals import SESSION_IS_OVER
from afterimage_client.auth.session import IdToken, Session, User, read_claims
from afterimage_client.errors import AuthError
from afterimage_client.freshness import Lifetime, Now, SingleFlight, system_instant

_log = logging.getLogger("afterimage_client.auth")
_DEFAULT_LIFETIME_SECONDS = 3600.0
_LONGEST_LIFETIME_SECONDS = 24 * 3600.0


class Auth:
    """The user of this app. At most one is signed in; signing in as another replaces them."""

    def __init__(self, *, toolkit: IdentityToolkit, store: SessionStore, now: Now = system_instant) -> None:
        self._toolkit = toolkit
        self._store = store
        self._now = now
        self._session: Session | None = None
        self._renewal: SingleFlight[str] = SingleFlight()
        self._observers: dict[Callable[[User | None], None], None] = {}
        self._saving = asyncio.Lock()

    # -- who it is

    @property
    def current_user(self) -> User | None:
        return None if self._session is None else self._session.user

    async def restore(self) -> User | None:
        """Takes up the session of an earlier run. The app does this when it opens."""
        text = await asyncio.to_thread(self._store.load)
        session = None if text is None else Session.from_text(text)
        if session is not None:
            self._take(session)
        return self.current_user

    def observe(self, observer: Callable[[User | None], None]) -> Callable[[], None]:
        """Calls `observer` whenever another user, or nobody, is signed in. Returns what ends that."""
        self._observers[observer] = None
        return lambda: self._observers.pop(observer, None)

    async def changes(self) -> AsyncIterator[User | None]:
        """The user now, and again at every change."""
        queue: asyncio.Queue[User | None] = asyncio.Queue()
        queue.put_nowait(self.current_user)
        stop = self.observe(queue.put_nowait)
        try:
            while True:
                yield await queue.get()
        finally:
            stop()

    # -- ways in

    async def sign_up(self, email: str, password: str, *, display_name: str | None = None) -> User:
        """Makes an account with a password and signs in to it."""
        _check_texts(email=email, password=password)
        body = {"email": email, "password": password, "displayName": display_name, "returnSecureToken": True}
        return await self._enter(await self._toolkit.call("signUp", body))

    async def sign_in_with_password(self, email: str, password: str) -> User:
        _check_texts(email=email, password=password)
        body = {"email": email, "password": password, "returnSecureToken": True}
        return await self._enter(await self._toolkit.call("signInWithPassword", body, may_repeat=True))

    async def sign_in_anonymously(self) -> User:
        """An account without a name. Somebody signed in anonymously already stays who they are."""
        user = self.current_user
        if user is not None and user.is_anonymous:
            return user
        return await self._enter(await self._toolkit.call("signUp", {"returnSecureToken": True}))

    async def sign_in_with_custom_token(self, token: str) -> User:
        """With a token that a server of yours minted for a user it knows."""
        _check_texts(token=token)
        body = {"token": token, "returnSecureToken": True}
        return await self._enter(await self._toolkit.call("signInWithCustomToken", body, may_repeat=True))

    async def send_sign_in_link(self, email: str, *, continue_url: str) -> None:
        """Sends an e-mail with a link. Keep the e-mail: `sign_in_with_email_link` needs it with the link."""
        _check_texts(email=email, continue_url=continue_url)
        body = {
            "requestType": "EMAIL_SIGNIN",
            "email": email,
            "continueUrl": continue_url,
            "canHandleCodeInApp": True,
        }
        await self._toolkit.call("sendOobCode", body)

    async def sign_in_with_email_link(self, email: str, link: str) -> User:
        _check_texts(email=email, link=link)
        body = {"email": email, "oobCode": code_of_link(link), "returnSecureToken": True}
        return await self._enter(await self._toolkit.call("signInWithEmailLink", body))

    # -- changing the account

    async def link_with_password(self, email: str, password: str) -> User:
        """Gives the account that is signed in (an anonymous one, mostly) an e-mail and a password. Its uid stays."""
        _check_texts(email=email, password=password)
        token = await self._require_token()
        body = {"idToken": token, "email": email, "password": password, "returnSecureToken": True}
        return await self._enter(await self._toolkit.call("signUp", body))

    async def link_with_email_link(self, email: str, link: str) -> User:
        _check_texts(email=email, link=link)
        token = await self._require_token()
        body = {"idToken": token, "email": email, "oobCode": code_of_link(link), "returnSecureToken": True}
        return await self._enter(await self._toolkit.call("signInWithEmailLink", body))

    async def update_profile(self, *, display_name: str | None = None, photo_url: str | None = None) -> User:
        """Sets what is given. An empty text removes it."""
        body: dict[str, Any] = {"idToken": await self._require_token(), "returnSecureToken": False}
        removed = [
            name
            for name, value in (("DISPLAY_NAME", display_name), ("PHOTO_URL", photo_url))
            if value is not None and not value
        ]
        body |= {"displayName": display_name or None, "photoUrl": photo_url or None}
        if removed:
            body["deleteAttribute"] = removed
        await self._toolkit.call("update", body, may_repeat=True)
        return await self.reload()

    async def update_password(self, password: str) -> User:
        """Ends every other session of the account."""
        _check_texts(password=password)
        body = {"idToken": await self._require_token(), "password": password, "returnSecureToken": True}
        return await self._enter(await self._toolkit.call("update", body))

    async def send_password_reset(self, email: str) -> None:
        _check_texts(email=email)
        await self._toolkit.call("sendOobCode", {"requestType": "PASSWORD_RESET", "email": email})

    async def confirm_password_reset(self, code: str, password: str) -> None:
        """`code` stands in the link of that e-mail as `oobCode`."""
        _check_texts(code=code, password=password)
        await self._toolkit.call("resetPassword", {"oobCode": code, "newPassword": password})

    async def send_email_verification(self) -> None:
        body = {"requestType": "VERIFY_EMAIL", "idToken": await self._require_token()}
        await self._toolkit.call("sendOobCode", body)

    async def reload(self) -> User:
        """Asks the server what the account looks like now."""
        token = await self._require_token()
        session = self._require_session()
        user = await self._look_up(token, session.user.uid)
        if self._session is not None and self._session.user.uid == user.uid:
            await self._replace(replace(self._session, user=user))
        return user

    # -- ways out

    async def sign_out(self) -> None:
        """Forgets the session, here and where it was kept."""
        await self._replace(None)

    async def delete_user(self) -> None:
        """Deletes the account itself. Data of theirs stays until somebody deletes it."""
        token = await self._require_token()
        await self._toolkit.call("delete", {"idToken": token})
        await self._replace(None)

    # -- tokens

    async def id_token(self, *, is_refused: str | None = None) -> str | None:
        """A token that is good for some minutes; None while nobody is signed in.

        `is_refused` is the token that a service has just refused: if it is still the one in use, it is replaced.
        """
        session = self._session
        if session is None:
            return None
        token = session.id_token
        if token is not None and token.text != is_refused and not token.lifetime.needs_renewal(self._now()):
            return token.text
        try:
            return await self._renewal.run(self._renew)
        except AuthError as error:
            if error.code == "user-changed":
                return await self.id_token()
            session = self._session
            token = None if session is None else session.id_token
            is_usable = token is not None and token.text != is_refused and not token.lifetime.is_over(self._now())
            if token is not None and is_usable and error.is_transient:
                return token.text  # no network just now: what is there is still good
            raise

    async def claims(self) -> Mapping[str, Any]:
        """The claims of the user's token, custom ones among them, as rules see them in `request.auth.token`."""
        return read_claims(await self.id_token() or "")

    async def _renew(self) -> str:
        session = self._session
        if session is None:
            raise _user_changed()
        received = self._now()
        try:
            answer = await self._toolkit.renew(session.refresh_token)
        except AuthError as error:
            if error.code in SESSION_IS_OVER and self._is_same(session):
                await self._replace(None)
            raise
        text, refresh_token = _token_in(answer, "id_token"), _token_in(answer, "refresh_token")
        token = IdToken(text=text, lifetime=Lifetime(received, _seconds(answer.get("expires_in"))))
        if not self._is_same(session):
            raise _user_changed()
        renewed = replace(self._require_session(), id_token=token, refresh_token=refresh_token)
        if renewed.refresh_token == session.refresh_token:
            self._session = renewed
        else:
            await self._replace(renewed)
        return token.text

    def _is_same(self, session: Session) -> bool:
        return (
            self._session is not None
            and self._session.user.uid == session.user.uid
            and self._session.refresh_token == session.refresh_token
        )

    # -- inside

    async def _enter(self, answer: Mapping[str, Any]) -> User:
        received = self._now()
        if "mfaPendingCredential" in answer:
            raise AuthError(
                "multi-factor-auth-required",
                "this account needs a second factor",
                way_out="this client has none yet: sign in with an account that needs one factor",
            )
        text, refresh_token = _token_in(answer, "idToken"), _token_in(answer, "refreshToken")
        lifetime = Lifetime(received, _seconds(answer.get("expiresIn")))
        uid = answer.get("localId") or read_claims(text).get("user_id") or read_claims(text).get("sub")
        try:
            user = await self._look_up(text, str(uid))
        except AuthError as error:
            if not error.is_transient:
                raise
            # The sign-in itself is done: what the account looks like can be asked later.
            email = answer.get("email")
            provider = read_claims(text).get("provider_id")
            user = User(uid=str(uid), email=email or None, is_anonymous=provider == "anonymous")
        session = Session(user=user, refresh_token=refresh_token, id_token=IdToken(text=text, lifetime=lifetime))
        await self._replace(session)
        return user

    async def _look_up(self, token: str, uid: str) -> User:
        answer = await self._toolkit.call("lookup", {"idToken": token}, may_repeat=True)
        accounts = answer.get("users")
        for account in accounts if isinstance(accounts, list) else ():
            if isinstance(account, Mapping) and account.get("localId") == uid:
                return User.from_account(account)
        raise AuthError("user-token-expired", "the account is gone", way_out="sign in again")

    async def _replace(self, session: Session | None) -> None:
        """In memory first: what runs meanwhile must not go on as somebody who has left."""
        self._take(session)
        async with self._saving:
            if session is not self._session and session is not None:
                return  # replaced again while waiting
            if self._session is None:
                await asyncio.to_thread(self._store.clear)
            else:
                await asyncio.to_thread(self._store.save, self._session.to_text())

    def _take(self, session: Session | None) -> None:
        before, self._session = self._session, session
        uid_before = None if before is None else before.user.uid
        if uid_before == (None if session is None else session.user.uid):
            return
        for observer in tuple(self._observers):
            try:
                observer(self.current_user)
            except Exception:  # one observer's fault must not undo a sign-in, nor keep the others from hearing of it
                _log.exception("an observer of the user failed")

    def _require_session(self) -> Session:
        if self._session is None:
            raise _nobody()
        return self._session

    async def _require_token(self) -> str:
        token = await self.id_token()
        if token is None:
            raise _nobody()
        return token


def code_of_link(link: str) -> str:
    """The one-use code of a link from an e-mail, also where the link is wrapped in another one."""
    for _ in range(3):
        try:
            query = parse_qs(urlsplit(link).query)
        except ValueError:
            break
        if "oobCode" in query:
            return query["oobCode"][0]
        link = next((query[name][0] for name in ("link", "deep_link_id", "continueUrl") if name in query), "")
    raise AuthError(
        "argument-error", "the link has no `oobCode`", way_out="give the whole link, as it stands in the e-mail"
    )


def _check_texts(**named: object) -> None:
    """Refuses what is no text: without an e-mail, for one, the service would make an account that has none."""
    for name, value in named.items():
        if not isinstance(value, str) or not _is_text(value):
            raise AuthError("argument-error", f"`{name}` is no text", way_out="give it as a string")


def _is_text(value: str) -> bool:
    return value.encode(errors="ignore").decode() == value


def _token_in(answer: Mapping[str, Any], name: str) -> str:
    token = answer.get(name)
    if not isinstance(token, str) or not token:
        raise AuthError(
            "internal-error", f"the sign-in service gave no `{name}`", way_out="try again later", is_transient=True
        )
    return token


def _seconds(text: object) -> float:
    """How long a token is good; where that makes no sense, as long as it is in general."""
    try:
        seconds = float(str(text))
    except ValueError:
        return _DEFAULT_LIFETIME_SECONDS
    return seconds if 0 < seconds <= _LONGEST_LIFETIME_SECONDS else _DEFAULT_LIFETIME_SECONDS


def _nobody() -> AuthError:
    return AuthError("no-current-user", "nobody is signed in", way_out="sign in first")


def _user_changed() -> AuthError:
    """Somebody else signed in, or out, meanwhile: whoever asked for a token asks again."""
    return AuthError("user-changed", "another user signed in meanwhile", is_transient=True)
