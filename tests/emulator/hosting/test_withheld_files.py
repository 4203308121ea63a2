"""A public folder that is the project itself gives away no key, no source and nothing outside it, whatever is asked."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from afterimage_emulator.hosting.file_answers import read_content
from afterimage_emulator.hosting.public_files import PublicFiles
from afterimage_emulator.hosting.withheld_files import WithheldFiles
from afterimage_emulator.wire.http_messages import FileSlice
from tests.emulator.hosting.running_site import Site, serving, write_files

SECRET = "kept-secret-7f3a"
_ACCOUNT = json.dumps({"type": "service_account", "private_key": f"-----BEGIN PRIVATE KEY-----\n{SECRET}", "x": 1})
SECRETS: Mapping[str, str] = {
    ".env": f"KEY={SECRET}",
    ".env.local": f"KEY={SECRET}",
    "functions/.env": f"KEY={SECRET}",
    "functions/.secret.local": f"KEY={SECRET}",
    "functions/main.py": f"# {SECRET}",
    "functions/data/notes.txt": SECRET,
    "production.env": f"KEY={SECRET}",
    ".git/config": SECRET,
    ".git/HEAD": SECRET,
    ".firebaserc": json.dumps({"x": SECRET}),
    ".well-known/.hidden": SECRET,
    "sub/.well-known/x": SECRET,
    "firestore.rules": f"// {SECRET}",
    "rules/other.rules": f"// {SECRET}",
    "firestore.indexes.json": f'{{"indexes": []}} // {SECRET}',
    "own-indexes.json": f'{{"indexes": []}} // {SECRET}',
    "storage.rules": f"// {SECRET}",
    "firebase-debug.log": SECRET,
    "firestore-debug.log": SECRET,
    "server.pem": SECRET,
    "SERVER.PEM": SECRET,
    "tls/server.key": SECRET,
    "id_rsa": SECRET,
    "_netrc": f"machine a.test password {SECRET}",
    "secrets.json": f'{{"token": "{SECRET}"}}',
    "config/Secret.yaml": f"token: {SECRET}",
    "client_secret_12.apps.googleusercontent.com.json": f'{{"installed": {{"client_secret": "{SECRET}"}}}}',
    "release.keystore": SECRET,
    "service-account.json": _ACCOUNT,
    "config/anything.json": _ACCOUNT,
    "notes.txt": f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}",
    "AuthKey_7F3A.p8": SECRET,
    "server.pem.old": SECRET,
    "server.key~": SECRET,
    "firestore.rules.bak": f"// {SECRET}",
    "firebase.json.orig.2": SECRET,
    "staging.env.local": f"KEY={SECRET}",
    "env.production": f"KEY={SECRET}",
    "service-account.json~": _ACCOUNT,
    "app.properties": _ACCOUNT,
    "key.ts": _ACCOUNT,
    "padded.json": json.dumps({"x": "x" * 100_000}) + _ACCOUNT,
    "saved/firebase-export-metadata.json": json.dumps({"x": SECRET}),
    "saved/auth_export/accounts.json": json.dumps({"x": SECRET}),
    "drafts/page.html": SECRET,
    "node_modules/package/index.js": f"// {SECRET}",
}
SERVED: Mapping[str, str] = {
    "index.html": "the page",
    "data.json": '{"a": 1}',
    ".well-known/assetlinks.json": "[]",
    "keys.html": "-----BEGIN PRIVATE KEY----- is how such a file begins",
    "a..b.txt": "dots",
    "environment.js": "1",
    "env.js": "1",
    "page.py": "# a page's own",
    "picture.1.png": "1",
}
HOSTING = {"public": ".", "ignore": ["drafts/**", "**/node_modules/**"]}
MORE: Mapping[str, Any] = {
    "firestore": {"rules": "firestore.rules", "indexes": "own-indexes.json"},
    "functions": {"source": "functions"},
    "storage": {"rules": "storage.rules"},
}
TRICKS = (
    "/../outside.txt",
    "/../../outside.txt",
    "/a/../../outside.txt",
    "/%2e%2e/outside.txt",
    "/%2e%2e%2foutside.txt",
    "/..%2foutside.txt",
    "/..%5coutside.txt",
    "/..\\outside.txt",
    "/%252e%252e/outside.txt",
    "/.%2e/outside.txt",
    "//../outside.txt",
    "/./../outside.txt",
    "/index.html/../../outside.txt",
    "/index.html%00/../../outside.txt",
    "/%00",
    "/.env%00.html",
    "/.env/",
    "//.env",
    "/./.env",
    "/%2eenv",
    "/%2Eenv",
    "/.%65nv",
    "/a/../.env",
    "/a/%2e%2e/.env",
    "/.env%20",
    "/.env;x",
    "/.env?x=1",
    "/.env#x",
    "/.ENV",
    "/firebase.json",
    "/Firebase.json",
    "/firebase.json/",
    "/%66irebase.json",
    "/link-out.txt",
    "/folder-out/outside.txt",
    "/link-env.txt",
    "/link-draft.html",
    "/link-to-link.txt",
    "/functions-link/main.py",
    "/.env/../index.html",
    "/__/../.env",
    "/__/firebase/../../.env",
    "/__/firebase/%2e%2e/%2e%2e/.env",
    "/__/firebase/1.0.0/..%2f..%2f..%2f.env",
    "/__/firebase/1.0.0/../../../.env",
    "/pipe",
    "http://localhost/.env",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A project whose public folder is all of it, with something beside it that nobody may see."""
    folder = tmp_path_factory.mktemp("beside") / "project"
    write_files(folder.parent, {"outside.txt": SECRET})
    write_files(folder, {**SECRETS, **SERVED})
    for name, target in (
        ("link-out.txt", "../outside.txt"),
        ("folder-out", ".."),
        ("link-env.txt", ".env"),
        ("link-draft.html", "drafts/page.html"),
        ("link-to-link.txt", "link-env.txt"),
        ("functions-link", "functions"),
        ("link-in.html", "index.html"),
        ("loop.html", "loop.html"),
    ):
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "pipe")
    with serving(folder, HOSTING, f"demo-withheld-{os.getpid()}", **MORE) as running:
        yield running


