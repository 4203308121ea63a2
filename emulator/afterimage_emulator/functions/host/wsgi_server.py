"""Serves one WSGI application on a Unix socket: HTTP/1.1, a thread for each connection, for one trusted client.

The suite is that client. It opens as many connections as the function's concurrency allows, so that is also the number
of threads; it always sends a content-length, and never the next request before the answer.
"""

from __future__ import annotations

import io
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from . import suite_clock

_WITHOUT_BODY = frozenset({204, 304})
_HEAD_LIMIT_BYTES = 1024 * 1024


def serve(application: object, listener: socket.socket, *, may_exit: bool = True) -> None:
    """Never returns; the process ends when it is killed, or, with `may_exit`, when a handler says so."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve_connection, args=(application, connection, may_exit), daemon=True).start()


def serve_in_one_thread(application: object, listener: socket.socket) -> None:
    """For a debugger: requests one after another, in the main thread."""
    while True:
        connection, _ = listener.accept()
        _serve_connection(application, connection, may_exit=True)


def _serve_connection(application: object, connection: socket.socket, may_exit: bool) -> None:
    reader = connection.makefile("rb", 65_536)
    try:
        while _serve_request(application, reader, connection):
            pass
    except (OSError, ValueError):
        pass
    except SystemExit as ended:  # in a thread it would end nothing
        if may_exit:
            exit_as_told(ended.code)
    finally:
        reader.close()
        connection.close()


def exit_as_told(code: object) -> None:
    """As the interpreter itself would: nothing is 0, a text is printed and is 1."""
    if code is not None and not isinstance(code, int):
        sys.stderr.write(f"{code}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if code is None else code if isinstance(code, int) else 1)


def _serve_request(application: Any, reader: Any, connection: socket.socket) -> bool:
    line = reader.readline(_HEAD_LIMIT_BYTES)
    if not line:
        return False
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers: list[tuple[str, str]] = []
    clock = ""
    while True:
        line = reader.readline(_HEAD_LIMIT_BYTES)
        if line in (b"\r\n", b""):
            break
        name, _, value = line.decode("latin-1").partition(":")
        if name.strip().lower() == suite_clock.HEADER:
            clock = clock or value.strip()  # the suite's own stands first
        else:
            headers.append((name.strip().lower(), value.strip()))
    suite_clock.stand(clock)
    length = int(next((value for name, value in headers if name == "content-length"), "0"))
    body = reader.read(length) if length else b""
    if len(body) < length:
        return False
    environ = _environ(method, target, headers, body)
    return _answer(application, environ, method, connection)


def _environ(method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> dict[str, object]:
    path, _, query = target.partition("?")
    environ: dict[str, object] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": target,
        "REQUEST_URI": target,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in headers:
        if name == "content-type":
            environ["CONTENT_TYPE"] = value
        elif name == "content-length":
            environ["CONTENT_LENGTH"] = value
        else:
            key = "HTTP_" + name.upper().replace("-", "_")
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


def _answer(application: Any, environ: dict[str, Any], method: str, connection: socket.socket) -> bool:
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[[bytes], None]:
        started[:] = [status, headers]
        return lambda data: None

    chunks: Iterable[bytes] = ()
    served_by = os.getpid()
    try:
        chunks = _of_one_process(application(environ, start_response), served_by)
        status, headers = started
        code = int(status.split(" ", 1)[0])
        _write(connection, status, code, headers, chunks, method)
    except OSError:
        return False
    except Exception:  # the application answers its own errors: this is one of its framework
        traceback.print_exc()
        connection.sendall(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        return False
    finally:
        sys.stdout.flush()
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    return True


def _of_one_process(chunks: Iterable[bytes], served_by: int) -> Iterable[bytes]:
    """A copy that the handler forked must not answer too: its answer would be taken for that of the next request."""
    end_if_forked(served_by)
    return chunks if isinstance(chunks, list) else _Chunks(chunks, served_by)


class _Chunks:
    """The pieces of an answer that is made while it is sent, and that may fork as well."""

    def __init__(self, chunks: Iterable[bytes], served_by: int) -> None:
        self._chunks = chunks
        self._served_by = served_by

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            end_if_forked(self._served_by)
            yield chunk
        end_if_forked(self._served_by)

    def close(self) -> None:
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


def end_if_forked(served_by: int) -> None:
    if os.getpid() != served_by:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _write(
    connection: socket.socket,
    status: str,
    code: int,
    headers: list[tuple[str, str]],
    chunks: Iterable[bytes],
    method: str,
) -> None:
    head = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
    bodiless = method == "HEAD" or code in _WITHOUT_BODY or code < 200
    sized = any(name.lower() == "content-length" for name, _ in headers)
    if not sized and isinstance(chunks, list) and len(chunks) == 1:
        head.append(f"content-length: {len(chunks[0])}")
        sized = True
    chunked = not sized and not bodiless
    if chunked:
        head.append("transfer-encoding: chunked")
    pending = ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")
    if not bodiless:
        for chunk in chunks:
            if chunk:
                data = b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk
                connection.sendall(pending + data)
                pending = b""
        if chunked:
            pending += b"0\r\n\r\n"
    # Output made by the function must reach its pipe before the answer does.
    sys.stdout.flush()
    if pending:
        connection.sendall(pending)
