"""Reads multipart/form-data as it arrives: fields first, then the file, which is never whole in memory."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from afterimage_emulator.storage.errors import Reason, SpecificError, invalid

FIELDS_LIMIT_BYTES: Final = 1024 * 1024
_FIELDS: Final = 1_000
_HEAD_LIMIT_BYTES: Final = 16 * 1024
_BOUNDARY: Final = re.compile(r""";\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;,"]{1,200}))""", re.IGNORECASE)
_PARAMETER: Final = re.compile(
    r""";[ \t]*([a-z]{1,16}\*?)=(?:"((?:[^"\\]|\\.){0,4096})"|([^\s;"]{0,4096}))""", re.IGNORECASE
)
_ESCAPED_BY_BROWSERS: Final = (("%22", '"'), ("%0D", "\r"), ("%0A", "\n"))


def is_form(content_type: str | None) -> bool:
    return (content_type or "").strip().lower().startswith("multipart/form-data")


@dataclass(frozen=True, kw_only=True, slots=True)
class FilePart:
    """What the form says of its file."""

    name: str


class FormData:
    """First `fields()`, which stops at the file; then `file`, then `content()`."""

    def __init__(self, body: AsyncIterator[bytes], content_type: str | None) -> None:
        found = _BOUNDARY.search(content_type or "")
        if not is_form(content_type) or found is None:
            raise invalid(f"Invalid form: `{(content_type or '')[:100]}` is no multipart/form-data with a boundary")
        self._body = body
        self._mark = b"\r\n--" + (found[1] or found[2]).encode("latin-1", "replace")
        self._buffer = b"\r\n"  # as if a line had ended: the first boundary may open the body
        self.file: FilePart | None = None

    async def fields(self) -> dict[str, str]:
        """By lower-case name; a field that comes twice is refused, since a policy could have seen either."""
        fields: dict[str, str] = {}
        size = 0
        await self._read_until(self._mark)
        while True:
            head = await self._part_head()
            if head is None:
                return fields
            name = head.get("name")
            if name is None:
                raise invalid("Invalid form: a part without a name")
            if name == "file" or "filename" in head:
                self.file = FilePart(name=head.get("filename", ""))
                return fields
            value = await self._read_until(self._mark)
            size += len(name) + len(value)
            if size > FIELDS_LIMIT_BYTES or len(fields) >= _FIELDS:
                raise SpecificError(
                    Reason.INVALID,
                    "MaxPostPreDataLengthExceededError",
                    f"a form has at most {_FIELDS} fields and {FIELDS_LIMIT_BYTES} bytes before its file",
                )
            if name.lower() in fields:
                raise invalid(f"Invalid form: the field `{name[:100]}` comes twice")
            try:
                fields[name.lower()] = value.decode()
            except UnicodeDecodeError:
                raise invalid(f"Invalid form: the field `{name[:100]}` is not UTF-8") from None

    async def content(self) -> AsyncIterator[bytes]:
        """The file's bytes, up to its boundary; what follows is read and ignored, as production does."""
        keep = len(self._mark) - 1
        while True:
            at = self._buffer.find(self._mark)
            if at >= 0:
                if at:
                    yield self._buffer[:at]
                break
            if len(self._buffer) > keep:
                ready, self._buffer = self._buffer[:-keep], self._buffer[-keep:]
                yield ready
            await self._more()
        async for _ in self._body:
            pass

    # -- inside

    async def _part_head(self) -> dict[str, str] | None:
        """Parameters of Content-Disposition; None at the end of the form."""
        while len(self._buffer) < 2:
            await self._more()
        if self._buffer.startswith(b"--"):
            return None
        if self._buffer.startswith(b"\r\n\r\n"):
            raise invalid("Invalid form: a part without a name")
        head = (await self._read_until(b"\r\n\r\n", _HEAD_LIMIT_BYTES)).decode("utf-8", "replace")
        for line in head.split("\r\n"):
            name, _, value = line.partition(":")
            if name.strip().lower() == "content-disposition":
                return _parameters(value)
        raise invalid("Invalid form: a part without a name")

    async def _read_until(self, mark: bytes, limit_bytes: int = FIELDS_LIMIT_BYTES) -> bytes:
        searched = 0
        while (at := self._buffer.find(mark, searched)) < 0:
            if len(self._buffer) > limit_bytes:
                raise invalid(f"Invalid form: a field or head of more than {limit_bytes} bytes")
            searched = max(0, len(self._buffer) - len(mark))
            await self._more()
        found, self._buffer = self._buffer[:at], self._buffer[at + len(mark) :]
        return found

    async def _more(self) -> None:
        try:
            self._buffer += await anext(self._body)
        except StopAsyncIteration:
            raise invalid("Invalid form: the body ends before its closing boundary") from None


def _parameters(value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(value):
        text = quoted or bare
        for escaped, meant in _ESCAPED_BY_BROWSERS:
            text = text.replace(escaped, meant)
        found[name.lower()] = re.sub(r"\\([\"\\])", r"\1", text)
    return found
