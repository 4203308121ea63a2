"""Forwards `python -m emulator`, the command's old name, for one release; the command is `afterimage-emulator`."""

from afterimage_emulator.__main__ import run

raise SystemExit(run())
