"""What a suite serves, refuses and does in another way: read from the services' own tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from afterimage_emulator.wire.offered import Offered


def capabilities(services: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """By service: every operation with its wire, its state, and where it is not `served` why or in what."""
    return {name: [each.to_json() for each in _offered(service)] for name, service in services.items()}


def _offered(service: Any) -> Iterable[Offered]:
    """An operation that stands in a table under several addresses is told with each."""
    yield from (method.offered() for method in service.grpc)
    yield from service.offered()
