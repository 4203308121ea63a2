"""Who vouches for users of a Firebase project on one machine: Google's public keys, and no account of ours."""

from __future__ import annotations

import os
from typing import Any

from afterimage.api.admission.tokens import FirebaseTokens
from afterimage.made_once import made_once
from afterimage_server.cloud.project import account_credentials

_NAME = "one machine"


def project_tokens(project_id: str) -> FirebaseTokens:
    """ID tokens of the project's users are checked by public keys, so a machine without any account takes them too."""

    @made_once
    def app() -> Any:
        import firebase_admin

        name = f"{_NAME} {project_id}"
        try:
            return firebase_admin.get_app(name)
        except ValueError:  # there is none yet
            return firebase_admin.initialize_app(_credential(), {"projectId": project_id}, name)

    return FirebaseTokens(app)


def _credential() -> Any:
    """The account of FIREBASE_SERVICE_ACCOUNT_KEY, else the machine's own, else nobody."""
    import google.auth
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import DefaultCredentialsError

    found = account_credentials(os.environ.get("FIREBASE_SERVICE_ACCOUNT_KEY", "").strip())
    if found is not None:
        return found
    try:
        return google.auth.default()[0]
    except DefaultCredentialsError:
        return AnonymousCredentials()
