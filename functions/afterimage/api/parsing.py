"""Bytes and texts of a request into the types that a route names; whatever does not fit says where and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from afterimage.api.errors import ApiError, ErrorCode


def parsed_query(arguments: Mapping[str, Sequence[str]], kind: Any) -> Any:
    """The query's parameters, each given once, as their type wants them."""
    for name, values in arguments.items():
        if len(values) > 1:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"`{name[:64]}` is given {len(values)} times", "give it once")
    try:
        return msgspec.convert({name: values[0] for name, values in arguments.items()}, type=kind, strict=False)
    except msgspec.ValidationError as error:
        raise _refused("the query does not fit", error) from error


def parsed_body(data: bytes, content_type: str, kind: Any) -> Any:
    """The body as its type; only JSON is read, and only where it says that it is."""
    if kind is bytes:
        return data
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise ApiError(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            f"a body of type `{content_type[:64]}` is not read here",
            "send JSON with `Content-Type: application/json`",
        )
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise _refused("the body does not fit", error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused("the body is not JSON", error) from error


def encoded(value: object) -> bytes:
    return msgspec.json.encode(value)


def _refused(error: str, cause: Exception) -> ApiError:
    said = str(cause)[:300]
    return ApiError(ErrorCode.INVALID_REQUEST, error, said[:1].lower() + said[1:])
