"""Reads multipart/form-data as it arrives: fields first, then the file, which is never whole in memory."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from afterimage_emulator.storage.errors import Reason, SpecificError, StorageError, invalid
from afterimage_emulator.storage.uploads.bounded_body import BoundedBody

FIELDS_LIMIT_BYTES: Final = 1024 * 1024
_FIELDS: Final = 1_000
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
        boundary = (found[1] or found[2]).encode("latin-1", "replace")
        self._body = BoundedBody(body, boundary, kind="form", too_large=_too_large)
        self.file: FilePart | None = None

    async def fields(self) -> dict[str, str]:
        """By lower-case name; a field that comes twice is refused, since a policy could have seen either."""
        fields: dict[str, str] = {}
        size = 0
        await self._body.read_until(self._body.mark, FIELDS_LIMIT_BYTES)
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
            value = await self._body.read_until(self._body.mark, FIELDS_LIMIT_BYTES)
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

    def content(self) -> AsyncIterator[bytes]:
        """The file's bytes."""
        return self._body.content()

    # -- inside

    async def _part_head(self) -> dict[str, str] | None:
        """Parameters of Content-Disposition; None at the end of the form."""
        if await self._body.is_over():
            return None
        if self._body.skip_empty_head():
            raise invalid("Invalid form: a part without a name")
        head = (await self._body.head()).decode("utf-8", "replace")
        for line in head.split("\r\n"):
            name, _, value = line.partition(":")
            if name.strip().lower() == "content-disposition":
                return _parameters(value)
        raise invalid("Invalid form: a part without a name")


def _too_large(limit_bytes: int) -> StorageError:
    return invalid(f"Invalid form: a field or head of more than {limit_bytes} bytes")


def _parameters(value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(value):
        text = quoted or bare
        for escaped, meant in _ESCAPED_BY_BROWSERS:
            text = text.replace(escaped, meant)
        found[name.lower()] = re.sub(r"\\([\"\\])", r"\1", text)
    return found
