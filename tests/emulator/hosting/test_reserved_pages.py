"""`/__/`: the SDK from the npm package, its configuration, and Auth's pages, or why they are not there."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from afterimage_emulator.configuration import Address
from afterimage_emulator.hosting.installed_sdk import InstalledSdk
from afterimage_emulator.hosting.reserved_pages import ReservedPages
from afterimage_emulator.wire.http_messages import Headers, HttpRequest
from tests.emulator.hosting.running_site import NoBody, Site, serving, write_files

NODE_MODULES = Path(__file__).resolve().parents[2] / "node/node_modules"
PACKAGE = NODE_MODULES / "firebase"
BROWSER = """
// A page of the site, as far as scripts see it: node page.mjs SITE VERSION
const [site, version] = process.argv.slice(2);
globalThis.self = globalThis;
for (const path of [
  `${version}/firebase-app-compat.js`, `${version}/firebase-auth-compat.js`, `${version}/firebase-firestore-compat.js`,
  "init.js?useEmulator=true",
]) {
  (0, eval)(await (await fetch(`${site}/__/firebase/${path}`)).text());
}
const { user } = await firebase.auth().signInAnonymously();
const emulator = firebase.auth().emulatorConfig;
console.log(JSON.stringify({ uid: user.uid, project: firebase.app().options.projectId, emulator }));
process.exit(0);
"""


def installed_version() -> str:
    version: str = json.loads((PACKAGE / "package.json").read_text())["version"]
    return version


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site beside Auth, Firestore and Storage, whose project has the npm package."""
    folder = tmp_path_factory.mktemp("reserved")
    (folder / "node_modules").mkdir()
    if PACKAGE.exists():
        (folder / "node_modules/firebase").symlink_to(PACKAGE)
    with serving(
        folder, {"public": "."}, f"demo-reserved-{os.getpid()}", only=("auth", "firestore", "storage", "hosting")
    ) as running:
        yield running


def test_the_configuration_names_the_project(site: Site) -> None:
    """As JSON for pages that start the SDK themselves."""
    answer = site.ask("/__/firebase/init.json")
    configuration = json.loads(answer.body)
    assert configuration["projectId"] == site.suite.suite.project_id
    assert configuration["storageBucket"] == site.suite.suite.configuration.default_bucket
    assert configuration["apiKey"]
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


def test_the_script_leads_to_the_suite_only_where_it_is_asked_to(site: Site) -> None:
    """As the official one: `useEmulator=true` names the services, anything else warns the page's author."""
    with_suite = site.ask("/__/firebase/init.js?useEmulator=true").text
    for service in ("auth", "firestore", "storage"):
        assert json.dumps(site.suite.address(service)) in with_suite
    for query in ("", "?useEmulator=false", "?useEmulator"):
        alone = site.ask(f"/__/firebase/init.js{query}").text
        assert "var emulators = null" in alone
        assert "useEmulator=true" in alone


def test_a_page_of_another_name_is_led_to_the_suite_by_that_name(tmp_path: Path) -> None:
    """A phone that opens the site by the machine's address cannot reach the services by a loopback address."""
    addresses = {"auth": Address(host="::", port=9099), "storage": Address(host="127.0.0.1", port=9199)}
    pages = ReservedPages(
        project_id="demo", default_bucket="demo.app", addresses=lambda: addresses, sdk=InstalledSdk(tmp_path)
    )
    request = HttpRequest(
        "GET", "/__/firebase/init.js", "useEmulator=true", Headers([("host", "192.168.1.7:5000")]), NoBody()
    )
    answer = asyncio.run(pages.answer(request, []))
    assert isinstance(answer.body, bytes)
    assert b'"192.168.1.7:9099"' in answer.body
    assert b'"127.0.0.1:9199"' in answer.body


