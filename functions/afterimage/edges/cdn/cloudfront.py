"""CloudFront: invalidated by tag (`#tag` among the paths), figures from CloudWatch; both signed with Version 4.

A distribution reads tags only where its `CacheTagConfig` names the header that they come in: here `Cache-Tag`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from xml.etree import ElementTree

import httpx2

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
from afterimage.edges.cdn.signature_v4 import AwsKeys, signed_headers

API: Final = "https://cloudfront.amazonaws.com"
METRICS_API: Final = "https://monitoring.us-east-1.amazonaws.com"
REGION: Final = "us-east-1"
"""CloudFront is everywhere, and is signed for and measured in this one region."""
NAMESPACE: Final = "http://cloudfront.amazonaws.com/doc/2020-05-31/"
LIMITS: Final = PurgeLimits(most_tags=1000, burst=1500, per_second=5, counts_tags=True)
"""3,000 items may be in progress at once: a full bucket, and what refills it in five minutes, come to that.

How long they are in progress is not promised; what is too many is answered with 400.
"""
_TOO_MANY: Final = ("TooManyInvalidationsInProgress", "Throttling", "ThrottlingException", "RequestLimitExceeded")
_METRICS: Final = {
    "requests": ("Requests", "Sum"),
    "bytes": ("BytesDownloaded", "Sum"),
    "hits": ("CacheHitRate", "Average"),
}
_IDENTIFIER: Final = re.compile(r"<Id>([A-Za-z0-9]{1,64})</Id>")
"""All that is read of an answer: so nothing has to be made of XML that somebody else wrote."""


@dataclass(frozen=True, kw_only=True)
class CloudFront:
    """One distribution."""

    distribution: str
    keys: AwsKeys
    base_url: str
    varies: bool = False
    """By `Accept`: only where the distribution's cache policy has that header in its key."""
    api: str = API
    metrics_api: str = METRICS_API
    exchange: Exchange = field(default_factory=Exchange)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    name: str = "cloudfront"
    limits: PurgeLimits = LIMITS

    def publish(self, asset: CdnAsset) -> CdnPublished:
        headers = {"Cache-Control": kept_in_public(asset.keep_for), "Cache-Tag": ",".join(asset.tags)}
        return CdnPublished(url=f"{self.base_url}{asset.path}", headers=headers)

    def purge(self, tags: Sequence[str], key: str) -> str:
        url = f"{self.api}/2020-05-31/distribution/{self.distribution}/invalidation"
        content = invalidation_batch([f"#{tag}" for tag in tags], key)
        headers = {"Content-Type": "application/xml"}
        response = self._send(url, headers, content, service="cloudfront")
        found = _IDENTIFIER.search(response.text)
        if found is None:
            raise CdnBusyError(f"CloudFront answered with no invalidation: {response.text[:300]}")
        return f"cloudfront:{found[1]}"

    def usage(self, day: date) -> CdnUsage:
        begin = datetime.combine(day, time(), UTC)
        body = {
            "StartTime": int(begin.timestamp()),
            "EndTime": int((begin + timedelta(days=1)).timestamp()),
            "MetricDataQueries": [self._metric(name, *metric) for name, metric in _METRICS.items()],
        }
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "GraniteServiceVersion20100801.GetMetricData",
        }
        response = self._send(f"{self.metrics_api}/", headers, json.dumps(body).encode(), service="monitoring")
        try:
            results = {each["Id"]: each["Values"] for each in response.json()["MetricDataResults"]}
            hits = results["hits"]
            return CdnUsage(
                requests=round(sum(results["requests"])),
                bytes_served=round(sum(results["bytes"])),
                # A percentage, and only where the distribution has additional metrics switched on.
                hit_rate=hits[0] / 100 if hits else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CdnRefusedError(f"CloudWatch's figures cannot be read: {type(error).__name__}: {error}") from error

    def _metric(self, name: str, metric: str, statistic: str) -> dict[str, Any]:
        dimensions = [{"Name": "DistributionId", "Value": self.distribution}, {"Name": "Region", "Value": "Global"}]
        described = {"Namespace": "AWS/CloudFront", "MetricName": metric, "Dimensions": dimensions}
        return {"Id": name, "MetricStat": {"Metric": described, "Period": 86_400, "Stat": statistic}}

    def _send(self, url: str, headers: Mapping[str, str], content: bytes, *, service: str) -> httpx2.Response:
        def signed() -> Mapping[str, str]:
            return signed_headers(
                self.keys,
                method="POST",
                url=url,
                headers=headers,
                content=content,
                region=REGION,
                service=service,
                now=self.now(),
            )

        return self.exchange.send("POST", url, headers=signed, content=content, is_busy=_is_too_many)


def _is_too_many(response: httpx2.Response) -> bool:
    """What other APIs say with 429, AWS says with 400 or 503 and a code."""
    return response.status_code in {400, 503} and any(code in response.text[:2000] for code in _TOO_MANY)


def invalidation_batch(items: Sequence[str], reference: str) -> bytes:
    """The body of CreateInvalidation: the same reference with the same items is the same invalidation."""
    batch = ElementTree.Element("InvalidationBatch", xmlns=NAMESPACE)
    paths = ElementTree.SubElement(batch, "Paths")
    ElementTree.SubElement(paths, "Quantity").text = str(len(items))
    listed = ElementTree.SubElement(paths, "Items")
    for item in items:
        ElementTree.SubElement(listed, "Path").text = item
    ElementTree.SubElement(batch, "CallerReference").text = reference
    written: bytes = ElementTree.tostring(batch, encoding="utf-8", xml_declaration=True)
    return written
