"""Which names and addresses mean this machine: those that pages may come from, and those that requests may call."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Final

_HOST_AND_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:.%]{2,64}\]|[^\s\[\]:/@?#\\]{1,255})(?::(\d{0,5}))?")
_NUMBER: Final = re.compile(r"\d+|0x[0-9a-f]*")
_RESERVED_FOR_PRIVATE_USE: Final = ".internal"
"""Nobody can register a name below it: containers reach their host by `host.docker.internal`."""


def split_host(text: str) -> tuple[str, int | None] | None:
    """Lower-case name or address without brackets and last dot, and the port; None where the text is no host."""
    found = _HOST_AND_PORT.fullmatch(text)
    if found is None:
        return None
    name = found[1].strip("[]").lower().removesuffix(".")
    return name, int(found[2]) if found[2] else None


def is_localhost(name: str) -> bool:
    """`localhost` and what is below it: browsers and resolvers keep these names to this machine."""
    return name == "localhost" or name.endswith(".localhost")


def is_this_machine(name: str) -> bool:
    """Whether a page from there was served by this machine."""
    if is_localhost(name):
        return True
    address = _address(name)
    if address is None:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    # The unspecified address is what development servers print that listen everywhere; a browser reaches itself by it.
    return address.is_loopback or address.is_unspecified or _is_bound_here(address)


def cannot_be_rebound(name: str) -> bool:
    """Whether a stranger cannot make a browser send this name here: rebinding takes a name that the stranger owns.

    Addresses and names without a dot (a container's, a machine's) are nobody's in the public DNS.
    """
    if "." not in name or is_localhost(name) or _address(name) is not None:
        return True
    if _NUMBER.fullmatch(name.rpartition(".")[2]):  # an address in another spelling, such as 127.1
        return True
    return name.endswith(_RESERVED_FOR_PRIVATE_USE) or name in _own_names()


def is_address(name: str) -> bool:
    return _address(name) is not None


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return None


def _is_bound_here(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """An address can be bound only where it belongs to an interface. Asked anew each time: interfaces come and go."""
    if address.is_multicast:
        return False
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _own_names() -> tuple[str, str]:
    name = socket.gethostname().lower()
    return name, f"{name.partition('.')[0]}.local"
