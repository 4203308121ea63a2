"""One operation as a service's own tables have it: served as in production, in another way, or refused and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Offered:
    """`wire` is `gRPC` or `HTTP`; `name` is the method's, or the verbs and the pattern of the path."""

    wire: str
    name: str
    refused: str = ""
    differs: str = ""

    def to_json(self) -> dict[str, str]:
        told = {"wire": self.wire, "operation": self.name, "state": self.state}
        note = self.refused or self.differs
        return {**told, "note": note} if note else told

    @property
    def state(self) -> str:
        if self.refused:
            return "refused"
        return "different" if self.differs else "served"
