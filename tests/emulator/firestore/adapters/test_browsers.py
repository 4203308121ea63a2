"""The official SDKs in a real browser: what they do in Node, and what only a browser has; see tests/browser/page.py."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.cloud import firestore

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.firestore.adapters.web_channel import IDLE_LIMIT_SECONDS
from afterimage_emulator.front.allowed_pages import AllowedPages
from afterimage_emulator.suite import Suite
from tests.browser.page import Browser, Page
from tests.emulator.firestore.adapters.bad_network import BadNetwork, Treatment
from tests.emulator.firestore.conftest import RunningFirestore

CASES = """async (port, project, settings) => {
  const { casesInThisPage } = await import("/node/firestore_in_pages.mjs");
  return casesInThisPage(port, project, settings);
}"""
LISTEN = """async (port, project, settings) => {
  const { connected, watched } = await import("/node/firestore_in_pages.mjs");
  window.client = await connected(port, project, { settings });
  const { db, sdk } = window.client;
  window.rooms = watched(sdk, sdk.collection(db, "rooms"), { includeMetadataChanges: true });
  return (await window.rooms.until((s) => !s.metadata.fromCache)).size;
}"""
UNTIL_SIZE = "async (size) => (await window.rooms.until((s) => s.size === size && !s.metadata.fromCache)).size"


def port_of(running: RunningFirestore) -> int:
    return int(running.address.rpartition(":")[2])


@contextmanager
def bad_network(running: RunningFirestore, treatment: Treatment) -> Iterator[BadNetwork]:
    network = BadNetwork(running.address, treatment)
    yield network
    network.close()


# -- what the client does anywhere


@pytest.mark.parametrize(
    ("sdk", "settings"),
    [("12", {}), ("13", {}), ("12", {"experimentalForceLongPolling": True})],
    ids=["12", "13", "long polling"],
)
def test_the_client_does_in_a_browser_what_it_does_in_node(
    browser: Browser, running: RunningFirestore, project: str, sdk: str, settings: dict[str, Any]
) -> None:
    """Every shared case: values, queries, latency compensation, transactions, offline and back, many listeners."""
    outcomes = browser.open(sdk=sdk).run(CASES, port_of(running), project, settings, timeout_seconds=120)
    assert len(outcomes) > 8
    assert {name: outcome for name, outcome in outcomes.items() if outcome != "passed"} == {}


COMPAT = """async (port, project, version) => {
  for (const name of ["app", "firestore"]) {
    await new Promise((resolve, reject) => {
      const src = `/${version}/firebase-${name}-compat.js`;
      document.head.append(Object.assign(document.createElement("script"), { src, onload: resolve, onerror: reject }));
    });
  }
  const db = firebase.initializeApp({ projectId: project, apiKey: "x" }).firestore();
  db.useEmulator("127.0.0.1", port);
  const place = db.doc("rooms/a");
  const sizes = [];
  const grown = new Promise((resolve) => {
    db.collection("rooms").onSnapshot((s) => { sizes.push(s.size); if (s.size === 2) resolve(); });
  });
  await place.set({ n: 1, at: firebase.firestore.FieldValue.serverTimestamp() });
  await db.runTransaction(async (t) => { t.update(place, { n: (await t.get(place)).get("n") + 1 }); });
  await db.disableNetwork();
  const offline = db.doc("rooms/b").set({ n: 5 });
  await db.enableNetwork();
  await offline;
  await grown;
  const found = (await db.collection("rooms").where("n", ">", 1).orderBy("n").get({ source: "server" })).docs;
  await db.terminate();
  return [found.map((d) => d.get("n")), sizes.at(-1), firebase.SDK_VERSION.split(".")[0]];
}"""


@pytest.mark.parametrize("sdk", ["12", "13"])
def test_the_compat_sdk_works_too(browser: Browser, running: RunningFirestore, project: str, sdk: str) -> None:
    """The older interface, loaded as scripts, over the same wire."""
    assert browser.open(sdk=sdk).run(COMPAT, port_of(running), project, sdk) == [[2, 5], 2, sdk]


# -- what only a browser has

PERSISTENT = """async (port, project, offline) => {
  const { connected, watched } = await import("/node/firestore_in_pages.mjs");
  const settings = (sdk) => ({
    localCache: sdk.persistentLocalCache({ tabManager: sdk.persistentMultipleTabManager() }),
  });
  window.client = await connected(port, project, { settings });
  const { db, sdk } = window.client;
  if (offline) await sdk.disableNetwork(db);
  window.rooms = watched(sdk, sdk.collection(db, "rooms"), { includeMetadataChanges: true });
}"""


def test_what_a_page_wrote_offline_survives_a_reload(
    browser: Browser, running: RunningFirestore, project: str, client: firestore.Client
) -> None:
    """IndexedDB keeps what was read and what waits to be sent; the page after the reload sends it."""
    client.document("rooms/a").set({"n": 1})
    page = browser.open()
    page.run(PERSISTENT, port_of(running), project, False)
    page.run(UNTIL_SIZE, 1)
    page.run("""async () => {
      const { db, sdk } = window.client;
      await sdk.disableNetwork(db);
      sdk.setDoc(sdk.doc(db, "rooms/b"), { n: 2 });
      await window.rooms.until((s) => s.size === 2);
    }""")
    page.reload()
    page.run(PERSISTENT, port_of(running), project, True)
    kept = page.run("""async () => {
      const s = await window.rooms.until((s) => s.size === 2);
      return [s.metadata.fromCache, s.metadata.hasPendingWrites, s.docs.map((d) => d.get("n"))];
    }""")
    assert kept == [True, True, [1, 2]]
    assert not client.document("rooms/b").get().exists
    page.run("""async () => {
      const { db, sdk } = window.client;
      await sdk.enableNetwork(db);
      await sdk.waitForPendingWrites(db);
    }""")
    assert client.document("rooms/b").get().get("n") == 2


def test_tabs_share_one_connection_and_survive_each_other(
    browser: Browser, running: RunningFirestore, project: str, client: firestore.Client
) -> None:
    """With persistence one tab speaks for all; when it is closed another takes over."""
    first, second = browser.open(), browser.open()
    first.run(PERSISTENT, port_of(running), project, False)
    second.run(PERSISTENT, port_of(running), project, False)
    client.document("rooms/a").set({"n": 1})
    for page in (first, second):
        page.run(UNTIL_SIZE, 1)
    second.run("""async () => {
      const { db, sdk } = window.client;
      await sdk.setDoc(sdk.doc(db, "rooms/b"), { n: 2 });
    }""")
    assert first.run(UNTIL_SIZE, 2) == 2
    first.go("about:blank")
    client.document("rooms/c").set({"n": 3})
    assert second.run(UNTIL_SIZE, 3) == 3


def test_many_tabs_without_shared_persistence_all_work(
    browser: Browser, running: RunningFirestore, project: str, client: firestore.Client
) -> None:
    """Each tab keeps a connection waiting, and a browser has six: the suite lets answers take turns."""
    pages = [browser.open() for _ in range(8)]
    for page in pages:
        page.run(LISTEN, port_of(running), project, {})
    for n, page in enumerate(pages[:4], 1):
        page.run(
            """async (n) => {
              const { db, sdk } = window.client;
              await sdk.setDoc(sdk.doc(db, `rooms/r${n}`), { n });
            }""",
            n,
        )
        for each in pages:
            each.run(UNTIL_SIZE, n)
    assert len(client.collection("rooms").get()) == 4


def test_a_page_that_goes_away_leaves_nothing_behind(
    browser: Browser, project: str, own_firestore: RunningFirestore
) -> None:
    """What a page ends itself ends at once; what it leaves open when it is closed goes when it has been idle."""
    sessions = own_firestore.service.web_channel.session_count
    page = browser.open()
    page.run(LISTEN, port_of(own_firestore), project, {})
    assert own_firestore.call(sessions) == 1
    page.run("async () => { await window.client.sdk.terminate(window.client.db); }")
    page.run("async (port) => { await fetch(`http://127.0.0.1:${port}/`); }", port_of(own_firestore))
    assert own_firestore.call(sessions) == 0
    page.reload()
    page.run(LISTEN, port_of(own_firestore), project, {})
    page.go("about:blank")
    assert own_firestore.call(sessions) == 1
    while own_firestore.call(sessions):
        own_firestore.call(lambda: own_firestore.clock.advance(IDLE_LIMIT_SECONDS))


def test_a_listener_lives_for_hours(browser: Browser, project: str, own_firestore: RunningFirestore) -> None:
    """By the suite's clock: heartbeats come and go, and the page still hears the next change, on the same stream."""
    page = browser.open()
    page.run(LISTEN, port_of(own_firestore), project, {})
    for _ in range(24):
        own_firestore.call(lambda: own_firestore.clock.advance(3600))
    page.run("""async () => {
      const { db, sdk } = window.client;
      await sdk.setDoc(sdk.doc(db, "rooms/a"), { n: 1 });
    }""")
    assert page.run(UNTIL_SIZE, 1) == 1


