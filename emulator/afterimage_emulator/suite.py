"""The composition root: builds the services, gives each its collaborators and a port, starts and stops them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from afterimage_emulator.activity import Activity
from afterimage_emulator.attempts import AttemptRecord
from afterimage_emulator.clock import Clock
from afterimage_emulator.configuration import (
    DEFAULT_HOST,
    DEFAULT_PORTS,
    Address,
    Configuration,
    load_configuration,
)
from afterimage_emulator.configuration.chosen_services import chosen_services
from afterimage_emulator.configuration.reachable import exposure_warnings, in_production, production_warning
from afterimage_emulator.credentials.local_credentials import account_email, service_account
from afterimage_emulator.credentials.local_signer import LocalSigner, accepts_unknown_signers
from afterimage_emulator.environment import sdk_environment
from afterimage_emulator.events import CloudEvent, EventBus
from afterimage_emulator.exports import check_target, export_services, import_services
from afterimage_emulator.faults import Faults
from afterimage_emulator.front.allowed_pages import AllowedPages
from afterimage_emulator.front.judged_requests import JudgedRequests
from afterimage_emulator.front.local_hosts import is_this_machine
from afterimage_emulator.front.origin_guard import IsAdminRoute, OriginGuard
from afterimage_emulator.hub.locator import remove_locator, write_locator
from afterimage_emulator.hub.service import Hub
from afterimage_emulator.hub.suite_folders import SuiteFolder
from afterimage_emulator.rules_files import RulesFiles, RulesNotice, rules_notices, watch_files
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import GrpcMethod
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse
from afterimage_emulator.wire.observers import RequestObserver
from afterimage_emulator.wire.offered import Offered
from afterimage_emulator.wire.server import PortInUseError, WireServer

if TYPE_CHECKING:
    from afterimage_emulator.durable.journal import Journal
    from afterimage_emulator.firestore.rules.project_documents import ProjectDocuments

CREDENTIALS_FILE = "local-service-account.json"
SERVICES = ("firestore", "storage", "auth", "pubsub", "functions", "tasks", "eventarc", "hosting")
SERVE_PAGES = frozenset({"storage", "hosting"})
"""Services whose answers are pages that users made: the guard lets none of these be an administrator."""
WITHOUT_DATA = frozenset({"eventarc", "hosting"})
FURTHER_PORTS = 100
"""How far above its own port a console or a further site may be, where others have that port."""
_log = logging.getLogger("afterimage_emulator")


class Service(Protocol):
    """What every service package offers the suite."""

    @property
    def http(self) -> HttpHandler: ...

    @property
    def grpc(self) -> Sequence[GrpcMethod]: ...

    @property
    def is_admin_route(self) -> IsAdminRoute:
        """Which HTTP requests ask for what only administrators may."""
        ...

    def offered(self) -> Iterable[Offered]:
        """Its HTTP routes as their own tables have them; `grpc` tells of itself."""
        ...

    def reset(self) -> None: ...

    async def export_to(self, directory: Path) -> None: ...

    async def import_from(self, directory: Path) -> None: ...

    async def close(self) -> None: ...


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
        self._accepts_unknown_signers = accept_unknown_signers
        self._strict_indexes = strict_indexes
        self._guard = OriginGuard(
            self._allowed,
            own_ports=lambda: {
                server.port for name, server in self._servers.items() if name.partition(":")[0] in SERVE_PAGES
            },
        )
        self.services: dict[str, Any] = {}
        self.warnings: list[str] = list(configuration.warnings)
        """What whoever starts the suite should know; complete once it has started."""
        if reached:
            self.warnings.append(production_warning(configuration, reached, is_allowed=allow_production))
        self.broken_rules: list[str] = []
        """Rules that closed what they were to guard when the suite started."""
        self._servers: dict[str, WireServer] = {}
        self._free_ports = free_ports
        self._wants_console = console
        self._keep_in = data
        self._journal: Journal | None = None
        self._import_from = import_from
        self._export_on_exit = export_on_exit
        self._exporting = asyncio.Lock()
        self._inspect = inspect
        self.functions_in_process = functions_in_process
        self.shut_down: Callable[[], None] | None = None
        """What POST /shutdown does; set by whoever can end the process that the suite runs in."""
        self._data: Path | None = None
        self._folder_of_run: SuiteFolder | None = None
        self._located = False
        self._watching: list[asyncio.Task[None]] = []

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
                from afterimage_emulator.durable.kept_services import journal_in, take_back

                self._journal = journal_in(self._keep_in)
            for name in self.only:
                self.services[name] = self._build(name)
            if self._keep_in is not None and self._journal is not None:
                self.warnings += take_back(self._journal, self._exporters(), self._keep_in)
            if "functions" in self.services:
                self.services["functions"].prepare()  # imports the codebases while the ports are being opened
            for name, service in self.services.items():
                await self._serve(name, service.http, service.grpc, service.is_admin_route)
            await self._serve_further_sites()
            hub = Hub(self, is_named=self._guard.is_named)
            await self._serve("hub", hub.http, (), hub.is_admin_route)
            if self._wants_console:
                await self._serve_console(hub.http)
                await self._serve_official_sockets()
            self.warnings += exposure_warnings(self.addresses())
            if self._import_from is not None and not self._is_first_run(self._import_from):
                await import_services(self._exporters(), self._import_from)
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
            for task in self._watching:
                task.cancel()
            if self._journal is not None:  # before services forget what they hold, which is not to be kept
                self._journal.close()
                self._journal = None
            # Functions first: nothing that they still write may find its service gone.
            for name in reversed(list(self.services)):
                with _reported(name):
                    await self.services[name].close()
            await asyncio.gather(*(server.stop() for server in self._servers.values()))
            self.services.clear()
            if self._folder_of_run is not None:
                self._folder_of_run.remove()

    async def _serve_further_sites(self) -> None:
        """Each site but the first has a port four and more above, as in the official suite, or the next free one."""
        hosting = self.services.get("hosting")
        if hosting is None:
            return
        wanted = self.configuration.address("hosting").port + 4
        for name, handler in hosting.further_sites().items():
            wanted = await self._serve_near(f"hosting:{name}", handler, hosting.is_admin_route, wanted + 1)

    async def _serve_console(self, control: HttpHandler) -> None:
        """Its code is read when somebody opens it: a suite that nobody looks at is as small as ever."""
        built: list[HttpHandler] = []

        async def answer(request: HttpRequest) -> HttpResponse:
            if not built:
                from afterimage_emulator.console.service import Console

                built.append(Console(self, control=control).http)
            return await built[0](request)

        await self._serve_near("ui", answer, lambda request: True, self.configuration.address("ui").port)

    async def _serve_official_sockets(self) -> None:
        """For the official console's page. Any page of this machine can read them: firebase.json has to name them."""

        def answers(name: str) -> HttpHandler:
            async def answer(request: HttpRequest) -> HttpResponse:
                from afterimage_emulator.hub.official_sockets import OfficialSockets

                return await OfficialSockets(self.judged, project=self.project_id).answer(name, request)

            return answer

        for name, address in self.configuration.official_sockets.items():
            await self._serve(name, answers(name), (), lambda request: True, wanted=address, upgrades=True)

    async def _serve_near(self, name: str, http: HttpHandler, is_admin_route: IsAdminRoute, wanted: int) -> int:
        """On that port, or on the next one that is free and belongs to no other service; answers with it."""
        first = self.configuration.address(name.partition(":")[0])
        others = {self.configuration.address(other).port for other in DEFAULT_PORTS} - {first.port}
        while True:
            try:
                if wanted not in others or not first.port:
                    at = Address(host=first.host, port=wanted if first.port else 0)
                    await self._serve(name, http, (), is_admin_route, wanted=at)
                    return wanted
            except PortInUseError:
                if wanted > first.port + FURTHER_PORTS:
                    raise
            wanted += 1

    async def _serve(
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
            http=self._guard.around(http, service=name, is_admin_route=is_admin_route),
            grpc=grpc,
            faults=self.faults,
            observer=self.observer,
            check_grpc_origin=self._guard.check_grpc_origin,
            worded=self._guard.worded if name in SERVICES else None,  # pages read nothing of what steers the suite
            upgrades=upgrades,
        )
        wanted = wanted or self.configuration.address(name)
        if self._free_ports:
            wanted = Address(host=DEFAULT_HOST, port=0)
        await server.start(wanted.host, wanted.port)
        self._servers[name] = server

    # -- what others ask
    def addresses(self) -> Mapping[str, Address]:
        return {name: Address(host=server.host, port=server.port) for name, server in self._servers.items()}

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

    def reset(self) -> None:
        """Forgets all data, of all projects. Functions, rules and faults stay."""
        self.attempts.clear()
        self.judged.clear()
        for service in self.services.values():
            service.reset()

    async def export_to(self, directory: Path) -> None:
        async with self._exporting:
            await export_services(self._exporters(), directory)

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

    # -- building; each service's package is imported only when it is wanted
    def _build(self, name: str) -> Service:
        built: Service = getattr(self, f"_build_{name}")()
        return built

    def _build_firestore(self) -> Service:
        from afterimage_emulator.firestore.documents.index_limits import IndexSettings
        from afterimage_emulator.firestore.indexes.declared_indexes import DeclaredIndexes
        from afterimage_emulator.firestore.indexes.indexes_files import read_indexes_files
        from afterimage_emulator.firestore.service import FirestoreService

        files = {each.database: each.indexes for each in self.configuration.firestore if each.indexes is not None}
        checks = (IndexSettings.parse, DeclaredIndexes.parse)
        indexes = read_indexes_files(files, *checks, warn=self.warnings.append)
        service = FirestoreService(
            clock=self.clock,
            events=self.events,
            project_id=self.project_id,
            shut_down=self.shut_down,
            index_settings={name: IndexSettings.parse(content) for name, content in indexes.items()},
            declared_indexes={name: DeclaredIndexes.parse(content) for name, content in indexes.items()},
            strict_indexes=self._strict_indexes,
            guard=self._guard,
            judged=self.judged,
            keeping=self._journal,
        )
        rules = RulesFiles(
            self.configuration.firestore,
            lambda database, source, name: service.rules.load_for_database(
                database, source, file_name=name, over=self.project_id
            ),
            service.rules.close_database,
        )
        rules.load_changed()
        named = [target.database for target in self.configuration.firestore] or ["(default)"]
        guarded = {database: f"the database `{database}`" for database in named} | {"(default)": "firestore"}
        self._note_rules(rules_notices("firestore", {guarded[name]: rules.by_database.get(name) for name in named}))
        self._watch(rules.load_changed)
        return service

    def _build_storage(self) -> Service:
        from afterimage_emulator.storage.notifications.sending import topics_beside
        from afterimage_emulator.storage.service import StorageService

        service = StorageService(
            clock=self.clock,
            events=self.events,
            directory=self._folder("storage"),
            default_buckets=(self.configuration.default_bucket,),
            targets=self.configuration.storage,
            documents=self._documents_for_rules(),
            signer=self.signer,
            accept_unknown_signers=accepts_unknown_signers(os.environ)
            if self._accepts_unknown_signers is None
            else self._accepts_unknown_signers,
            judged=self.judged,
            topics=topics_beside(self.services),
            project_id=self.project_id,
        )
        service.rules.load_changed()
        self._note_rules(service.rules.notices())
        self._watch(service.rules.load_changed)
        return service

    def _build_auth(self) -> Service:
        from afterimage_emulator.auth.service import AuthService

        def functions() -> Any:
            beside = self.services.get("functions")  # built later: Auth is asked for tokens by functions that start
            return None if beside is None else beside.blocking_functions

        return AuthService(
            project_id=self.project_id,
            clock=self.clock,
            functions=functions,
            note=self._note_change,
            keeping=self._journal,
        )

    def _build_pubsub(self) -> Service:
        from afterimage_emulator.pubsub.service import PubSubService

        storage = self.services.get("storage")
        return PubSubService(
            clock=self.clock, events=self.events, activity=self.activity, faults=self.faults, storage=storage
        )

    def _build_functions(self) -> Service:
        from afterimage_emulator.functions.service import FunctionsService

        return FunctionsService(
            codebases=self.configuration.codebases,
            project_id=self.project_id,
            clock=self.clock,
            events=self.events,
            activity=self.activity,
            inspect=self._inspect,
            in_process=self.functions_in_process,
            record=self.attempts,
            subscriptions=self.services["pubsub"].function_subscriptions if "pubsub" in self.services else None,
        )

    def _build_tasks(self) -> Service:
        from afterimage_emulator.tasks.service import TasksService

        return TasksService(
            clock=self.clock,
            activity=self.activity,
            faults=self.faults,
            record=self.attempts,
            note=self._note_change,
            functions=self.services["functions"].task_targets if "functions" in self.services else None,
            may_call=lambda host: is_this_machine(host) or host in self._allowed.hosts,
        )

    def _build_eventarc(self) -> Service:
        from afterimage_emulator.eventarc.service import EventarcService

        return EventarcService(clock=self.clock, events=self.events)

    def _build_hosting(self) -> Service:
        from afterimage_emulator.hosting.service import HostingService

        configuration = self.configuration
        file = configuration.file
        named = [path for target in configuration.firestore for path in (target.rules, target.indexes)]
        named += [target.rules for target in configuration.storage]
        service = HostingService(
            sections=configuration.hosting,
            root=configuration.root,
            project_id=self.project_id,
            default_bucket=configuration.default_bucket,
            addresses=self.addresses,
            functions=self.services.get("functions"),
            auth_page=self.services["auth"].provider_page if "auth" in self.services else None,
            file=file,
            read_again=lambda: () if file is None else load_configuration(file, project_id=self.project_id).hosting,
            private_files=[path for path in (file, *named) if path is not None],
            private_folders=[codebase.source for codebase in configuration.codebases],
            # A debugger holds a function for as long as somebody thinks.
            **({} if self._inspect is None else {"answer_limit_seconds": None}),
        )
        self.warnings += service.warnings()
        return service

    def _note_rules(self, notices: Sequence[RulesNotice]) -> None:
        self.warnings += [notice.text for notice in notices if not notice.is_broken]
        self.broken_rules += [notice.text for notice in notices if notice.is_broken]

    def _watch(self, load_changed: Callable[[], None]) -> None:
        self._watching.append(asyncio.get_running_loop().create_task(watch_files(load_changed)))

    def _documents_for_rules(self) -> ProjectDocuments | None:
        """What `firestore.get` finds in Storage rules; nothing where no Firestore runs beside."""
        firestore = self.services.get("firestore")
        if firestore is None:
            return None
        from afterimage_emulator.firestore.rules.project_documents import ProjectDocuments

        return ProjectDocuments(firestore.store, self.project_id)

    def _folder(self, name: str) -> Path:
        if self._data is None:
            raise RuntimeError("the suite is not started")
        folder = self._data / name
        folder.mkdir()
        return folder


@contextlib.contextmanager
def _reported(name: str) -> Iterator[None]:
    """One service that cannot stop must not keep the others from stopping."""
    try:
        yield
    except Exception:
        _log.exception("%s did not stop cleanly", name)
