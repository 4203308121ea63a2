"""What a user may spend: a limit, what is spent, and what is reserved for work that is under way.

`budgets/{uid}` is there only where a limit was set. Each change is a write with the version that was read, in the same
commit as what it pays for, so that no two spenders are ever given the same nano-dollar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from afterimage.generations.faults import OverBudgetError
from afterimage.generations.generator import TokensSpent
from afterimage.ledger.prices.pricing import Prices, Usage
from afterimage.paths import alert_path, reservation_path
from afterimage.quota.account import ALERT_LEVELS
from afterimage.store.documents import Document, Expect, Remove, Replace, Write

LIMIT: Final = "limit_nano_usd"
RESERVED: Final = "reserved_nano_usd"
SPENT: Final = "spent_nano_usd"
ALERT_LEVEL: Final = "alert_level"
"""The highest share of the limit, in percent, that was spent and told of; nought where none was."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetChange:
    """What is to happen to a user's budget; nothing where no budget is set."""

    reserve: int = 0
    release: int = 0
    spend: int = 0


def budget_writes(uid: str, name: str, budget: Document | None, change: BudgetChange, now: datetime) -> Sequence[Write]:
    """The writes that change a budget and the reservation called `name`; OverBudgetError where it would not fit. Pure.

    What was spent is written down even above the limit: it cannot be unspent. Only a reservation is refused.
    """
    if budget is None:
        return []
    figures = {field: budget.fields.get(field, 0) for field in (LIMIT, RESERVED, SPENT)}
    if any(type(figure) is not int or figure < 0 for figure in figures.values()):
        raise OverBudgetError("the budget cannot be read; nothing is spent until an admin has mended it")
    reserved = max(0, figures[RESERVED] - change.release) + change.reserve
    spent = figures[SPENT] + change.spend
    if change.reserve and reserved + spent > figures[LIMIT]:
        left = max(0, figures[LIMIT] - figures[SPENT] - figures[RESERVED])
        raise OverBudgetError(
            f"this may cost {change.reserve / 1e9:.6f} $ and {left / 1e9:.6f} $ are left of the budget"
        )
    limit = figures[LIMIT]
    level = max((each for each in ALERT_LEVELS if spent and spent * 100 >= limit * each), default=0)
    fields = {**budget.fields, RESERVED: reserved, SPENT: spent, ALERT_LEVEL: level, "updated_at": now}
    writes: list[Write] = [Replace(path=budget.path, fields=fields, expected=budget.version)]
    told = budget.fields.get(ALERT_LEVEL, 0)
    for each in ALERT_LEVELS:
        if min(told, level) < each <= max(told, level):
            state = "raised" if level > told else "cleared"
            alert = {"level": each, "state": state, SPENT: spent, LIMIT: limit, "at": now}
            writes.append(Replace(path=alert_path(budget.path, each), fields=alert, expected=Expect.ANYTHING))
    path = reservation_path(uid, name)
    if change.reserve:
        held = {"amount_nano_usd": change.reserve, "reserved_at": now}
        writes.append(Replace(path=path, fields=held, expected=Expect.ANYTHING))
    elif change.release:
        writes.append(Remove(path=path, expected=Expect.ANYTHING))
    return writes


def cost_of(spent: TokensSpent, prices: Prices, at: datetime) -> int | None:
    """Nano-dollars; None where nobody knows what the model costs."""
    price = prices.price(
        Usage(model=spent.model, input_tokens=spent.input_tokens, output_tokens=spent.output_tokens), at
    )
    return None if price is None else price.nano_usd


def reserved_for(budget: Document | None, most: TokensSpent, prices: Prices, at: datetime) -> int:
    """What has to be reserved; OverBudgetError where there is a budget and the price is not known."""
    if budget is None:
        return 0
    cost = cost_of(most, prices, at)
    if cost is None:
        raise OverBudgetError(f"nobody knows what `{most.model}` costs, so no budget can be kept with it")
    return cost
