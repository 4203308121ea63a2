"""Reads the requests of `cases/*.txt`: one a line, with the answers of earlier lines at hand.

    [a section: it starts with no account and all settings as they are at first]
    a = ask signUp {"email": "a@example.com", "password": "secret-1"}
    ask lookup {"idToken": "$a.idToken"}
    ~kept-reason admin update {"localId": "$a.localId"}

`ask OPERATION` is a client's, with an API key; `admin OPERATION` an administrator's; `key`, `owner` and `bare` take
a method and a path, with an API key, with `Bearer owner`, and with neither. `$a.b.0` is a value of the answer kept
as `a`.
A line with `~name` is known to be answered differently, for the reason of that name in `reasons.toml`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROJECT = "demo-auth"
CASES = Path(__file__).parent / "cases"
_LINE = re.compile(r"(?:~(?P<reason>[\w-]+) )?(?:(?P<kept>\w+) = )?(?P<how>ask|admin|key|owner|bare) (?P<rest>.+)")
_REFERENCE = re.compile(r"\$(\w+)((?:\.[\w-]+)+)")
_PREFIXES = {
    "v1/": "/identitytoolkit.googleapis.com/v1/",
    "v2/": "/identitytoolkit.googleapis.com/v2/",
    "old/": "/www.googleapis.com/identitytoolkit/v3/relyingparty/",
    "emulator/": f"/emulator/v1/projects/{PROJECT}/",
    "token": "/securetoken.googleapis.com/v1/token",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenRequest:
    """One line: what is sent, what its answer is kept as, and the reason if it is answered differently."""

    place: str
    line: str
    method: str
    path: str
    body: str | None
    credential: str
    kept_as: str | None
    reason: str | None


@dataclass(kw_only=True, slots=True)
class Section:
    """Requests that belong together, in their order."""

    name: str
    requests: list[WrittenRequest] = field(default_factory=list)


def sections() -> Iterator[Section]:
    for file in sorted(CASES.glob("*.txt")):
        section: Section | None = None
        for number, line in enumerate(file.read_text().splitlines(), 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            if line.startswith("["):
                if section is not None:
                    yield section
                section = Section(name=f"{file.stem}: {line.strip('[]')}")
            elif section is None:
                raise ValueError(f"{file.name}:{number}: a request before the first section")
            else:
                section.requests.append(_read(line, f"{file.name}:{number}"))
        if section is not None:
            yield section


def _read(line: str, place: str) -> WrittenRequest:
    matched = _LINE.fullmatch(line)
    if matched is None:
        raise ValueError(f"{place}: not a request: `{line}`")
    how, rest = matched["how"], matched["rest"]
    if how in ("ask", "admin"):
        operation, _, body = rest.partition(" ")
        scope = "accounts" if how == "ask" else f"projects/{PROJECT}/accounts"
        method, path, body = "POST", f"v1/{scope}" + (f":{operation}" if operation != "accounts" else ""), body or "{}"
    else:
        method, path, *more = rest.split(" ", 2)
        body = more[0] if more else None
    path = path.replace("projects/P/", f"projects/{PROJECT}/").replace("projects/P:", f"projects/{PROJECT}:")
    for prefix, whole in _PREFIXES.items():
        if path.startswith(prefix):
            path = whole + path[len(prefix) :]
            break
    credential = {"ask": "key", "admin": "owner"}.get(how, how)
    return WrittenRequest(
        place=place, line=line, method=method, path=path, body=body, credential=credential,
        kept_as=matched["kept"], reason=matched["reason"],
    )  # fmt: skip


def filled_in(text: str, answers: Mapping[str, Any]) -> str:
    """`$a.b` becomes the value that the answer kept as `a` has there, escaped as inside a JSON string."""

    def value(reference: re.Match[str]) -> str:
        found = answers.get(reference[1], {})
        for step in reference[2][1:].split("."):
            try:
                found = found[int(step)] if isinstance(found, list) else found[step]
            except (KeyError, IndexError, TypeError, ValueError):
                return f"nothing-at-{reference[1]}{reference[2]}"
        return json.dumps(found)[1:-1] if isinstance(found, str) else json.dumps(found)

    return _REFERENCE.sub(value, text)
