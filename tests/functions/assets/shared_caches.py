"""Owns shared caches in front of the origin: a kept RFC 9111 library always, Varnish and nginx where installed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx2
from hishel import CacheOptions, SqliteStorage
from hishel.httpx2 import CacheTransport

from afterimage.edges.cdn.exchange import Exchange
from afterimage.edges.cdn.port import CdnAsset, CdnPublished, CdnUsage, PurgeLimits, UsageUnknownError, kept_in_public

PATIENCE_SECONDS = 20.0
VCL = """
vcl 4.1;
backend origin {{ .host = "127.0.0.1"; .port = "{port}"; }}
sub vcl_recv {{
  if (req.method == "BAN") {{
    ban("obj.http.Cache-Tag ~ (^|,)" + req.http.X-Tag + "(,|$)");
    return (synth(200, "banned"));
  }}
}}
sub vcl_deliver {{ unset resp.http.Cache-Tag; }}
"""
NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/temp;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  proxy_cache_path {folder}/cache keys_zone=assets:1m;
  server {{
    listen 127.0.0.1:{listen};
    location / {{ proxy_cache assets; proxy_pass http://127.0.0.1:{port}; proxy_force_ranges on; }}
  }}
}}
"""


VARNISH_LIMITS = PurgeLimits(most_tags=10, burst=100, per_second=100)


@dataclass
class Cache:
    """Something that several people ask through."""

    name: str
    client: httpx2.Client
    base: str

    def get(self, target: str, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(f"{self.base}{target}", headers=named)


@dataclass(frozen=True, kw_only=True)
class VarnishNetwork:
    """A network of one's own, as docs/cdn.md describes it: three answers, and a request that makes a cache forget."""

    base_url: str
    exchange: Exchange
    name: str = "varnish"
    varies: bool = True
    limits: PurgeLimits = VARNISH_LIMITS

    def publish(self, asset: CdnAsset) -> CdnPublished:
        headers = {"Cache-Control": kept_in_public(asset.keep_for), "Cache-Tag": ",".join(asset.tags)}
        return CdnPublished(url=f"{self.base_url}{asset.path}", headers=headers)

    def purge(self, tags: Sequence[str], key: str) -> str:
        for tag in tags:
            self._ban({"X-Tag": tag})
        return f"varnish:{key}"

    def _ban(self, headers: Mapping[str, str]) -> None:
        self.exchange.send("BAN", f"{self.base_url}/", headers=lambda: headers)

    def usage(self, day: date) -> CdnUsage:
        raise UsageUnknownError(f"nobody counts what varnish served on {day}")


@contextmanager
def library(origin_port: int, folder: Path) -> Iterator[Cache]:
    """hishel, set up as a cache of many."""
    storage = SqliteStorage(database_path=str(folder / "cache.db"))
    transport = CacheTransport(httpx2.HTTPTransport(), storage, rfc=CacheOptions(shared=True))
    with httpx2.Client(transport=transport, trust_env=False) as client:
        yield Cache(name="hishel", client=client, base=f"http://127.0.0.1:{origin_port}")


@contextmanager
def varnish(origin_port: int, folder: Path) -> Iterator[Cache]:
    (folder / "assets.vcl").write_text(VCL.format(port=origin_port))
    port = _free_port()
    listen, rules = ["-a", f"127.0.0.1:{port}"], ["-f", str(folder / "assets.vcl")]
    command = ["varnishd", "-F", "-j", "none", "-n", str(folder / "work"), "-s", "malloc,16m", *listen, *rules]
    with _running(command, port), httpx2.Client(trust_env=False) as client:
        yield Cache(name="varnish", client=client, base=f"http://127.0.0.1:{port}")


@contextmanager
def nginx(origin_port: int, folder: Path) -> Iterator[Cache]:
    port = _free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, listen=port, port=origin_port))
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with _running(command, port), httpx2.Client(trust_env=False) as client:
        yield Cache(name="nginx", client=client, base=f"http://127.0.0.1:{port}")


KINDS: Mapping[str, Any] = {"hishel": library, "varnish": varnish, "nginx": nginx}
PROGRAMS = {"varnish": "varnishd", "nginx": "nginx"}


def program_of(kind: str) -> str | None:
    """Where the program of a kind of cache is; empty for the library, which is always there; None where it is not."""
    if kind not in PROGRAMS:
        return ""
    return shutil.which(PROGRAMS[kind], path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    found = program_of({"varnishd": "varnish"}.get(command[0], command[0]))
    assert found
    process = subprocess.Popen([found, *command[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                said = process.communicate()[0].decode(errors="replace")
                raise AssertionError(f"`{command[0]}` does not listen: {said[-2000:]}")
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _listens(port: int) -> bool:
    with closing(socket.socket()) as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with closing(socket.socket()) as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port
