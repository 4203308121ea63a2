"""What a deployment can reach with the settings and the credentials at hand: each step by itself, and why it failed."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Mapping
from typing import Final

from afterimage.paths import project_folder
from afterimage.settings import Settings, SettingsError
from afterimage.store import clients

PREFIX: Final = project_folder("_diagnosis")
"""Where the file is written that shows whether files can be; no project can have this id, and it is deleted at once."""
_TIMEOUT_SECONDS: Final = 20


def diagnose(write: Callable[[str], object] = sys.stdout.write) -> bool:
    """Says of each step whether it works; True where all do. No key and no token is ever shown."""
    try:
        settings = clients.settings()
    except SettingsError as error:
        write(f"FAILED  configuration: {error}\n")
        return False
    for name, value in _shown(settings).items():
        write(f"        {name:<22} {value}\n")
    write("ok      configuration\n")
    steps: Mapping[str, Callable[[Settings], str]] = {
        "documents": _documents,
        "files": _files,
        "upload and signed URL": _upload,
        "queue": _queue,
        "generator": _generator,
    }
    works = True
    for name, step in steps.items():
        try:
            write(f"ok      {name}: {step(settings)}\n")
        except Exception as error:
            # Every kind: whatever a step fails with is what somebody wants to read here.
            write(f"FAILED  {name}: {type(error).__name__}: {str(error)[:400]}\n")
            works = False
    return works


def _shown(settings: Settings) -> Mapping[str, str]:
    generator = settings.generator
    return {
        "project": settings.project_id,
        "region": settings.region,
        "originals' bucket": settings.originals_bucket,
        "allowed origins": ", ".join(sorted(settings.allowed_origins)),
        "App Check": "asked for" if settings.checks_apps else "not asked for",
        "generator": " ".join(filter(None, [generator.kind, generator.model, generator.url])),
        "generator's key": "set" if generator.key else "not set",
        "wait for generations": f"{settings.generate_wait_seconds} s",
    }


def _documents(_settings: Settings) -> str:
    clients.documents().frozen()
    return "Firestore answers"


def _files(settings: Settings) -> str:
    clients.files().page(settings.originals_bucket, PREFIX, "", 1)
    return f"`{settings.originals_bucket}` can be listed"


def _upload(settings: Settings) -> str:
    """Writes a file, fetches it by a signed URL as a stranger would, and deletes it."""
    import httpx2

    from afterimage.store.documents import Expect
    from afterimage.store.files import FileAbout

    name, data = f"{PREFIX}{secrets.token_hex(8)}", secrets.token_bytes(1024)
    files, bucket = clients.files(), settings.originals_bucket
    stored = files.write(bucket, name, data, FileAbout(content_type="application/gzip"), expected=Expect.ABSENT)
    try:
        url = clients.links().download_generation(bucket, name, stored.generation).url
        fetched = httpx2.get(url, timeout=_TIMEOUT_SECONDS)
        if fetched.status_code != 200 or fetched.content != data:
            raise RuntimeError(f"the signed URL was answered with status {fetched.status_code}")
    finally:
        files.delete(bucket, name, generation=stored.generation)
    return "a file was written, fetched by its signed URL, and deleted"


def _queue(settings: Settings) -> str:
    """Asks for a task that is not there: a queue that can be reached says so."""
    from firebase_admin import functions
    from firebase_admin.exceptions import NotFoundError

    from afterimage.generations.tasks import QUEUE

    queue = functions.task_queue(f"locations/{settings.region}/functions/{QUEUE}", app=clients.firebase_app())
    try:
        queue.delete(f"diagnosis-{secrets.token_hex(8)}")
    except NotFoundError:
        return f"`{QUEUE}` can be reached"
    return f"`{QUEUE}` can be reached"


def _generator(settings: Settings) -> str:
    """Whether the endpoint can be reached; nothing is asked of it that would cost."""
    if settings.generator.kind == "template":
        return "offline"
    import httpx2

    answer = httpx2.get(settings.generator.url, timeout=_TIMEOUT_SECONDS)
    return f"`{settings.generator.url}` answers with status {answer.status_code}"
