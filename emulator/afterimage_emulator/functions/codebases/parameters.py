"""Parameters and secrets: read from the codebase's .env files, resolved into what the manifest says with them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

Value = str | int | float | bool | list[str]
Values = Mapping[str, Value]

SECRETS_FILE: Final = ".secret.local"
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ENTRY: Final = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<key>[^\s=#]+)[ \t]*=[ \t]*
        (?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)'|(?P<plain>[^\n\r]*?))
        [ \t]*(?:(?<![^ \t"'])\#[^\n\r]*)?$""",
    re.MULTILINE | re.VERBOSE | re.DOTALL,
)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_RESERVED_PREFIXES: Final = ("X_GOOGLE_", "FIREBASE_", "EXT_")
_EXPRESSION: Final = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_LITERAL: Final = r'"(?:[^"\\]|\\.)*"|[^\s?:=<>!]+'
_COMPARISON: Final = re.compile(
    rf"(?P<left>{_LITERAL})(?:\s*(?P<operator>==|!=|>=|<=|>|<)\s*(?P<right>{_LITERAL}))?"
    rf"(?:\s*\?\s*(?P<then>{_LITERAL})\s*:\s*(?P<otherwise>{_LITERAL}))?",
    re.DOTALL,
)


class EnvironmentFileError(Exception):
    """A line of a .env file that cannot be taken; names file, key and reason."""


def read_environment_files(source: Path, project_id: str) -> dict[str, str]:
    """`.env`, then `.env.<project>`, then `.env.local`: later ones win."""
    found: dict[str, str] = {}
    for name in (".env", f".env.{project_id}", ".env.local"):
        found |= _read_file(source / name)
    return found


def read_secrets(source: Path) -> dict[str, str]:
    """`.secret.local`: what a function sees of it are the secrets that it declares."""
    return _read_file(source / SECRETS_FILE)


def _read_file(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise EnvironmentFileError(f"`{file.name}` is not UTF-8: {error}") from None
    return parse_environment_file(text, file.name)


def parse_environment_file(text: str, name: str = ".env") -> dict[str, str]:
    entries: dict[str, str] = {}
    for entry in _ENTRY.finditer(text.replace("\r\n", "\n")):
        key = entry["key"]
        if _KEY.fullmatch(key) is None:
            raise EnvironmentFileError(f"{name}: `{key}` is no name of a variable; use letters, digits and `_`")
        if key.startswith(_RESERVED_PREFIXES):
            raise EnvironmentFileError(f"{name}: `{key}` begins with a prefix that the platform keeps for itself")
        if entry["double"] is not None:
            entries[key] = re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), entry["double"])
        else:
            entries[key] = entry["single"] if entry["single"] is not None else (entry["plain"] or "").strip()
    return entries


def built_in_values(project_id: str, firebase_config: Mapping[str, object]) -> dict[str, Value]:
    """The parameters that every codebase has without declaring them."""
    database = str(firebase_config.get("databaseURL") or "")
    return {
        "PROJECT_ID": project_id,
        "GCLOUD_PROJECT": project_id,
        "STORAGE_BUCKET": str(firebase_config.get("storageBucket") or ""),
        "DATABASE_URL": database,
        "DATABASE_INSTANCE_NAME": database.partition("//")[2].partition(".")[0],
    }


def parameter_values(
    declared: object, environment: Mapping[str, str], built_in: Values
) -> tuple[dict[str, Value], list[str]]:
    """What each declared parameter is worth, and the names of those that have neither a value nor a default."""
    values: dict[str, Value] = dict(built_in)
    missing: list[str] = []
    for parameter in declared if isinstance(declared, list) else []:
        name = str(parameter.get("name"))
        kind = str(parameter.get("type", "string"))
        if name in environment:
            try:
                values[name] = _typed(environment[name], kind)
            except ValueError:
                raise ValueError(f"`{name}` is declared as {kind}, and its value is `{environment[name]}`") from None
        elif "default" in parameter:
            values[name] = resolve(parameter["default"], values)
        else:
            missing.append(name)
            if kind != "secret":
                values[name] = _typed("", kind)
    return values, missing


def as_environment(values: Values) -> dict[str, str]:
    """The form in which the SDK reads them back."""
    return {name: _as_text(value) for name, value in values.items()}


def resolve(node: object, values: Values) -> object:
    """Replaces every `{{ … }}` in a manifest; an expression that is the whole text keeps its type."""
    if isinstance(node, Mapping):
        return {key: resolve(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [resolve(item, values) for item in node]
    if not isinstance(node, str) or "{{" not in node:
        return node
    whole = _EXPRESSION.fullmatch(node)
    if whole is not None and "{{" not in whole[1]:
        return _evaluate(whole[1], values)
    return _EXPRESSION.sub(lambda found: _as_text(_evaluate(found[1], values)), node)


def _evaluate(expression: str, values: Values) -> Value:
    parsed = _COMPARISON.fullmatch(expression)
    if parsed is None:
        raise ValueError(f"the expression `{expression}` cannot be read")
    left = _operand(parsed["left"], values)
    if parsed["operator"] is None:
        result: Value = left
    else:
        result = _compare(left, parsed["operator"], _operand(parsed["right"], values))
    if parsed["then"] is None:
        return result
    return _operand(parsed["then"] if result else parsed["otherwise"], values)


def _operand(text: str, values: Values) -> Value:
    if text.startswith("params."):
        name = text.removeprefix("params.")
        if name not in values:
            raise ValueError(f"the parameter `{name}` is not declared")
        return values[name]
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        loaded = json.loads(text)
    except ValueError:
        return text
    return loaded if isinstance(loaded, str | int | float | bool) else text


def _compare(left: Value, operator: str, right: Value) -> bool:
    if operator in ("==", "!="):
        return (left == right) is (operator == "==")
    if not isinstance(left, int | float | str) or type(left) is not type(right):
        raise ValueError(f"`{left}` and `{right}` cannot be compared with `{operator}`")
    below, same = left < right, left == right  # type: ignore[operator]  # the types were compared above
    return {"<": below, "<=": below or same, ">": not (below or same), ">=": not below}[operator]


def _typed(text: str, kind: str) -> Value:
    if kind == "int":
        return int(text or 0)
    if kind == "float":
        return float(text or 0)
    if kind == "boolean":
        return text.lower() == "true"
    if kind == "list":
        if text.startswith("["):
            return [str(item) for item in json.loads(text)]
        return [part for part in text.split(",") if part]
    return text


def _as_text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return json.dumps(value)
    return str(value)
