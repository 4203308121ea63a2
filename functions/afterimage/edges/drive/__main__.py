"""Adds a new key to a key file, which is made if it is not there; the older keys stay until nothing needs them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from afterimage.edges.drive.keys.key_file import add_key
from afterimage.settings import SettingsError


def add_key_to_file() -> int:
    parser = argparse.ArgumentParser(prog="python -m afterimage.edges.drive", description=__doc__)
    parser.add_argument("file", type=Path, help="the key file that DRIVE_KEY names")
    asked = parser.parse_args()
    try:
        name = add_key(asked.file)
    except (SettingsError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"`{asked.file}` has a new key `{name}`; publish to drive.rewrap to put permissions under it\n")
    return 0


if __name__ == "__main__":
    sys.exit(add_key_to_file())