@pytest.mark.parametrize("name", SECRETS)
def test_what_a_working_folder_holds_beside_its_pages_is_kept_back(site: Site, name: str) -> None:
    """Keys, sources, dotfiles, exports, and what `ignore` names: as if they were not there."""
    answer = site.ask(f"/{name}")
    assert answer.status == 404
    assert SECRET.encode() not in answer.body


@pytest.mark.parametrize("name", SERVED)
def test_the_pages_themselves_are_served(site: Site, name: str) -> None:
    """What only looks like a secret is none."""
    answer = site.ask(f"/{name}")
    assert (answer.status, answer.text) == (200, SERVED[name])


@pytest.mark.parametrize("path", TRICKS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_no_spelling_of_a_path_leads_to_them(site: Site, path: str, method: str) -> None:
    """Neither the file itself nor a word of it, whatever the path looks like."""
    answer = site.ask(path, method=method)
    assert SECRET.encode() not in answer.body
    assert answer.status in (400, 404) or answer.text == SERVED["index.html"]


def test_links_within_the_folder_are_followed(site: Site) -> None:
    """A link is a file like any other as long as it stays inside; one that leads nowhere is not there."""
    assert site.ask("/link-in.html").text == "the page"
    assert site.ask("/loop.html").status == 404


def test_no_rewrite_shows_what_is_kept_back(tmp_path: Path, project_id: str) -> None:
    """A rewrite names a file of the site, not one of the machine."""
    write_files(tmp_path, {"outside.txt": SECRET})
    for number, destination in enumerate(("/.env", "/../outside.txt", "/link-out.txt", "/firebase.json")):
        folder = tmp_path / str(number)
        write_files(folder, {".env": SECRET})
        (folder / "link-out.txt").symlink_to("../outside.txt")
        hosting = {"public": ".", "rewrites": [{"source": "**", "destination": destination}]}
        with serving(folder, hosting, project_id) as site:
            answer = site.ask("/anything")
            assert (answer.status, SECRET.encode() in answer.body) == (404, False), destination


def test_what_production_would_publish_is_told_once(
    tmp_path: Path, project_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever deploys this folder learns it here first; what `ignore` names is no news."""
    hosting = {"public": ".", "ignore": ["firebase.json"]}
    with (
        caplog.at_level(logging.WARNING, logger="afterimage_emulator.hosting"),
        serving(tmp_path, hosting, project_id, {"server.pem": SECRET}) as site,
    ):
        for _ in range(3):
            assert site.ask("/server.pem").status == 404
            assert site.ask("/firebase.json").status == 404
        told = [record.getMessage() for record in caplog.records if "is not served" in record.getMessage()]
    assert len(told) == 1
    assert "`server.pem` is not served: it may hold a key" in told[0]
    assert "`ignore`" in told[0]


def test_pages_beside_the_functions_are_served_and_the_functions_are_not(tmp_path: Path, project_id: str) -> None:
    """Where one folder is both, its names tell code from pages."""
    files = dict.fromkeys(("main.py", "pack/module.py", "requirements.txt", "main.py~", "pyproject.toml"), SECRET)
    pages = {"index.html": "the page", "robots.txt": "all"}
    more: dict[str, Any] = {"functions": {"source": "."}}
    with serving(tmp_path, {"public": "."}, project_id, {**files, **pages}, **more) as site:
        assert {name: site.ask(f"/{name}").status for name in files} == dict.fromkeys(files, 404)
        assert {name: site.ask(f"/{name}").text for name in pages} == pages


def test_a_key_in_wide_characters_is_a_key(tmp_path: Path, project_id: str) -> None:
    """Shells of Windows write UTF-16."""
    with serving(tmp_path, {"public": "."}, project_id, {"account.json": _ACCOUNT.encode("utf-16")}) as site:
        assert site.ask("/account.json").status == 404


@pytest.mark.parametrize("size", [10, 9_000_000], ids=["read whole", "sent from the file"])
@pytest.mark.parametrize("swapped", ["folder", "folder/inner", "folder/inner/page.txt"])
async def test_a_link_that_takes_a_place_behind_the_check_is_not_followed(
    tmp_path: Path, swapped: str, size: int
) -> None:
    """A file is opened folder by folder, so that what was checked is what is read."""
    public, outside = tmp_path / "public", tmp_path / "outside"
    write_files(public, {"folder/inner/page.txt": b"x" * size})
    write_files(outside, {"folder/inner/page.txt": SECRET.ljust(size)})
    files = PublicFiles(public, ignore=(), withheld=WithheldFiles(), tell=lambda name, reason: None)
    found = files.find(("folder", "inner", "page.txt"))
    assert found is not None
    read_before = await read_content(found)
    (public / swapped).rename(tmp_path / "away")
    (public / swapped).symlink_to(outside / swapped)
    with pytest.raises(OSError, match=r"folder|inner|page"):
        await read_content(found)
    if isinstance(read_before.body, FileSlice):
        with pytest.raises(OSError, match=r"folder|inner|page"):
            read_before.body.opened()


async def test_a_pipe_that_takes_a_file_s_place_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody writes into it, and the site goes on."""
    write_files(tmp_path, {"page.html": "the page"})
    files = PublicFiles(tmp_path, ignore=(), withheld=WithheldFiles(), tell=lambda name, reason: None)
    found = files.find(("page.html",))
    assert found is not None
    (tmp_path / "page.html").unlink()
    os.mkfifo(tmp_path / "page.html")
    with pytest.raises(FileNotFoundError):
        await read_content(found)
