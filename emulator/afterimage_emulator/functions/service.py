"""The functions service: everything of this package put together, and what the suite asks of it."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from afterimage_emulator.activity import Activity
from afterimage_emulator.attempts import AttemptRecord
from afterimage_emulator.clock import Clock
from afterimage_emulator.configuration import Codebase
from afterimage_emulator.durable.entries import NOTHING_KEPT, KeptEntries, touch_nothing
from afterimage_emulator.environment import NO_DATABASE
from afterimage_emulator.events import CloudEvent, EventBus
from afterimage_emulator.functions.blocking_functions import BlockingFunctions
from afterimage_emulator.functions.codebases.manifest import FunctionSpec, HttpTrigger
from afterimage_emulator.functions.codebases.running_codebase import RunningCodebase
from afterimage_emulator.functions.deliveries.causes import Causes
from afterimage_emulator.functions.deliveries.deliveries import Deliveries, FunctionCalls, RetryPolicy
from afterimage_emulator.functions.deliveries.event_subscriptions import EventSubscriptions
from afterimage_emulator.functions.deliveries.pending_events import read_pending, write_pending
from afterimage_emulator.functions.deliveries.schedules import Schedules
from afterimage_emulator.functions.host.suite_clock import is_asked_for
from afterimage_emulator.functions.http_front import FunctionsHttpFront
from afterimage_emulator.functions.instances.function_pool import FunctionPool
from afterimage_emulator.functions.instances.instance_budget import InstanceBudget
from afterimage_emulator.functions.instances.instances import Instance, MemoryWatch, RunsAt
from afterimage_emulator.functions.instances.socket_owners import TELLS_OWNERS, inode_of
from afterimage_emulator.functions.kept_functions import KeptFunctions
from afterimage_emulator.functions.offered_triggers import OFFERED
from afterimage_emulator.functions.overview import overview
from afterimage_emulator.functions.task_targets import TaskTargets
from afterimage_emulator.wire.grpc_methods import GrpcMethod
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse
from afterimage_emulator.wire.observers import Peer
from afterimage_emulator.wire.offered import Offered

_log = logging.getLogger("afterimage_emulator.functions")


class FunctionsService:
    """Loads codebases and runs their functions. `start` needs the addresses of the other services, so it comes last.

    `in_process`: functions run in threads of this process, for tests that debug or measure coverage.
    `record`: where attempts are written down, together with those of others.
    `subscriptions`: the Pub/Sub beside it, where there is one, which knows of dead letters and retry policies.
    """

    grpc: Sequence[GrpcMethod] = ()

    def __init__(
        self,
        *,
        codebases: Sequence[Codebase],
        project_id: str,
        clock: Clock,
        events: EventBus,
        activity: Activity,
        inspect: str | None = None,
        in_process: bool = False,
        retry: RetryPolicy | None = None,
        subscriptions: EventSubscriptions | None = None,
        record: AttemptRecord | None = None,
        keeping: KeptEntries | None = None,
    ) -> None:
        self.record = AttemptRecord() if record is None else record
        self._project_id = project_id
        self._activity = activity
        self._events = events
        self._codebases = tuple(codebases)
        self._inspect = inspect
        self._in_process = in_process
        self._running: list[RunningCodebase] = []
        self._is_starting = False
        self._pools: Mapping[str, FunctionPool] = {}
        self._memory = MemoryWatch(self._instances)
        self._budget = InstanceBudget(self._instances)
        self._routed = asyncio.Event()
        self._causes = Causes(self.record, self._runs_at)
        calls = FunctionCalls(
            clock=clock,
            record=self.record,
            find=lambda name: self._pools.get(name),
            replaced=self._next_route,
            tells_clock=is_asked_for(os.environ) and not in_process,
        )
        self.figures = calls.figures
        self._deliveries = Deliveries(
            calls=calls,
            clock=clock,
            activity=activity,
            project_id=project_id,
            retry=retry or RetryPolicy(),
            subscriptions=subscriptions,
            keeping=keeping or NOTHING_KEPT,
        )
        self._schedules = Schedules(
            calls=calls,
            clock=clock,
            activity=activity,
            project_id=project_id,
            touch=touch_nothing if keeping is None else keeping.touch,
        )
        if keeping is not None:
            KeptFunctions(keeping, self._deliveries, self._schedules)
        self.task_targets = TaskTargets(calls=calls, project_id=project_id, functions=self.functions)
        self.blocking_functions = BlockingFunctions(calls=calls, project_id=project_id, functions=self.functions)
        self._front = FunctionsHttpFront(
            calls=calls, project_id=project_id, activity=activity, functions=self.functions, causes=self._causes
        )
        self._sockets: Path | None = None
        self._unsubscribe: Callable[[], None] | None = None

    # -- life

    def prepare(self, sockets: Path | None = None) -> None:
        """May be called before `start`, in the running loop: the imports then happen while other services start.

        `sockets` is an empty folder with a short path, for the sockets of instances; it is gone when the service ends.
        """
        self._sockets = sockets or Path(tempfile.mkdtemp(prefix="fn-"))
        self._running = [
            RunningCodebase(
                codebase,
                project_id=self._project_id,
                sockets=self._sockets,
                activity=self._activity,
                memory=self._memory,
                budget=self._budget,
                changed=self._route,
                inspect=self._inspect,
                in_process=self._in_process,
            )
            for codebase in self._codebases
        ]
        for running in self._running:
            running.prepare()

    async def start(self, environment: Mapping[str, str]) -> None:
        """Loads every codebase. One that does not load is told of in the log and in `summary`; it loads when mended."""
        if self._sockets is None:
            self.prepare()
        self._is_starting = True
        self._deliveries.route((), self._never_loaded(), is_starting=True)
        self._unsubscribe = self._events.subscribe(self._deliveries)
        if self._in_process:  # one after the other: they change the same process
            for running in self._running:
                await running.start(environment)
        else:
            await asyncio.gather(*(running.start(environment) for running in self._running))
        self._is_starting = False
        if self._never_loaded():
            self._route()

    async def close(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._schedules.close()
        self._memory.stop()
        await self._deliveries.close()
        running, self._running = self._running, []
        for codebase in reversed(running) if self._in_process else ():
            await codebase.close()
        await asyncio.gather(*(codebase.close() for codebase in running))
        self._use({})  # whoever still waits for a pool hears that there is none
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None

    def reset(self) -> None:
        """Forgets what was sent; functions stay loaded."""
        self.record.clear()

    async def export_to(self, directory: Path) -> None:
        """Events that functions have still to take, with the attempts behind them."""
        write_pending(self._deliveries.pending(), directory)

    async def import_from(self, source: Path) -> None:
        """They go on as soon as their functions are loaded."""
        self._deliveries.resume(read_pending(source))

    def pending(self) -> list[str]:
        """What is not done, one line each."""
        count, codebases = self._deliveries.held()
        held = [f"{count:,} events that wait for codebase {', '.join(codebases)} to load"] if count else []
        return [*map(str, self._deliveries.pending()), *held]

    # -- what others ask

    async def http(self, request: HttpRequest) -> HttpResponse:
        return await self._front(request)

    def offered(self) -> Sequence[Offered]:
        """The forms of each project's own addresses, and the triggers that a function can declare."""
        return OFFERED

    def is_admin_route(self, request: HttpRequest) -> bool:
        """Functions decide themselves who may do what."""
        return False

    def regions_of(self, name: str) -> tuple[str, ...] | None:
        """Where a function with a URL of its own runs."""
        pool = self._pools.get(name)
        return pool.spec.regions if pool is not None and isinstance(pool.spec.trigger, HttpTrigger) else None

    def functions(self) -> Mapping[str, FunctionSpec]:
        """All functions that are loaded, by name."""
        return {name: pool.spec for name, pool in self._pools.items()}

    def records(self, *, failed_only: bool) -> list[dict[str, Any]]:
        return self.record.listing(failed_only=failed_only)

    def remembers(self, event_id: str) -> bool:
        return self.record.event(event_id) is not None

    async def replay(self, event_id: str) -> int:
        """Sends an event of the record again; answers to how many functions (0: it is not in the record any more)."""
        event = self.record.event(event_id)
        return 0 if event is None else self._deliveries.send(event)

    def send(self, event: CloudEvent) -> int:
        """An event made by hand; answers how many functions want it."""
        return self._deliveries.send(event)

    def run_schedule(self, name: str) -> None:
        """Runs a scheduled function now, whatever its time table says."""
        self._schedules.run_now(name)

    def summary(self) -> list[str]:
        """One line a function, one for each that cannot run here, one for each codebase that does not load."""
        lines: list[str] = []
        for running in self._running:
            if running.loaded is not None:
                lines += _in_columns([_row(spec) for spec in running.loaded.manifest.functions])
                lines += [f"not run: {problem}" for problem in running.loaded.manifest.problems]
                lines += [
                    f"only by hand: {spec.name}; {NO_DATABASE}"
                    for spec in running.loaded.manifest.functions
                    if spec.is_of_database
                ]
                lines += [
                    f"without effect here: {', '.join(spec.without_effect)} of {spec.name}"
                    for spec in running.loaded.manifest.functions
                    if spec.without_effect
                ]
            if running.error:
                lines.append(f"codebase {running.codebase.name} does not load: {running.error.splitlines()[-1]}")
        return lines

    def _never_loaded(self) -> list[str]:
        return [running.codebase.name for running in self._running if running.loaded is None]

    def broken_codebases(self) -> Sequence[str]:
        return [running.codebase.name for running in self._running if running.error]

    def overview(self) -> list[dict[str, Any]]:
        """Every codebase with its functions, their instances and what they are set to."""
        return overview(self._running, self._schedules)

    def note_change(self, service: str, what: str, resource: str, event_ids: Sequence[str]) -> None:
        """What a service has just changed: it may be the work of a run here."""
        self._causes.note(service, what, resource, event_ids)

    def _runs_at(self, peer: Peer) -> RunsAt:
        """Looks once a connection. Functions that share this process cannot be told from whoever tests them."""
        if self._in_process or not TELLS_OWNERS:
            return RunsAt(is_certain=False)
        if not peer.is_known:
            instances = [instance for instance in self._instances() if instance.is_alive]
            if not instances:
                return RunsAt()
            inode = inode_of(*peer.address[:2]) if isinstance(peer.address, tuple) else None
            peer.owner = next((each for each in instances if inode and each.holds_socket(inode)), None)
            peer.is_known = True
        return peer.owner.runs() if isinstance(peer.owner, Instance) else RunsAt()

    def _instances(self) -> list[Instance]:
        return [instance for running in self._running for instance in running.instances()]

    def _route(self) -> None:
        """After any codebase was loaded anew."""
        pools: dict[str, FunctionPool] = {}
        for running in self._running:
            if running.loaded is None:
                continue
            for name, pool in running.loaded.pools.items():
                if name in pools:
                    _log.warning("function `%s` is in two codebases; the first one is used", name)
                else:
                    pools[name] = pool
        self._use(pools)
        specs = [pool.spec for pool in pools.values()]
        self._deliveries.route(specs, self._never_loaded(), is_starting=self._is_starting)
        self._schedules.plan(specs)
        self.task_targets.routed()

    def _use(self, pools: Mapping[str, FunctionPool]) -> None:
        self._pools = pools
        routed, self._routed = self._routed, asyncio.Event()
        routed.set()

    async def _next_route(self) -> None:
        await self._routed.wait()


def _in_columns(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    names, kinds = (max((len(row[at]) for row in rows), default=0) for at in (0, 1))
    return [f"{name:<{names}}  {kind:<{kinds}}  {rest}" for name, kind, rest in rows]


def _row(spec: FunctionSpec) -> tuple[str, str, str]:
    return (spec.name, *spec.described_trigger())
