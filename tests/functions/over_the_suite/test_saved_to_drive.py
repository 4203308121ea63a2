"""The whole way of a save to its user's Google Drive: linked through the API, brought there by deployed functions."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import msgspec
import pytest
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from afterimage.api.rooms.drive_routes import DriveLinkShown
from afterimage.drive_paths import DRIVE_QUEUE, drive_mirror_path
from afterimage.edges.drive.keys.key_file import add_key
from afterimage_emulator.auth.tokens.unsigned_jwt import unsigned_jwt
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.suite import Suite
from tests.functions.drive.google_server import Fault, GoogleServer, served
from tests.functions.over_the_suite.test_forgotten_by_the_network import FUNCTIONS
from tests.functions.over_the_suite.test_published_files import until

REDIRECT = "https://api.example.com/api/phase5/auth/callback"


@pytest.fixture
def google(tmp_path: Path) -> Iterator[GoogleServer]:
    with served(GoogleServer(clock=[datetime.now(UTC)])) as running:
        yield running
        assert running.broken_contracts == []


@pytest.fixture
def deployed(tmp_path: Path, google: GoogleServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[BackgroundSuite]:
    """The functions as a deployment names this app: parameters in `.env`, its secret a secret, a key file."""
    codebase = tmp_path / "functions"
    shutil.copytree(FUNCTIONS, codebase, ignore=shutil.ignore_patterns("__pycache__", "venv", ".venv"))
    add_key(tmp_path / "keys.json")
    named = [f"GOOGLE_CLIENT_ID={google.consents.client_id}", f"GOOGLE_REDIRECT_URI={REDIRECT}"]
    named += [f"DRIVE_KEY={tmp_path / 'keys.json'}", f"GOOGLE_OAUTH_URL={google.url}", f"GOOGLE_API_URL={google.url}"]
    (codebase / ".env.local").write_text("\n".join([*named, ""]))
    (codebase / ".secret.local").write_text(f"GOOGLE_CLIENT_SECRET={google.consents.client_secret}\n")
    configuration = Configuration(
        root=tmp_path,
        project_id=f"demo-drive-{os.getpid()}",
        codebases=(Codebase(name="default", source=codebase),),
    )
    with BackgroundSuite(Suite(configuration, free_ports=True)) as suite:
        for name, value in suite.environment().items():
            monkeypatch.setenv(name, value)
        yield suite


def test_a_save_of_a_linked_user_lies_in_the_user_s_drive(deployed: BackgroundSuite, google: GoogleServer) -> None:
    """Linked in three requests; saved twice, though Google fails; told in the answer, mirror and overview."""
    project = deployed.project_id
    api = f"http://{deployed.address('functions')}/{project}/us-central1/api/api/phase5"
    now = int(datetime.now(UTC).timestamp())
    issuer = f"https://securetoken.google.com/{project}"
    claims = {"sub": "ana", "user_id": "ana", "aud": project, "iss": issuer, "iat": now, "exp": now + 3600}
    headers = {"Authorization": f"Bearer {unsigned_jwt(claims)}"}
    documents = firestore.Client(project=project)

    def mirror(file: str) -> dict[str, Any]:
        found: dict[str, Any] | None = documents.document(drive_mirror_path("ana", file)).get().to_dict()
        return found or {}

    with httpx2.Client(trust_env=False, timeout=60, headers=headers) as client:

        def save(**said: Any) -> dict[str, Any]:
            answer = client.post(f"{api}/storage/save-artifact", json={"text": "hello", "name": "a.txt", **said})
            found: dict[str, Any] = answer.raise_for_status().json()["drive_result"]
            return found

        assert save()["queued"] is False
        offered = msgspec.json.decode(client.get(f"{api}/auth/link").content, type=DriveLinkShown)
        assert (offered.state, offered.can_link) == ("unlinked", True)
        begun = client.post(f"{api}/auth/authorize").raise_for_status().json()
        back = google.consents.consent(begun["authorization_url"], "ana@example.com")
        parked = httpx2.get(f"{api}/auth/callback", params=dict(parse_qsl(urlsplit(back).query)), trust_env=False)
        said = {"state": begun["state"], "ticket": parked.json()["ticket"]}
        assert client.post(f"{api}/auth/complete", json=said).json()["state"] == "active"

        google.faults = [Fault(status=500), None, Fault(status=503)]
        first = save()
        assert first["queued"] is True
        until(lambda: mirror(first["file_id"]).get("state") == "current")
        # More than the first save's own last looks at Google can use up.
        google.faults = [Fault(status=500)] * 100
        save(file_id=first["file_id"], text="hello again")
        [note] = documents.collection(DRIVE_QUEUE).where(filter=FieldFilter("file", "==", first["file_id"])).stream()
        until(lambda: (note.reference.get().to_dict() or {}).get("error"))
        google.faults = []
        # Its time has come, and only the schedule looks at times.
        note.reference.update({"due_at": datetime(2026, 1, 1, tzinfo=UTC)})
        deployed.call(lambda: deployed.suite.run_schedule("drive_minutely"))
        until(lambda: mirror(first["file_id"])["version_number"] == 2)
        [there] = google.drive().of_file(first["file_id"])
        assert [revision.data for revision in there.revisions] == [b"hello", b"hello again"]
        shown = client.get(f"{api}/storage/overview").json()["google_drive"]
        assert (shown["connected"], shown["quota"]["limit_bytes"]) == (True, 15 * 1024**3)
        assert client.delete(f"{api}/auth/link").json() == {"success": True, "was_linked": True}
        assert google.consents.revoked == ["ana@example.com"]
        assert save(text="more")["queued"] is False
