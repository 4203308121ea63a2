"""Owns the world of generations in memory: stores that can be interrupted, a clock, and a generator that counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from afterimage.generations.generator import Assignment, Made, TokensSpent
from afterimage.generations.opening import Opening, Wish
from afterimage.generations.records import VersionKey
from afterimage.generations.working import Workshop
from afterimage.ledger.prices.pricing import Prices
from afterimage.paths import budget_path, generation_path
from afterimage.store.memory_documents import EPOCH, MemoryDocuments
from afterimage.store.memory_files import MemoryFiles

MODEL = "house-model"
PRICES = Prices(tokens=lambda usage, at: Decimal((usage.input_tokens or 0) + (usage.output_tokens or 0)) / 1_000_000)
"""A token costs 1,000 nano-dollars."""
WORST = 10_000
COST = 7_000


@dataclass
class CountingGenerator:
    """Makes one file; says how often it was asked, and does once whatever `then` says."""

    asked: int = 0
    then: list[Callable[[], None]] = field(default_factory=list)
    files: Mapping[str, str] = field(default_factory=lambda: {"main.py": "print(1)\n"})

    def most(self, assignment: Assignment) -> TokensSpent:
        return TokensSpent(model=MODEL, input_tokens=2, output_tokens=8)

    def make(self, assignment: Assignment) -> Made:
        self.asked += 1
        if self.then:
            self.then.pop(0)()
        files = {**assignment.files, **self.files, "asked.txt": str(self.asked)}
        return Made(files=files, spent=TokensSpent(model=MODEL, input_tokens=2, output_tokens=5))


@dataclass
class MadeWorld:
    """One user's generations."""

    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    files: MemoryFiles = field(default_factory=MemoryFiles)
    generator: CountingGenerator = field(default_factory=CountingGenerator)
    time: datetime = EPOCH
    operations: int = 0

    def now(self) -> datetime:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def opening(self) -> Opening:
        return Opening(documents=self.documents, generator=self.generator, prices=PRICES, now=self.now)

    def workshop(self) -> Workshop:
        return Workshop(
            documents=self.documents,
            files=self.files,
            bucket="b",
            generator=self.generator,
            prices=PRICES,
            now=self.now,
        )

    def wish(self, uid: str = "alice", operation: str = "") -> Wish:
        self.operations += 1
        return Wish(uid=uid, operation=operation or f"op{self.operations}", prompt="a shop", mode="classic")

    def begun(self, uid: str = "alice", project: str | None = None) -> VersionKey:
        return self.opening().generation(self.wish(uid), project)

    def budget(self, limit: int, uid: str = "alice") -> None:
        self.documents.put(budget_path(uid), {"limit_nano_usd": limit})

    def figures(self, uid: str = "alice") -> tuple[int, int]:
        """Reserved and spent."""
        fields = self.documents.fields(budget_path(uid))
        return fields.get("reserved_nano_usd", 0), fields.get("spent_nano_usd", 0)

    def head(self, key: VersionKey) -> dict[str, object]:
        return self.documents.fields(generation_path(key.uid, key.generation))
