"""Providers: one port, three networks; each takes what was sent, refuses what it must, and is asked again safely."""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from afterimage.edges.cdn.exchange import Exchange
from afterimage.edges.cdn.port import CdnAsset, CdnBusyError, CdnProvider, CdnRefusedError, UsageUnknownError
from afterimage.edges.cdn.providers import provider_from
from afterimage.edges.cdn.signature_v4 import AwsKeys, signed_headers
from afterimage.faults import is_transient
from afterimage.settings import SettingsError
from tests.functions.cdn.cloudfront_server import CloudFrontServer
from tests.functions.cdn.conftest import BASE, Network
from tests.functions.cdn.contract_server import NOON, Answer, Asked, ContractServer, served

TAGS = ["a-0123", "a-4567"]
TAG_HEADERS = {"cloudflare": "Cache-Tag", "cloudfront": "Cache-Tag", "vercel": "Vercel-Cache-Tag"}


def fresh_tags(count: int) -> list[str]:
    return [f"a-{secrets.token_hex(20)}" for _ in range(count)]


def test_what_was_published_under_a_tag_is_forgotten_by_it(network: Network) -> None:
    """The receipt is the network's own; where the network is a server of the test's, other tags are still kept."""
    first, second = fresh_tags(2)
    if not network.is_real:
        network.here.kept = {"/1": {first, "a-everything"}, "/2": {second, "a-everything"}}
    receipt = network.provider.purge([first], secrets.token_hex(20))
    assert receipt.startswith(f"{network.provider.name}:")
    assert len(receipt) > len(network.provider.name) + 1
    if not network.is_real:
        assert set(network.here.kept) == {"/2"}


def test_the_same_purge_again_is_no_fault(network: Network) -> None:
    """Whoever lost an answer asks again."""
    tags, key = fresh_tags(2), secrets.token_hex(20)
    network.provider.purge(tags, key)
    network.provider.purge(tags, key)


def test_a_full_request_is_taken(network_here: Network) -> None:
    """As many tags as the provider says go into one request."""
    network_here.provider.purge(fresh_tags(network_here.provider.limits.most_tags), "k")
    assert len(network_here.here.purged[0]) == network_here.provider.limits.most_tags


def test_a_wrong_secret_is_refused_for_good_and_not_shown(network: Network) -> None:
    """It is no fault that passes; neither the message nor the provider's own description holds a secret."""
    wrong = network.with_wrong_credentials()
    with pytest.raises(CdnRefusedError) as raised:
        wrong.purge(fresh_tags(1), "k")
    assert not is_transient(raised.value)
    assert "wrong" not in str(raised.value) + repr(wrong)


def test_usage_of_a_day_that_is_over(network: Network) -> None:
    """Requests and bytes are counted, a rate is a share; a network that does not tell says so."""
    if network.provider.name == "vercel":
        with pytest.raises(UsageUnknownError, match="Vercel"):
            network.provider.usage(date(2026, 11, 29))
        return
    usage = network.provider.usage(date(2026, 11, 29))
    assert usage.requests >= 0
    assert usage.bytes_served >= 0
    if not network.is_real:
        assert (usage.requests, usage.bytes_served, usage.hit_rate) == (1000, 5_000_000, pytest.approx(0.9))


def test_what_an_answer_carries_is_read_back_as_its_tags(network_here: Network) -> None:
    """The header that this network reads names all tags, and the answer may be kept as long as it says."""
    asset = CdnAsset(path="/a/0123/x.webp", tags=TAGS, keep_for=timedelta(hours=24))
    published = network_here.provider.publish(asset)
    assert published.url == f"{BASE}/a/0123/x.webp"
    assert published.headers[TAG_HEADERS[network_here.provider.name]].split(",") == TAGS
    kept = [value for name, value in published.headers.items() if name.lower().endswith("cache-control")]
    assert set(kept) == {"public, max-age=86400, immutable"}
    assert not any(
        header in published.headers
        for name, header in TAG_HEADERS.items()
        if header != TAG_HEADERS[_name(network_here)]
    )


def _name(network: Network) -> str:
    name: str = network.provider.name
    return name


@pytest.mark.parametrize("faults", [[500], [503, 502], ["lost"], ["lost", 500]])
def test_faults_that_pass_are_gone_through(network_here: Network, faults: list[int | str]) -> None:
    """A broken answer, or none: asked again, up to three times, with waits that grow; done once where that shows."""
    network_here.here.faults = list(faults)
    network_here.here.kept = {"/1": {"a-1"}}
    network_here.provider.purge(["a-1"], "the-key")
    assert network_here.here.kept == {}
    assert len(network_here.here.asked) == len(faults) + 1
    assert len(network_here.waits) == len(faults)
    if isinstance(network_here.here, CloudFrontServer):
        assert len(network_here.here.invalidations) == 1


