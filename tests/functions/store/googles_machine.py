"""Owns what a program finds on a machine of Google's: the metadata server, and IAM at its real name behind TLS.

The official libraries find both by the variables of `environment`. IAM's name leads to the suite's hub, which signs.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

IAM: Final = "iamcredentials.googleapis.com"
ACCOUNT: Final = "robot@demo.iam.gserviceaccount.com"


class GooglesMachine:
    """One port that is the metadata server, and a proxy to IAM."""

    def __init__(self, hub: str, folder: Path) -> None:
        self.hub = hub
        self.folder = folder
        self.signed_with: list[str] = []
        """The `Authorization` of each request to IAM."""
        self.tokens = 0
        self.tls = _certified(folder)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        address = f"127.0.0.1:{self._server.server_port}"
        return {
            "GCE_METADATA_HOST": address,
            "GCE_METADATA_IP": address,
            "HTTPS_PROXY": f"http://{address}",
            "NO_PROXY": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": str(self.folder / "iam.pem"),
            # No key of a developer's, wherever this runs.
            "CLOUDSDK_CONFIG": str(self.folder / "gcloud"),
            "GOOGLE_APPLICATION_CREDENTIALS": "",
        }

    def metadata(self, path: str) -> str | None:
        """What the metadata server says; its tokens are nearly run out when they are given."""
        place, _, asked = path.partition("?")
        account = "/computeMetadata/v1/instance/service-accounts/"
        if place == "/":
            return ""
        if place.startswith(account) and place.endswith("/token"):
            self.tokens += 1
            return json.dumps({"access_token": f"token-{self.tokens}", "expires_in": 30, "token_type": "Bearer"})
        if place.startswith(account) and asked == "recursive=true":
            return json.dumps({"email": ACCOUNT, "aliases": ["default"], "scopes": []})
        return {"/computeMetadata/v1/universe/universe-domain": "googleapis.com"}.get(place)

    def sign(self, path: str, authorization: str, body: bytes) -> tuple[int, bytes]:
        self.signed_with.append(authorization)
        connection = http.client.HTTPConnection(self.hub, timeout=30)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(machine: GooglesMachine) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = machine.metadata(self.path)
            self._answer(404 if told is None else 200, (told or "").encode())

        def do_CONNECT(self) -> None:
            if self.path != f"{IAM}:443":
                self._answer(502, b"only IAM is behind this")
                return
            self.send_response(200)
            self.end_headers()
            self.connection = machine.tls.wrap_socket(self.connection, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
            self.handle_one_request()
            self.close_connection = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(*machine.sign(self.path, self.headers.get("Authorization", ""), body))

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Metadata-Flavor", "Google")
            self.send_header("Content-Type", "application/json" if body[:1] == b"{" else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_said: Any) -> None:
            """Says nothing."""

    return Handler


def _certified(folder: Path) -> ssl.SSLContext:
    """A certificate of IAM's name that only whoever reads `iam.pem` believes."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, IAM)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(IAM)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "iam.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    unprotected = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unprotected)
    (folder / "iam.key").write_bytes(secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "iam.pem", folder / "iam.key")
    return context
