"""The ports of one suite: each service's server, those of further sites and of the console, and who has which."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from afterimage_emulator.composition.services import SERVE_PAGES, SERVICES
from afterimage_emulator.configuration import DEFAULT_HOST, DEFAULT_PORTS, Address, Configuration
from afterimage_emulator.faults import Faults
from afterimage_emulator.front.allowed_pages import AllowedPages
from afterimage_emulator.front.judged_requests import JudgedRequests
from afterimage_emulator.front.origin_guard import IsAdminRoute, OriginGuard
from afterimage_emulator.wire.grpc_methods import GrpcMethod
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse
from afterimage_emulator.wire.observers import RequestObserver
from afterimage_emulator.wire.server import PortInUseError, WireServer

FURTHER_PORTS = 100
"""How far above its own port a console or a further site may be, where others have that port."""


class Ports:
    """Opens every port of a suite behind one guard, and closes them all."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        allowed: AllowedPages,
        faults: Faults,
        observer: RequestObserver,
        are_free: bool,
    ) -> None:
        self._configuration = configuration
        self._faults = faults
        self._observer = observer
        self._are_free = are_free
        self._servers: dict[str, WireServer] = {}
        self.guard = OriginGuard(
            allowed,
            own_ports=lambda: {
                server.port for name, server in self._servers.items() if name.partition(":")[0] in SERVE_PAGES
            },
        )

    def addresses(self) -> Mapping[str, Address]:
        return {name: Address(host=server.host, port=server.port) for name, server in self._servers.items()}

    async def stop(self) -> None:
        await asyncio.gather(*(server.stop() for server in self._servers.values()))

    async def serve_further_sites(self, sites: Mapping[str, HttpHandler], is_admin_route: IsAdminRoute) -> None:
        """Each site but the first has a port four and more above, as in the official suite, or the next free one."""
        wanted = self._configuration.address("hosting").port + 4
        for name, handler in sites.items():
            wanted = await self._serve_near(f"hosting:{name}", handler, is_admin_route, wanted + 1)

    async def serve_console(self, make: Callable[[], HttpHandler]) -> None:
        """Its code is read when somebody opens it: a suite that nobody looks at is as small as ever."""
        built: list[HttpHandler] = []

        async def answer(request: HttpRequest) -> HttpResponse:
            if not built:
                built.append(make())
            return await built[0](request)

        await self._serve_near("ui", answer, lambda request: True, self._configuration.address("ui").port)

    async def serve_official_sockets(self, judged: JudgedRequests) -> None:
        """For the official console's page. Any page of this machine can read them: firebase.json has to name them."""

        def answers(name: str) -> HttpHandler:
            async def answer(request: HttpRequest) -> HttpResponse:
                from afterimage_emulator.hub.official_sockets import OfficialSockets

                return await OfficialSockets(judged, project=self._configuration.project_id).answer(name, request)

            return answer

        for name, address in self._configuration.official_sockets.items():
            await self.serve(name, answers(name), (), lambda request: True, wanted=address, upgrades=True)

    async def _serve_near(self, name: str, http: HttpHandler, is_admin_route: IsAdminRoute, wanted: int) -> int:
        """On that port, or on the next one that is free and belongs to no other service; answers with it."""
        first = self._configuration.address(name.partition(":")[0])
        others = {self._configuration.address(other).port for other in DEFAULT_PORTS} - {first.port}
        while True:
            try:
                if wanted not in others or not first.port:
                    at = Address(host=first.host, port=wanted if first.port else 0)
                    await self.serve(name, http, (), is_admin_route, wanted=at)
                    return wanted
            except PortInUseError:
                if wanted > first.port + FURTHER_PORTS:
                    raise
            wanted += 1

    async def serve(
        self,
        name: str,
        http: HttpHandler,
        grpc: Sequence[GrpcMethod],
        is_admin_route: IsAdminRoute,
        *,
        wanted: Address | None = None,
        upgrades: bool = False,
    ) -> None:
        """The one place where a port is opened, so that none is without the guard."""
        server = WireServer(
            name=name,
            http=self.guard.around(http, service=name, is_admin_route=is_admin_route),
            grpc=grpc,
            faults=self._faults,
            observer=self._observer,
            check_grpc_origin=self.guard.check_grpc_origin,
            worded=self.guard.worded if name in SERVICES else None,  # pages read nothing of what steers the suite
            upgrades=upgrades,
        )
        wanted = wanted or self._configuration.address(name)
        if self._are_free:
            wanted = Address(host=DEFAULT_HOST, port=0)
        await server.start(wanted.host, wanted.port)
        self._servers[name] = server
