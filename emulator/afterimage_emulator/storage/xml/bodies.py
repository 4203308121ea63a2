"""Reads the small XML documents that clients send: elements and text, no more (entities and types are refused)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.storage.errors import Reason, SpecificError, StorageError
from afterimage_emulator.wire.http_messages import HttpRequest

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_LIMIT_BYTES: Final = 1024 * 1024
_DEPTH: Final = 8


async def xml_body(request: HttpRequest, root: str) -> Element | None:
    """The document, whose outermost element is `root`; None where the body is empty."""
    try:
        raw = await request.body.read(_LIMIT_BYTES)
    except StatusError as error:
        if error.code is Code.RESOURCE_EXHAUSTED:
            raise StorageError(Reason.TOO_LARGE, error.message) from error
        raise
    return parse_xml(raw, root) if raw.strip() else None


def parse_xml(raw: bytes, root: str) -> Element:
    """Names are told without their namespace: S3 tools have another one than Google's, and some have none."""
    from xml.etree.ElementTree import ParseError, XMLPullParser  # few clients send XML: loaded with the first

    if b"<!" in raw.replace(b"\0", b""):
        raise malformed_document("document types and entities are not read")
    try:
        parser: XMLPullParser[Element] = XMLPullParser(("start",))
        parser.feed(raw)
        parser.close()
        begun: tuple[object, ...] = next(iter(parser.read_events()))
        document = cast("Element", begun[1])
    except (ParseError, ValueError, LookupError) as error:
        raise malformed_document(str(error)) from None
    waiting = [(document, 1)]
    while waiting:
        element, depth = waiting.pop()
        if depth > _DEPTH:
            raise malformed_document(f"it is nested deeper than {_DEPTH} elements")
        element.tag = str(element.tag).rpartition("}")[2]
        waiting += [(child, depth + 1) for child in element]
    if document.tag != root:
        raise malformed_document(f"its outermost element is not `{root}`")
    return document


def malformed_document(what: str) -> SpecificError:
    return SpecificError(Reason.INVALID, "MalformedXML", f"the XML in the request's body cannot be used: {what}")


def child_text(element: Element, name: str) -> str:
    """The text of the one child of that name; an empty one where there is none."""
    found = element.findall(name)
    if len(found) > 1:
        raise malformed_document(f"`{name}` comes twice in one `{element.tag}`")
    return (found[0].text or "").strip() if found else ""
