"""Sends signed URLs as browsers and curl do: the URL as it is, its host in the Host header, wherever that leads."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.oauth2.service_account import Credentials

from afterimage_emulator.credentials.local_credentials import service_account
from tests.emulator.storage.conftest import RunningStorage


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body of one response."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def element(self, name: str) -> str:
        """An element of an XML error, as a client's parser reads it."""
        found = re.search(f"<{name}>(.*?)</{name}>", self.body.decode(), re.DOTALL)
        assert found is not None, self.body
        return found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def send(
    running: RunningStorage, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Answer:
    """To the running service, whatever host the URL names."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", running.server.port, timeout=30)
    try:
        connection.putrequest(method, url[url.index(place.netloc) + len(place.netloc) :], skip_host=True)
        sent = {"Host": place.netloc, **(headers or {})}
        for name, value in sent.items():
            connection.putheader(name, value)
        if body or method in ("PUT", "POST"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def local_account() -> Credentials:
    """What GOOGLE_APPLICATION_CREDENTIALS gives whoever the suite was started for."""
    return Credentials.from_service_account_info(json.loads(service_account("demo-storage", "http://127.0.0.1:1")))


def unsigned_client(running: RunningStorage, *, host: str = "localhost") -> storage.Client:
    """A client of the official SDK that reaches the service under that host, which its URLs then name."""
    endpoint = f"http://{host}:{running.server.port}"
    return storage.Client(
        project="demo-storage", credentials=AnonymousCredentials(), client_options={"api_endpoint": endpoint}
    )
