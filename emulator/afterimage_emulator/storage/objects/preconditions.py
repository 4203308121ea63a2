"""Whether a request's conditions hold for the object (or bucket) as it stands (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from afterimage_emulator.storage.errors import Reason, StorageError, condition_not_met


class Versioned(Protocol):
    """What conditions look at."""

    @property
    def metageneration(self) -> int: ...

    @property
    def etag(self) -> str: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Preconditions:
    """ifGenerationMatch and its relatives; generation 0 stands for "no live object". Etags as headers carry them."""

    generation_match: int | None = None
    generation_not_match: int | None = None
    metageneration_match: int | None = None
    metageneration_not_match: int | None = None
    etag_match: tuple[str, ...] = ()
    etag_not_match: tuple[str, ...] = ()

    def check_write(self, current: Versioned | None, generation: int = 0) -> None:
        """Raises conditionNotMet unless everything holds."""
        if not (self._matches(current, generation) and self._differs(current, generation)):
            raise condition_not_met()

    def check_read(self, current: Versioned, generation: int = 0) -> None:
        """As for writes, but a "not match" that does match means that the reader has the newest already."""
        if not self._matches(current, generation):
            raise condition_not_met()
        if not self._differs(current, generation):
            raise StorageError(Reason.NOT_MODIFIED, "Not Modified")

    def _matches(self, current: Versioned | None, generation: int) -> bool:
        metageneration = None if current is None else current.metageneration
        return (
            self.generation_match in (None, generation)
            and self.metageneration_match in (None, metageneration)
            and (not self.etag_match or (current is not None and _listed(current.etag, self.etag_match)))
        )

    def _differs(self, current: Versioned | None, generation: int) -> bool:
        metageneration = None if current is None else current.metageneration
        return (
            (self.generation_not_match is None or self.generation_not_match != generation)
            and (self.metageneration_not_match is None or self.metageneration_not_match != metageneration)
            and not (current is not None and _listed(current.etag, self.etag_not_match))
        )


NO_PRECONDITIONS = Preconditions()


def _listed(etag: str, wanted: tuple[str, ...]) -> bool:
    return "*" in wanted or etag in wanted
