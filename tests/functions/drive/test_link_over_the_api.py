"""Linking over sockets: the API, a browser, Google, and everybody who would like to link somebody else's Drive."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from afterimage.drive_paths import drive_begun_path, drive_link_path, drive_path
from afterimage.store.documents import Change
from tests.functions.api.conftest import ServedApi, served
from tests.functions.drive.attacks import ATTACKS
from tests.functions.drive.consent import OAuthRefusalError
from tests.functions.drive.google_server import GoogleServer
from tests.functions.drive.google_server import served as google_served
from tests.functions.drive.published_contract import DRIVE_FILE

__all__ = ["served"]
AUTH = "/api/phase5/auth"
REDIRECT = "https://api.example.com/api/phase5/auth/callback"
GUESS = "g" * 43


pytestmark = pytest.mark.parametrize("served", ["cloud", "one machine"], indirect=True)
"""The attacks are tried over both homes of the API."""


@dataclass
class Linking:
    """An instance of the API whose Google is on a socket, and everybody's browsers."""

    served: ServedApi
    google: GoogleServer
    address: str
    states: dict[str, str] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    backs: dict[str, dict[str, str]] = field(default_factory=dict)
    tickets: dict[str, str] = field(default_factory=dict)

    def post(self, path: str, body: dict[str, Any], user: str) -> httpx.Response:
        headers = self.served.user(user).headers
        return self.served.http.post(f"{self.address}{AUTH}{path}", json=body, headers=headers)

    def get(self, path: str, query: dict[str, str] | None = None, user: str = "") -> httpx.Response:
        headers = self.served.user(user).headers if user else {}
        return self.served.http.get(f"{self.address}{AUTH}{path}", params=query, headers=headers)

    # -- steps

    def begin(self, user: str) -> int:
        answer = self.post("/authorize", {}, user)
        self.states[user], self.urls[user] = answer.json()["state"], answer.json()["authorization_url"]
        return answer.status_code

    def consent(self, link: str, email: str, allows: str = DRIVE_FILE) -> None:
        back = self.google.consents.consent(self.urls[link], email, allows=allows)
        assert back.startswith(f"{REDIRECT}?")
        self.backs[link] = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}

    def come_back(self, link: str, code_of: str = "") -> int:
        query = self.backs.get(link, {"state": GUESS, "code": "4/made-up"})
        answer = self.get("/callback", query | ({"code": self.backs[code_of]["code"]} if code_of else {}))
        if answer.status_code == 200:
            assert answer.json()["state"] == self.states[link]
            self.tickets[link] = answer.json()["ticket"]
        return answer.status_code

    def complete(self, link: str, user: str, ticket: str | None) -> int:
        body = {"state": self.states.get(link, GUESS), **({} if ticket is None else {"ticket": ticket})}
        return self.post("/complete", body, user).status_code

    def wait(self, minutes: int) -> None:
        """What was begun was begun so much earlier."""
        for state in self.states.values():
            found = self.served.documents.read(drive_begun_path(_digest(state)))
            assert found is not None
            earlier = found.fields["expires_at"] - timedelta(minutes=minutes)
            self.served.documents.commit([Change(path=found.path, put={"expires_at": earlier})])

    def linked(self) -> dict[str, str]:
        found = {user: self.served.documents.read(drive_link_path(user)) for user in ("ana", "eve")}
        shown = {user: self.get("/link", user=user).json() for user in found}
        for user, document in found.items():
            assert (document is not None) == (shown[user]["state"] == "active")
        return {user: each["account_email"] for user, each in shown.items() if each["state"] == "active"}


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@pytest.fixture
def linking(served: ServedApi) -> Iterator[Linking]:
    with google_served(GoogleServer(clock=[datetime.now(UTC)])) as google:
        address = served.instance(
            GOOGLE_CLIENT_ID=google.consents.client_id,
            GOOGLE_CLIENT_SECRET=google.consents.client_secret,
            GOOGLE_OAUTH_URL=google.url,
            GOOGLE_API_URL=google.url,
        )
        yield Linking(served=served, google=google, address=address)
        assert google.broken_contracts == []


def test_no_attack_links_a_drive_to_the_wrong_user(linking: Linking) -> None:
    """Each attack of the table is answered step by step as it says, and links what it says and nothing else."""
    wrong = []
    for name, attack in ATTACKS.items():
        for kept in (linking.states, linking.urls, linking.backs, linking.tickets):
            kept.clear()
        for line in attack.steps.split("\n"):
            step, _, expected = line.strip().partition(" => ")
            answered = _step(linking, step) if step else None
            if (expected or None) != (None if answered is None else str(answered)):
                wrong.append(f"{name}: `{step}` is answered {answered}")
        linked = linking.linked()
        if linked != attack.linked:
            wrong.append(f"{name}: linked {linked}")
        for user in linked:
            assert linking.served.http.delete(
                f"{linking.address}{AUTH}/link", headers=linking.served.user(user).headers
            ).json() == {"success": True, "was_linked": True}
    assert wrong == []
    assert len(ATTACKS) == 15


