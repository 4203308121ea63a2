"""Tokens and sessions in time: renewed before their end, once for all who ask, and kept between runs."""

from __future__ import annotations

import asyncio
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage_client import AuthError, FirebaseApp, FirebaseOptions
from afterimage_client.auth import FileStore, KeyringStore, MemoryStore, User, default_store
from afterimage_client.auth.session import Session, read_claims
from afterimage_client.freshness import Instant, Lifetime, SingleFlight
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from tests.client.conftest import Apps


@dataclass
class Clock:
    """The machine's two clocks, in a test's hands."""

    wall: float = 1_000_000.0
    monotonic: float = 50.0

    def __call__(self) -> Instant:
        return Instant(self.wall, self.monotonic)

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


async def renewals(apps: Apps, app: FirebaseApp, ask: int = 1) -> int:
    """How many renewals the server sees while so many ask for a token at once."""
    apps.suite.add_fault(FaultRule(action="stall", match={"resource": "/securetoken*"}, seconds=0.01))
    try:
        tokens = await asyncio.gather(*(app.auth.id_token() for _ in range(ask)))
        assert len(set(tokens)) == 1
        return matched(apps)
    finally:
        apps.suite.clear_faults()


def matched(apps: Apps) -> int:
    """How many requests met a fault."""
    return sum(fault["matched"] for fault in apps.suite.call(apps.suite.suite.faults.listing))


async def test_a_token_is_renewed_before_its_end_and_once_for_all(apps: Apps) -> None:
    """Five minutes before; a hundred who ask at once cause one request."""
    clock = Clock()
    app = await apps.open(now=clock)
    await app.auth.sign_in_anonymously()
    clock.advance(3600 - 301)
    assert await renewals(apps, app) == 0
    clock.advance(2)
    assert await renewals(apps, app, ask=100) == 1
    assert await renewals(apps, app) == 0


async def test_clocks_that_differ_from_the_servers_do_not_matter(apps: Apps) -> None:
    """Years behind or ahead: only how much time has passed here counts."""
    for wall in (0.0, 1e10):
        app = await apps.open(now=Clock(wall=wall))
        await app.auth.sign_in_anonymously()
        assert await renewals(apps, app) == 0


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
async def test_a_clock_that_jumps_causes_a_renewal_and_no_stale_token(jump: float, apps: Apps) -> None:
    """After a jump nobody knows how old the token is."""
    clock = Clock()
    app = await apps.open(now=clock)
    await app.auth.sign_in_anonymously()
    clock.wall += jump
    assert await renewals(apps, app) == 1
    assert await renewals(apps, app) == 0


async def test_without_network_a_token_is_used_until_its_very_end(apps: Apps) -> None:
    """The renewal is early, so there are five minutes in which it may fail."""
    clock = Clock()
    app = await apps.open(now=clock)
    await app.auth.sign_in_anonymously()
    token = await app.auth.id_token()
    clock.advance(3600 - 100)
    apps.suite.add_fault(FaultRule(action="fail", match={"resource": "/securetoken*"}, code=Code.UNAVAILABLE))
    try:
        assert await app.auth.id_token() == token
        clock.advance(100)
        with pytest.raises(AuthError) as caught:
            await app.auth.id_token()
        assert caught.value.is_transient
        assert app.auth.current_user is not None
    finally:
        apps.suite.clear_faults()
    assert await app.auth.id_token() is not None


async def test_a_session_is_taken_up_by_the_next_run(apps: Apps, tmp_path: Path) -> None:
    """From a file that only its owner can read, without the ID token in it."""
    file = FileStore(tmp_path / "deep" / "session.json")
    first = await apps.open(store=file)
    user = await first.auth.sign_in_anonymously()
    token = await first.auth.id_token()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert token is not None
    assert token not in file.path.read_text()
    await first.close()
    second = await apps.open(store=file)
    assert second.auth.current_user == user
    assert read_claims(await second.auth.id_token() or "")["user_id"] == user.uid
    await second.auth.sign_out()
    assert not file.path.exists()
    assert (await apps.open(store=file)).auth.current_user is None


async def test_a_session_file_that_others_can_read_is_refused(apps: Apps, tmp_path: Path) -> None:
    """Whoever could read it could sign in with it: the user is told how to mend it."""
    file = FileStore(tmp_path / "session.json")
    app = await apps.open(store=file)
    await app.auth.sign_in_anonymously()
    file.path.chmod(0o644)
    with pytest.raises(AuthError, match="chmod 600"):
        await apps.open(store=file)


