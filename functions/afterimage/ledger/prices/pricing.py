"""What an output costs by the server's own reckoning: usage and a day in, nano-dollars out. Offline.

Nought is no price but where a row of our table says so: a count of nought, a model that the library lists at $0 and a
sum too small for a nano-dollar tell that something is not known, and such an output waits for its price.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final

from afterimage.ledger.prices.money import FigureError, nano_of
from afterimage.ledger.prices.price_table import OWN_PRICES, TABLE_VERSION, Row, Unit

MOST_TOKENS: Final = 100_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What was consumed; None where the document does not say."""

    model: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    images: int | None = None
    seconds: Decimal | None = None
    characters: int | None = None

    def amount(self, unit: Unit) -> Decimal | None:
        quantity = {
            Unit.IMAGE: self.images,
            Unit.SECOND: self.seconds,
            Unit.CHARACTER: self.characters,
            Unit.OUTPUT: 1,
        }[unit]
        return None if quantity is None else Decimal(quantity)


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """A computed cost, and where it came from."""

    nano_usd: int
    origin: str


TokenPrices = Callable[[Usage, datetime], Decimal | None]
"""Dollars for tokens at a time, or None where the model is not known."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Everything the server can price with, under one version."""

    version: int = TABLE_VERSION
    rows: Sequence[Row] = OWN_PRICES
    tokens: TokenPrices = lambda usage, at: library_token_price(usage, at)

    def price(self, usage: Usage, at: datetime) -> Price | None:
        """The cost at the prices of that time; None where it cannot be computed. Our own rows come first."""
        row = self._row(usage, at.astimezone(UTC).date())
        try:
            if row is not None:
                quantity = usage.amount(row.unit) or Decimal(0)
                nano = nano_of(row.dollars * quantity)
                return Price(nano_usd=nano, origin=f"table:{row.unit}:{row.since}") if nano or not row.dollars else None
            if not usage.input_tokens and not usage.output_tokens:
                return None
            dollars = self.tokens(usage, at)
            nano = 0 if dollars is None else nano_of(dollars)
            return Price(nano_usd=nano, origin="genai-prices") if nano else None
        except FigureError:
            # Quantities beyond any output: the server will not vouch for such a figure.
            return None

    def _row(self, usage: Usage, day: date) -> Row | None:
        usable = [row for row in self.rows if row.model == usage.model and row.since <= day and usage.amount(row.unit)]
        return max(usable, key=lambda row: row.since, default=None)


def library_token_price(usage: Usage, at: datetime) -> Decimal | None:
    """Token prices from the price library, imported when the first document with tokens comes."""
    if max(usage.input_tokens or 0, usage.output_tokens or 0, usage.cached_input_tokens or 0) > MOST_TOKENS:
        return None
    # Effective dates are days, so one look-up serves a model for a day.
    return _library_price(usage, at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0))


@lru_cache(maxsize=4096)
def _library_price(usage: Usage, day: datetime) -> Decimal | None:
    import genai_prices

    cached = usage.cached_input_tokens or 0
    counted = genai_prices.Usage(
        # The library counts cached tokens as part of the input.
        input_tokens=max(usage.input_tokens or 0, cached),
        output_tokens=usage.output_tokens or 0,
        **({"cache_read_tokens": cached} if cached else {}),
    )
    try:
        found = genai_prices.calc_price(counted, model_ref=usage.model, genai_request_timestamp=day)
    except (LookupError, ValueError):
        return None
    return Decimal(found.total_price)