@pytest.mark.parametrize("faults", [[500, 500, 500], ["lost", "lost", "lost"]])
def test_faults_that_stay_are_told_as_passing_ones(network_here: Network, faults: list[int | str]) -> None:
    """The caller notes it and comes again; nothing was given up."""
    network_here.here.faults = list(faults)
    with pytest.raises(CdnBusyError) as raised:
        network_here.provider.purge(["a-1"], "k")
    assert is_transient(raised.value)
    assert "127.0.0.1" in str(raised.value)


def test_too_many_requests_are_told_with_how_long_to_wait_and_not_repeated(network_here: Network) -> None:
    """A 429, or the 400 that one network says it with, is answered by waiting, not by more of the same."""
    provider, server = network_here.provider, network_here.here

    def far_too_often() -> None:
        for _ in range(40):
            provider.purge(fresh_tags(100), secrets.token_hex(8))

    with pytest.raises(CdnBusyError) as raised:
        far_too_often()
    asked = len(server.asked)
    assert network_here.waits == []
    if provider.name != "cloudfront":
        assert raised.value.retry_after
        assert raised.value.retry_after > timedelta(seconds=10)
    server.pass_time(600)
    provider.purge(fresh_tags(1), "later")
    assert len(server.asked) == asked + 1


def test_the_contract_server_of_cloudfront_speaks_with_aws_s_own_client() -> None:
    """The server that ours is tried at takes AWS's client for what it is, its errors too."""
    with served(CloudFrontServer(now=datetime.now(UTC))) as server:
        assert isinstance(server, CloudFrontServer)
        client: Any = botocore.session.Session().create_client(
            "cloudfront", region_name="us-east-1", endpoint_url=server.url, config=Config(retries={"max_attempts": 0}),
            aws_access_key_id=server.identifier, aws_secret_access_key=server.secret,
        )  # fmt: skip
        batch = {"Paths": {"Quantity": 2, "Items": ["#a-1", "/x"]}, "CallerReference": "r"}
        first = client.create_invalidation(DistributionId=server.distribution, InvalidationBatch=batch)
        again = client.create_invalidation(DistributionId=server.distribution, InvalidationBatch=batch)
        assert first["Invalidation"]["Id"] == again["Invalidation"]["Id"]
        assert first["Invalidation"]["InvalidationBatch"] == batch
        wrong = {"Paths": {"Quantity": 3, "Items": ["#a-1"]}, "CallerReference": "s"}
        with pytest.raises(ClientError, match="InconsistentQuantities"):
            client.create_invalidation(DistributionId=server.distribution, InvalidationBatch=wrong)


@pytest.mark.parametrize("token", ["", "a-session-token"])
@pytest.mark.parametrize("path", ["/", "/2020-05-31/distribution/E1~a b/invalidation"])
def test_signatures_are_aws_s_own(token: str, path: str) -> None:
    """Ours and those of AWS's library are the same, character for character."""
    url, content, headers = f"https://cloudfront.amazonaws.com{path}", b"<a/>", {"Content-Type": "application/xml"}
    keys = AwsKeys(identifier="AKIDEXAMPLE", secret="secret/key", session_token=token)
    signed = signed_headers(
        keys, method="POST", url=url, headers=headers, content=content, region="us-east-1", service="cloudfront",
        now=NOON,
    )  # fmt: skip
    request = AWSRequest(method="POST", url=url, headers=dict(headers), data=content)
    auth = SigV4Auth(Credentials("AKIDEXAMPLE", "secret/key", token or None), "cloudfront", "us-east-1")
    stamp = signed["X-Amz-Date"]
    request.headers["X-Amz-Date"] = stamp
    if token:
        request.headers["X-Amz-Security-Token"] = token
    request.context["timestamp"] = stamp
    canonical = auth.canonical_request(request)
    assert signed["Authorization"].endswith(auth.signature(auth.string_to_sign(request, canonical), request))


