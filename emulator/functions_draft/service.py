"""Functions as one service: loads every codebase, keeps its pools, reloads what changes on disk."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from emulator.activity import Activity
from emulator.clock import Clock
from emulator.configuration import Codebase
from emulator.events import EventBus
from emulator.functions_draft.dispatcher import Dispatcher
from emulator.functions_draft.http_front import HttpFront
from emulator.functions_draft.loaded_codebase import CodebaseError, LoadedCodebase
from emulator.functions_draft.pool import Pool
from emulator.functions_draft.records import Records
from emulator.status import Code, StatusError
from emulator.wire.grpc_methods import GrpcMethod

WATCH_SECONDS: Final = 0.4
FINISH_SECONDS: Final = 60.0
_IGNORED_FOLDERS: Final = frozenset({"venv", ".venv", "__pycache__", "node_modules", ".git", ".pytest_cache"})
_MOST_WATCHED_FILES: Final = 4000
_log = logging.getLogger("emulator.functions")


class FunctionsService:
    """`start` is told where the other services are; `summary` says what was loaded."""

    grpc: Sequence[GrpcMethod] = ()

    def __init__(
        self,
        *,
        codebases: Sequence[Codebase],
        project_id: str,
        clock: Clock,
        events: EventBus,
        activity: Activity,
        run_folder: Path,
        inspect: str | None = None,
    ) -> None:
        self._codebases = codebases
        self._project_id = project_id
        self._records = Records()
        self._dispatcher = Dispatcher(project_id=project_id, clock=clock, activity=activity, records=self._records)
        self._unsubscribe = events.subscribe(self._dispatcher)
        self._run_folder = run_folder
        self._inspect = inspect
        self._loaded: dict[str, LoadedCodebase] = {}
        self._errors: dict[str, str] = {}
        self._environment: Mapping[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ids = itertools.count(1)
        self.http = HttpFront(
            project_id=project_id, dispatcher=self._dispatcher, next_id=lambda: f"request-{next(self._ids)}"
        )

    async def start(self, environment: Mapping[str, str]) -> None:
        """Loads all codebases at once. One that does not load is reported, watched, and stops no other."""
        self._environment = environment
        self._dispatcher.has_timeouts = self._inspect is None
        await asyncio.gather(*(self._load(codebase) for codebase in self._codebases))
        for codebase in self._codebases:
            self._run(self._watch(codebase))
        self._run(self._watch_memory())

    def _run(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load(self, codebase: Codebase) -> None:
        """Loads a codebase; where an earlier loading of it serves, it goes on serving until the new one does."""
        try:
            loaded = await LoadedCodebase.load(codebase, self._project_id, self._environment, self._run_folder)
        except CodebaseError as error:
            self._errors[codebase.name] = str(error)
            kept = "; the last version that loaded keeps serving" if codebase.name in self._loaded else ""
            _log.error("%s does not load%s:\n%s", codebase.source, kept, str(error).rstrip())
            return
        self._errors.pop(codebase.name, None)
        previous = self._loaded.get(codebase.name)
        retired = {
            name: self._dispatcher.pools.pop(name)
            for name, pool in list(self._dispatcher.pools.items())
            if pool.function.codebase == codebase.name
        }
        self._loaded[codebase.name] = loaded
        for function in loaded.functions.values():
            port = 9229 if self._inspect is not None and self._inspect in ("", function.name) else None
            self._dispatcher.pools[function.name] = Pool(function, loaded, inspect_port=port)
            if not function.is_served:
                _log.warning("%s is not served: %s", function.name, function.note)
        if previous is not None:
            _log.info("%s reloaded: %s", codebase.name, ", ".join(sorted(loaded.functions)) or "no functions")
            self._run(_retire(previous, list(retired.values())))

    # -- watching

    async def _watch(self, codebase: Codebase) -> None:
        seen = await asyncio.to_thread(_stamps, codebase.source)
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = await asyncio.to_thread(_stamps, codebase.source)
            if now != seen:
                seen = now
                await self._load(codebase)

    async def _watch_memory(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for pool in list(self._dispatcher.pools.values()):
                pool.check_memory()

    # -- what the suite asks

    def summary(self) -> list[str]:
        functions = [pool.function for pool in self._dispatcher.pools.values()]
        lines = [f"{f.name:<24} {f.trigger if f.is_served else f'not served: {f.note}'}" for f in functions]
        lines += [f"{name}: does not load; see above" for name in self._errors]
        return lines or ["none"]

    def records(self, *, failed_only: bool) -> list[dict[str, Any]]:
        return self._records.listing(failed_only=failed_only)

    async def replay(self, event_id: str) -> int:
        """Sends a recorded event again to every function that wants it."""
        event = self._records.event(event_id)
        if event is None:
            raise StatusError(Code.NOT_FOUND, f"no event `{event_id}` is on record; list them with GET /control/events")
        before = len(self._dispatcher.pools)
        self._dispatcher.deliver(event)
        return before

    def reset(self) -> None:
        self._records.clear()

    async def export_to(self, directory: Path) -> None:
        return

    async def import_from(self, directory: Path) -> None:
        return

    async def close(self) -> None:
        self._unsubscribe()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._dispatcher.close()
        await asyncio.gather(*(loaded.close() for loaded in self._loaded.values()))


async def _retire(loaded: LoadedCodebase, pools: list[Pool]) -> None:
    """Lets the requests of an earlier loading finish, then ends it."""
    try:
        await asyncio.gather(*(pool.when_idle(FINISH_SECONDS) for pool in pools))
    finally:
        await loaded.close()


def _stamps(source: Path) -> dict[str, tuple[int, int]]:
    """Time and size of each file that the functions may depend on."""
    stamps: dict[str, tuple[int, int]] = {}
    folders = [source]
    while folders and len(stamps) < _MOST_WATCHED_FILES:
        try:
            entries = list(folders.pop().iterdir())
        except OSError:
            continue
        for entry in entries:
            if entry.name in _IGNORED_FOLDERS:
                continue
            if entry.is_dir():
                folders.append(entry)
            elif entry.suffix in (".py", ".yaml", ".json", ".toml") or entry.name.startswith((".env", ".secret")):
                try:
                    stat = entry.stat()
                except OSError:
                    continue
                stamps[str(entry)] = (stat.st_mtime_ns, stat.st_size)
    return stamps
