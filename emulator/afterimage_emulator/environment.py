"""The environment variables by which the official SDKs find the suite instead of the cloud."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from afterimage_emulator.configuration import Address, Configuration

NO_DATABASE: Final = "Realtime Database is out of the suite's scope; use Firestore, or the Firebase CLI's emulator"
"""Said in the same words wherever it is asked for."""

_HOST_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "firestore": ("FIRESTORE_EMULATOR_HOST", "FIREBASE_FIRESTORE_EMULATOR_ADDRESS"),
    "storage": ("FIREBASE_STORAGE_EMULATOR_HOST",),
    "auth": ("FIREBASE_AUTH_EMULATOR_HOST",),
    "pubsub": ("PUBSUB_EMULATOR_HOST",),
    "tasks": ("CLOUD_TASKS_EMULATOR_HOST",),
    # Whoever asks for Realtime Database hears from the hub that there is none, and does not reach the cloud.
    "hub": ("FIREBASE_EMULATOR_HUB", "FIREBASE_DATABASE_EMULATOR_HOST"),
}


def sdk_environment(configuration: Configuration, addresses: Mapping[str, Address]) -> dict[str, str]:
    """What `exec` sets for its command, and what functions find in theirs: the names the official suite uses."""
    project_id = configuration.project_id
    environment = {
        "GCLOUD_PROJECT": project_id,
        "GOOGLE_CLOUD_PROJECT": project_id,
        "FIREBASE_CONFIG": json.dumps(
            {
                "projectId": project_id,
                "storageBucket": configuration.default_bucket,
                "databaseURL": f"https://{project_id}-default-rtdb.firebaseio.com",
            },
            separators=(",", ":"),
        ),
    }
    for service, names in _HOST_VARIABLES.items():
        if service in addresses:
            environment |= dict.fromkeys(names, str(addresses[service]))
    if "eventarc" in addresses:
        environment["CLOUD_EVENTARC_EMULATOR_HOST"] = f"http://{addresses['eventarc']}"
    if "storage" in addresses:
        environment["STORAGE_EMULATOR_HOST"] = f"http://{addresses['storage']}"
    return environment
