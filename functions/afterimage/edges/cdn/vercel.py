"""Vercel: deleted by `Vercel-Cache-Tag`, told what to keep by `Vercel-CDN-Cache-Control`.

It is made to delete, never to `invalidate`: what is only stale would be shown once more to whoever asks next.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final
from urllib.parse import urlencode

from afterimage.edges.cdn.exchange import Exchange
from afterimage.edges.cdn.port import (
    CdnAsset,
    CdnPublished,
    CdnUsage,
    PurgeLimits,
    UsageUnknownError,
    kept_in_public,
)

API: Final = "https://api.vercel.com"
LIMITS: Final = PurgeLimits(most_tags=100, burst=10, per_second=1)
"""Vercel documents the length of a tag (256) and no rate of this call: these are ours, its 429 has the last word."""


@dataclass(frozen=True, kw_only=True)
class Vercel:
    """One project, whose rewrites lead to the origin."""

    project: str
    token: str = field(repr=False)
    base_url: str
    team: str = ""
    varies: bool = False
    """By `Accept`: only where that was tried with the project's rewrites."""
    api: str = API
    exchange: Exchange = field(default_factory=Exchange)
    name: str = "vercel"
    limits: PurgeLimits = LIMITS

    def publish(self, asset: CdnAsset) -> CdnPublished:
        kept = kept_in_public(asset.keep_for)
        headers = {"Cache-Control": kept, "Vercel-CDN-Cache-Control": kept, "Vercel-Cache-Tag": ",".join(asset.tags)}
        return CdnPublished(url=f"{self.base_url}{asset.path}", headers=headers)

    def purge(self, tags: Sequence[str], key: str) -> str:
        query = {"projectIdOrName": self.project, **({"teamId": self.team} if self.team else {})}
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        response = self.exchange.send(
            "POST",
            f"{self.api}/v1/edge-cache/dangerously-delete-by-tags?{urlencode(query)}",
            headers=lambda: headers,
            content=json.dumps({"tags": list(tags)}).encode(),
        )
        return f"vercel:{response.headers.get('x-vercel-id', response.status_code)}"

    def usage(self, day: date) -> CdnUsage:
        raise UsageUnknownError(f"Vercel's API tells nobody what it served on {day}; see the project's dashboard")
