"""Session cookies: an ID token made to last, for servers that keep people signed in."""

from __future__ import annotations

from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.errors import refused
from afterimage_emulator.auth.requests.requests import CreateSessionCookie
from afterimage_emulator.auth.tokens.sessions import SignedInUsers
from afterimage_emulator.auth.tokens.unsigned_jwt import unsigned_jwt

SHORTEST_SECONDS = 5 * 60
LONGEST_SECONDS = 14 * 24 * 3600


class SessionCookies:
    """The operation, which takes the project it works on and whether an admin asks."""

    def __init__(self, *, sessions: SignedInUsers) -> None:
        self._sessions = sessions

    def create(self, project: Project, request: CreateSessionCookie, *, is_admin: bool) -> dict[str, str]:
        if not request.id_token:
            raise refused("MISSING_ID_TOKEN")
        duration = int(request.valid_duration or LONGEST_SECONDS)
        if not SHORTEST_SECONDS <= duration <= LONGEST_SECONDS:
            raise refused("INVALID_DURATION")
        _, token = self._sessions.authenticate(project, request.id_token)
        now = self._sessions.now_seconds()
        issuer = f"https://session.firebase.google.com/{token.project_id or project.id}"
        return {"sessionCookie": unsigned_jwt({**token.claims, "iat": now, "exp": now + duration, "iss": issuer})}
