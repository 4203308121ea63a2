"""One codebase while it runs: its host process, its functions' pools, and its reloads."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import itertools
import json
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

from afterimage_emulator.activity import Activity
from afterimage_emulator.configuration import Codebase
from afterimage_emulator.functions.codebases.codebase_host import CodebaseError, CodebaseHost
from afterimage_emulator.functions.codebases.codebase_process import CodebaseProcess
from afterimage_emulator.functions.codebases.in_process import InProcessCodebase
from afterimage_emulator.functions.codebases.interpreters import find_interpreter, remedy_for
from afterimage_emulator.functions.codebases.manifest import EventTrigger, FunctionSpec, Manifest, read_manifest
from afterimage_emulator.functions.codebases.parameters import (
    SECRETS_FILE,
    EnvironmentFileError,
    Values,
    as_environment,
    built_in_values,
    parameter_values,
    read_environment_files,
    read_secrets,
)
from afterimage_emulator.functions.codebases.revivals import Revivals
from afterimage_emulator.functions.codebases.source_watch import SourceWatch
from afterimage_emulator.functions.instances.function_pool import FunctionPool
from afterimage_emulator.functions.instances.instance_budget import InstanceBudget
from afterimage_emulator.functions.instances.instances import Instance, MemoryWatch

DISCOVERY_SECONDS: Final = 30.0
SPARE_AFTER_SECONDS: Final = 2.0
"""Real time after a load: its first events need the processors more."""
DEBUG_PORT: Final = 5678
_log = logging.getLogger("afterimage_emulator.functions")
_numbers = itertools.count(1)


@dataclasses.dataclass(slots=True)
class Loaded:
    """What one load brought."""

    host: CodebaseHost
    manifest: Manifest
    pools: Mapping[str, FunctionPool]
    environment: Mapping[str, str]
    parameters: Mapping[str, str]
    secrets: Collection[str] = ()
    """Names of all that .secret.local holds."""
    values: Values = dataclasses.field(default_factory=dict)
    """What each declared parameter is worth; secrets may be among them."""

    def secrets_hidden_from(self, spec: FunctionSpec) -> list[str]:
        """As on the platform, a function sees the secrets that it declares, and no others."""
        return [name for name in self.secrets if name not in spec.secrets]


class RunningCodebase:
    """`start` loads it; a change of its files loads it anew while events under way finish on the old code."""

    def __init__(
        self,
        codebase: Codebase,
        *,
        project_id: str,
        sockets: Path,
        activity: Activity,
        memory: MemoryWatch,
        budget: InstanceBudget,
        changed: Callable[[], None],
        inspect: str | None = None,
        in_process: bool = False,
    ) -> None:
        self.codebase = codebase
        self.error = ""
        self.loaded: Loaded | None = None
        self.cold_starts: Counter[str] = Counter()
        """Instances that were started for each function since the suite started."""
        self._project_id = project_id
        self._environment: Mapping[str, str] = {}
        self._prepared: CodebaseProcess | None = None
        self._spare: asyncio.TimerHandle | None = None
        self._sockets = sockets
        self._activity = activity
        self._memory = memory
        self._budget = budget
        self._changed = changed
        self._inspect = inspect
        self._in_process = in_process
        self._debug_ports = itertools.count(DEBUG_PORT)
        self._watch = SourceWatch(codebase.source, self._files_changed)
        self._reloading: asyncio.Task[None] | None = None
        self._again = False
        self._revivals = Revivals()
        self._closed = False
        self._retiring: set[asyncio.Task[None]] = set()

    def prepare(self) -> None:
        """Starts the process while its environment is not yet known in full: imports take a while."""
        if self._in_process or self._prepared is not None:
            return
        self._prepared = CodebaseProcess(source=self.codebase.source, python=self._python(), show=self._show_of_import)
        try:
            known = {"GCLOUD_PROJECT": self._project_id, "FUNCTIONS_EMULATOR": "true", "TZ": "UTC"}
            self._prepared.spawn({**os.environ, **known}, early=True)
        except CodebaseError:
            self._prepared = None  # `start` meets the same error, and reports it

    async def start(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        await self._load()
        if self._is_down():  # it died as soon as it was loaded
            self._reload_soon()
        if not self._in_process:  # a test run does not change its own code
            self._watch.start()
            self._prepare_later()

    async def close(self) -> None:
        self._closed = True
        self._watch.stop()
        if self._spare is not None:
            self._spare.cancel()
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            prepared.kill()
            await prepared.close()
        if self._reloading is not None:
            self._reloading.cancel()
            await asyncio.gather(self._reloading, return_exceptions=True)
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        loaded, self.loaded = self.loaded, None
        if loaded is not None:
            await self._end(loaded)

    def instances(self) -> list[Instance]:
        loaded = self.loaded
        return [] if loaded is None else [instance for pool in loaded.pools.values() for instance in pool.instances]

    # -- loading

    def _files_changed(self) -> None:
        self._revivals.reset()
        self._reload_soon()

    def _host_lost(self, host: CodebaseHost) -> None:
        """The process was killed, or has crashed: what its functions were at work on fails, what comes waits."""
        loaded = self.loaded
        if self._closed or loaded is None or loaded.host is not host:
            return
        _log.warning("codebase %s: its process has ended and is started again; events wait for it", self.codebase.name)
        for pool in loaded.pools.values():
            pool.hand_over()
        self._reload_soon()

    def _is_down(self) -> bool:
        return self.loaded is not None and not self.loaded.host.is_alive

    def _give_up(self) -> None:
        assert self.loaded is not None
        reason = "its codebase's process has ended and does not come back; save a file of it to have it loaded again"
        _log.error("codebase %s: %s", self.codebase.name, reason)
        for pool in self.loaded.pools.values():
            pool.give_up(f"{reason}: {self.error.splitlines()[-1]}")
        self._changed()

    def _reload_soon(self) -> None:
        if self._reloading is not None and not self._reloading.done():
            self._again = True
            return
        self._activity.begin("reload of functions")
        self._reloading = asyncio.get_running_loop().create_task(self._reload())

    async def _reload(self) -> None:
        try:
            self._again = True
            while self._again:
                self._again = False
                if self._is_down():
                    # Real time: processes live in it.
                    await asyncio.sleep(self._revivals.wait_seconds(asyncio.get_running_loop().time()))
                await self._load()
                if self._is_down() and not self._again:
                    self._again = self._revivals.load_failed()
                    if not self._again:
                        self._give_up()
        finally:
            self._activity.end("reload of functions")
        self._prepare_later()

    def _prepare_later(self) -> None:
        """A process that waits with the frameworks imported makes the next reload a matter of the codebase alone."""
        if self._spare is not None:
            self._spare.cancel()
        self._spare = asyncio.get_running_loop().call_later(SPARE_AFTER_SECONDS, self.prepare)

    async def _load(self) -> None:
        try:
            loaded = await self._start_host()
        except (CodebaseError, EnvironmentFileError, OSError) as error:
            self.error = f"{error}{remedy_for(str(error), self._python(), self.codebase.source)}"
            stale = " (its last version goes on serving)" if self.loaded is not None and not self._is_down() else ""
            _log.error("codebase %s does not load%s:\n%s", self.codebase.name, stale, self.error)
            return
        previous, self.loaded, self.error = self.loaded, loaded, ""
        self._revivals.loaded()
        for problem in loaded.manifest.problems:
            _log.warning("%s", problem)
        self._changed()
        if previous is not None:
            _log.info("codebase %s reloaded: %d functions", self.codebase.name, len(loaded.pools))
            task = asyncio.get_running_loop().create_task(self._retire(previous))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
        elif loaded.host.unforkable:
            _log.info(
                "codebase %s: %s, so each instance is a fresh process and cold starts take longer",
                self.codebase.name,
                loaded.host.unforkable,
            )

    async def _start_host(self) -> Loaded:
        files = read_environment_files(self.codebase.source, self._project_id)
        secrets = read_secrets(self.codebase.source)
        built_in = built_in_values(self._project_id, json.loads(self._environment.get("FIREBASE_CONFIG", "{}")))
        environment = {
            **os.environ,
            **as_environment(built_in),
            **files,
            **secrets,
            **self._environment,
            "FUNCTIONS_EMULATOR": "true",
            "TZ": "UTC",
        }
        host = await self._host_with(environment)
        try:
            await host.load(float(environment.get("FUNCTIONS_DISCOVERY_TIMEOUT") or DISCOVERY_SECONDS))
            values, missing = parameter_values(host.manifest.get("params"), environment, built_in)
            manifest = read_manifest(host.manifest, values)
        except ValueError as error:
            await host.close()
            raise CodebaseError(f"its parameters cannot be resolved: {error}") from None
        except BaseException:
            host.kill()
            await host.close()
            raise
        if self.codebase.runtime not in (None, host.runtime):
            _log.warning(
                "codebase %s: firebase.json says `%s`, and what runs it here is %s; make a virtual environment of that "
                "version in %s",
                self.codebase.name, self.codebase.runtime, host.runtime, self.codebase.source / "venv",
            )  # fmt: skip
        self._tell_of_missing(missing, manifest, environment)
        parameters = {name: text for name, text in as_environment(values).items() if name not in environment}
        loaded = Loaded(
            host=host,
            manifest=manifest,
            pools={},
            environment=environment,
            parameters=parameters,
            secrets=secrets.keys() - files.keys(),
            values=values,
        )
        loaded.pools = {spec.name: self._pool(loaded, spec) for spec in manifest.functions}
        return loaded

    def _tell_of_missing(self, parameters: Iterable[str], manifest: Manifest, environment: Mapping[str, str]) -> None:
        secrets = {name for spec in manifest.functions for name in spec.secrets if name not in environment}
        for name in sorted({*parameters, *secrets}):
            file = self.codebase.source / (SECRETS_FILE if name in secrets else ".env.local")
            _log.warning("codebase %s: `%s` has no value; write `%s=…` into %s", self.codebase.name, name, name, file)

    async def _host_with(self, environment: Mapping[str, str]) -> CodebaseHost:
        if self._in_process:
            return InProcessCodebase(source=self.codebase.source, environment=environment)
        python = self._python()
        prepared, self._prepared = self._prepared, None
        if prepared is not None and prepared.is_alive and prepared.python == python:
            prepared.when_lost = functools.partial(self._host_lost, prepared)
            prepared.complete_environment(environment)
            return prepared
        if prepared is not None:
            prepared.kill()
            await prepared.close()
        host = CodebaseProcess(source=self.codebase.source, python=python, show=self._show_of_import)
        host.when_lost = functools.partial(self._host_lost, host)
        host.spawn(environment)
        return host

    def _python(self) -> Path:
        return find_interpreter(self.codebase.source)

    def _pool(self, loaded: Loaded, spec: FunctionSpec) -> FunctionPool:
        inspected = self._inspect is not None and self._inspect in ("", spec.name)

        async def start(spec: FunctionSpec, gone: Callable[[Instance], None]) -> Instance:
            await self._budget.room()
            try:
                return await self._start_instance(loaded, spec, gone, inspected=inspected)
            finally:
                self._budget.started()

        return FunctionPool(
            dataclasses.replace(spec, concurrency=1) if inspected else spec,
            start=start,
            busy=self._memory.look_soon,
            freed=self._budget.freed,
            time_limits=not inspected and not self._in_process,
            limit=1 if inspected or self._in_process else None,
        )

    async def _start_instance(
        self, loaded: Loaded, spec: FunctionSpec, gone: Callable[[Instance], None], *, inspected: bool
    ) -> Instance:
        self.cold_starts[spec.name] += 1
        instance = Instance(number=next(_numbers), spec=spec, show=_shown_as(spec.name), gone=gone)
        # Functions that share a process share its variables: there, none of them can be told its own name.
        environment = {**loaded.parameters, **({} if self._in_process else _instance_environment(spec))}
        host, single = loaded.host, bool(inspected or loaded.host.unforkable) and not self._in_process
        if single:
            host = await self._host_of_one(loaded, spec, environment, inspected=inspected)
        instance.start(
            host,
            environment,
            self._sockets,
            without=loaded.secrets_hidden_from(spec),
            owns_host=single,
            one_thread=inspected,
            limit_memory=not inspected,
        )
        return instance

    async def _host_of_one(
        self, loaded: Loaded, spec: FunctionSpec, environment: Mapping[str, str], *, inspected: bool
    ) -> CodebaseProcess:
        """A fresh process that will be the instance itself."""
        hidden = loaded.secrets_hidden_from(spec)
        host = CodebaseProcess(source=self.codebase.source, python=self._python(), show=_shown_as(spec.name))
        host.spawn(
            {name: value for name, value in {**loaded.environment, **environment}.items() if name not in hidden},
            single=True,
            debug_port=self._free_debug_port() if inspected else None,
        )
        try:
            await host.load(float("inf") if inspected else DISCOVERY_SECONDS)
        except CodebaseError as error:
            host.kill()
            await host.close()
            raise ConnectionError(str(error)) from None
        except BaseException:
            host.kill()
            raise
        return host

    def _free_debug_port(self) -> int:
        """The next one from 5678 on that nobody else listens on, such as another suite's debugger."""
        while True:
            port = next(self._debug_ports)
            with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
                return port

    async def _retire(self, loaded: Loaded) -> None:
        await asyncio.gather(*(pool.retire() for pool in loaded.pools.values()))
        await loaded.host.close()

    async def _end(self, loaded: Loaded) -> None:
        await asyncio.gather(loaded.host.close(), *(pool.close() for pool in loaded.pools.values()))

    def _show_of_import(self, line: str) -> None:
        _log.info("[%s] %s", self.codebase.name, line)


def _shown_as(name: str) -> Callable[[str], None]:
    return lambda line: _log.info("[%s] %s", name, line)


def _instance_environment(spec: FunctionSpec) -> dict[str, str]:
    return {
        "FUNCTION_TARGET": spec.entry_point,
        "FUNCTION_SIGNATURE_TYPE": "cloudevent" if isinstance(spec.trigger, EventTrigger) else "http",
        "K_SERVICE": spec.name.replace("_", "-").lower(),
        "K_REVISION": "1",
        "PORT": "8080",
    }
