"""The arithmetic of the books: amounts under paths, their differences, and the figures that are shown. Pure.

A contribution is a flat map from a path in the books to an integer. Booking is adding the difference of two such maps;
nothing ever adds anything else, so the books are the sum of what the records say.

Money takes two integers: the whole dollars of each output, and its nano-dollars beyond them. In one integer of 64 bits,
nine million outputs that claim the most they may would reach the end, where Firestore's additions stop without a word.
In two, the sums hold 10^9 outputs of the largest kind, and each sum stays exact by itself: nothing is carried over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from afterimage.ledger.contribution import CostSource, Facts, OutputStatus
from afterimage.ledger.prices.money import MOST_SAVED_NANO_USD, NANO, dollars_shown

Path = tuple[str, ...]
Amounts = dict[Path, int]

MOST_MODELS: Final = 40
"""How many models one document of books names; the rest is booked under `other`."""
OTHER_MODEL: Final = "other"
LATENCY_BOUNDS_MS: Final = (100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000)
TOTALS: Final = "totals"
MODELS: Final = "models"
DAYS: Final = "days"
STORAGE: Final = "storage"
RETIRED: Final = "retired"
SCOPES: Final = (TOTALS, MODELS, DAYS, STORAGE)
SHOWN_FROM: Final = frozenset(
    (TOTALS, name) for name in ("generations", "cached_generations", "cost_whole_usd", "cost_nano_usd")
)
"""The amounts that the shown figures follow from."""
MOST_BELIEVED_NANO_USD: Final = 1_000_000 * NANO
MOST_BELIEVED_HITS: Final = 1_000_000_000
MOST_BELIEVED_LATENCY_MS: Final = 1_000_000_000_000
"""What one user may have cost, saved, hit and waited for. Beyond it the operators' view leaves the user out."""


def figures(facts: Facts, hits: int) -> dict[str, int]:
    """What one output contributes wherever it is counted; figures of nought are left out."""
    if facts.status is OutputStatus.PENDING or facts.bytes_kind:
        return {}
    if facts.status in {OutputStatus.REJECTED, OutputStatus.FAILED}:
        return {"rejected" if facts.status is OutputStatus.REJECTED else "failures": 1}
    found = {
        "generations": 1,
        **money("cost", facts.cost_nano_usd),
        **(money(facts.cost_source, facts.cost_nano_usd) if facts.cost_source is not CostSource.NONE else {}),
        "unpriced": int(facts.status is OutputStatus.UNPRICED),
        "cached_generations": int(facts.is_cached),
        "cache_hits": hits,
        **money("saved", saved_nano_usd(facts, hits)),
    }
    if facts.latency_ms is not None:
        found |= {"latency_count": 1, "latency_ms": facts.latency_ms, _bucket(facts.latency_ms): 1}
    return {name: value for name, value in found.items() if value}


def money(name: str, nano: int) -> dict[str, int]:
    """The two figures of one output's money."""
    whole, rest = divmod(nano, NANO)
    return {f"{name}_whole_usd": whole, f"{name}_nano_usd": rest}


def nano_usd_in(amounts: Mapping[Path, int], scope: Path, name: str) -> int:
    """Money of books, put together again; Python's integers have no end."""
    return amounts.get((*scope, f"{name}_whole_usd"), 0) * NANO + amounts.get((*scope, f"{name}_nano_usd"), 0)


def saved_nano_usd(facts: Facts, hits: int) -> int:
    """What the hits of one output saved."""
    return min(hits * facts.cost_nano_usd, MOST_SAVED_NANO_USD)


def beyond_belief(amounts: Mapping[Path, int]) -> str:
    """Which figure of a user's books nobody can have come by honestly; empty if none."""
    for name in ("cost", "saved"):
        if nano_usd_in(amounts, (TOTALS,), name) > MOST_BELIEVED_NANO_USD:
            return f"{name} more than {MOST_BELIEVED_NANO_USD // NANO} dollars"
    for name, most in (("cache_hits", MOST_BELIEVED_HITS), ("latency_ms", MOST_BELIEVED_LATENCY_MS)):
        if amounts.get((TOTALS, name), 0) > most:
            return f"{name} above {most}"
    return ""


def for_operators(amounts: Mapping[Path, int]) -> Amounts:
    """What the operators' view takes of a user's books: all, or of one beyond belief only what storage measured."""
    if not beyond_belief(amounts):
        return dict(amounts)
    measured = {path: amount for path, amount in amounts.items() if path[0] == STORAGE}
    return {**measured, (TOTALS, "users_set_aside"): 1}


def spread(shelf: str, day: str, figures_of_output: Mapping[str, int]) -> Amounts:
    """The same figures in each place where a reader looks for them: in total, by model, by day."""
    return {
        (*scope, name): value
        for scope in ((TOTALS,), (MODELS, shelf), (DAYS, day))
        for name, value in figures_of_output.items()
    }


def stored_bytes(facts: Facts) -> Amounts:
    """What an object that is there weighs."""
    return {(STORAGE, "bytes", facts.bytes_kind): facts.bytes, (STORAGE, "objects", facts.bytes_kind): 1}


def total(parts: Iterable[Mapping[Path, int]]) -> Amounts:
    added: Amounts = {}
    for part in parts:
        for path, value in part.items():
            added[path] = added.get(path, 0) + value
    return {path: value for path, value in added.items() if value}


def difference(new: Mapping[Path, int], old: Mapping[Path, int]) -> Amounts:
    """What has to be added to books that hold `old` so that they hold `new`."""
    return total([new, {path: -value for path, value in old.items()}])


def shown(amounts: Mapping[Path, int]) -> dict[str, Any]:
    """The analytics that clients read, made from the exact totals; never the source of anything."""
    generations = amounts.get((TOTALS, "generations"), 0)
    cached = amounts.get((TOTALS, "cached_generations"), 0)
    cost = nano_usd_in(amounts, (TOTALS,), "cost")
    return {
        "total_generations": generations,
        "total_cost_usd": dollars_shown(cost),
        "cache_rate": cached / generations if generations else 0.0,
        "avg_cost_per_generation": dollars_shown(cost) / generations if generations else 0.0,
    }


def changes_shown(delta: Mapping[Path, int]) -> bool:
    return not SHOWN_FROM.isdisjoint(delta)


def amounts_in(fields: Mapping[str, Any], scopes: Iterable[str] = SCOPES) -> Amounts:
    """The amounts that a document of books holds."""
    return {
        path: value
        for scope in scopes
        for path, value in _leaves((scope,), fields.get(scope) or {})
        if isinstance(value, int) and value
    }


def shelf_for(model: str, known: Iterable[str]) -> str:
    """Under which name a model is booked: its own while there is room, else `other`."""
    names = set(known)
    if model in names or len(names - {OTHER_MODEL}) < MOST_MODELS:
        return model
    return OTHER_MODEL


def known_models(fields: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(fields.get(MODELS) or {})


def _bucket(latency_ms: int) -> str:
    bound = next((bound for bound in LATENCY_BOUNDS_MS if latency_ms <= bound), None)
    return "latency_le_inf" if bound is None else f"latency_le_{bound}"


def _leaves(path: Path, value: object) -> Iterable[tuple[Path, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves((*path, name), inner)
    else:
        yield path, value
