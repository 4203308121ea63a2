"""The command line: `python -m emulator start`, `exec`, `events`, `send`, `rules`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from emulator.commands.send import add_send
from emulator.front.allowed_pages import HOSTS_FLAG, ORIGINS_FLAG

DESCRIPTION = """\
A local Firebase in pure Python: Firestore, Storage, Auth, Pub/Sub and Python functions, no Java, no Node.

  python -m emulator start                        everything that firebase.json names, until Ctrl-C
  python -m emulator start --only firestore,auth  only these
  python -m emulator exec 'pytest tests'          start, run a command against it, stop; its exit code is passed on
  python -m emulator events --failed              what functions were sent, and what went wrong
  python -m emulator send pubsub news --data hi   fire an event by hand (see: send --help)
  python -m emulator rules test                   test security rules (see: rules --help)

SDKs find it through the usual variables (FIRESTORE_EMULATOR_HOST, STORAGE_EMULATOR_HOST, …), which `exec` sets."""


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["rules"]:  # a command line of its own, with its own --help
        from emulator.rules_testing.command_line import main as rules_main

        return rules_main(arguments[1:])
    options = _parser().parse_args(arguments)
    if options.command == "events":
        from emulator.commands.events import run_events

        return run_events(options)
    if options.command == "send":
        from emulator.commands.send import run_send

        return run_send(options)
    from emulator.commands.serve import run_exec, run_start

    return run_exec(options) if options.command == "exec" else run_start(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m emulator", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    start = commands.add_parser("start", help="start the suite and keep serving until Ctrl-C")
    execute = commands.add_parser("exec", help="start the suite, run a command against it, stop")
    for command in (start, execute):
        _add_suite_options(command)
    start.add_argument("--run", metavar="COMMAND", help="run this once everything answers, and keep serving")
    execute.add_argument("script", metavar="COMMAND", help="run by the shell, with the SDKs' variables set")
    events = commands.add_parser("events", help="show what functions were sent by a running suite")
    events.add_argument("--failed", action="store_true", help="only what went wrong")
    events.add_argument("--log", action="store_true", help="with what each attempt printed")
    events.add_argument("--replay", metavar="ID", help="send this event to its functions again")
    events.add_argument("--project", metavar="ID", help="the running suite's project (default: from .firebaserc)")
    add_send(commands)
    commands.add_parser("rules", help="check, test, explain, measure and compare security rules")
    return parser


def _add_suite_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--only", metavar="NAMES", help="firestore,storage,auth,pubsub,functions: any, with commas")
    command.add_argument("--project", metavar="ID", help="project id (default: .firebaserc, else demo-no-project)")
    command.add_argument("--config", metavar="FILE", type=Path, help="firebase.json (default: here or above)")
    command.add_argument("--import", dest="import_from", metavar="DIR", type=Path, help="start from this export")
    command.add_argument("--export-on-exit", metavar="DIR", type=Path, help="write an export when stopping")
    command.add_argument("--inspect-functions", metavar="NAME", nargs="?", const="", dest="inspect",
                         help="wait for a debugger: one process, no timeouts (all functions, or NAME)")  # fmt: skip
    command.add_argument(ORIGINS_FLAG, dest="allowed_origins", metavar="ORIGIN", action="append", default=[],
                         help="pages from there may ask too, as local ones may (with commas, or again)")  # fmt: skip
    command.add_argument(HOSTS_FLAG, dest="allowed_hosts", metavar="NAME", action="append", default=[],
                         help="requests may call this machine by that name (with commas, or again)")  # fmt: skip
    command.add_argument("--debug", action="store_true", help="log every request")
    command.add_argument("--log-json", action="store_true", help="log JSON lines")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
