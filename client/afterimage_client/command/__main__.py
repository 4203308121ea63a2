"""Lets `python -m afterimage_client.command` stand for `afterimage-client`."""

from __future__ import annotations

import sys

from afterimage_client.command.main import main

if __name__ == "__main__":
    sys.exit(main())
