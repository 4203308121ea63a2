"""The whole way of a withdrawal: the deployed functions make a network forget what is taken back or deleted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.cloud import firestore, storage

from afterimage.paths import purge_path
from afterimage.publications.purge_notes import cache_tag
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.suite import Suite
from tests.functions.cdn.cloudflare_server import CloudflareServer
from tests.functions.cdn.contract_server import served
from tests.functions.over_the_suite.test_published_files import Owner, until

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"


@dataclass
class Deployed:
    """The functions with Cloudflare in front, as a deployment names it: parameters in `.env`, the token a secret."""

    suite: BackgroundSuite
    network: CloudflareServer

    def note(self, owner: Owner, public: str) -> dict[str, Any]:
        return owner.read(purge_path(public)) or {}


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    codebase = tmp_path / "functions"
    shutil.copytree(FUNCTIONS, codebase, ignore=shutil.ignore_patterns("__pycache__", "venv", ".venv"))
    with served(CloudflareServer()) as network:
        assert isinstance(network, CloudflareServer)
        named = ["DEFAULT_CDN=cloudflare", "CDN_BASE_URL=https://cdn.example.com", f"CLOUDFLARE_ZONE_ID={network.zone}"]
        (codebase / ".env.local").write_text("\n".join([*named, f"CDN_API_URL={network.url}", ""]))
        (codebase / ".secret.local").write_text(f"CLOUDFLARE_API_TOKEN={network.token}\n")
        configuration = Configuration(
            root=tmp_path,
            project_id=f"demo-forgotten-{os.getpid()}",
            codebases=(Codebase(name="default", source=codebase),),
        )
        with BackgroundSuite(Suite(configuration, free_ports=True)) as suite:
            for name, value in suite.environment().items():
                monkeypatch.setenv(name, value)
            yield Deployed(suite=suite, network=network)


def test_what_is_taken_back_or_deleted_is_forgotten_by_the_event_that_follows(deployed: Deployed) -> None:
    """Unmarked, and the network forgets that file alone; another deleted, though it answers 500 at first."""
    network = deployed.network
    first, second = Owner(deployed.suite), Owner(deployed.suite)
    publics = []
    for owner in (first, second):
        generation = owner.upload()
        owner.mark(generation)
        owner.waits_for(generation)
        public = owner.public(generation)
        publics.append(public)
        network.kept[f"/a/{public}"] = {cache_tag(public), cache_tag("everything")}
    first.unmark()
    until(lambda: deployed.note(first, publics[0]).get("passes") == 1)
    assert set(network.kept) == {f"/a/{publics[1]}"}
    assert deployed.note(first, publics[0])["receipts"][0].startswith("cloudflare:")

    network.faults = [500, 503]
    second.bucket.blob(second.name).delete()
    until(lambda: deployed.note(second, publics[1]).get("passes") == 1)
    assert network.kept == {}
    assert network.purged == [{cache_tag(publics[0])}, {cache_tag(publics[1])}]
    assert isinstance(first.firestore, firestore.Client)
    assert isinstance(first.bucket, storage.Bucket)
