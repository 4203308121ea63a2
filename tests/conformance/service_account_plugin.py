"""A pytest plugin for google-cloud-storage's own tests: gives their clients the suite's service account.

Most of those tests skip themselves without a service account. The suite knows its own key, so that what is signed with
it holds; a token is asked of nobody.
"""

from __future__ import annotations

import os
from typing import Any

from google.cloud import storage
from google.oauth2 import service_account


class LocalCredentials(service_account.Credentials):  # type: ignore[misc]  # google.auth has no types
    """The suite's service account, whose token is an administrator's here."""

    def refresh(self, request: Any) -> None:
        self.token = "owner"


def pytest_configure(config: Any) -> None:
    del config
    original = storage.Client.__init__
    credentials = LocalCredentials.from_service_account_file(os.environ["GOOGLE_APPLICATION_CREDENTIALS"])

    def with_credentials(self: Any, *arguments: Any, **options: Any) -> None:
        if len(arguments) < 2 and "credentials" not in options:
            options["credentials"] = credentials
        original(self, *arguments, **options)

    storage.Client.__init__ = with_credentials
