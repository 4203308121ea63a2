"""Owns the words of the command line: what may be said, what it means, and how a mistake is answered."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from afterimage_client.command import looking, syncing
from afterimage_client.command.opening import offline_kinds, open_store
from afterimage_client.command.showing import Screen
from afterimage_client.database.errors import StoreError
from afterimage_client.errors import FirebaseError

_ABOUT: Final = """\
Looks into a store of afterimage-client, decides what waits for a person, and syncs.

A store is one SQLite file. Other programs may have it open at the same time. Every command but `sync` works without
a network."""
_EXAMPLES: Final = """\
examples:
  afterimage-client --store content.db status
  afterimage-client --store content.db dead-letters
  afterimage-client --store content.db dead-letters retry 12 15
  afterimage-client --store content.db conflicts resolve 3 --take here
  afterimage-client --store content.db sync --config firebase-config.json
  afterimage-client --store content.db cache clear

AFTERIMAGE_CLIENT_STORE names a store where `--store` does not. The exit code is 0 when all is well, 1 when something
waits for a person or for a network, 2 when the command could not be done."""


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    screen = Screen(sys.stdout, sys.stderr)
    try:
        code = _done(screen, asked)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read has enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (StoreError, FirebaseError, ValueError, LookupError, OSError) as error:
        return screen.fault(error)
    except KeyboardInterrupt:
        screen.say("stopped; what was on its way goes on next time")
        return 1
    return code


def _done(screen: Screen, asked: argparse.Namespace) -> int:
    if asked.command == "sync":
        return asyncio.run(
            syncing.sync(asked.store, asked.passphrase_variable, screen, asked.config, collections=asked.collection)
        )
    with contextlib.closing(open_store(asked.store, asked.passphrase_variable, offline_kinds())) as store:
        return int(asked.act(store, screen, asked))


def parser() -> argparse.ArgumentParser:
    """Everything that may be said; `--help` of each command teaches it."""
    made = argparse.ArgumentParser(
        prog="afterimage-client",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    named = os.environ.get("AFTERIMAGE_CLIENT_STORE")
    made.add_argument("--store", type=Path, default=Path(named) if named else None, help="the store's file")
    made.add_argument(
        "--passphrase-variable",
        metavar="NAME",
        help="the environment variable that holds the passphrase of a sealed store",
    )
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    status = commands.add_parser("status", help="how much waits, what failed, what the folder of files weighs")
    status.set_defaults(act=looking.status)
    queue = commands.add_parser("queue", help="what waits or runs, in the order of asking")
    queue.add_argument("--kind", help="only entries of this kind, such as `push`, `upload` or `download`")
    queue.set_defaults(act=looking.queue)
    _dead_letters(commands.add_parser("dead-letters", help="what failed for good: look, retry, discard"))
    _conflicts(commands.add_parser("conflicts", help="edits that met others' edits, and refused ones: look, resolve"))
    _cache(commands.add_parser("cache", help="the folder of files: look, clear, repair, pin, unpin"))
    sync = commands.add_parser(
        "sync",
        help="push and pull documents, outputs and files now, and end",
        description="Does what waits now, each entry once, as the user whom the app signed in; then ends.",
    )
    sync.add_argument(
        "--config", type=Path, required=True, help="a JSON file with the object that the Firebase console shows"
    )
    sync.add_argument(
        "--collection", action="append", default=[], help="pull this collection too; may be given several times"
    )
    return made


def _dead_letters(command: argparse.ArgumentParser) -> None:
    command.description = (
        "A dead letter is an entry that failed four times, or that was refused. It stops its own document or file and"
        " nothing else. `retry` gives it its attempts again; `discard` gives it up. A document's edit that is given"
        " up is kept among the conflicts, and the document goes back to what the server had."
    )
    command.set_defaults(act=looking.dead_letters)
    actions = command.add_subparsers(metavar="ACTION")
    for name, act in (("retry", looking.retry), ("discard", looking.discard)):
        action = actions.add_parser(name, help=f"{name} some, or all with `--all`")
        action.add_argument("ids", nargs="*", type=int, metavar="ID")
        action.add_argument("--all", action="store_true", help="every dead letter")
        action.set_defaults(act=act)


def _conflicts(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Where two people changed one field, or one edited what the other deleted, the server's state stands and the"
        " other edit is kept here until somebody decides."
    )
    command.set_defaults(act=looking.conflicts)
    actions = command.add_subparsers(metavar="ACTION")
    action = actions.add_parser("resolve", help="decide one")
    action.add_argument("id", type=int, metavar="ID")
    chosen = action.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--take", choices=("here", "there"), help="what was kept here, or what the server has")
    chosen.add_argument("--value", metavar="JSON", help="another value, for a field")
    action.set_defaults(act=looking.resolve)


def _cache(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Files lie in `media_cache` beside the store. What is pinned, not uploaded, or belongs to a document with"
        " changes that are not pushed, is never removed."
    )
    command.set_defaults(act=looking.cache)
    actions = command.add_subparsers(metavar="ACTION")
    for name, act, told in (
        ("clear", looking.cache_clear, "remove all that may go"),
        ("expire", looking.cache_expire, "remove what is older than 30 days"),
        ("repair", looking.cache_repair, "make rows and files agree"),
    ):
        actions.add_parser(name, help=told).set_defaults(act=act)
    for name, act in (("pin", looking.cache_pin), ("unpin", looking.cache_unpin)):
        action = actions.add_parser(name, help=f"{name} the files of assets")
        action.add_argument("assets", nargs="+", metavar="ASSET")
        action.set_defaults(act=act)
