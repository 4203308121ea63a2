"""What a suite serves, refuses and does in another way: read from the services' own tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from afterimage_emulator.wire.offered import Offered

_HEAD: Final = """# What the suite serves, refuses and does in another way

`afterimage-emulator capabilities --markdown` writes this page from the tables by which the services answer, and a test
holds the page equal to them. `--json` prints the same for programs; a running suite's hub answers it at
`GET /control/capabilities`.
"""


def capabilities(services: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """By service: every operation with its wire, its state, and where it is not `served` why or in what."""
    return {name: [each.to_json() for each in _offered(service)] for name, service in services.items()}


def capabilities_document(found: Mapping[str, Sequence[Mapping[str, str]]]) -> str:
    """A page of it, for people: what is refused or different first, with the reason, and then what is served."""
    parts = [_HEAD, _table(("service", "served", "different", "refused"), map(_counts, found.items()))]
    for service, operations in found.items():
        parts.append(f"## {service}\n")
        noted = [each for each in operations if each["state"] != "served"]
        served = [each for each in operations if each["state"] == "served"]
        if noted:
            rows = ((each["state"], _code(each), each["note"].replace("|", "\\|")) for each in noted)
            parts.append(_table(("state", "operation", "why, or in what"), rows))
        if served:
            parts.append(_table(("served",), ((_code(each),) for each in served)))
        if not operations:
            parts.append("Every address of it is the project's own.\n")
    return "\n".join(parts)


def _counts(entry: tuple[str, Sequence[Mapping[str, str]]]) -> tuple[str, ...]:
    service, operations = entry
    states = [each["state"] for each in operations]
    return (service, *(str(states.count(state)) for state in ("served", "different", "refused")))


def _code(operation: Mapping[str, str]) -> str:
    return f"{operation['wire']} `{operation['operation']}`".replace("|", "\\|")


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _offered(service: Any) -> Iterable[Offered]:
    """An operation that stands in a table under several addresses is told with each."""
    yield from (method.offered() for method in service.grpc)
    yield from service.offered()
