"""Why a generation is not to be had; none of these knows that it is answered by HTTP."""

from __future__ import annotations

from afterimage.faults import TransientError
from afterimage.generations.generator import TokensSpent


class GenerationError(Exception):
    """A request that cannot be met as it stands."""


class NotTheirsError(GenerationError):
    """The project belongs to somebody else."""


class NoGenerationError(GenerationError):
    """The caller has no such generation."""


class NotReadyError(GenerationError):
    """There is nothing finished yet to go on from."""


class OverBudgetError(GenerationError):
    """The worst case of this request does not fit into what is left of the caller's budget."""


class UnusableProjectError(GenerationError):
    """What a generator made cannot be kept: a name, a size or a count that no project has."""


class GeneratorError(GenerationError):
    """The generator answered, and not with what can be kept; `spent` says what it charged for all the same."""

    def __init__(self, reason: str, spent: TokensSpent) -> None:
        super().__init__(reason)
        self.spent = spent


class GeneratorBusyError(TransientError):
    """The generator did not begin: nothing was spent, and it may be asked again."""


class LostAnswerError(TransientError):
    """The generator was at work when its answer broke off: what it spent is not known."""
