"""Owns what an app is told about its Firebase project, and where the services are: production, or an emulator."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

from afterimage_client.errors import FirebaseError

_CONSOLE: Final = "take it from the Firebase console's project settings"


@dataclass(frozen=True, kw_only=True, slots=True)
class FirebaseOptions:
    """The public configuration of a Firebase app: nothing in it is a secret.

    `name` tells several apps of one project apart: each keeps its own signed-in user.
    """

    project_id: str
    api_key: str = ""
    storage_bucket: str = ""
    app_id: str = ""
    database: str = "(default)"
    name: str = "default"

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            is_sound = isinstance(value, str) and value.isprintable() and " " not in value
            if not is_sound and not (each.name == "name" and isinstance(value, str)):
                raise FirebaseError("invalid-options", f"`{each.name}` is `{value!r}`", way_out=_CONSOLE)
        for name, needed in (("project_id", self.project_id), ("database", self.database)):
            if not needed or "/" in needed:
                raise FirebaseError("invalid-options", f"`{name}` is `{needed}`", way_out=_CONSOLE)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], *, name: str = "default") -> Self:
        """From the object that the Firebase console shows for web apps (`apiKey`, `projectId`, …)."""
        if not isinstance(config, Mapping):
            raise FirebaseError("invalid-options", "the configuration is no object", way_out=_CONSOLE)
        read = {
            own: config[theirs]
            for own, theirs in (
                ("project_id", "projectId"),
                ("api_key", "apiKey"),
                ("storage_bucket", "storageBucket"),
                ("app_id", "appId"),
            )
            if config.get(theirs)
        }
        return cls(**{"project_id": "", **read}, name=name)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, name: str = "default") -> Self:
        """From a JSON file with that object."""
        try:
            config = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise FirebaseError("invalid-options", f"`{os.fspath(path)}` cannot be read: {error}") from error
        if not isinstance(config, dict):
            raise FirebaseError("invalid-options", f"`{os.fspath(path)}` holds no JSON object")
        return cls.from_config(config, name=name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoints:
    """Where each service listens. `firestore` is host:port, the others are URLs without a final slash."""

    identity_toolkit: str = "https://identitytoolkit.googleapis.com"
    renewal: str = "https://securetoken.googleapis.com"
    app_check: str = "https://firebaseappcheck.googleapis.com"
    firestore: str = "firestore.googleapis.com:443"
    firestore_is_emulator: bool = False
    auth_is_emulator: bool = False
    storage: str = "https://firebasestorage.googleapis.com"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Production, but for the services that the usual variables point at an emulator."""
        variables = os.environ if environment is None else environment
        found: dict[str, Any] = {}
        if auth := _host(variables, "FIREBASE_AUTH_EMULATOR_HOST"):
            found["identity_toolkit"] = f"http://{auth}/identitytoolkit.googleapis.com"
            found["renewal"] = f"http://{auth}/securetoken.googleapis.com"
            found["app_check"] = f"http://{auth}/firebaseappcheck.googleapis.com"
            found["auth_is_emulator"] = True
        if firestore := _host(variables, "FIRESTORE_EMULATOR_HOST"):
            found["firestore"] = firestore
            found["firestore_is_emulator"] = True
        if storage := _host(variables, "FIREBASE_STORAGE_EMULATOR_HOST"):
            found["storage"] = f"http://{storage}"
        return cls(**found)


def _host(variables: Mapping[str, str], name: str) -> str:
    """host:port, as the official SDKs take it; a scheme is a frequent mistake and is named."""
    value = variables.get(name, "").strip()
    if "/" in value:
        raise FirebaseError(
            "invalid-options", f"`{name}` is `{value}`", way_out="write host:port without scheme or path"
        )
    return value
