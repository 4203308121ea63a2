"""The command line: what `afterimage-emulator` takes, and which module carries it out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from afterimage_emulator.commands.send import add_send
from afterimage_emulator.configuration.reachable import PRODUCTION_FLAG
from afterimage_emulator.credentials.local_signer import UNKNOWN_SIGNERS_FLAG
from afterimage_emulator.durable import DATA_VARIABLE
from afterimage_emulator.front.allowed_pages import HOSTS_FLAG, ORIGINS_FLAG

DESCRIPTION = """\
A local Firebase in pure Python: Firestore, Storage, Auth, Pub/Sub, task queues, Python functions and Hosting. No Java,
no Node.

  afterimage-emulator start                        everything that firebase.json names, until Ctrl-C
  afterimage-emulator start --only firestore,auth  only these
  afterimage-emulator exec 'pytest tests'          start, run a command against it, stop; its exit code is passed on
  afterimage-emulator events --failed              what functions were sent, and what went wrong
  afterimage-emulator indexes --write              add the Firestore indexes that queries lacked
  afterimage-emulator send pubsub news --data hi   fire an event by hand (see: send --help)
  afterimage-emulator capabilities                 every operation that is served, refused or different
  afterimage-emulator mcp                          let an assistant read the running suite
  afterimage-emulator rules test                   test security rules (see: rules --help)
  afterimage-emulator completion bash              completion for bash or zsh (see: completion --help)

SDKs find it through the usual variables (FIRESTORE_EMULATOR_HOST, STORAGE_EMULATOR_HOST, …), which `exec` sets."""

COMPLETION = """\
Prints a script that completes commands and options. Add one of these lines to your shell's start-up file:

  eval "$(afterimage-emulator completion bash)"    in ~/.bashrc
  eval "$(afterimage-emulator completion zsh)"     in ~/.zshrc, after compinit"""


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["rules"]:  # a command line of its own, with its own --help
        from afterimage_emulator.rules_testing.command_line import rules_main as rules_main

        return rules_main(arguments[1:])
    parser = command_parser()
    options = parser.parse_args(arguments)
    if options.command == "completion":
        from afterimage_emulator.commands.completion import run_completion

        return run_completion(options, parser)
    if options.command == "events":
        from afterimage_emulator.commands.events import run_events

        return run_events(options)
    if options.command == "indexes":
        from afterimage_emulator.commands.indexes import run_indexes

        return run_indexes(options)
    if options.command == "capabilities":
        from afterimage_emulator.commands.capabilities import run_capabilities

        return run_capabilities(options)
    if options.command == "mcp":
        from afterimage_emulator.assistants.mcp_server import run_mcp

        return run_mcp(options)
    if options.command == "send":
        from afterimage_emulator.commands.send import run_send

        return run_send(options)
    from afterimage_emulator.commands.serve import run_exec, run_start

    return run_exec(options) if options.command == "exec" else run_start(options)


def command_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="afterimage-emulator", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action=Version, nargs=0, help="print the version and stop")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    start = commands.add_parser("start", help="start the suite and keep serving until Ctrl-C")
    execute = commands.add_parser("exec", help="start the suite, run a command against it, stop")
    for command in (start, execute):
        _add_suite_options(command)
    start.add_argument("--env-file", metavar="FILE", type=Path, help="write the SDKs' variables to this file")
    start.add_argument("--run", metavar="COMMAND", help="run this once everything answers, and keep serving")
    execute.add_argument("script", metavar="COMMAND", help="run by the shell, with the SDKs' variables set")
    events = commands.add_parser("events", help="show what functions were sent by a running suite")
    events.add_argument("--failed", action="store_true", help="only what went wrong")
    events.add_argument("--log", action="store_true", help="with what each attempt printed")
    events.add_argument("--replay", metavar="ID", help="send this event to its functions again")
    events.add_argument("--project", metavar="ID", help="the running suite's project (default: from .firebaserc)")
    indexes = commands.add_parser("indexes", help="show which Firestore indexes a running suite's queries lacked")
    indexes.add_argument("--write", action="store_true", help="add them to firestore.indexes.json")
    indexes.add_argument("--project", metavar="ID", help="the running suite's project (default: from .firebaserc)")
    indexes.add_argument("--config", metavar="FILE", type=Path, help="firebase.json (default: here or above)")
    add_send(commands)
    assistants = commands.add_parser("mcp", help="let assistants read a running suite, over stdio (the extra `mcp`)")
    assistants.add_argument("--write", action="store_true", help="and change it: send events, move time, order faults")
    assistants.add_argument("--project", metavar="ID", help="the running suite's project (default: from .firebaserc)")
    capable = commands.add_parser("capabilities", help="print what is served, refused, and other than in production")
    capable.add_argument("--json", action="store_true", help="as JSON, for programs")
    capable.add_argument("--markdown", action="store_true", help="as the page docs/capabilities.md")
    commands.add_parser("rules", help="check, test, explain, measure and compare security rules")
    completion = commands.add_parser(
        "completion", help="print a script that completes this command in your shell",
        description=COMPLETION, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    completion.add_argument("shell", choices=("bash", "zsh"))
    return parser


class Version(argparse.Action):
    """Reads the version only when it is asked for: looking it up takes as long as parsing everything else."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"afterimage-emulator {version('afterimage-emulator')} (Python {sys.version.split()[0]})\n")
        parser.exit()


