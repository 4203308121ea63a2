"""The API from a terminal: its description, its page of routes, and what a deployment can reach."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from afterimage.api.description.documentation import with_routes
from afterimage.api.description.openapi import openapi_of
from afterimage.api.diagnosis import diagnose
from afterimage.api.table import TABLE


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m afterimage.api", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("docs", help="write the table of routes into a page").add_argument("page", type=Path)
    commands.add_parser("openapi", help="print the OpenAPI description")
    commands.add_parser(
        "diagnose", help="say what can be reached: configuration, documents, files, an upload, the queue"
    )
    asked = parser.parse_args()
    if asked.command == "diagnose":
        return 0 if diagnose() else 1
    if asked.command == "docs":
        asked.page.write_text(with_routes(asked.page.read_text(encoding="utf-8"), TABLE), encoding="utf-8")
    else:
        json.dump(openapi_of(TABLE), sys.stdout, indent=2)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
