"""What the installed Python SDKs offer: by module and class, the names that a program can call."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any, Final

MODULES: Final = (
    "app_check", "auth", "db", "firestore", "firestore_async", "functions", "instance_id", "messaging", "ml",
    "project_management", "remote_config", "storage", "tenant_mgt",
)  # fmt: skip
CLASSES: Final = (
    "firebase_admin.auth.Client",
    "firebase_admin.auth.UserImportHash",
    "firebase_admin.db.Reference",
    "firebase_admin.functions.TaskQueue",
    "google.cloud.pubsub_v1.PublisherClient",
    "google.cloud.pubsub_v1.SubscriberClient",
    "google.cloud.tasks_v2.CloudTasksClient",
    "google.pubsub_v1.SchemaServiceClient",
)
_WITHOUT_REQUEST: Final = ("from_service_account_", "get_mtls_endpoint_", "parse_")


def python_operations() -> dict[str, list[str]]:
    found = {f"firebase_admin.{name}": _functions(f"firebase_admin.{name}") for name in MODULES}
    for path in CLASSES:
        module, _, name = path.rpartition(".")
        found[path] = sorted(_methods(getattr(importlib.import_module(module), name)))
    return found


def _functions(name: str) -> list[str]:
    """Those of the module itself: what it hands on from others is named there."""
    module = importlib.import_module(name)
    return sorted(
        each
        for each, value in vars(module).items()
        if not each.startswith("_") and inspect.isfunction(value) and value.__module__.startswith("firebase_admin")
    )


def _methods(made: Any) -> Iterator[str]:
    for name in dir(made):
        value = inspect.getattr_static(made, name)
        value = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        if inspect.isfunction(value) and not name.startswith(("_", *_WITHOUT_REQUEST)) and not name.endswith("_path"):
            yield name
