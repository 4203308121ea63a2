"""The composition root: one suite's life, from its start to its stop, and what is asked of it meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from afterimage_emulator.activity import Activity
from afterimage_emulator.attempts import AttemptRecord
from afterimage_emulator.clock import Clock
from afterimage_emulator.composition.building import BuildOptions, ServiceBuilder
from afterimage_emulator.composition.notices import Notices
from afterimage_emulator.composition.ports import Ports
from afterimage_emulator.composition.services import SERVICES, WITHOUT_DATA
from afterimage_emulator.composition.shared_parts import SharedParts
from afterimage_emulator.configuration import Address, Configuration
from afterimage_emulator.configuration.chosen_services import chosen_services
from afterimage_emulator.configuration.reachable import exposure_warnings, in_production, production_warning
from afterimage_emulator.credentials.local_credentials import account_email, service_account
from afterimage_emulator.credentials.local_signer import LocalSigner
from afterimage_emulator.environment import sdk_environment
from afterimage_emulator.events import CloudEvent, EventBus
from afterimage_emulator.exports import check_target, export_services, import_services
from afterimage_emulator.faults import Faults
from afterimage_emulator.front.allowed_pages import AllowedPages
from afterimage_emulator.front.judged_requests import JudgedRequests
from afterimage_emulator.hub.locator import remove_locator, write_locator
from afterimage_emulator.hub.service import Hub
from afterimage_emulator.hub.suite_folders import SOCKETS_PREFIX, SuiteFolder
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http_messages import HttpHandler
from afterimage_emulator.wire.observers import RequestObserver

if TYPE_CHECKING:
    from afterimage_emulator.durable.kept_services import Keeping

CREDENTIALS_FILE = "local-service-account.json"
_log = logging.getLogger("afterimage_emulator")


class Suite:
    """A local Firebase. `async with Suite(configuration) as suite:` starts it; leaving stops every part of it."""

    def __init__(
        self,
        configuration: Configuration | None = None,
        *,
        only: Collection[str] | None = None,
        project_id: str | None = None,
        free_ports: bool = False,
        import_from: Path | None = None,
        export_on_exit: Path | None = None,
        clock: Clock | None = None,
        inspect: str | None = None,
        functions_in_process: bool = False,
        allowed: AllowedPages | None = None,
        accept_unknown_signers: bool | None = None,
        strict_indexes: bool = False,
        console: bool = False,
        allow_production: bool = False,
        data: Path | None = None,
    ) -> None:
        if configuration is None:
            configuration = Configuration(root=Path.cwd(), project_id=project_id or "demo-suite")
        self.configuration = configuration
        self.project_id = configuration.project_id
        self.token = secrets.token_urlsafe(32)
        """What pages show that may control the suite: its console gets it with its own load."""
        self.only = chosen_services(SERVICES, configuration, only)
        reached = in_production(configuration, self.only)
        self._withholds_credentials = bool(reached) and not allow_production
        self.clock = clock or Clock()
        self.faults = Faults()
        self.activity = Activity()
        self.attempts = AttemptRecord()
        self.events = EventBus(clock=self.clock, faults=self.faults, activity=self.activity, note=self._note_change)
        self.judged = JudgedRequests(self.clock)
        self.observer = RequestObserver()
        self._allowed = AllowedPages.read(os.environ) if allowed is None else allowed
        self.signer = LocalSigner(accounts=(account_email(self.project_id),))
        self._options = BuildOptions(
            accept_unknown_signers=accept_unknown_signers,
            strict_indexes=strict_indexes,
            functions_in_process=functions_in_process,
            inspect=inspect,
        )
        self._ports = Ports(
            configuration, allowed=self._allowed, faults=self.faults, observer=self.observer, are_free=free_ports
        )
        self._hub: Hub | None = None
        self.services: dict[str, Any] = {}
        self._notices = Notices(configuration.warnings)
        self.warnings, self.broken_rules = self._notices.warnings, self._notices.broken_rules
        if reached:
            self.warnings.append(production_warning(configuration, reached, is_allowed=allow_production))
        self._wants_console = console
        self._keep_in = data
        self._keeping: Keeping | None = None
        self._import_from = import_from
        self._export_on_exit = export_on_exit
        self._exporting = asyncio.Lock()
        self.functions_in_process = functions_in_process
        self.shut_down: Callable[[], None] | None = None
        """What POST /shutdown does; set by whoever can end the process that the suite runs in."""
        self._data: Path | None = None
        self._folder_of_run: SuiteFolder | None = None
        self._folder_of_sockets: SuiteFolder | None = None
        self._located = False

    # -- life
    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        try:
            if self._export_on_exit is not None:
                check_target(self._export_on_exit)
            self._folder_of_run = SuiteFolder()
            self._data = self._folder_of_run.path
            if self._keep_in is not None:
                from afterimage_emulator.durable.kept_services import Keeping

                self._keeping = Keeping(self._keep_in, self.clock)
            builder = self._builder(self._data)
            for name in self.only:
                self.services[name] = builder.build(name)
            if self._keeping is not None:
                self._keeping.take_back(self.services)
            if "functions" in self.services:
                self._folder_of_sockets = SuiteFolder(SOCKETS_PREFIX)
                # Imports the codebases while the ports are being opened.
                self.services["functions"].prepare(self._folder_of_sockets.path)
            for name, service in self.services.items():
                await self._ports.serve(name, service.http, service.grpc, service.is_admin_route)
            if "hosting" in self.services:
                hosting = self.services["hosting"]
                await self._ports.serve_further_sites(hosting.further_sites(), hosting.is_admin_route)
            self._hub = hub = Hub(self, is_named=self._ports.guard.is_named)
            await self._ports.serve("hub", hub.http, (), hub.is_admin_route, upgrades=True)
            if self._wants_console:
                await self._ports.serve_console(lambda: self._console(hub.http))
                await self._ports.serve_official_sockets(self.judged)
            self.warnings += exposure_warnings(self.addresses())
            await self._import()
            origin = f"http://{self.addresses()['hub']}"
            credentials = self._data / CREDENTIALS_FILE
            credentials.touch(mode=0o600)
            credentials.write_text(service_account(self.project_id, origin))
            write_locator(self.project_id, origin)
            self._located = True
            if "functions" in self.services:
                await self.services["functions"].start(self.environment())
            if "tasks" in self.services:
                self.services["tasks"].start()
        except BaseException:
            self._export_on_exit = None  # what never started must not replace an earlier export
            await self.stop()
            raise

    async def stop(self) -> None:
        try:
            if self._export_on_exit is not None:
                await self.export_to(self._export_on_exit)
        finally:
            if self._located:
                remove_locator(self.project_id, f"http://{self.addresses()['hub']}")
                self._located = False
            self._notices.stop_watching()
            if self._keeping is not None:  # before services forget what they hold, which is not to be kept
                self._keeping.close()
            # Functions first: nothing that they still write may find its service gone.
            for name in reversed(list(self.services)):
                with _reported(name):
                    await self.services[name].close()
            await self._ports.stop()
            self.services.clear()
            for folder in (self._folder_of_run, self._folder_of_sockets):
                if folder is not None:
                    folder.remove()

    def _builder(self, folder_of_run: Path) -> ServiceBuilder:
        parts = SharedParts(
            configuration=self.configuration,
            clock=self.clock,
            faults=self.faults,
            activity=self.activity,
            attempts=self.attempts,
            events=self.events,
            judged=self.judged,
            signer=self.signer,
            allowed=self._allowed,
            ports=self._ports,
            notices=self._notices,
            services=self.services,
        )
        return ServiceBuilder(
            parts,
            self._options,
            folder_of_run=folder_of_run,
            keeping=self._keeping,
            shut_down=self.shut_down,
            note_change=self._note_change,
        )

    def _console(self, control: HttpHandler) -> HttpHandler:
        from afterimage_emulator.console.service import Console

        return Console(self, control=control).http

    # -- what others ask
    def addresses(self) -> Mapping[str, Address]:
        return self._ports.addresses()

    def environment(self) -> dict[str, str]:
        """The variables that point the official SDKs here, and local credentials where there are no others.

        The user's own are hidden behind those where code might reach production with them.
        """
        environment = sdk_environment(self.configuration, self.addresses())
        has_none = "GOOGLE_APPLICATION_CREDENTIALS" not in os.environ
        if self._data is not None and (has_none or self._withholds_credentials):
            environment["GOOGLE_APPLICATION_CREDENTIALS"] = str(self._data / CREDENTIALS_FILE)
        return environment

    async def settled(self, timeout_seconds: float = 30.0) -> None:
        """Returns when no event is on its way, no function at work and nothing waits to be retried."""
        await self.activity.settled(timeout_seconds)

    async def kept(self) -> None:
        """Returns when all that was changed so far is on the disk, where data are kept."""
        if self._keeping is not None:
            await self._keeping.journal.kept()

    def reset(self) -> None:
        """Forgets all data, of all projects. Functions, rules and faults stay."""
        self.attempts.clear()
        self.judged.clear()
        for service in self.services.values():
            service.reset()

    async def export_to(self, directory: Path) -> None:
        async with self._exporting:
            await export_services(self._exporters(), directory)

    async def _import(self) -> None:
        """Once into a folder that keeps data: what it holds at a later start is newer than the export."""
        if self._import_from is None or self._is_first_run(self._import_from):
            return
        if self._keeping is not None and not self._keeping.is_new:
            self.warnings.append(f"`{self._import_from}` is not imported, since `{self._keep_in}` holds data already")
            return
        with contextlib.nullcontext() if self._keeping is None else self._keeping.importing():
            await import_services(self._exporters(), self._import_from)
            await self.kept()

    def _is_first_run(self, source: Path) -> bool:
        """Where the export is to be written on exit, there may be none to read yet."""
        if self._export_on_exit is None or source.resolve() != self._export_on_exit.resolve():
            return False
        return not source.exists() or (source.is_dir() and not any(source.iterdir()))

    def _exporters(self) -> dict[str, Any]:
        return {name: service for name, service in self.services.items() if name not in WITHOUT_DATA}

    def records(self, *, failed_only: bool) -> list[dict[str, Any]]:
        return self.attempts.listing(failed_only=failed_only)

    def knows_event(self, event_id: str) -> bool:
        """Whether an event or a task is in the record."""
        return any(self.services[name].remembers(event_id) for name in ("functions", "tasks") if name in self.services)

    async def replay(self, event_id: str) -> int:
        """An event or a task of the record."""
        functions, tasks = self.services.get("functions"), self.services.get("tasks")
        count = 0 if functions is None else await functions.replay(event_id)
        return int(count or (0 if tasks is None else tasks.replay(event_id)))

    def capabilities(self) -> dict[str, list[dict[str, str]]]:
        """Every operation of the services and of the hub, with what becomes of it."""
        # Few suites are ever asked: the others start without it.
        from afterimage_emulator.hub.capabilities import capabilities

        return capabilities({**self.services, **({} if self._hub is None else {"hub": self._hub})})

    def missing_indexes(self) -> list[dict[str, Any]]:
        """What queries needed since the start and no indexes file declares."""
        firestore = self.services.get("firestore")
        return [] if firestore is None else list(firestore.missing_indexes.listing())

    def _note_change(self, service: str, what: str, resource: str, event_ids: Sequence[str]) -> None:
        functions = self.services.get("functions")
        if functions is not None:
            functions.note_change(service, what, resource, event_ids)

    def functions_summary(self) -> list[str]:
        functions = self.services.get("functions")
        return [] if functions is None else list(functions.summary())

    def send(self, event: CloudEvent) -> int:
        """An event made by hand; answers how many functions want it."""
        functions = self.services.get("functions")
        return 0 if functions is None else functions.send(event)

    def run_schedule(self, name: str) -> None:
        functions = self.services.get("functions")
        if functions is None:
            raise StatusError(Code.FAILED_PRECONDITION, "this suite runs no functions")
        functions.run_schedule(name)


@contextlib.contextmanager
def _reported(name: str) -> Iterator[None]:
    """One service that cannot stop must not keep the others from stopping."""
    try:
        yield
    except Exception:
        _log.exception("%s did not stop cleanly", name)
