"""The project's own prices, by date: what the price library does not know (images, video, audio), and model versions.

A row holds from its date until the next row of the same model and unit. Add rows, never change one: what was booked
under a row stays explained by it. Raise `TABLE_VERSION` with every change: records know what they were priced by.

Where the figures are from: list prices in dollars, without discounts, of Google's Gemini API price page (images as of
September 2025; video before and after the cut that Google announced that month) and of OpenAI's pages on its speech
models. A model whose price depends on what no document says (size and quality at DALL-E 3, resolution from Veo 3.1 on)
has no row: there the reported figure counts, marked as such. Vertex AI and resellers may bill otherwise: add your rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

TABLE_VERSION: Final = 2026113001
"""Year, month, day and a running number of the day: a later table has a greater one."""


class Unit(StrEnum):
    """What a price is per."""

    IMAGE = "image"
    SECOND = "second"
    CHARACTER = "character"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Row:
    """One price from one day on."""

    model: str
    unit: Unit
    since: date
    dollars: Decimal


def _row(model: str, unit: Unit, since: str, dollars: str) -> Row:
    return Row(model, unit, date.fromisoformat(since), Decimal(dollars))


OWN_PRICES: Final = (
    _row("imagen-3.0-generate-002", Unit.IMAGE, "2025-02-06", "0.03"),
    _row("imagen-4.0-fast-generate-001", Unit.IMAGE, "2025-08-14", "0.02"),
    _row("imagen-4.0-generate-001", Unit.IMAGE, "2025-08-14", "0.04"),
    _row("imagen-4.0-ultra-generate-001", Unit.IMAGE, "2025-08-14", "0.06"),
    _row("gemini-2.5-flash-image", Unit.IMAGE, "2025-08-26", "0.039"),
    _row("veo-2.0-generate-001", Unit.SECOND, "2025-04-09", "0.35"),
    _row("veo-3.0-generate-001", Unit.SECOND, "2025-07-17", "0.75"),
    _row("veo-3.0-generate-001", Unit.SECOND, "2025-09-09", "0.40"),
    _row("veo-3.0-fast-generate-001", Unit.SECOND, "2025-07-31", "0.40"),
    _row("veo-3.0-fast-generate-001", Unit.SECOND, "2025-09-09", "0.15"),
    _row("tts-1", Unit.CHARACTER, "2023-11-06", "0.000015"),
    _row("tts-1-hd", Unit.CHARACTER, "2023-11-06", "0.00003"),
    # The API's offline generator asks nobody.
    _row("afterimage-template", Unit.OUTPUT, "2026-11-01", "0"),
)

MODEL_VERSIONS: Final = {
    "gemini-2.5-flash": "2.5.20251001",
    "gemini-2.5-pro": "2.5.20251001",
}
"""The version behind a model's name; any other is `unknown` until a row here knows it."""


def model_version(model: str) -> str:
    return MODEL_VERSIONS.get(model, "unknown")