@pytest.mark.skipif(not PACKAGE.exists(), reason="the npm packages are not installed; `make node`")
@pytest.mark.parametrize("name", ["firebase-app", "firebase-auth", "firebase-firestore", "firebase-app-compat"])
def test_the_sdk_comes_from_the_npm_package(site: Site, name: str) -> None:
    """Each of its files, and what they import comes from the site too: a page works without a network."""
    version = installed_version()
    answer = site.ask(f"/__/firebase/{version}/{name}.js", {"accept-encoding": "gzip"})
    assert (answer.status, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert answer.headers["content-encoding"] == "gzip"
    plain = site.ask(f"/__/firebase/{version}/{name}.js").text
    original = (PACKAGE / f"{name}.js").read_text()
    assert plain.replace("/__/firebase/", "https://www.gstatic.com/firebasejs/") == original
    assert "gstatic.com/firebasejs" not in plain


@pytest.mark.skipif(not PACKAGE.exists(), reason="the npm packages are not installed; `make node`")
def test_a_page_signs_in_with_nothing_but_reserved_addresses(site: Site, tmp_path: Path) -> None:
    """The compat scripts and init.js, evaluated as a browser does, reach the suite's Auth."""
    (tmp_path / "page.mjs").write_text(BROWSER)
    node = shutil.which("node")
    assert node is not None
    done = subprocess.run(
        [node, str(tmp_path / "page.mjs"), f"http://{site.suite.address('hosting')}", installed_version()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    host, _, port = site.suite.address("auth").rpartition(":")
    assert told["uid"]
    assert told["project"] == site.suite.suite.project_id
    assert (told["emulator"]["host"], told["emulator"]["port"]) == (host, int(port))


def package(version: str) -> dict[str, str | bytes]:
    imported = f'import "https://www.gstatic.com/firebasejs/{version}/firebase-app.js";'
    return {"package.json": json.dumps({"version": version}), "firebase-auth.js": imported}


def test_the_package_is_found_beside_and_above_the_project(tmp_path: Path, project_id: str) -> None:
    """In the project's folder, in folders above, in `web/`, and beside the public folder; the asked version first."""
    project = tmp_path / "mono/project"
    for place, version in (
        (tmp_path / "mono", "10.0.0"), (project, "11.1.1"), (project / "web", "12.1.0"), (project / "site", "12.2.0"),
    ):  # fmt: skip
        write_files(place / "node_modules/firebase", package(version))
    with serving(project, {"public": "site/public"}, project_id) as site:
        for version in ("10.0.0", "11.1.1", "12.1.0", "12.2.0"):
            answer = site.ask(f"/__/firebase/{version}/firebase-auth.js")
            assert answer.text == f'import "/__/firebase/{version}/firebase-app.js";'
        other_patch = site.ask("/__/firebase/11.9.9/firebase-auth.js")
        assert other_patch.text == 'import "/__/firebase/11.9.9/firebase-app.js";'
        refused = site.ask("/__/firebase/9.0.0/firebase-auth.js")
        assert (refused.status, "npm install firebase@9.0.0" in refused.text) == (404, True)
        assert "11.1.1" in refused.text


@pytest.mark.parametrize(
    "path",
    ["/__/firebase/1.2.3/package.json", "/__/firebase/1.2.3/..%2f..%2fsecret.js", "/__/firebase/1.2.3/app/index.js",
     "/__/firebase/../../x.js", "/__/firebase/1.2.3/firebase-auth.js/", "/__/firebase/1.2.3/", "/__/", "/__/x",
     "/__/firebase/init.js/x", "/__/auth/other"],
)  # fmt: skip
def test_nothing_else_is_reserved(path: str, tmp_path: Path, project_id: str) -> None:
    """No other file of the package, and no way out of it."""
    write_files(tmp_path / "node_modules/firebase", package("1.2.3"))
    write_files(tmp_path, {"node_modules/secret.js": "kept-7f3a", "x.js": "kept-7f3a"})
    with serving(tmp_path, {"public": "."}, project_id) as site:
        answer = site.ask(path)
        assert (answer.status, b"kept-7f3a" in answer.body) == (404, False)


def test_pages_of_sign_in_are_those_of_auth(site: Site) -> None:
    """Auth's pages for links and providers are at the site's addresses too; one of dynamic links says what it is."""
    link = site.ask("/__/auth/action?mode=resetPassword&oobCode=x")
    assert (link.status, link.headers["location"]) == (
        302, f"http://{site.suite.address('auth')}/emulator/action?mode=resetPassword&oobCode=x",
    )  # fmt: skip
    handler = site.ask("/__/auth/handler?apiKey=any&providerId=google.com")
    assert (handler.status, "script-src 'self'" in handler.headers["content-security-policy"]) == (200, True)
    assert 'src="handler.js"' in handler.text
    for page in ("handler.js", "iframe", "iframe.js", "gapi.js"):
        assert site.ask(f"/__/auth/{page}").status == 200
    assert site.ask("/__/auth/links").status == 501
