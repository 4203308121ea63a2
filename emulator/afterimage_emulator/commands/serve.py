"""`start` and `exec`: run the suite in the foreground, until Ctrl-C or until a command has ended."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from afterimage_emulator.commands.banner import banner, farewell
from afterimage_emulator.commands.env_file import check_env_file, write_env_file
from afterimage_emulator.commands.logs import DenialCount, set_up_logging
from afterimage_emulator.configuration import Configuration, ConfigurationError, find_configuration, load_configuration
from afterimage_emulator.durable import DATA_VARIABLE
from afterimage_emulator.exports import ExportError
from afterimage_emulator.front.allowed_pages import AllowedPages
from afterimage_emulator.suite import Suite
from afterimage_emulator.wire.server import PortInUseError

EXIT_CANNOT_START = 1
EXIT_NOT_EXPORTED = 1
DRAIN_SECONDS = 10.0
SHOWN_UNDONE = 20
_SCRIPT_GRACE_SECONDS = 5.0


def run_start(options: argparse.Namespace) -> int:
    """Serves until a signal comes; a command given with `--run` is run once, as soon as everything answers."""

    async def serve(suite: Suite, stop: asyncio.Event) -> int:
        if options.env_file:
            write_env_file(options.env_file, suite.environment())
        if options.run:
            code = await _run_script(suite, stop, options.run)
            if code:
                sys.stderr.write(f"`{options.run}` ended with exit code {code}; the suite goes on serving\n")
        if not stop.is_set():
            sys.stderr.write("serving; press Ctrl-C to stop\n")
            await stop.wait()
        await _drain(suite, stop, DRAIN_SECONDS if options.drain is None else options.drain)
        sys.stderr.write(f"\nstopping: {farewell(suite)}")
        return 0

    return _run(options, serve)


def run_exec(options: argparse.Namespace) -> int:
    """Serves for as long as the command runs; answers with the command's exit code."""

    denials = DenialCount()

    async def run(suite: Suite, stop: asyncio.Event) -> int:
        if suite.broken_rules:  # tests of denials would pass for the wrong reason
            sys.stderr.write(f"`{options.script}` is not run, since rules are broken\n")
            return EXIT_CANNOT_START
        functions = suite.services.get("functions")
        if functions is not None and functions.broken_codebases():  # tests would wait for what no function does
            sys.stderr.write(f"`{options.script}` is not run, since not every codebase loads\n")
            return EXIT_CANNOT_START
        code = await _run_script(suite, stop, options.script)
        await _drain(suite, stop, options.drain or 0.0)
        if denials.count:
            sys.stderr.write(f"rules denied {denials.count:,} requests; `--denials` shows why\n")
        return code

    return _run(options, run, quiet=None if options.denials or options.debug else denials)


def _run(
    options: argparse.Namespace,
    body: Callable[[Suite, asyncio.Event], Awaitable[int]],
    *,
    quiet: DenialCount | None = None,
) -> int:
    set_up_logging(debug=options.debug, as_json=options.log_json, quiet=quiet)
    try:
        if getattr(options, "env_file", None):
            check_env_file(options.env_file)
        configuration = load_configuration(
            options.config or find_configuration(Path.cwd()),
            project_id=options.project or os.environ.get("GCLOUD_PROJECT"),
        )
        if options.host:
            configuration = configuration.at_host(options.host)
        suite = Suite(
            configuration,
            only=_names(options.only),
            import_from=options.import_from,
            export_on_exit=_export_target(options),
            inspect=options.inspect,
            allowed=AllowedPages.read(os.environ, origins=options.allowed_origins, hosts=options.allowed_hosts),
            accept_unknown_signers=options.accept_unknown_signers or None,
            strict_indexes=options.strict_indexes,
            allow_production=options.allow_production,
            data=options.data or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None),
            console=options.command == "start" and configuration.wants_console,
        )
        return asyncio.run(_serve(suite, configuration, body, for_another_terminal=options.command == "start"))
    except (ConfigurationError, PortInUseError) as error:
        sys.stderr.write(f"cannot start: {error.strerror if isinstance(error, PortInUseError) else error}\n")
        return EXIT_CANNOT_START


async def _serve(
    suite: Suite,
    configuration: Configuration,
    body: Callable[[Suite, asyncio.Event], Awaitable[int]],
    *,
    for_another_terminal: bool,
) -> int:
    stop = asyncio.Event()
    suite.shut_down = stop.set
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    starting = loop.create_task(suite.start())
    stopping = loop.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():  # Ctrl-C while starting
        starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        return 130
    await starting
    code = 0
    try:
        sys.stderr.write(banner(suite, configuration, for_another_terminal=for_another_terminal))
        code = await body(suite, stop)
    finally:
        stopping.cancel()
        try:
            await suite.stop()
        except ExportError as error:
            sys.stderr.write(f"{error}\n")
            code = code or EXIT_NOT_EXPORTED
    return code


async def _drain(suite: Suite, stop: asyncio.Event, seconds: float) -> None:
    """Lets functions finish what is under way, unless whoever stops the suite says so again; names what is left."""
    stop.clear()
    draining = asyncio.ensure_future(_drained(suite, seconds))
    stopping = asyncio.ensure_future(stop.wait())
    if suite.activity.under_way and seconds > 0:
        sys.stderr.write(f"\nfinishing what is under way, for {seconds:g} s at most; Ctrl-C again stops at once\n")
    await asyncio.wait({draining, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not draining.done():
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)
        draining = asyncio.ensure_future(_drained(suite, 0))
    left = await draining
    if left:
        more = f"\n  and {len(left) - SHOWN_UNDONE:,} more" if len(left) > SHOWN_UNDONE else ""
        lines = "".join(f"\n  {line}" for line in left[:SHOWN_UNDONE])
        sys.stderr.write(f"left undone: {len(left):,}{lines}{more}\n")


async def _drained(suite: Suite, seconds: float) -> list[str]:
    """Waits for what is under way, and answers with what is left undone."""
    with suppress(TimeoutError):
        await suite.settled(seconds)
    functions = suite.services.get("functions")
    named = [] if functions is None else list(functions.pending())
    return named or [f"{name} ({count})" for name, count in suite.activity.under_way.items()]


async def _run_script(suite: Suite, stop: asyncio.Event, script: str) -> int:
    process = await asyncio.create_subprocess_shell(
        script, env={**os.environ, **suite.environment()}, start_new_session=True
    )
    ended = asyncio.ensure_future(process.wait())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not ended.done():
        for number, patience_seconds in ((signal.SIGINT, _SCRIPT_GRACE_SECONDS), (signal.SIGKILL, 1.0)):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            await asyncio.wait({ended}, timeout=patience_seconds)
            if ended.done():
                break
    code = await ended
    return 128 - code if code < 0 else code


def _export_target(options: argparse.Namespace) -> Path | None:
    """`--export-on-exit` alone writes where `--import` reads."""
    if options.export_on_exit is None:
        return None
    if options.export_on_exit == "" and options.import_from is None:
        raise ConfigurationError(
            "`--export-on-exit` names no folder, and there is no `--import` whose folder it could be"
        )
    return Path(options.export_on_exit or options.import_from)


def _names(only: str | None) -> Sequence[str] | None:
    return None if only is None else [name.strip() for name in only.split(",") if name.strip()]