@pytest.fixture
def own_firestore() -> Iterator[RunningFirestore]:
    """For tests that move the clock or count what is open."""
    service = RunningFirestore()
    service.start()
    yield service
    service.stop()


# -- whose pages


@pytest.mark.parametrize("origin", ["http://localhost:5173", "https://app.test"])
def test_pages_of_development_servers_and_listed_ones_work(browser: Browser, tmp_path: Path, origin: str) -> None:
    """Streams, writes, and reads over REST with credentials, from an origin that is not the service's own."""
    with suite_for(tmp_path, "https://app.test") as suite:
        port = int(suite.address("firestore").rpartition(":")[2])
        page = browser.open(origin=origin)
        page.run(LISTEN, port, suite.project_id, {})
        counted = page.run(
            """async (port, project) => {
              const { db, sdk } = window.client;
              await sdk.setDoc(sdk.doc(db, "rooms/a"), { n: 1 });
              await window.rooms.until((s) => s.size === 1 && !s.metadata.hasPendingWrites);
              const root = `http://127.0.0.1:${port}/v1/projects/${project}/databases/(default)/documents`;
              const read = await fetch(`${root}/rooms/a`, { credentials: "include" });
              const headers = { "content-type": "application/json" };
              const asked = await fetch(`${root}:runQuery`, {
                method: "POST", credentials: "include", headers,
                body: JSON.stringify({ structuredQuery: { from: [{ collectionId: "rooms" }] } }),
              });
              const { count } = (await sdk.getCountFromServer(sdk.collection(db, "rooms"))).data();
              return [(await read.json()).fields.n.integerValue, (await asked.json()).length, count];
            }""",
            port,
            suite.project_id,
        )
        assert counted == ["1", 1, 1]
        assert not [line for line in page.console if "error" in line.lower()]


