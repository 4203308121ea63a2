"""The messages of Google's REST APIs: read from body and query by protobuf's own rules."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from google.protobuf import json_format

from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.turns import elsewhere
from afterimage_emulator.wire.http_messages import HttpRequest

_SNAKE: Final = re.compile(r"_([a-z0-9])")
_MASK: Final = "google.protobuf.FieldMask"


async def read_message(request: HttpRequest, request_class: Any, body_field: str = "*", *, limit_bytes: int) -> Any:
    """The body, and the fields that stand in the query as far as the request has such.

    `body_field` names the field that the body is, where it is not the whole message.
    """
    body = await request.json(limit_bytes) if request.method in ("POST", "PATCH", "PUT") else None
    body = {} if body is None else body
    if not isinstance(body, dict):
        raise StatusError(Code.INVALID_ARGUMENT, f"the request body must be a JSON object, not {json.dumps(body)[:60]}")
    whole = body if body_field == "*" else {body_field: body}
    known = {field.json_name: field for field in request_class.DESCRIPTOR.fields}
    for key, values in request.query.items():
        field = known.get(_camel(key))
        if field is None or field.json_name == body_field:
            continue
        is_number = field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_ENUM) and values[-1].isdecimal()
        whole[field.json_name] = int(values[-1]) if is_number else values[-1]
    for name, field in known.items():
        mask = whole.get(name)
        if isinstance(mask, str) and field.message_type is not None and field.message_type.full_name == _MASK:
            whole[name] = _camel(mask)  # Google's APIs take both spellings, protobuf's reader only this one
    try:
        return await elsewhere(request.read_bytes, json_format.ParseDict, whole, request_class())
    except (json_format.ParseError, ValueError, RecursionError) as error:
        raise StatusError(Code.INVALID_ARGUMENT, f"Invalid JSON payload received. {error}") from None


def _camel(name: str) -> str:
    return _SNAKE.sub(lambda found: found[1].upper(), name)
