"""A proxy of the worst kind, between a page and the suite: it delays, cuts, repeats, loses and holds back."""

from __future__ import annotations

import random
import select
import socket
import struct
import threading
from collections.abc import Callable
from typing import Final

_ABORT: Final = struct.pack("ii", 1, 0)
_PIECE: Final = 65536

Treatment = Callable[[str, str], str]
"""From a request's method and target to what is done to it.

`pass`: nothing. `delay`: every piece of the answer comes late. `repeat`: the request is sent twice, and the first
answer lost. `lose`: the answer is lost. `cut`: the connection breaks within the answer. `hold`: the answer comes when
it is complete.
"""


class BadNetwork:
    """Listens on a free port of loopback; every request takes a connection of its own."""

    def __init__(self, upstream: str, treatment: Treatment, *, seed: int = 0) -> None:
        host, _, port = upstream.rpartition(":")
        self.seen: list[tuple[str, str, str]] = []
        """Method, target and treatment of every request."""
        self._upstream = (host, int(port))
        self._treatment = treatment
        self._chance = random.Random(seed)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            request = _read_request(client)
            if request is None:
                return
            method, target, *_ = request.split(b" ", 2)
            treatment = self._treatment(method.decode(), target.decode())
            self.seen.append((method.decode(), target.decode(), treatment))
            try:
                if treatment in ("repeat", "lose"):
                    self._send(request, client, "hold and drop")
                if treatment == "lose":
                    _abort(client)
                else:
                    self._send(request, client, treatment)
            except OSError:  # one side has left, as networks have it
                return

    def _send(self, request: bytes, client: socket.socket, treatment: str) -> None:
        pieces_left = self._chance.randint(1, 3)
        held = b""
        with socket.create_connection(self._upstream) as server:
            server.sendall(request)
            while True:
                readable, _, _ = select.select([server, client], [], [])
                if client in readable and client.recv(_PIECE) == b"":
                    return
                if server not in readable:
                    continue
                piece = server.recv(_PIECE)
                if treatment.startswith("hold"):
                    held += piece
                    if piece == b"":
                        client.sendall(held if treatment == "hold" else b"")
                        return
                    continue
                if piece == b"":
                    return
                if treatment == "delay":
                    select.select([], [], [], self._chance.uniform(0, 0.02))
                client.sendall(piece)
                pieces_left -= 1
                if treatment == "cut" and pieces_left == 0:
                    _abort(client)
                    return


def _read_request(client: socket.socket) -> bytes | None:
    """The whole of it, asking for the connection to end with the answer."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = client.recv(_PIECE)
        if piece == b"":
            return None
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    length = next((int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        piece = client.recv(_PIECE)
        if piece == b"":
            return None
        body += piece
    return b"\r\n".join([*lines, b"Connection: close", b"", b""]) + body


def _abort(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    client.close()
