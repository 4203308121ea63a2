"""What one document or stored object means to the books. The only module that knows the shapes of documents. Pure.

Whatever a client writes gets an answer: what cannot be understood is `rejected` with its reasons and books nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TypeGuard

from afterimage.ledger.prices.money import MOST_COST_NANO_USD, FigureError, nano_usd
from afterimage.ledger.prices.price_table import model_version
from afterimage.ledger.prices.pricing import Prices, Usage
from afterimage.ledger.weight import OUTPUT_BYTES, weight_of

MOST_HITS: Final = 10_000_000
MOST_LATENCY_MS: Final = 24 * 3600 * 1000
UNKNOWN_MODEL: Final = "unknown"
CONFIRMED_COST: Final = "confirmed_cost_nano_usd"
_PLAUSIBLE_MODEL = re.compile(r"[a-z0-9][a-z0-9._:/@+ -]{0,127}")


class OutputStatus(StrEnum):
    """How an output stands in the books."""

    BOOKED = "booked"
    UNPRICED = "unpriced"
    PENDING = "pending"
    FAILED = "failed"
    REJECTED = "rejected"


class CostSource(StrEnum):
    """The source of the cost that is totalled."""

    COMPUTED = "computed"
    CONFIRMED = "confirmed"
    """By the worker, which is a server and knows what it was billed."""
    REPORTED = "reported"
    NONE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What one version of one output or object says, once understood."""

    status: OutputStatus
    model: str = UNKNOWN_MODEL
    model_version: str = "unknown"
    cost_nano_usd: int = 0
    cost_source: CostSource = CostSource.NONE
    cost_origin: str = ""
    reported_nano_usd: int | None = None
    is_cached: bool = False
    hits: int | None = 0
    """The counter; None where what stands there is no count."""
    latency_ms: int | None = None
    bytes: int = 0
    bytes_kind: str = ""
    reasons: tuple[str, ...] = ()


def facts_of(kind: str, fields: Mapping[str, Any], created: datetime, prices: Prices) -> Facts:
    """Turns a document into what it contributes. `created` is the server's time, by which prices are looked up."""
    reasons: list[str] = []
    flat = _worker_fields(fields) if kind == "files" else dict(fields)
    # Hits are kept even of a version that books nothing: the next one may be understood, with its counter set back.
    hits = _hits(flat, reasons)
    if kind == "files":
        if flat["status"] == "failed":
            named = _model(flat, reasons) or UNKNOWN_MODEL
            return Facts(status=OutputStatus.FAILED, model=named, hits=hits, reasons=tuple(reasons))
        if flat["status"] != "completed":
            return Facts(status=OutputStatus.PENDING, hits=hits)
    model = _model(flat, reasons)
    # What a worker stores is no client's doing, and was paid for.
    if kind != "files" and (weight := weight_of(fields)) >= OUTPUT_BYTES:
        reasons.append(f"the document weighs {weight} bytes; an output stays under {OUTPUT_BYTES}")
        model = None
    if model is None:
        return Facts(status=OutputStatus.REJECTED, hits=hits, reasons=tuple(reasons))
    usage = _usage(kind, model, flat, reasons)
    computed = prices.price(usage, created)
    reported, is_absurd = _reported(flat, reasons)
    status, cost, source, origin = OutputStatus.BOOKED, 0, CostSource.NONE, ""
    confirmed = _confirmed(fields, reasons) if kind == "files" else None
    if confirmed is not None:
        cost, source = confirmed, CostSource.CONFIRMED
    elif computed is not None and (computed.nano_usd or not (reported or is_absurd)):
        cost, source, origin = computed.nano_usd, CostSource.COMPUTED, computed.origin
    elif is_absurd and kind != "files":  # what a request claims hides no generation that a worker has made
        return Facts(
            status=OutputStatus.REJECTED,
            model=model,
            model_version=model_version(model),
            hits=hits,
            reasons=tuple(reasons),
        )
    elif reported is not None:
        cost, source = reported, CostSource.REPORTED
    else:
        status = OutputStatus.UNPRICED
    return Facts(
        status=status,
        model=model,
        model_version=model_version(model),
        cost_nano_usd=cost,
        cost_source=source,
        cost_origin=origin,
        reported_nano_usd=reported,
        is_cached=flat.get("cached") is True,
        hits=hits,
        latency_ms=_whole(flat, "latency_ms", MOST_LATENCY_MS, reasons),
        reasons=tuple(reasons),
    )


def hits_of(fields: Mapping[str, Any]) -> int | None:
    """The counter of a document; nought where there is none, None where what stands there is no count."""
    return _hits(fields, [])


def object_facts(kind: str, size: int) -> Facts:
    """What a stored object contributes: its bytes, while it is there."""
    return Facts(status=OutputStatus.BOOKED, model="", bytes=size, bytes_kind=kind)


