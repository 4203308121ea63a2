"""This Auth alone, on a free port that it prints; it ends with whoever started it."""

from __future__ import annotations

import asyncio
import sys

from afterimage_emulator.auth.service import AuthService
from afterimage_emulator.clock import Clock
from afterimage_emulator.wire.server import WireServer


async def serve(project_id: str) -> None:
    server = WireServer(name="auth", http=AuthService(project_id=project_id, clock=Clock()).http)
    await server.start()
    print(server.port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
