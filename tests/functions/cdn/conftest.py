"""Owns the three networks: each as a contract server of this machine, and as the real one where tokens are given."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest

from afterimage.edges.cdn.cloudflare import Cloudflare
from afterimage.edges.cdn.cloudfront import CloudFront
from afterimage.edges.cdn.exchange import Exchange
from afterimage.edges.cdn.port import CdnProvider
from afterimage.edges.cdn.providers import provider_from
from afterimage.edges.cdn.signature_v4 import AwsKeys
from afterimage.edges.cdn.vercel import Vercel
from tests.functions.cdn.cloudflare_server import CloudflareServer
from tests.functions.cdn.cloudfront_server import CloudFrontServer
from tests.functions.cdn.contract_server import ContractServer, served
from tests.functions.cdn.vercel_server import VercelServer

BASE = "https://cdn.example.com"
REAL = {
    "cloudflare": ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ZONE_ID"),
    "cloudfront": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "CLOUDFRONT_DISTRIBUTION_ID"),
    "vercel": ("VERCEL_TOKEN", "VERCEL_PROJECT_ID"),
}
"""What the environment must hold for the very same tests to ask the real network."""


@dataclass
class Network:
    """A provider, and the server that it asks; None where that is the real one."""

    provider: Any
    server: ContractServer | None
    waits: list[float]

    @property
    def is_real(self) -> bool:
        return self.server is None

    @property
    def here(self) -> ContractServer:
        assert self.server is not None
        return self.server

    def with_wrong_credentials(self) -> CdnProvider:
        """The same provider with a secret that opens nothing."""
        changes: dict[str, Any] = {"token": "wrong"} if hasattr(self.provider, "token") else {}
        if not changes:
            changes = {"keys": AwsKeys(identifier=self.provider.keys.identifier, secret="wrong")}
        found: CdnProvider = replace(self.provider, **changes)
        return found


def _cloudflare(server: ContractServer, exchange: Exchange) -> CdnProvider:
    assert isinstance(server, CloudflareServer)
    return Cloudflare(zone=server.zone, token=server.token, base_url=BASE, api=server.url, exchange=exchange)


def _cloudfront(server: ContractServer, exchange: Exchange) -> CdnProvider:
    assert isinstance(server, CloudFrontServer)
    keys = AwsKeys(identifier=server.identifier, secret=server.secret)
    return CloudFront(
        distribution=server.distribution, keys=keys, base_url=BASE, api=server.url, metrics_api=server.url,
        exchange=exchange, now=lambda: server.now,
    )  # fmt: skip


def _vercel(server: ContractServer, exchange: Exchange) -> CdnProvider:
    assert isinstance(server, VercelServer)
    return Vercel(
        project=server.project, team=server.team, token=server.token, base_url=BASE, api=server.url, exchange=exchange
    )


HERE: dict[str, tuple[type[ContractServer], Callable[[ContractServer, Exchange], CdnProvider]]] = {
    "cloudflare": (CloudflareServer, _cloudflare),
    "cloudfront": (CloudFrontServer, _cloudfront),
    "vercel": (VercelServer, _vercel),
}


@pytest.fixture(params=list(HERE))
def network_here(request: pytest.FixtureRequest) -> Iterator[Network]:
    """Each network as a contract server, for what can only be shown where the server can be told to fail."""
    make_server, make = HERE[request.param]
    waits: list[float] = []
    with served(make_server()) as server:
        exchange = Exchange(wait=waits.append, now=lambda: server.now)
        yield Network(provider=make(server, exchange), server=server, waits=waits)


@pytest.fixture(params=[*HERE, *(f"real {name}" for name in REAL)])
def network(request: pytest.FixtureRequest) -> Iterator[Network]:
    """Each network twice: its contract server, and the real one."""
    kind, _, name = request.param.rpartition(" ")
    if not kind:
        make_server, make = HERE[name]
        waits: list[float] = []
        with ExitStack() as stack:
            server = stack.enter_context(served(make_server()))
            exchange = Exchange(wait=waits.append, now=lambda: server.now)
            yield Network(provider=make(server, exchange), server=server, waits=waits)
        return
    missing = [variable for variable in REAL[name] if not os.environ.get(variable)]
    if missing:
        pytest.skip(f"the real {name} is asked where the environment holds {', '.join(missing)}")
    environment = {**os.environ, "DEFAULT_CDN": name, "CDN_BASE_URL": os.environ.get("CDN_BASE_URL", BASE)}
    yield Network(provider=provider_from(environment), server=None, waits=[])
