"""Owns how a worker reaches its project as a server: settings from the environment, credentials, and the clients.

The official server SDKs are imported when a worker connects: `pip install afterimage-client[worker]` brings them.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from afterimage_client.errors import WorkerError

if TYPE_CHECKING:
    from google.cloud.firestore import Client as FirestoreClient
    from google.cloud.storage import Bucket

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_KEY = "FIREBASE_SERVICE_ACCOUNT_KEY"


@dataclass(frozen=True, kw_only=True, slots=True)
class CloudSettings:
    """Where a worker stores: a bucket and a project, with a service account's key or what the machine offers."""

    bucket: str
    project_id: str = ""
    account: Mapping[str, Any] | None = field(default=None, repr=False)
    """A service account's key; None for Application Default Credentials."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self | None:
        """None where no bucket is named: the worker then answers inline and needs no Firebase."""
        variables = os.environ if environment is None else environment
        bucket = variables.get("FIREBASE_STORAGE_BUCKET", "").strip().removeprefix("gs://").rstrip("/")
        if not bucket:
            return None
        if "/" in bucket:
            raise WorkerError(
                "invalid-options", f"`FIREBASE_STORAGE_BUCKET` is `{bucket}`", way_out="write the bucket's name alone"
            )
        account = _account(variables.get(_KEY, "").strip())
        project = (
            variables.get("GOOGLE_CLOUD_PROJECT")
            or variables.get("GCLOUD_PROJECT")
            or (str(account["project_id"]) if account else "")
        )
        return cls(bucket=bucket, project_id=project, account=account)


def _account(given: str) -> Mapping[str, Any] | None:
    """From a path or the JSON itself. What cannot be read is told of without a word of what stands in it."""
    if not given:
        return None
    text, where = given, "the JSON in it"
    if not given.startswith("{"):
        where = f"the file `{given}`"
        try:
            text = Path(given).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise WorkerError(
                "invalid-options", f"`{_KEY}`: {where} cannot be read: {reason}", way_out="correct the path"
            ) from None
    try:
        account = json.loads(text)
    except ValueError:
        account = None
    names = ("project_id", "client_email", "private_key", "token_uri")
    is_key = isinstance(account, dict) and account.get("type") == "service_account"
    if not is_key or not all(isinstance(account.get(name), str) and account[name] for name in names):
        raise WorkerError(
            "invalid-options",
            f"`{_KEY}`: {where} is no service account's key",
            way_out="download one from the Firebase console, or leave the variable out for the machine's own account",
        )
    held: Mapping[str, Any] = account
    return held


def _refuse_unsigned_tokens() -> None:
    """Where the emulator of Auth is named, the server SDK takes tokens that nobody signed."""
    stores = ("FIRESTORE_EMULATOR_HOST", "STORAGE_EMULATOR_HOST")
    if os.environ.get("FIREBASE_AUTH_EMULATOR_HOST") and not all(os.environ.get(name) for name in stores):
        raise WorkerError(
            "invalid-options",
            "`FIREBASE_AUTH_EMULATOR_HOST` is set, and the worker would store in production for whoever asks",
            way_out=f"remove it, or set {' and '.join(f'`{name}`' for name in stores)} too",
        )


class Cloud:
    """The project's database, its bucket, and whose an ID token is."""

    def __init__(self, *, firestore: FirestoreClient, bucket: Bucket, tokens: Any) -> None:
        self.firestore = firestore
        self.bucket = bucket
        self._tokens = tokens

    @classmethod
    def connect(cls, settings: CloudSettings) -> Self:
        try:
            import firebase_admin
            import google.auth
            from google.auth.credentials import AnonymousCredentials
            from google.auth.exceptions import GoogleAuthError
            from google.cloud import firestore, storage
            from google.oauth2 import service_account
        except ImportError as error:
            raise WorkerError(
                "invalid-options",
                f"a bucket is named, and `{error.name}` is not installed",
                way_out="pip install afterimage-client[worker]",
            ) from error
        _refuse_unsigned_tokens()
        project = settings.project_id
        try:
            if settings.account:
                credentials = service_account.Credentials.from_service_account_info(settings.account, scopes=_SCOPES)
            elif os.environ.get("FIRESTORE_EMULATOR_HOST") and os.environ.get("STORAGE_EMULATOR_HOST"):
                credentials = AnonymousCredentials()
            else:
                credentials, found = google.auth.default(scopes=_SCOPES)
                project = project or found or ""
        except (GoogleAuthError, ValueError) as error:
            # The library's own words may quote the key.
            raise WorkerError(
                "invalid-options",
                f"the worker's credentials cannot be used ({type(error).__name__})",
                way_out=f"correct `{_KEY}`, or give the machine an account",
            ) from None
        if not project:
            raise WorkerError(
                "invalid-options", "the worker knows no project", way_out="set `GOOGLE_CLOUD_PROJECT` to its id"
            )
        tokens = firebase_admin.initialize_app(
            credentials, {"projectId": project}, name=f"afterimage-worker-{secrets.token_hex(8)}"
        )
        client = storage.Client(project=project, credentials=credentials)
        return cls(
            firestore=firestore.Client(project=project, credentials=credentials),
            bucket=client.bucket(settings.bucket),
            tokens=tokens,
        )

    @property
    def files_host(self) -> str:
        """Where links to files lead: production, or the emulator that the SDK itself was pointed at."""
        emulator = os.environ.get("STORAGE_EMULATOR_HOST") or os.environ.get("FIREBASE_STORAGE_EMULATOR_HOST")
        if not emulator:
            return "https://firebasestorage.googleapis.com"
        return emulator if "://" in emulator else f"http://{emulator}"

    def uid_of(self, id_token: str) -> str:
        """The user whose valid ID token this is."""
        from firebase_admin import auth
        from firebase_admin.exceptions import FirebaseError as AdminError

        try:
            claims = auth.verify_id_token(id_token, app=self._tokens)
        except (auth.CertificateFetchError, OSError) as error:
            raise WorkerError(
                "unavailable", "the keys of the ID tokens could not be fetched", way_out="try again later"
            ) from error
        except (AdminError, ValueError) as error:
            raise WorkerError(
                "unauthenticated", "the ID token is not valid for this project", way_out="sign in and send a new one"
            ) from error
        return str(claims["uid"])

    def close(self) -> None:
        import firebase_admin

        firebase_admin.delete_app(self._tokens)
        self.firestore.close()
        self.bucket.client.close()