def _add_suite_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--only", metavar="NAMES", help="firestore,storage,auth,pubsub,functions,tasks,hosting: any, with commas"
    )
    command.add_argument("--project", metavar="ID",
                         help="project id or alias (default: .firebaserc, else demo-no-project)")  # fmt: skip
    command.add_argument("--config", metavar="FILE", type=Path, help="firebase.json (default: here or above)")
    command.add_argument("--host", metavar="ADDRESS", help="listen there instead of on loopback, as in a container")
    command.add_argument("--import", dest="import_from", metavar="DIR", type=Path, help="start from this export")
    command.add_argument("--export-on-exit", metavar="DIR", nargs="?", const="",
                         help="write an export when stopping (default: the folder of --import)")  # fmt: skip
    command.add_argument("--data", metavar="DIR", type=Path,
                         help=f"keep data there, whatever ends the suite (also ${DATA_VARIABLE})")  # fmt: skip
    command.add_argument("--inspect-functions", metavar="NAME", nargs="?", const="", dest="inspect",
                         help="wait for a debugger: one process, no timeouts (all functions, or NAME)")  # fmt: skip
    command.add_argument(ORIGINS_FLAG, dest="allowed_origins", metavar="ORIGIN", action="append", default=[],
                         help="pages from there may ask too, as local ones may (with commas, or again)")  # fmt: skip
    command.add_argument(HOSTS_FLAG, dest="allowed_hosts", metavar="NAME", action="append", default=[],
                         help="requests may call this machine by that name (with commas, or again)")  # fmt: skip
    command.add_argument(UNKNOWN_SIGNERS_FLAG, dest="accept_unknown_signers", action="store_true",
                         help="take signed URLs and policies whose key is not known here, unchecked")  # fmt: skip
    command.add_argument("--strict-indexes", action="store_true",
                         help="refuse Firestore queries whose index firestore.indexes.json lacks")  # fmt: skip
    command.add_argument(PRODUCTION_FLAG, dest="allow_production", action="store_true",
                         help="leave your credentials to code that may reach a real project")  # fmt: skip
    command.add_argument("--denials", action="store_true",
                         help="log why rules denied each request; `exec` counts them otherwise")  # fmt: skip
    command.add_argument("--drain", metavar="SECONDS", type=float, default=None,
                         help="wait so long for functions when stopping (start: 10, exec: 0)")  # fmt: skip
    command.add_argument("--debug", action="store_true", help="log every request")
    command.add_argument("--log-json", action="store_true", help="log JSON lines")