def _step(linking: Linking, step: str) -> object:
    match step.split():
        case ["begin", user]:
            return linking.begin(user)
        case ["consent", link, email]:
            linking.consent(link, email)
        case ["consent", link, email, "without", "files"]:
            linking.consent(link, email, allows="openid")
        case ["deny", link]:
            linking.backs[link] = {"state": linking.states[link], "error": "access_denied"}
        case ["return", link]:
            return linking.come_back(link)
        case ["return", link, "with", "code", "of", other]:
            return linking.come_back(link, other)
        case ["complete", link, "as", user]:
            return linking.complete(link, user, linking.tickets[link])
        case ["complete", link, "as", user, "with", "ticket", "of", other]:
            return linking.complete(link, user, linking.tickets[other])
        case ["complete", link, "as", user, "without", "a", "ticket"]:
            return linking.complete(link, user, None)
        case ["complete", link, "as", user, "with", "a", "guess"]:
            return linking.complete(link, user, GUESS)
        case ["wait", minutes]:
            linking.wait(int(minutes))
        case ["tell", "Google", redirect]:
            query = parse_qs(urlsplit(linking.urls["ana"]).query)
            url = "https://accounts.example/auth?" + urlencode(
                {name: redirect if name == "redirect_uri" else values[0] for name, values in query.items()}
            )
            try:
                linking.google.consents.consent(url, "ana@example.com")
            except OAuthRefusalError:
                return "refused"
            return "taken"
        case _:
            raise AssertionError(f"no such step: {step}")
    return None


def test_a_browser_is_sent_to_the_page_with_a_ticket_that_no_server_sees(linking: Linking) -> None:
    """What completes the link stands behind the `#`; nothing in Google's answer can choose the page."""
    address = linking.served.instance(
        GOOGLE_CLIENT_ID=linking.google.consents.client_id,
        GOOGLE_CLIENT_SECRET=linking.google.consents.client_secret,
        DRIVE_KEY="projects/p/locations/l/keyRings/r/cryptoKeys/k",
        DRIVE_RETURN_URL="https://app.example.com/linked",
    )
    linking.begin("ana")
    linking.consent("ana", "ana@example.com")
    query = linking.backs["ana"] | {"redirect_uri": "https://evil.example.com", "next": "https://evil.example.com"}
    answer = linking.served.http.get(f"{address}{AUTH}/callback", params=query)
    assert answer.status_code == 303
    page, _, behind = answer.headers["location"].partition("#")
    assert page == "https://app.example.com/linked"
    said = {name: values[0] for name, values in parse_qs(behind).items()}
    assert linking.complete("ana", "ana", said["drive_ticket"]) == 200
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "state=",
        "code=4/x",
        "state=x",
        "state=x&code=y&error=z",
        f"state={'x' * 3000}&code=y",
        "state=a&state=b&code=c",
    ],
)
def test_what_is_no_answer_of_googles_is_refused(linking: Linking, query: str) -> None:
    """Whatever comes to the open callback gets an error in the API's shape, and parks nothing."""
    answer = linking.served.http.get(f"{linking.address}{AUTH}/callback?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")


def test_what_is_stored_of_a_link_opens_nothing(linking: Linking) -> None:
    """No secret stands in the database as it is: no state, ticket or token, not in what users or logs are shown."""
    linking.begin("ana")
    linking.consent("ana", "ana@example.com")
    linking.come_back("ana")
    begun = linking.served.documents.read(drive_begun_path(_digest(linking.states["ana"])))
    assert begun is not None
    for secret in (linking.states["ana"], linking.tickets["ana"]):
        assert secret not in str(begun)
    assert linking.complete("ana", "ana", linking.tickets["ana"]) == 200
    [refresh] = linking.google.consents.grants
    access = list(linking.google.consents.access)
    link, shown = (linking.served.documents.read(path) for path in (drive_link_path("ana"), drive_path("ana")))
    assert link is not None
    assert shown is not None
    for secret in (refresh, *access):
        assert secret not in json.dumps([dict(link.fields), dict(shown.fields)], default=str)
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", link.fields["permission"]["sealed"])


@pytest.mark.parametrize(
    ("allows", "said"), [("openid", "did not allow files"), (DRIVE_FILE, "")], ids=["half a consent", "a whole one"]
)
def test_a_link_that_does_not_come_about_says_why(linking: Linking, allows: str, said: str) -> None:
    """The person who unticked a box is told which; nothing is linked, and the API stays well."""
    linking.begin("ana")
    linking.consent("ana", "ana@example.com", allows)
    linking.come_back("ana")
    body = {"state": linking.states["ana"], "ticket": linking.tickets["ana"]}
    answer = linking.post("/complete", body, "ana").json()
    assert answer.get("detail", "").startswith("the user " + said if said else "")
    assert answer["success"] is (not said)


def test_unlinking_takes_the_permission_back_at_google(linking: Linking) -> None:
    """The user sees that it is gone here; Google knows it is gone there; what was told stays to go on from."""
    linking.begin("ana")
    linking.consent("ana", "ana@example.com")
    linking.come_back("ana")
    linking.complete("ana", "ana", linking.tickets["ana"])
    headers = linking.served.user("ana").headers
    answer = linking.served.http.delete(f"{linking.address}{AUTH}/link", headers=headers)
    assert answer.json()["was_linked"] is True
    assert linking.google.consents.revoked == ["ana@example.com"]
    assert linking.get("/link", user="ana").json()["state"] == "unlinked"
    again = linking.served.http.delete(f"{linking.address}{AUTH}/link", headers=headers)
    assert again.json()["was_linked"] is False
