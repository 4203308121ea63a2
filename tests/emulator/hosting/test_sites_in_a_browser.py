"""A site in a real browser: the SDK from reserved addresses reaches the suite, and its page steers nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from tests.browser.chromium import NODE_MODULES
from tests.browser.page import Browser
from tests.emulator.hosting.running_site import Site, serving

PACKAGE = NODE_MODULES / "firebase"
pytestmark = pytest.mark.skipif(not PACKAGE.exists(), reason="the npm packages are not installed; `make node`")
COMPAT = """<!doctype html><title>compat</title><link rel=icon href="data:,">
<script src="/__/firebase/{version}/firebase-app-compat.js"></script>
<script src="/__/firebase/{version}/firebase-auth-compat.js"></script>
<script src="/__/firebase/{version}/firebase-firestore-compat.js"></script>
<script src="/__/firebase/init.js?useEmulator=true"></script>
"""
MODULAR = """<!doctype html><title>modular</title><link rel=icon href="data:,"><script type="module">
import {{ initializeApp }} from "/__/firebase/{version}/firebase-app.js";
import {{ connectAuthEmulator, getAuth, signInAnonymously }} from "/__/firebase/{version}/firebase-auth.js";
import {{ connectFirestoreEmulator, doc, getDoc, getFirestore, setDoc }}
  from "/__/firebase/{version}/firebase-firestore.js";
const app = initializeApp(await (await fetch("/__/firebase/init.json")).json());
window.use = async (auth, host, port) => {{
  connectAuthEmulator(getAuth(app), `http://${{auth}}`, {{ disableWarnings: true }});
  connectFirestoreEmulator(getFirestore(app), host, port);
  const {{ user }} = await signInAnonymously(getAuth(app));
  const place = doc(getFirestore(app), "users", user.uid);
  await setDoc(place, {{ from: "modular" }});
  return (await getDoc(place)).data();
}};
</script>
"""
RULES = """rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /users/{uid} { allow read, write: if request.auth.uid == uid; }
  }
}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A project with the npm package, and two pages that use it as production's pages do."""
    folder = tmp_path_factory.mktemp("site")
    version = json.loads((PACKAGE / "package.json").read_text())["version"]
    (folder / "node_modules").mkdir()
    (folder / "node_modules/firebase").symlink_to(PACKAGE)
    files: dict[str, str | bytes] = {
        "public/compat.html": COMPAT.replace("{version}", version),
        "public/modular.html": MODULAR.format(version=version),
        "firestore.rules": RULES,
    }
    hosting = {"public": "public", "cleanUrls": True}
    firestore = {"rules": "firestore.rules"}
    with serving(
        folder,
        hosting,
        f"demo-site-{os.getpid()}",
        files,
        only=("auth", "firestore", "hosting"),
        firestore=firestore,
    ) as running:
        yield running


def test_scripts_and_init_js_sign_in_and_write_under_the_rules(browser: Browser, site: Site) -> None:
    """What a page of production does, with one word more in the address of init.js, and no network."""
    page = browser.open(url=f"http://{site.suite.address('hosting')}/compat")
    found = page.run(
        """async () => {
          const { user } = await firebase.auth().signInAnonymously();
          const own = firebase.firestore().doc(`users/${user.uid}`);
          await own.set({ from: "compat" });
          const other = await firebase.firestore().doc("users/other").get().then(() => "read", (error) => error.code);
          return { own: (await own.get()).data(), other };
        }"""
    )
    assert found == {"own": {"from": "compat"}, "other": "permission-denied"}


def test_modules_import_each_other_from_the_site(browser: Browser, site: Site) -> None:
    """One copy of the SDK, and none of it from the network, which this browser does not have."""
    page = browser.open(url=f"http://{site.suite.address('hosting')}/modular")
    host, _, port = site.suite.address("firestore").rpartition(":")
    page.run("async () => { while (!window.use) await new Promise((next) => requestAnimationFrame(next)); }")
    found = page.run("(auth, host, port) => window.use(auth, host, port)", site.suite.address("auth"), host, int(port))
    assert found == {"from": "modular"}


def test_a_page_of_the_site_steers_nothing(browser: Browser, site: Site) -> None:
    """It may call services as an app does; what takes an administrator is refused, also by a request it cannot read."""
    page = browser.open(url=f"http://{site.suite.address('hosting')}/compat")
    told = page.run(
        """async (hub, firestore, project) => {
          const ask = (url, options) => fetch(url, options).then((answer) => answer.status, () => "unreadable");
          return [
            await ask(`http://${hub}/control/reset`, { method: "POST" }),
            await ask(`http://${hub}/emulators`),
            await ask(`http://${firestore}/emulator/v1/projects/${project}/databases/(default)/documents`, {
              method: "DELETE" }),
            await ask("/__/firebase/init.json", { headers: { authorization: "Bearer owner" } }),
          ];
        }""",
        site.suite.address("hub"),
        site.suite.address("firestore"),
        site.suite.suite.project_id,
    )
    assert told == ["unreadable", 200, "unreadable", 403]
