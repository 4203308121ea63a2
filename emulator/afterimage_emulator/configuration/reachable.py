"""What is reached from where: a project that may be real, from code here, and this machine's services, by others."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from afterimage_emulator.configuration.project_configuration import Address, Configuration

PRODUCTION_FLAG: Final = "--allow-production"
_DEMO: Final = "demo-"
"""How ids begin that can be no project's: the official tools know it too."""
_IN_THE_CLOUD: Final = {
    "firestore": "Firestore",
    "storage": "Storage",
    "auth": "Auth",
    "pubsub": "Pub/Sub",
    "tasks": "Cloud Tasks",
    "eventarc": "Eventarc",
    "database": "Realtime Database",
    "dataconnect": "Data Connect",
}


def in_production(configuration: Configuration, running: Collection[str]) -> Sequence[str]:
    """What code would find in the cloud, since it is not emulated and the project may be a real one."""
    if configuration.project_id.startswith(_DEMO):
        return ()
    from_here = {"database", "dataconnect"} - set(configuration.not_emulated)
    return [shown for name, shown in _IN_THE_CLOUD.items() if name not in running and name not in from_here]


def production_warning(configuration: Configuration, reached: Sequence[str], *, is_allowed: bool) -> str:
    kept = f"`{PRODUCTION_FLAG}` lets it" if is_allowed else "credentials of yours are withheld from it"
    way_out = "" if is_allowed else f"; run those too, take a project `{_DEMO}…`, or start with `{PRODUCTION_FLAG}`"
    return (
        f"`{configuration.project_id}` may be a real project, and not emulated here: {', '.join(reached)}. "
        f"Code that asks for them asks production; {kept}{way_out}"
    )


def exposure_warnings(addresses: Mapping[str, Address]) -> Sequence[str]:
    """One for each address that others than this machine reach."""
    exposed: dict[str, list[str]] = {}
    for name, address in addresses.items():
        if not _is_loopback(address.host):
            exposed.setdefault(address.host, []).append(name)
    return [
        f"{', '.join(names)} listen on `{host}`: whoever reaches this machine there reads and changes all data, as an "
        "administrator and without a password, runs functions and exports into folders here; keep it to networks that "
        "you trust"
        for host, names in exposed.items()
    ]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name, of which nobody knows what it means tomorrow