def test_pages_of_other_sites_are_refused_and_the_suite_says_so(
    browser: Browser, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a stream nor a read; one line on the suite's console names the page and the way out."""
    with suite_for(tmp_path, "https://app.test") as suite:
        port = int(suite.address("firestore").rpartition(":")[2])
        page = browser.open(origin="https://evil.example")
        failed = page.run(
            """async (port) => {
              const path = `http://127.0.0.1:${port}/google.firestore.v1.Firestore/Listen/channel?VER=8&RID=1`;
              const headers = { "content-type": "application/x-www-form-urlencoded" };
              return await fetch(path, { method: "POST", headers, body: "count=0" }).then(() => "", (e) => e.message);
            }""",
            port,
        )
        assert failed == "Failed to fetch"
        assert suite.call(suite.suite.services["firestore"].web_channel.session_count) == 0
    assert "https://evil.example" in caplog.text
    assert "--allow-origin" in caplog.text


@contextmanager
def suite_for(folder: Path, *origins: str) -> Iterator[BackgroundSuite]:
    configuration = Configuration(root=folder, project_id="demo-pages")
    allowed = AllowedPages.read({}, origins=origins)
    with BackgroundSuite(Suite(configuration, only=("firestore", "auth"), free_ports=True, allowed=allowed)) as suite:
        yield suite


USERS = """
rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    match /users/{uid} { allow read, write: if request.auth.uid == uid; }
  }
}
"""
SIGNED_IN = """async (port, authPort, projectId) => {
  const { connected, watched } = await import("/node/firestore_in_pages.mjs");
  const auth = await import("firebase/auth");
  const { app, db, sdk } = await connected(port, projectId);
  const service = auth.getAuth(app);
  auth.connectAuthEmulator(service, `http://127.0.0.1:${authPort}`, { disableWarnings: true });
  const numbers = [];
  const uids = [];
  for (const turn of [1, 2]) {
    const { user } = await auth.signInAnonymously(service);
    uids.push(user.uid);
    const place = sdk.doc(db, "users", user.uid);
    const mine = watched(sdk, place, { includeMetadataChanges: true });
    await sdk.setDoc(place, { n: turn });
    numbers.push((await mine.until((s) => s.exists() && !s.metadata.hasPendingWrites)).get("n"));
    await user.getIdToken(true);
    await sdk.updateDoc(place, { n: sdk.increment(10) });
    numbers.push((await mine.until((s) => s.get("n") > 10)).get("n"));
    mine.stop();
    const theirs = sdk.doc(db, "users", turn === 1 ? "somebody" : uids[0]);
    numbers.push(await watched(sdk, theirs).until((s) => !s.metadata.fromCache).then(() => "read", (e) => e.code));
    await auth.signOut(service);
  }
  return numbers;
}"""


def test_streams_go_on_with_new_tokens_and_follow_who_is_signed_in(browser: Browser, tmp_path: Path) -> None:
    """A token refreshed in mid-stream, then another user: rules judge each stream by the token that opened it."""
    (tmp_path / "firestore.rules").write_text(USERS)
    with suite_for(tmp_path) as suite:
        service = suite.suite.services["firestore"]
        suite.call(lambda: service.rules.load(suite.project_id, USERS, file_name="firestore.rules"))
        ports = [int(suite.address(name).rpartition(":")[2]) for name in ("firestore", "auth")]
        found = browser.open().run(SIGNED_IN, *ports, suite.project_id)
    assert found == [1, 11, "permission-denied", 2, 12, "permission-denied"]


# -- networks

WRITES = """async (count, total) => {
  const { db, sdk } = window.client;
  const place = sdk.doc(db, "rooms/counted");
  await Promise.all([...Array(count)].map(() => sdk.setDoc(place, { n: sdk.increment(1) }, { merge: true })));
  return (await window.rooms.until((s) => s.docs[0]?.get("n") === total && !s.metadata.hasPendingWrites)).size;
}"""

WORST = {"cut", "lose"}


@pytest.mark.parametrize("seed", range(2))
def test_a_bad_network_loses_no_write_and_makes_none_twice(
    browser: Browser, running: RunningFirestore, project: str, client: firestore.Client, seed: int
) -> None:
    """Delays, cuts, repeated requests and lost answers between page and service: each increment is made once."""
    chance = random.Random(seed)
    last = ""

    def treat(method: str, target: str) -> str:
        nonlocal last
        if "SID=" not in target or "TYPE=terminate" in target:
            return "delay"
        if method == "GET":
            return chance.choice(["cut", "cut", "delay"])
        # Two lost in a row, and the client waits for many seconds.
        last = chance.choice(["pass", "delay", "repeat", *([] if last == "lose" else ["lose", "lose"])])
        return last

    with bad_network(running, treat) as network:
        page = browser.open()
        page.run(LISTEN, network.port, project, {})
        total = 0
        # A busy machine puts many writes into few requests: as many rounds as it takes to meet the worst.
        while total < 30 or (total < 200 and not {treatment for _, _, treatment in network.seen} >= WORST):
            total += 10
            assert page.run(WRITES, 10, total, timeout_seconds=120) == 1
        assert client.document("rooms/counted").get().get("n") == total
        page.go("about:blank")
    assert {treatment for _, _, treatment in network.seen} >= WORST


def test_a_buffering_proxy_is_noticed_and_lived_with(
    browser: Browser, running: RunningFirestore, project: str, client: firestore.Client
) -> None:
    """Answers that come only when they are complete: the client turns to long polling, and hears each change."""
    with bad_network(running, lambda method, target: "hold") as network:
        page = browser.open()
        page.run(LISTEN, network.port, project, {})
        for n in range(3):
            client.document(f"rooms/r{n}").set({"n": n})
            assert page.run(UNTIL_SIZE, n + 1) == n + 1
        page.go("about:blank")
    assert any("CI=1" in target for _, target, _ in network.seen)


def test_a_network_that_goes_and_comes_back(
    browser: Browser, running: RunningFirestore, project: str, client: firestore.Client
) -> None:
    """As the browser has it: offline events, requests that fail; what was written meanwhile goes out and comes in."""
    page = browser.open()
    page.run(LISTEN, port_of(running), project, {})
    page.go_offline()
    page.run("""async () => {
      const { db, sdk } = window.client;
      window.written = sdk.setDoc(sdk.doc(db, "rooms/mine"), { n: 1 });
    }""")
    client.document("rooms/theirs").set({"n": 2})
    page.go_offline(offline=False)
    page.run("() => window.written")
    assert page.run(UNTIL_SIZE, 2) == 2


def reconnect(page: Page, times: int) -> int:
    found: int = page.run(
        """async (times) => {
          const { db, sdk } = window.client;
          for (let n = 1; n <= times; n++) {
            await sdk.disableNetwork(db);
            await window.rooms.until((s) => s.metadata.fromCache);
            await sdk.enableNetwork(db);
            await window.rooms.until((s) => !s.metadata.fromCache);
            if (n % 50 === 0 || n === times) {
              await sdk.setDoc(sdk.doc(db, "rooms/a"), { n });
              await window.rooms.until((s) => s.docs[0]?.get("n") === n && !s.metadata.hasPendingWrites);
            }
          }
          return (await sdk.getDocFromServer(sdk.doc(db, "rooms/a"))).get("n");
        }""",
        times,
        timeout_seconds=600,
    )
    return found


@pytest.mark.parametrize("times", [30, pytest.param(1000, marks=pytest.mark.soak)])
def test_a_client_that_reconnects_again_and_again(
    browser: Browser, project: str, own_firestore: RunningFirestore, times: int
) -> None:
    """Every session that it left is gone, its targets with it, and the last one hears."""
    with bad_network(own_firestore, lambda method, target: "pass") as network:
        page = browser.open()
        page.run(LISTEN, network.port, project, {})
        assert reconnect(page, times) == times
        page.run("async () => { await window.client.sdk.terminate(window.client.db); }")
        page.run("async (port) => { await fetch(`http://127.0.0.1:${port}/`); }", network.port)
    opened = [target for method, target, _ in network.seen if method == "POST" and "/Listen/channel?VER=8" in target]
    assert len([target for target in opened if "SID=" not in target]) > times
    assert own_firestore.call(own_firestore.service.web_channel.session_count) == 0
    assert own_firestore.call(own_firestore.service.listeners.target_count) == 0
