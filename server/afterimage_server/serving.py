"""One server from its start to its end: the folder taken, the machine opened, what it listens on, and signals."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from types import FrameType

from afterimage_server.configuration import ServerSettings
from afterimage_server.listening import Listener
from afterimage_server.logs import set_up_logs
from afterimage_server.machine import open_machine
from afterimage_server.store.durable_files import is_open_to_others
from afterimage_server.store.folder_lock import FolderLock

logger = logging.getLogger("afterimage_server")


def serve(settings: ServerSettings, *, say: Callable[[str], object], trusted_proxy: str = "") -> None:
    """Serves until SIGTERM or SIGINT; what is under way then comes to its end first."""
    set_up_logs(settings.log_folder, is_debug=settings.is_debug)
    lock = FolderLock(settings.folder)
    machine = open_machine(settings)
    try:
        tell_of_the_start(settings, is_rescued=machine.folder.rescue is not None)
        if machine.folder.rescue is not None:
            say(f"the database was broken and was made anew: {machine.folder.rescue}\n")
        listener = Listener(
            machine.application(),
            settings.host,
            settings.port,
            threads=settings.threads,
            most_body_bytes=settings.api.most_file_bytes,
            trusted_proxy=trusted_proxy,
        )
        machine.address.base = settings.public_url or listener.base

        def stop(_signal: int, _frame: FrameType | None) -> None:
            listener.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        machine.start_work()
        say(f"Afterimage serves {machine.address.base} from {settings.folder.resolve()}\n")
        listener.run()
        machine.stop_work()
    finally:
        machine.close()
        lock.release()
    logger.info("stopped")


def tell_of_the_start(settings: ServerSettings, *, is_rescued: bool) -> None:
    """Warns of what an operator may not have meant."""
    for name, why in settings.unused.items():
        logger.warning("%s is set and not used: %s", name, why)
    if not settings.is_loopback:
        logger.warning("%s is reached by others: have a proxy speak HTTPS in front of it", settings.host)
    for folder in (settings.folder, settings.cache_folder):
        if is_open_to_others(folder):
            logger.warning("%s is open to other users of this machine: `chmod 700` it", folder)
    if settings.takes_unsigned_tokens:
        logger.warning(
            "FIREBASE_AUTH_EMULATOR_HOST is set: ID tokens that nobody signed are taken, for trying things out"
        )
    if settings.key is None:
        logger.warning("what is stored is not sealed: LOCAL_STORAGE_KEY_FILE or LOCAL_STORAGE_PASSPHRASE would seal it")
    if is_rescued:
        logger.error("the database was broken and was made anew from the journal and the files")
