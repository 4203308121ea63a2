"""Where the command begins: where it cannot work, one sentence says so; then the command line takes over."""

from __future__ import annotations

import sys

from afterimage_emulator.commands.platforms import refused_platform


def run() -> int:
    refusal = refused_platform(sys.platform)
    if refusal is not None:
        sys.stderr.write(f"{refusal}\n")
        return 1
    from afterimage_emulator.commands.command_line import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
