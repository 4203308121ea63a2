"""Owns a topic in memory: messages are taken in any order, more than once, and deliveries die where the test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from afterimage.faults import TransientError
from afterimage.jobs.progress import Jobs, Work
from tests.functions.media_world import Crash, World


@dataclass
class Topic:
    """Delivers until nothing is left; what died, or asked for it, is delivered again."""

    world: World
    kind: str
    messages: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    published: int = 0

    def publish(self, topic: str, body: Mapping[str, Any]) -> None:
        self.world.before("publish")
        self.published += 1
        self.messages.append((dict(body), f"m{self.published}"))

    def jobs(self) -> Jobs:
        return Jobs(kind=self.kind, documents=self.world.store, publish=self.publish)

    def run(self, work: Work, *, random: Random | None = None, duplicates: int = 1, turns: int = 500) -> None:
        for _ in range(turns):
            if not self.messages:
                return
            at = random.randrange(len(self.messages)) if random else 0
            body, identifier = self.messages.pop(at)
            copies = random.randint(1, duplicates) if random else 1
            for _ in range(copies):
                try:
                    self.jobs().receive(body, identifier, work)
                except (TransientError, Crash):
                    self.messages.append((body, identifier))
        raise AssertionError(f"not finished after {turns} deliveries")

    def job(self) -> dict[str, Any]:
        found = [fields for path, (fields, *_) in self.world.documents.items() if path.startswith("_jobs/")]
        assert len(found) == 1, f"{len(found)} jobs"
        return found[0]


def dying(world: World, random: Random, chance: float) -> Callable[[], None]:
    """From now on the process dies ahead of some store operations; returns what ends that."""

    def before(_operation: str) -> None:
        if random.random() < chance:
            raise Crash

    world.before = before

    def heal() -> None:
        world.before = lambda _operation: None

    return heal
