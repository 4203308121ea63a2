"""Finds a running suite by its locator file, and asks its hub."""

from __future__ import annotations

import json
import urllib.error
from pathlib import Path
from typing import Any

from afterimage_emulator.configuration import ConfigurationError, find_configuration, load_configuration
from afterimage_emulator.hub.locator import locator_path


def chosen_project(project: str | None) -> str:
    """As `start` chooses it, aliases of .firebaserc included; a named project needs no firebase.json beside."""
    try:
        return load_configuration(find_configuration(Path.cwd()), project_id=project).project_id
    except ConfigurationError:
        if project is None:
            raise
        return project


def find_hub(project: str | None) -> str:
    project = chosen_project(project)
    try:
        origins = json.loads(locator_path(project).read_text())["origins"]
    except (OSError, ValueError, KeyError):
        raise ConfigurationError(
            f"no suite of project `{project}` is running; start one with `afterimage-emulator start`, "
            "or name its project with --project"
        ) from None
    return str(origins[0])


def ask_hub(origin: str, path: str, *, method: str = "GET", body: Any = None) -> Any:
    # With all that it needs to speak HTTP it takes a twentieth of a suite's start, which asks nobody.
    import urllib.request

    data = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"content-type": "application/json"}
    request = urllib.request.Request(  # noqa: S310 — the locator file holds a local origin
        origin + path, data=data, headers=headers, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 — as above
            return json.load(answer)
    except urllib.error.HTTPError:
        raise
    except OSError as error:
        raise ConfigurationError(f"the suite at {origin} does not answer: {error}") from None


def refusal_text(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        try:
            said = json.load(error)
            if isinstance(said, list):  # the answer of a call that streams
                [said] = said
            return str(said["error"]["message"])
        except (ValueError, KeyError, TypeError):
            return str(error)
    return str(error)
