"""Owns how the command speaks: lines, tables, sizes, and bars that move where somebody watches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TextIO

_BAR_CELLS: Final = 24
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_NAME_CELLS: Final = 40
_CELL_CELLS: Final = 400


class Screen:
    """Results go to `out`; bars and faults go to `err`, so that results can be piped on."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        self._drawn = 0

    def say(self, line: str) -> None:
        self.clear_bars()
        self._out.write(f"{one_line(line)}\n")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        texts = [[_short(one_line(cell)) for cell in row] for row in [head, *rows]]
        widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
        for row in texts:
            self.say("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())

    def fault(self, error: Exception) -> int:
        self.clear_bars()
        told = error.args[0] if isinstance(error, LookupError) and error.args else error
        self._err.write(f"afterimage-client: {one_line(told)}\n")
        return 2

    def bars(self, bars: Sequence[tuple[str, float, str]]) -> None:
        """Draws name, share and remark of each, over what was drawn before; nothing where nobody watches."""
        if not self._err.isatty():
            return
        self.clear_bars()
        for name, share, remark in bars:
            self._err.write(f"{bar_line(name, share, remark)}\n")
        self._err.flush()
        self._drawn = len(bars)

    def clear_bars(self) -> None:
        if self._drawn:
            self._err.write(f"\x1b[{self._drawn}F\x1b[J")
            self._drawn = 0


def bar_line(name: str, share: float, remark: str) -> str:
    full = round(min(max(share, 0.0), 1.0) * _BAR_CELLS)
    return f"{one_line(name)[:_NAME_CELLS].ljust(_NAME_CELLS)} [{'#' * full}{'.' * (_BAR_CELLS - full)}] {remark}"


def size_text(count: int) -> str:
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{count} B" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def _short(text: str) -> str:
    """A document of a megabyte in a table hides all others."""
    return text if len(text) <= _CELL_CELLS else f"{text[:_CELL_CELLS]}… ({len(text)} characters)"


def one_line(cell: object) -> str:
    """What stands in users' data must not move the cursor or forge a line."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(cell))