WHOLE = {
    "cloudflare": {"CLOUDFLARE_ZONE_ID": "z", "CLOUDFLARE_API_TOKEN": "t"},
    "cloudfront": {"CLOUDFRONT_DISTRIBUTION_ID": "E", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s"},
    "vercel": {"VERCEL_PROJECT_ID": "p", "VERCEL_TOKEN": "t"},
}


@pytest.mark.parametrize("name", list(WHOLE))
def test_a_network_is_named_in_the_environment_and_what_is_missing_is_said(name: str) -> None:
    """Each variable that is needed is named when it is not there."""
    whole = {"DEFAULT_CDN": name, "CDN_BASE_URL": "https://cdn.example.com/", **WHOLE[name]}
    provider = provider_from(whole)
    assert provider is not None
    assert provider.name == name
    assert provider.publish(CdnAsset(path="/a", tags=[], keep_for=timedelta())).url == "https://cdn.example.com/a"
    for missing in set(whole) - {"DEFAULT_CDN"}:
        with pytest.raises(SettingsError, match=missing):
            provider_from({variable: value for variable, value in whole.items() if variable != missing})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"DEFAULT_CDN": "akamai"}, "DEFAULT_CDN"),
        ({"DEFAULT_CDN": "no.such.module:make"}, "no.such.module"),
        ({"CLOUDFLARE_PLAN": "gold"}, "CLOUDFLARE_PLAN"),
        ({"CDN_VARIES": "maybe"}, "CDN_VARIES"),
        ({"CDN_BASE_URL": "cdn.example.com"}, "CDN_BASE_URL"),
        ({"CDN_BASE_URL": "https://cdn.example.com/path"}, "CDN_BASE_URL"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(changes: Mapping[str, str], named: str) -> None:
    """A misspelt network does not quietly mean none."""
    whole = {"DEFAULT_CDN": "cloudflare", "CDN_BASE_URL": BASE, **WHOLE["cloudflare"], **changes}
    with pytest.raises(SettingsError, match=named):
        provider_from(whole)


@pytest.mark.parametrize(
    "secret", ["hidden\nvalue", "hidden\r\nX-Admin: 1", "hidden\x00value", "hidd\u00e9n", "hidden value"]
)
@pytest.mark.parametrize(
    ("network", "name"),
    [
        ("cloudflare", "CLOUDFLARE_API_TOKEN"),
        ("cloudfront", "AWS_ACCESS_KEY_ID"),
        ("cloudfront", "AWS_SECRET_ACCESS_KEY"),
        ("cloudfront", "AWS_SESSION_TOKEN"),
        ("vercel", "VERCEL_TOKEN"),
    ],
)
def test_a_secret_that_no_header_carries_is_refused_and_not_shown(network: str, name: str, secret: str) -> None:
    """Pasted with a line too many: whoever reads the log learns which, and not what."""
    whole = {"DEFAULT_CDN": network, "CDN_BASE_URL": BASE, **WHOLE[network], name: secret}
    with pytest.raises(SettingsError, match=name) as raised:
        provider_from(whole)
    assert "hidd" not in "".join(traceback.format_exception(raised.value))
    assert provider_from(whole, with_secrets=False) is not None, "the origin has none of them"


def test_a_request_that_cannot_be_written_shows_nothing_of_its_headers() -> None:
    """A network of one's own may not look at its secret first; it is refused, and no word of it gets into notes."""
    headers = {"Authorization": "Bearer hidden\nvalue"}
    with served(Refusing()) as server, pytest.raises(CdnRefusedError) as raised:
        Exchange().send("POST", f"{server.url}/", headers=lambda: headers)
    assert "hidden" not in "".join(traceback.format_exception(raised.value))


class Refusing(ContractServer):
    """Whoever gets as far as this has written a request that it should not have."""

    def answer(self, asked: Asked) -> Answer:
        return Answer(status=418)


def test_nothing_in_front_is_no_network() -> None:
    """An empty name means none."""
    assert provider_from({"DEFAULT_CDN": ""}) is None
    assert provider_from({}) is None


def own_network(variables: Mapping[str, str]) -> CdnProvider:
    """A network of somebody's own, as docs/cdn.md says: here the first of the three under another name."""
    found = provider_from({**variables, "DEFAULT_CDN": "cloudflare", "CDN_BASE_URL": BASE, **WHOLE["cloudflare"]})
    assert found is not None
    return found


def test_a_network_of_one_s_own_is_named_by_its_factory() -> None:
    """Nothing of ours has to be changed for it."""
    assert provider_from({"DEFAULT_CDN": f"{__name__}:own_network"}) is not None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "Mon, 30 Nov 2026 12:01:00 GMT"}, 60.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "99999999999999999999"}, 86_400.0),
        ({"x-ratelimit-reset": str(int(NOON.timestamp()) + 30)}, 30.0),
        ({"x-ratelimit-reset": "9" * 40}, None),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86_400.0),
        ({"x-ratelimit-reset": "9" * 11}, 86_400.0),
        ({"retry-after": "Mon, 30 Nov 2020 12:01:00 GMT"}, 0.0),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read_from_whatever_a_network_says(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, a date, the end of a window; nonsense is as good as nothing, and never an error of ours."""

    class Busy(ContractServer):
        def answer(self, asked: Asked) -> Answer:
            return Answer(status=429, headers=headers)

    with served(Busy()) as server, pytest.raises(CdnBusyError) as raised:
        Exchange(now=lambda: NOON).send("POST", f"{server.url}/", headers=dict)
    found = raised.value.retry_after
    assert (None if found is None else found.total_seconds()) == seconds