def day_of(created_ns: int) -> str:
    """The UTC day that an output counts on: that of its creation, by the server's clock."""
    return datetime.fromtimestamp(created_ns // 1_000_000_000, UTC).date().isoformat()


def _model(fields: Mapping[str, Any], reasons: list[str]) -> str | None:
    stated = fields.get("model")
    if stated is None:
        reasons.append("`model` is missing: name the model that made this output")
        return UNKNOWN_MODEL
    if not isinstance(stated, str):
        reasons.append(f"`model` is a `{type(stated).__name__}`; it must be text")
        return None
    # Long enough for any model; the rest of a 200 KB name is nobody's to keep.
    name = stated[:300].strip().lower().removeprefix("models/")
    if not _PLAUSIBLE_MODEL.fullmatch(name):
        reasons.append(f"`model` `{stated[:40]}` is not the name of a model")
        return UNKNOWN_MODEL
    return name


def _usage(kind: str, model: str, fields: Mapping[str, Any], reasons: list[str]) -> Usage:
    limit = 100_000_000
    images = _whole(fields, "num_images", 1000, reasons)
    return Usage(
        model=model,
        input_tokens=_whole(fields, "input_tokens", limit, reasons),
        output_tokens=_whole(fields, "output_tokens", limit, reasons),
        cached_input_tokens=_whole(fields, "cached_input_tokens", limit, reasons),
        images=1 if images is None and kind == "images" else images,
        seconds=_seconds(fields, reasons),
        characters=_whole(fields, "characters", limit, reasons),
    )


def _reported(fields: Mapping[str, Any], reasons: list[str]) -> tuple[int | None, bool]:
    """The client's own figure, and whether it is one that cannot be true."""
    if fields.get("cost_usd") is None:
        return None, False
    try:
        return nano_usd(fields["cost_usd"]), False
    except FigureError as error:
        reasons.append(f"`cost_usd` {error}")
        return None, True


def _confirmed(fields: Mapping[str, Any], reasons: list[str]) -> int | None:
    """What the worker says it cost: the document's own field, which no request of a client can reach."""
    value = fields.get(CONFIRMED_COST)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_COST_NANO_USD:
        reasons.append(
            f"`{CONFIRMED_COST}` must be whole nano-dollars, at most {MOST_COST_NANO_USD}; it is not counted"
        )
        return None
    return value


def _whole(fields: Mapping[str, Any], name: str, most: int, reasons: list[str]) -> int | None:
    """A count, or None with a reason; a whole number that came as a double counts."""
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        reasons.append(f"`{name}` must be a number from 0 to {most}; it is not counted")
        return None
    return round(value)


def _hits(fields: Mapping[str, Any], reasons: list[str]) -> int | None:
    count = _whole(fields, "cache_hit_count", MOST_HITS, reasons)
    return 0 if fields.get("cache_hit_count") is None else count


def _seconds(fields: Mapping[str, Any], reasons: list[str]) -> Decimal | None:
    value = fields.get("duration_seconds")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not 0 <= value <= 86_400:
        reasons.append("`duration_seconds` must be a number from 0 to 86400; it is not counted")
        return None
    return Decimal(str(value))


def _worker_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A generation worker's document in the terms of the others: its figures stand in nested maps."""
    request, result = _mapping(fields, "request_data"), _mapping(fields, "generation_data")
    nested = {**_mapping(request, "input"), **request, **result}
    flat = {**{name: nested.get(name) for name in _WORKER_NAMES}, **{k: v for k, v in fields.items() if v is not None}}
    named = flat.get("model")
    # A request may hold anything under this name, and hides no generation from the books by it.
    flat["model"] = named if isinstance(named, str) and named else flat.get("task_type")
    images = fields.get("images") or nested.get("images")
    if isinstance(images, list) and images:
        flat["num_images"] = len(images)
    elif flat.get("task_type") == "text2img":
        flat["num_images"] = flat.get("num_images") or 1
    frames, rate = flat.get("num_frames"), flat.get("fps")
    if flat.get("duration_seconds") is None and _is_count(frames) and _is_count(rate):
        flat["duration_seconds"] = (Decimal(frames) / Decimal(rate)).quantize(Decimal("0.001"))
    started, ended = fields.get("created_at"), fields.get("completed_at")
    if flat.get("latency_ms") is None and isinstance(started, datetime) and isinstance(ended, datetime):
        flat["latency_ms"] = (ended - started).total_seconds() * 1000
    flat["status"] = fields.get("status")
    return flat


_WORKER_NAMES: Final = (
    "model", "task_type", "num_images", "num_frames", "fps", "duration_seconds", "characters", "cost_usd",
    "latency_ms", "input_tokens", "output_tokens", "cached_input_tokens",
)  # fmt: skip


def _mapping(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, Mapping) else {}


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 1_000_000
