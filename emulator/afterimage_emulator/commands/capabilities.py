"""`capabilities`: prints what the suite serves, refuses and does in another way, from the tables of its services."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from afterimage_emulator.composition.services import SERVICES
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.hub.capabilities import capabilities_document
from afterimage_emulator.suite import Suite


def run_capabilities(options: argparse.Namespace) -> int:
    """Needs no running suite: the tables are those of the installed version."""
    found = asyncio.run(_of_every_service())
    if options.json:
        sys.stdout.write(json.dumps({"services": found}, indent=1) + "\n")
        return 0
    if options.markdown:
        sys.stdout.write(capabilities_document(found))
        return 0
    for service, operations in found.items():
        for operation in operations:
            note = f"  {operation['note']}" if "note" in operation else ""
            name = f"{operation['wire']} {operation['operation']}"
            sys.stdout.write(f"{service:<10} {operation['state']:<9} {name}{note}\n")
    return 0


async def _of_every_service() -> dict[str, list[dict[str, str]]]:
    with tempfile.TemporaryDirectory(prefix="capabilities-") as folder:
        configuration = Configuration(root=Path(folder), project_id=f"demo-capabilities-{os.getpid()}")
        async with Suite(configuration, only=SERVICES, free_ports=True) as suite:
            return suite.capabilities()
