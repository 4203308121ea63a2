"""Cloudflare: purged by `Cache-Tag`, told what to keep by `Cloudflare-CDN-Cache-Control`, figures by GraphQL."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from afterimage.edges.cdn.exchange import Exchange
from afterimage.edges.cdn.port import (
    CdnAsset,
    CdnBusyError,
    CdnPublished,
    CdnRefusedError,
    CdnUsage,
    PurgeLimits,
    kept_in_public,
)

API: Final = "https://api.cloudflare.com"
MOST_TAGS: Final = 100
"""Operations in one request, on every plan."""
PLANS: Final[Mapping[str, PurgeLimits]] = {
    "free": PurgeLimits(most_tags=MOST_TAGS, burst=25, per_second=5 / 60),
    "pro": PurgeLimits(most_tags=MOST_TAGS, burst=25, per_second=5),
    "business": PurgeLimits(most_tags=MOST_TAGS, burst=50, per_second=10),
    "enterprise": PurgeLimits(most_tags=MOST_TAGS, burst=500, per_second=50),
}
"""Requests a second and the size of the bucket, for the whole account."""
_DAY: Final = (
    "query Day($zone: string, $day: Date) { viewer { zones(filter: {zoneTag: $zone}) { "
    "httpRequests1dGroups(limit: 1, filter: {date: $day}) { sum { requests bytes cachedRequests cachedBytes } } } } }"
)


@dataclass(frozen=True, kw_only=True)
class Cloudflare:
    """One zone."""

    zone: str
    token: str = field(repr=False)
    base_url: str
    plan: str = "free"
    varies: bool = False
    """By `Accept` for pictures: only with a variants rule for each ending, on paid plans."""
    api: str = API
    exchange: Exchange = field(default_factory=Exchange)
    name: str = "cloudflare"

    @property
    def limits(self) -> PurgeLimits:
        return PLANS[self.plan]

    def publish(self, asset: CdnAsset) -> CdnPublished:
        kept = kept_in_public(asset.keep_for)
        headers = {"Cache-Control": kept, "Cloudflare-CDN-Cache-Control": kept, "Cache-Tag": ",".join(asset.tags)}
        return CdnPublished(url=f"{self.base_url}{asset.path}", headers=headers)

    def purge(self, tags: Sequence[str], key: str) -> str:
        answer = self._post(f"/client/v4/zones/{self.zone}/purge_cache", {"tags": list(tags)})
        if answer.get("success") is not True:
            raise CdnRefusedError(f"Cloudflare did not purge: {json.dumps(answer.get('errors'))[:300]}")
        return f"cloudflare:{(answer.get('result') or {}).get('id', '')}"

    def usage(self, day: date) -> CdnUsage:
        variables = {"zone": self.zone, "day": day.isoformat()}
        answer = self._post("/client/v4/graphql", {"query": _DAY, "variables": variables})
        if answer.get("errors"):
            raise CdnRefusedError(f"Cloudflare does not tell the usage: {json.dumps(answer['errors'])[:300]}")
        try:
            [zone] = answer["data"]["viewer"]["zones"]
            groups = zone["httpRequests1dGroups"]
            figures = groups[0]["sum"] if groups else dict.fromkeys(_FIGURES, 0)
            requests, served, cached, cached_bytes = (int(figures[name]) for name in _FIGURES)
        except (KeyError, TypeError, ValueError) as error:
            raise CdnRefusedError(f"Cloudflare's usage cannot be read: {type(error).__name__}: {error}") from error
        return CdnUsage(
            requests=requests,
            bytes_served=served,
            cached_requests=cached,
            cached_bytes=cached_bytes,
            hit_rate=cached / requests if requests else None,
        )

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        content = json.dumps(body).encode()
        response = self.exchange.send("POST", f"{self.api}{path}", headers=lambda: headers, content=content)
        try:
            answer = response.json()
        except ValueError as error:
            raise CdnBusyError(f"Cloudflare answered with no JSON: {error}") from error
        if not isinstance(answer, dict):
            raise CdnBusyError("Cloudflare answered with no JSON object")
        return answer


_FIGURES: Final = ("requests", "bytes", "cachedRequests", "cachedBytes")
