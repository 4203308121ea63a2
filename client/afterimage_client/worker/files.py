"""Owns the files of a generation in the bucket: stored under a fence, so that the later attempt's content stands.

A name may hold what an earlier attempt stored, also one of a generation that its user deleted. It is replaced by its
number, and only by a later attempt; a worker that has lost its generation and uploads late finds its way barred.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, Any, Final

from afterimage_client.worker.answers import WorkerFile, token_url
from afterimage_client.worker.cloud import Cloud
from afterimage_client.worker.records import LostError

if TYPE_CHECKING:
    from google.cloud.storage import Blob

RUN_STAMP: Final = "generation_run"
CLAIM_STAMP: Final = "generation_claimed"
"""When the generation became this worker's, by the server's clock, in microseconds."""
TOKENS: Final = "firebaseStorageDownloadTokens"
CHUNK_BYTES: Final = 4 << 20
_ROUNDS: Final = 4
_TIMEOUT_SECONDS: Final = 60.0


class GenerationFiles:
    """What one attempt stores."""

    def __init__(self, cloud: Cloud, *, run: str, claimed: int, file_uid: str) -> None:
        self._cloud = cloud
        self._run = run
        self._claimed = claimed
        self._file_uid = file_uid

    def put(self, path: str, data: bytes, content_type: str) -> WorkerFile:
        """Stores a file under a link of its own; LostError where a later attempt has stored there."""
        from google.api_core.exceptions import PreconditionFailed

        sha256 = hashlib.sha256(data).hexdigest()
        expected = 0
        for _ in range(_ROUNDS):
            token = str(uuid.uuid4())
            blob = self._cloud.bucket.blob(path, chunk_size=CHUNK_BYTES if len(data) > CHUNK_BYTES else None)
            blob.metadata = {
                TOKENS: token,
                "file_uid": self._file_uid,
                RUN_STAMP: self._run,
                CLAIM_STAMP: str(self._claimed),
                "sha256": sha256,
            }
            try:
                blob.upload_from_string(
                    data, content_type=content_type, if_generation_match=expected, timeout=_TIMEOUT_SECONDS
                )
            except PreconditionFailed:
                held = self._cloud.bucket.get_blob(path, timeout=_TIMEOUT_SECONDS)
                stamps = (held.metadata or {}) if held else {}
                if held and stamps.get(RUN_STAMP) == self._run and stamps.get("sha256") == sha256:
                    # Our own upload, whose answer was lost.
                    return self._named(held, data, content_type, sha256, stamps[TOKENS])
                if _claimed(stamps) >= self._claimed:
                    raise LostError(path) from None
                expected = int(held.generation) if held else 0
            else:
                return self._named(blob, data, content_type, sha256, token)
        raise LostError(path)

    def remove(self, file: WorkerFile) -> None:
        """Deletes this very content; nothing happens if it is gone or replaced already."""
        from google.api_core.exceptions import NotFound, PreconditionFailed

        blob = self._cloud.bucket.blob(file.path)
        try:
            blob.delete(if_generation_match=file.generation, timeout=_TIMEOUT_SECONDS)
        except (NotFound, PreconditionFailed):
            return

    def _named(self, blob: Blob, data: bytes, content_type: str, sha256: str, token: str) -> WorkerFile:
        return WorkerFile(
            path=blob.name,
            generation=int(blob.generation),
            bytes=len(data),
            content_type=content_type,
            sha256=sha256,
            url=token_url(self._cloud.files_host, self._cloud.bucket.name, blob.name, token),
        )


def _claimed(stamps: Any) -> int:
    text = str(stamps.get(CLAIM_STAMP, ""))
    return int(text) if text.isascii() and text.isdigit() else 0
