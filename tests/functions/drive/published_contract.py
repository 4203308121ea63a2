"""Owns Google's published descriptions of Drive and Cloud KMS: every request and every answer is held against them."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from tests.functions.drive.reduce_description import FOLDER

DRIVE_FILE = "https://www.googleapis.com/auth/drive.file"
_UPLOADS = "/upload/drive/v3/"


class ContractError(AssertionError):
    """Something was sent, or answered, that the published description does not know."""


@functools.cache
def described(api: str) -> Mapping[str, Any]:
    """As Google publishes it, without its prose: `drive.v3`, `cloudkms.v1`."""
    found: Mapping[str, Any] = json.loads((FOLDER / f"{api}.json").read_text())
    return found


def _methods(resources: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for resource in resources.values():
        found |= {method["id"]: method for method in resource.get("methods", {}).values()}
        found |= _methods(resource.get("resources", {}))
    return found


@functools.cache
def methods(api: str) -> Mapping[str, Mapping[str, Any]]:
    return _methods(described(api)["resources"])


def drive_method(verb: str, path: str) -> tuple[str, Mapping[str, str]]:
    """Which method a request means, and the names in its path."""
    is_upload = path.startswith(_UPLOADS)
    rest = path.removeprefix(_UPLOADS) if is_upload else path.removeprefix("/drive/v3/")
    literal_first = sorted(methods("drive.v3").items(), key=lambda item: item[1]["path"].count("{"))
    for identifier, method in literal_first:
        if method["httpMethod"] != verb or (is_upload and not method.get("supportsMediaUpload")):
            continue
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(method["path"]))
        found = re.fullmatch(pattern, rest)
        if found:
            return identifier, {name: unquote(value) for name, value in found.groupdict().items()}
    raise ContractError(f"`{verb} {path}` is no method of Drive's")


def check_request(identifier: str, query: Mapping[str, list[str]], body: Any, *, is_upload: bool) -> None:
    """Parameters, their types and bounds, the scope that is asked for, and the fields of the body."""
    method = methods("drive.v3")[identifier]
    if DRIVE_FILE not in method["scopes"]:
        raise ContractError(f"`{identifier}` cannot be asked with drive.file")
    known = {**described("drive.v3")["parameters"], **method.get("parameters", {})}
    if is_upload:
        known["uploadType"] = {"type": "string", "enum": ["media", "multipart", "resumable"]}
    for name, values in query.items():
        if name not in known or len(values) != 1:
            raise ContractError(f"`{identifier}` does not take `{name}` so: {values}")
        _check_text(f"{identifier} {name}", known[name], values[0])
    if body is not None:
        if "request" not in method:
            raise ContractError(f"`{identifier}` takes no body")
        check_value(f"{identifier} body", {"$ref": method["request"]["$ref"]}, body, is_sent=True)


def check_answer(identifier: str, answer: Any, *, api: str = "drive.v3") -> None:
    method = methods(api)[identifier]
    check_value(f"{identifier} answer", {"$ref": method["response"]["$ref"]}, answer, api=api)


def check_value(
    where: str, schema: Mapping[str, Any], value: Any, *, is_sent: bool = False, api: str = "drive.v3"
) -> None:
    if "$ref" in schema:
        schema = described(api)["schemas"][schema["$ref"]]
    kind = schema.get("type", "any")
    if kind == "object":
        if not isinstance(value, dict):
            raise ContractError(f"{where} is `{value!r}`, not an object")
        properties, more = schema.get("properties", {}), schema.get("additionalProperties")
        for name, inner in value.items():
            inner_schema = properties.get(name, more)
            if inner_schema is None:
                raise ContractError(f"{where} has no `{name}`")
            if is_sent and inner_schema.get("isOutputOnly"):
                raise ContractError(f"{where}: `{name}` cannot be written")
            check_value(f"{where}.{name}", inner_schema, inner, is_sent=is_sent, api=api)
    elif kind == "array":
        for each in value:
            check_value(where, schema["items"], each, is_sent=is_sent, api=api)
    elif kind == "boolean":
        if not isinstance(value, bool):
            raise ContractError(f"{where} is `{value!r}`, not true or false")
    elif kind == "integer":
        if isinstance(value, bool) or not isinstance(value, int):
            raise ContractError(f"{where} is `{value!r}`, no whole number")
    elif kind == "string" and not isinstance(value, str):
        # Whole numbers of 64 bits travel as texts.
        raise ContractError(f"{where} is `{value!r}`, not a text")


def _check_text(where: str, schema: Mapping[str, Any], text: str) -> None:
    kind = schema["type"]
    if kind == "boolean" and text not in {"true", "false"}:
        raise ContractError(f"{where} is `{text}`, not true or false")
    if kind == "integer":
        if not text.isdigit():
            raise ContractError(f"{where} is `{text}`, no whole number")
        if not int(schema.get("minimum", 0)) <= int(text) <= int(schema.get("maximum", 2**31)):
            raise ContractError(f"{where} is `{text}`, out of bounds")
    if "enum" in schema and text not in schema["enum"]:
        raise ContractError(f"{where} is `{text}`, none of {schema['enum']}")
