"""`python -m afterimage_server`: serves one machine, and makes, lists and takes back its tokens."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from afterimage.settings import SettingsError
from afterimage_client.database.errors import StoreError
from afterimage_server.configuration import ServerSettings, read_server_settings
from afterimage_server.local_tokens import LocalTokens
from afterimage_server.store.folder_lock import FolderInUseError
from afterimage_server.store.machine_folder import open_folder
from afterimage_server.store.vault import VaultError


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    try:
        settings = _settings(asked)
        does: Callable[[argparse.Namespace, ServerSettings], int] = asked.does
        return does(asked, settings)
    except (SettingsError, StoreError, VaultError, FolderInUseError, ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m afterimage_server", description=__doc__)
    parser.add_argument("--folder", type=Path, help="where everything is stored (LOCAL_STORAGE_PATH)")
    parser.set_defaults(does=_serve, host=None, port=None, debug=False)
    commands = parser.add_subparsers(dest="command")
    serving = commands.add_parser("serve", help="serve; what happens where no command is named")
    serving.add_argument("--host", help="where to listen, 127.0.0.1 unless told (SERVER_HOST)")
    serving.add_argument("--port", type=int, help="8000 unless told (SERVER_PORT)")
    serving.add_argument("--debug", action="store_true", help="log everything (DEBUG)")
    serving.set_defaults(does=_serve)
    tokens = commands.add_parser("token", help="who may call the API").add_subparsers(dest="action", required=True)
    adding = tokens.add_parser("add", help="make a token, which is shown this once")
    adding.add_argument("user", help="the id of the user that the token stands for")
    adding.add_argument("--days", type=int, default=365, help="how long it is good for")
    adding.add_argument("--admin", action="store_true", help="may read this machine's status and metrics too")
    adding.add_argument("--note", default="", help="what it is for, for whoever lists tokens")
    adding.set_defaults(does=_add_token)
    tokens.add_parser("list", help="list tokens by their ids").set_defaults(does=_list_tokens)
    removing = tokens.add_parser("remove", help="take a token back")
    removing.add_argument("id", help="its id as listed, or the beginning of it")
    removing.set_defaults(does=_remove_token)
    key = commands.add_parser("key", help="make a key that seals what is stored")
    key.add_argument("file", type=Path)
    key.set_defaults(does=_make_key)
    return parser


def _settings(asked: argparse.Namespace) -> ServerSettings:
    settings = read_server_settings()
    if asked.folder is not None:
        settings = replace(settings, folder=asked.folder)
    if asked.host is not None:
        settings = replace(settings, host=asked.host)
    if asked.port is not None:
        settings = replace(settings, port=asked.port)
    return replace(settings, is_debug=True) if asked.debug else settings


def _serve(_asked: argparse.Namespace, settings: ServerSettings) -> int:
    from afterimage_server.serving import serve

    serve(settings, say=say, trusted_proxy=os.environ.get("TRUSTED_PROXY", ""))
    return 0


def _add_token(asked: argparse.Namespace, settings: ServerSettings) -> int:
    with _Tokens(settings) as tokens:
        say(tokens.make(asked.user, life=timedelta(days=asked.days), is_admin=asked.admin, note=asked.note) + "\n")
    return 0


def _list_tokens(_asked: argparse.Namespace, settings: ServerSettings) -> int:
    with _Tokens(settings) as tokens:
        for each in tokens.listed():
            kind = "admin" if each.is_admin else "user "
            say(f"{each.id[:12]}  {kind}  until {each.expires_at:%Y-%m-%d}  {each.uid}  {each.note}\n")
    return 0


def _remove_token(asked: argparse.Namespace, settings: ServerSettings) -> int:
    with _Tokens(settings) as tokens:
        if tokens.take_back(asked.id):
            return 0
    sys.stderr.write(f"`{asked.id}` names no token, or several: see `token list`\n")
    return 1


def _make_key(asked: argparse.Namespace, _settings: ServerSettings) -> int:
    descriptor = os.open(asked.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
    say(f"keep `{asked.file}` apart from the folder that it seals, and a copy of it: without it nothing can be read\n")
    return 0


class _Tokens:
    """The tokens of a folder, beside the server that may be serving it."""

    def __init__(self, settings: ServerSettings) -> None:
        self._folder = open_folder(settings.folder, settings.key)

    def __enter__(self) -> LocalTokens:
        return LocalTokens(self._folder.documents)

    def __exit__(self, *_: object) -> None:
        self._folder.close()


if __name__ == "__main__":
    raise SystemExit(main())
