"""Application default credentials for local use, so that unmodified Admin SDK code finds some and never asks the cloud.

The Admin SDKs look for credentials before they look whether there is anybody to show them to. These belong to nobody:
a service account with a key made on this machine, whose token endpoint is the suite's own hub. Signing works with them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from emulator.kept_files import kept_file


def service_account(project_id: str, hub_origin: str) -> str:
    """The JSON of a service-account key file that only this suite honours."""
    key = kept_file("local-service-account.pem", "emulator.local_credentials").read_text()
    email = f"local-suite@{project_id}.iam.gserviceaccount.com"
    return json.dumps(
        {
            "type": "service_account",
            "project_id": project_id,
            "private_key_id": "local",
            "private_key": key,
            "client_email": email,
            "client_id": "0",
            "token_uri": f"{hub_origin}/token",
        }
    )


def _make_key(target: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    target.touch(mode=0o600)
    target.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


if __name__ == "__main__":
    _make_key(Path(sys.argv[1]))
