"""Owns where a generation and its files live, and which ids and files they may have (pure)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from afterimage_client.errors import WorkerError

MIB: Final = 1 << 20
OBJECT_NAME_LIMIT_BYTES: Final = 1024
DOCUMENT_ID_LIMIT_BYTES: Final = 1500
_RESERVED_ID = re.compile(r"__.*__", re.DOTALL)
_NUMBERED = re.compile(r".*_\d+", re.DOTALL)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


class MediaKind(StrEnum):
    """What a task makes."""

    IMAGE = "image"
    VIDEO = "video"

    @property
    def extension(self) -> str:
        return {"image": "png", "video": "mp4"}[self.value]

    @property
    def content_type(self) -> str:
        return f"{self.value}/{self.extension}"

    @property
    def most_bytes(self) -> int:
        return {"image": 10 * MIB, "video": 100 * MIB}[self.value]

    def refuse_others(self, data: bytes) -> None:
        """Bytes decide what a file is; a file that is no PNG or MP4, or too large, has no place in the contract."""
        is_ours = data[:8] == b"\x89PNG\r\n\x1a\n" if self is MediaKind.IMAGE else data[4:8] == b"ftyp"
        if not is_ours:
            raise WorkerError(
                "invalid-output", f"the generator's bytes are no {self.extension.upper()}", way_out="encode them as one"
            )
        if len(data) > self.most_bytes:
            raise WorkerError(
                "invalid-output",
                f"the {self.value} has `{len(data)}` bytes, more than {self.most_bytes // MIB} MiB",
                way_out="make it smaller",
            )


def generation_path(uid: str, file_uid: str) -> str:
    return f"generations/{uid}/files/{file_uid}"


def beat_path(uid: str, file_uid: str) -> str:
    """Beside the generation, so that beats wake no listener and no trigger."""
    return f"{generation_path(uid, file_uid)}/worker/beat"


def object_name(uid: str, file_uid: str, kind: MediaKind, index: int, count: int) -> str:
    """`{fileUid}.png` for one, `{fileUid}_{n}.png` for many.

    An id that ends like a number itself (`x_0`) is always numbered: else its one file would be the first one of `x`.
    """
    is_numbered = count > 1 or _NUMBERED.fullmatch(file_uid) is not None
    stem = f"{file_uid}_{index}" if is_numbered else file_uid
    return f"generating/{uid}/{kind}/{stem}.{kind.extension}"


def check_ids(uid: str, file_uid: str) -> None:
    """Refuses ids that are no segment of a path, before anything is written."""
    for name, value in (("user_id", uid), ("file_uid", file_uid)):
        if (
            not 0 < len(value.encode(errors="replace")) <= DOCUMENT_ID_LIMIT_BYTES
            or "/" in value
            or value in {".", ".."}
            or _RESERVED_ID.fullmatch(value)
            or _UNPRINTABLE.search(value)
            or any(0xD800 <= ord(character) <= 0xDFFF for character in value)
        ):
            raise WorkerError(
                "invalid-request", f"`{name}` cannot be an id", way_out="use letters, digits, `-` and `_`, as in a UUID"
            )
    longest = object_name(uid, file_uid, MediaKind.IMAGE, 99, 100)
    if len(longest.encode()) > OBJECT_NAME_LIMIT_BYTES:
        raise WorkerError("invalid-request", "`file_uid` is too long for the name of a file", way_out="use a UUID")
