"""A WebChannel client that does what networks do to one: loses answers, repeats requests, cuts and reopens."""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

CHANNEL = "/google.firestore.v1.Firestore/{kind}/channel"
PAGE = "http://localhost:5173"


class RefusedError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


class WireClient:
    """One session, whose messages are numbered as the official client numbers them."""

    def __init__(
        self,
        address: str,
        project: str,
        kind: str,
        *,
        origin: str | None = PAGE,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.database = f"projects/{project}/databases/(default)"
        self.documents = f"{self.database}/documents"
        self.sid = ""
        self.last_received = 0
        self.next_message = 0
        self._address = address
        self._path = CHANNEL.format(kind=kind)
        self._origin = {} if origin is None else {"Origin": origin}
        self._headers = dict(headers or {})
        self._rid = random.randrange(100_000)

    # -- requests

    def open(self, *messages: Any, headers: str = "", **parameters: str) -> list[Any]:
        """The handshake, with the first messages; what it was answered."""
        asked = {"VER": "8", "database": self.database, "RID": str(self._rid), "CVER": "22", "t": "1", **parameters}
        body = f"headers={quote(headers)}&{form(messages, self.next_message)}"
        answer: list[Any]
        (answer,) = frames([self.request("POST", asked, body)])
        self.next_message += len(messages)
        self.sid = answer[0][1][1]
        return answer

    def say(self, *messages: Any, first: int | None = None, offset: int | None = None, **parameters: str) -> list[int]:
        """A forward request with the next messages, or with those from number `first` on once more."""
        number = self.next_message if first is None else first
        body = form(messages, number, offset)
        self.next_message = max(self.next_message, number + len(messages))
        self._rid += 1
        asked = {"SID": self.sid, "RID": str(self._rid), "AID": str(self.last_received), **parameters}
        answer: list[int]
        (answer,) = frames([self.request("POST", asked, body)])
        return answer

    def hear(self, *, until_data: bool = False, **parameters: str) -> BackChannel:
        """A back channel, from what was received last."""
        asked = {
            "VER": "8", "RID": "rpc", "SID": self.sid, "AID": str(self.last_received),
            "CI": str(int(until_data)), "TYPE": "xmlhttp", **parameters,
        }  # fmt: skip
        return BackChannel(self, self._send("GET", asked))

    def terminate(self, method: str = "POST", *, origin: bool = True) -> str:
        return self.request(method, {"SID": self.sid, "RID": "9", "TYPE": "terminate"}, "", origin=origin)

    def request(self, method: str, asked: Mapping[str, str], body: str = "", *, origin: bool = True) -> str:
        response = self._send(method, asked, body, origin=origin)
        text = response.read().decode()
        response.close()
        return text

    def _send(
        self, method: str, asked: Mapping[str, str], body: str = "", *, origin: bool = True
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            **self._headers,
            **(self._origin if origin else {}),
        }
        connection.request(method, f"{self._path}?{urlencode(asked)}", body, headers)
        response = connection.getresponse()
        if response.status != 200:
            raise RefusedError(response.status, response.read().decode())
        return response


class BackChannel:
    """An answer that stays open: iterating gives `(number, message)` as they come, and ends with the answer."""

    def __init__(self, client: WireClient, response: http.client.HTTPResponse) -> None:
        self._client = client
        self.response = response

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        pieces = iter(lambda: self.response.read1(65536), b"")
        for arrays in frames(piece.decode() for piece in pieces):
            for number, message in arrays:
                if number > self._client.last_received:  # the official client skips what it has
                    self._client.last_received = number
                    yield number, message[0]

    def messages(self) -> Iterator[Any]:
        """Without the signs of life."""
        return (message for _, message in self if message != "noop")

    def cut(self) -> None:
        """The network takes it away, with whatever was on its way."""
        self.response.close()


def frames(pieces: Any) -> Iterator[Any]:
    """What the pieces of an answer hold, taken apart as JavaScript does: lengths count units of UTF-16."""
    units = b""
    for piece in pieces:
        units += piece.encode("utf-16-le")
        while (end := units.find("\n".encode("utf-16-le"))) >= 0 and end % 2 == 0:
            length = int(units[:end].decode("utf-16-le"))
            rest = units[end + 2 :]
            if len(rest) < 2 * length:
                break
            yield json.loads(rest[: 2 * length].decode("utf-16-le"))
            units = rest[2 * length :]
    assert not units, f"{len(units)} bytes belong to no frame"


def form(messages: Sequence[Any], first: int, offset: int | None = None) -> str:
    start = first if offset is None else offset
    parts = [f"count={len(messages)}", f"ofs={start}"]
    parts += [f"req{first - start + n}___data__={quote(json.dumps(each), safe='')}" for n, each in enumerate(messages)]
    return "&".join(parts)
