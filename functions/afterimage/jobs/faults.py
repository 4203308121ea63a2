"""One item that cannot be handled is named and counted, and the job goes on to the next; dead letters are tried again.

What passes by itself (network, quota, contention) is raised instead, so that the turn is delivered again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from afterimage.delivery.dead_letters import DeadLetter, DeadLetters, UnreadableLetter
from afterimage.faults import is_transient
from afterimage.jobs.progress import Page, Turn


@contextmanager
def passed_over(item: str, counts: Counter[str], failures: list[str], *, count: str = "failed") -> Iterator[None]:
    """Every kind of permanent fault within is the item's own; nobody's document may keep the others waiting."""
    try:
        yield
    except Exception as error:
        if is_transient(error):
            raise
        counts[count] += 1
        failures.append(f"{item}: {type(error).__name__}: {error}"[:300])


def handled_again(
    letters: DeadLetters, turn: Turn, *, triggers: Collection[str], page: int, handle: Callable[[DeadLetter], str]
) -> tuple[Page, Counter[str]]:
    """One page of open letters, and how often `handle` came to which outcome; the cursor is the last letter's key.

    A letter is closed when its event has been handled; one that fails again stays open, and the job says so.
    """
    counts: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    found = letters.open_letters(after=turn.cursor, limit=page)
    for letter in found:
        if isinstance(letter, UnreadableLetter):
            counts["unreadable"] += 1
            failures.append(f"{letter.key}: {letter.reason}")
        elif letter.trigger in triggers:
            counts["letters"] += 1
            with passed_over(letter.key, counts, failures, count="failed again"):
                outcome = handle(letter)
                letters.close(letter.key, outcome)
                outcomes[outcome] += 1
    following = found[-1].key if len(found) == page else None
    return Page(next_cursor=following, counts=dict(counts), failures=tuple(failures)), outcomes
