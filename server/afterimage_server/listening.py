"""The HTTP server of one machine: waitress, whose loop is run here so that it can be ended from outside, with grace."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from flask import Flask

GRACE_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.5
_DRAIN_SECONDS: Final = 0.02
_SLACK_BYTES: Final = 1024 * 1024


class Listener:
    """Listens from the moment it is made; serves while `run` runs."""

    def __init__(
        self, app: Flask, host: str, port: int, *, threads: int, most_body_bytes: int, trusted_proxy: str = ""
    ) -> None:
        import waitress

        trusting: dict[str, Any] = {}
        if trusted_proxy:
            trusting = {"trusted_proxy": trusted_proxy, "trusted_proxy_headers": {"x-forwarded-for"}}
        self._sockets: dict[int, Any] = {}
        self._server: Any = waitress.create_server(
            app,
            map=self._sockets,
            host=host,
            port=port,
            ipv4=":" not in host,
            ipv6=":" in host,
            threads=threads,
            # The API has limits of its own; this one keeps a stranger from filling the disk with one request.
            max_request_body_size=most_body_bytes + _SLACK_BYTES,
            ident=None,
            clear_untrusted_proxy_headers=True,
            **trusting,
        )
        self._stopping = threading.Event()
        shown = f"[{host}]" if ":" in host else host
        self.base = f"http://{shown}:{self._server.effective_port}"

    def run(self) -> None:
        """Serves until `stop`; then takes no more, and lets what is under way come to its end."""
        from waitress import wasyncore

        while not self._stopping.is_set():
            self._turn(_LOOK_SECONDS)
        self._server.accepting = False
        # The socket alone: workers that still send wake this loop by the trigger, which the server's own `close` ends.
        wasyncore.dispatcher.close(self._server)
        workers = self._server.task_dispatcher
        workers.set_thread_count(0)
        until = time.monotonic() + GRACE_SECONDS
        while (workers.threads or self._has_more_to_send()) and time.monotonic() < until:
            self._turn(_DRAIN_SECONDS)
        workers.shutdown(timeout=0.1)
        self._server.trigger.close()
        for channel in list(self._sockets.values()):
            channel.close()

    def stop(self) -> None:
        """From any thread, or from a signal."""
        self._stopping.set()
        self._server.pull_trigger()

    def _turn(self, seconds: float) -> None:
        from waitress import wasyncore

        wasyncore.loop(timeout=seconds, use_poll=True, map=self._sockets, count=1)
        if not self._sockets:
            time.sleep(seconds)

    def _has_more_to_send(self) -> bool:
        return any(getattr(channel, "total_outbufs_len", 0) for channel in self._sockets.values())
