"""Money as integers of nano-dollars, and how a figure that a client wrote becomes one, or does not."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

NANO: Final = 1_000_000_000
MOST_COST_NANO_USD: Final = 1_000 * NANO
"""What one output may cost. Above it a figure is a mistake or an attack, and books nothing."""
MOST_SAVED_NANO_USD: Final = 10_000 * NANO
"""What the hits of one output may save; beyond it hits count, and save nothing more."""


class FigureError(ValueError):
    """A figure that cannot be money; the message is fit to be shown to the owner of the document."""


def nano_usd(value: object) -> int:
    """A client's dollars in nano-dollars, rounded half to even; raises FigureError with the reason."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FigureError(f"`{type(value).__name__}` is not a number")
    # A float goes through its shortest decimal form: what the client wrote, not what binary made of it.
    return nano_of(Decimal(value) if isinstance(value, int) else Decimal(repr(value)))


def nano_of(dollars: Decimal) -> int:
    if not dollars.is_finite():
        raise FigureError(f"`{dollars}` is not finite")
    if dollars < 0:
        raise FigureError(f"`{dollars:.6g}` is negative")
    if dollars > MOST_COST_NANO_USD // NANO:
        raise FigureError(f"`{dollars:.6g}` is above the limit of {MOST_COST_NANO_USD // NANO} for one output")
    return int((dollars * NANO).to_integral_value(ROUND_HALF_EVEN))


def dollars_shown(nano: int) -> float:
    """For display only: the nearest double. Nothing is ever computed from it."""
    return nano / NANO