@given(st.text())
def test_a_damaged_session_signs_out_and_raises_nothing(text: str) -> None:
    """Whatever a disk made of it."""
    assert Session.from_text(text) is None


@given(st.builds(User, uid=st.text(min_size=1), email=st.none() | st.text(), is_anonymous=st.booleans()), st.text())
def test_a_session_reads_back(user: User, refresh_token: str) -> None:
    """All of the user, and what renews the token."""
    session = Session(user=user, refresh_token=f"renews:{refresh_token}")
    assert Session.from_text(session.to_text()) == session
    assert "renews:" not in repr(session)


class DictKeyring:
    """A keyring as the package `keyring` has them."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, account: str) -> str | None:
        return self.kept.get((service, account))

    def set_password(self, service: str, account: str, text: str) -> None:
        self.kept[service, account] = text

    def delete_password(self, service: str, account: str) -> None:
        del self.kept[service, account]


async def test_a_keyring_keeps_sessions_apart(apps: Apps) -> None:
    """One entry for each account of each project."""
    keyring = DictKeyring()
    store = KeyringStore("a", keyring=keyring)
    app = await apps.open(store=store)
    user = await app.auth.sign_in_anonymously()
    assert (await apps.open(store=KeyringStore("a", keyring=keyring))).auth.current_user == user
    assert (await apps.open(store=KeyringStore("b", keyring=keyring))).auth.current_user is None
    await app.auth.sign_out()
    await app.auth.sign_out()
    assert keyring.kept == {}


def test_the_file_is_the_default_where_there_is_no_keyring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the user's data folder, by project, key, name and emulator."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    paths = set()
    for host in ("", "127.0.0.1:9099"):
        monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", host)
        for name in ("default", "other"):
            store = default_store(FirebaseOptions(project_id="p", api_key="k", name=name))
            assert isinstance(store, FileStore)
            if os.name == "posix" and os.uname().sysname == "Linux":
                assert store.path.is_relative_to(tmp_path)
            paths.add(store.path)
    assert len(paths) == 4


@pytest.mark.parametrize("leaves_at_once", [True, False], ids=["before the request", "while it is answered"])
async def test_another_user_who_signs_in_meanwhile_is_the_one_whose_token_is_used(
    leaves_at_once: bool, apps: Apps
) -> None:
    """A renewal that comes back late is nobody's any more."""
    clock = Clock()
    app = await apps.open(now=clock)
    await app.auth.sign_in_anonymously()
    await app.auth.sign_out()
    first = await app.auth.sign_in_anonymously()
    clock.advance(3500)
    apps.suite.add_fault(FaultRule(action="stall", match={"resource": "/securetoken*"}, seconds=0.3))
    try:
        late = asyncio.ensure_future(app.auth.id_token())
        while not leaves_at_once and not matched(apps):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        await app.auth.sign_out()
        second = await app.auth.sign_in_anonymously()
        assert second.uid != first.uid
        token = await late
        if leaves_at_once:
            assert token is None, "there was nobody when the token was asked for"
        else:
            assert read_claims(token or "")["user_id"] == second.uid
        assert read_claims(await app.auth.id_token() or "")["user_id"] == second.uid
    finally:
        apps.suite.clear_faults()
    assert app.auth.current_user == second


@given(st.floats(0, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1e6), st.floats(1, 1e5))
def test_a_token_that_is_over_always_needs_renewal(since: float, jump: float, slept: float, seconds: float) -> None:
    """On whichever clock; needing one is never later than being over."""
    received = Instant(1e7, 100.0)
    now = Instant(received.wall + since + jump + slept, received.monotonic + since)
    lifetime = Lifetime(received, seconds)
    assert lifetime.needs_renewal(now) or not lifetime.is_over(now)
    assert lifetime.is_over(now) or since < seconds + 1e-3


async def test_one_who_gives_up_does_not_end_it_for_the_others() -> None:
    """The flight belongs to all who wait for it; a failure reaches each of them, and the next starts anew."""
    gate = asyncio.Event()
    flight: SingleFlight[int] = SingleFlight()
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        await gate.wait()
        if runs == 1:
            raise LookupError
        return runs

    waiting = [asyncio.ensure_future(flight.run(work)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    gate.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, LookupError, LookupError]
    assert await flight.run(work) == 2


def test_memory_forgets_what_it_is_told_to() -> None:
    """The store for programs that want nothing kept."""
    store = MemoryStore()
    store.save("x")
    assert store.load() == "x"
    store.clear()
    assert store.load() is None
