"""The offline generator costs nothing, and says so: a user with a budget may use it, and the books hold no gap."""

from __future__ import annotations

from datetime import UTC, datetime

from afterimage.generations.budgets import reserved_for
from afterimage.generations.generator import Assignment
from afterimage.generations.templates import TemplateGenerator
from afterimage.ledger.contribution import CostSource, facts_of
from afterimage.ledger.prices.pricing import Prices
from afterimage.store.documents import Document

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def test_the_offline_generator_is_priced_at_nothing() -> None:
    """Nothing has to be reserved even where nothing is left, and the ledger computes its cost rather than lack it."""
    most = TemplateGenerator().most(Assignment(prompt="a shop", mode="classic"))
    budget = Document(path="budgets/alice", fields={"limit_nano_usd": 0}, version=1)
    assert reserved_for(budget, most, Prices(), NOW) == 0
    facts = facts_of("code", {"model": most.model, "input_tokens": 0, "output_tokens": 0}, NOW, Prices())
    assert (facts.cost_nano_usd, facts.cost_source) == (0, CostSource.COMPUTED)
