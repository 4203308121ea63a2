"""Permissions at rest: sealed to their user, wrapped by a keeper, put under newer keys, given back with an erasure."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from afterimage.drive_paths import drive_begun_path, drive_link_path
from afterimage.edges.drive.composition import key_keeper
from afterimage.edges.drive.faults import DriveBusyError, KeyUnknownError
from afterimage.edges.drive.keys.cloud_kms import CloudKms
from afterimage.edges.drive.keys.key_file import KeyFile, add_key, read_key_file
from afterimage.edges.drive.keys.key_rotation import RewrapJob
from afterimage.edges.drive.keys.sealing import KeyKeeper, Sealer
from afterimage.faults import PermanentError
from afterimage.jobs.erase import Erase
from afterimage.jobs.progress import Jobs
from afterimage.media.pipeline import Pipeline
from afterimage.publications.publications import Publications
from afterimage.settings import SettingsError, read_settings
from afterimage.store.documents import Change
from tests.functions.drive.drive_world import DriveWorld, drive_world
from tests.functions.drive.google_server import Fault, GoogleServer, served
from tests.functions.drive.test_cut_anywhere import quiet, saved_twice
from tests.functions.drive.test_side_by_side import between
from tests.functions.media.test_once import SETTINGS
from tests.functions.media_world import World

KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/drive"


@pytest.fixture(params=["file", "kms"])
def keeper(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyKeeper]:
    """Both keepers keep the same promises; Cloud KMS over a socket, held against its published description."""
    if request.param == "file":
        add_key(tmp_path / "keys.json")
        yield read_key_file(tmp_path / "keys.json")
        return
    with served(GoogleServer()) as google:
        google.consents.own.append("ours")
        yield CloudKms(name=KEY, token=lambda: "ours", api=google.url)
        assert google.broken_contracts == []


def test_what_is_sealed_opens_for_its_user_and_provider_alone(keeper: KeyKeeper) -> None:
    """Copied into another user's document, or touched in any byte, it does not open; each sealing differs."""
    sealer = Sealer(keeper=keeper, provider="google_drive")
    stored = sealer.seal("ana", "the permission")
    assert "permission" not in json.dumps(stored)
    assert sealer.open("ana", stored) == "the permission"
    assert sealer.seal("ana", "the permission")["sealed"] != stored["sealed"]
    for other in (Sealer(keeper=keeper, provider="dropbox"), sealer):
        with pytest.raises(KeyUnknownError):
            other.open("eve" if other is sealer else "ana", stored)
    for name in ("sealed", "key"):
        touched = bytearray(stored[name].encode())
        touched[20] ^= 1
        with pytest.raises(KeyUnknownError):
            sealer.open("ana", {**stored, name: b64encode(bytes(touched)).decode()})


def test_a_key_file_is_its_owner_s_alone_and_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    """Bad files are refused by name, with what to do; a new key leaves the older ones where they are."""
    path = tmp_path / "keys.json"
    with pytest.raises(SettingsError, match="cannot be read"):
        read_key_file(path)
    first = add_key(path)
    second = add_key(path)
    found = read_key_file(path)
    assert (found.current, set(found.keys)) == (second, {first, second})
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="open to others"):
        read_key_file(path)
    good = {"current": "a", "keys": {"a": b64encode(os.urandom(32)).decode()}}
    for bad in ("", "[]", "{}", json.dumps({**good, "current": "b"}), json.dumps({**good, "keys": {"a": "c2hvcnQ="}})):
        path.write_text(bad)
        path.chmod(0o600)
        with pytest.raises(SettingsError, match="key file"):
            read_key_file(path)


def test_a_key_that_cloud_kms_damages_on_its_way_is_not_taken(tmp_path: Path) -> None:
    """Checksums go both ways: what arrives damaged is asked for again, and never sealed with."""
    with served(GoogleServer()) as google:
        google.consents.own.append("ours")
        keeper = CloudKms(name=KEY, token=lambda: "ours", api=google.url)
        wrapped = keeper.wrap(b"k" * 32, b"about")
        assert keeper.unwrap(wrapped, b"about") == b"k" * 32
        google.faults = [Fault(status=503), Fault(status=403), Fault(gives=40)]
        for _ in range(3):
            with pytest.raises(DriveBusyError):
                keeper.unwrap(wrapped, b"about")
    with pytest.raises(SettingsError, match="no key of Cloud KMS"):
        CloudKms(name="projects/p/keys/k", token=lambda: "")


def test_cloud_kms_is_asked_as_the_account_that_the_functions_run_as(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The credentials of the environment make the token; a rotation at Cloud KMS is known by its own answer."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with served(GoogleServer()) as google:
        account = {"type": "service_account", "project_id": "p", "private_key_id": "1", "private_key": pem}
        account |= {"client_email": "drive@p.iam.gserviceaccount.com", "token_uri": f"{google.url}/token"}
        (tmp_path / "account.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
        settings = read_settings({
            "GCLOUD_PROJECT": "p", "GOOGLE_CLIENT_ID": "app", "GOOGLE_REDIRECT_URI": "https://a.example/callback",
            "DRIVE_KEY": KEY, "CLOUD_KMS_URL": google.url,
        })  # fmt: skip
        assert settings.drive is not None
        keeper = key_keeper(settings.drive)
        wrapped = keeper.wrap(b"k" * 32, b"about")
        assert keeper.rewrapped(wrapped, b"about") is None
        google.kms_versions.append(AESGCM.generate_key(256))
        newer = keeper.rewrapped(wrapped, b"about")
        assert newer is not None
        assert (wrapped.version, newer.version) == ("1", "2")
        assert keeper.unwrap(newer, b"about") == b"k" * 32
        assert len(google.consents.own) == 1, "a token is asked for once, and kept"
        assert google.broken_contracts == []


def run_jobs(world: DriveWorld, kind: str, work: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    topic = [dict(body)]
    jobs = Jobs(kind=kind, documents=world.desk.store, publish=lambda _topic, more: topic.append(dict(more)))
    while topic:
        jobs.receive(topic.pop(0), "message", work)
    [job] = [fields for path, (fields, *_) in world.desk.store.documents.items() if path.startswith("_jobs/")]
    for path in [path for path in world.desk.store.documents if path.startswith("_jobs/")]:
        del world.desk.store.documents[path]
    return job


def test_rotation_puts_every_permission_under_the_newest_key_while_work_goes_on(tmp_path: Path) -> None:
    """Afterwards the old key can be destroyed; a permission that nothing opens is named, and keeps no other back."""
    path = tmp_path / "keys.json"
    add_key(path)
    with drive_world(keeper=read_key_file(path)) as world:
        for number in range(5):
            world.link(f"user-{number}", f"{number}@example.com")
        world.desk.store.commit([Change(path=drive_link_path("user-3"), put={"permission": {
            "key_version": "lost", "key": "AAAA", "sealed": "AAAA"}})])  # fmt: skip
        new = add_key(path)
        world.keeper = read_key_file(path)
        world.restart()
        job = run_jobs(world, "drive.rewrap", RewrapJob(links=world.links, page=2).turn, {})
        assert (job["state"], job["counts"]) == ("done", {"looked at": 5, "rewrapped": 4})
        assert len(job["failures"]) == 1
        assert "user-3" in job["failures"][0]
        world.keeper = KeyFile(current=new, keys={new: read_key_file(path).keys[new]})
        world.restart()
        assert "rewrapped" not in run_jobs(world, "drive.rewrap", RewrapJob(links=world.links).turn, {})["counts"]
        link = world.links.opened("user-1")
        assert link is not None
        assert world.links.api_of(link).about().user.email_address == "1@example.com"
        with pytest.raises(PermanentError, match="takes nothing"):
            run_jobs(world, "drive.rewrap", RewrapJob(links=world.links).turn, {"all": True})


def test_a_key_that_is_missing_breaks_nobody_s_link(world: DriveWorld) -> None:
    """An operator brings it back, and everything goes on: no user has to link anew."""
    world.link()
    file = world.desk.save(b"1").head.file
    world.keeper = KeyFile(current="other", keys={"other": b"o" * 32})
    world.restart()
    world.work()
    assert world.shown()["state"] == "active"
    assert "one" in world.note(file)["error"]
    world.keeper = KeyFile(current="one", keys={"one": b"k" * 32})
    world.restart()
    world.settle()
    assert world.contents(file) == [b"1"]


def erase_of(world: DriveWorld) -> Erase:
    media = World(store=world.desk.store, uploads=world.desk.uploads)
    erase = Erase(
        pipeline=Pipeline(stores=media.stores(), settings=SETTINGS, workers=1),
        documents=world.desk.store,
        publications=Publications(documents=world.desk.store, has_cdn=False),
        drive_links=world.links,
    )
    # The doubles go on telling this world of each call.
    world.watch_stores()
    return erase


@pytest.mark.parametrize("wanted", range(3, 90, 6))
def test_nothing_comes_back_of_a_user_who_is_erased_while_a_file_is_under_way(wanted: int) -> None:
    """At any step: the work finds nothing to go on with, and writes nothing about the user any more."""
    with drive_world() as world:
        saved_twice(world)
        erase = erase_of(world)

        def gone() -> None:
            run_jobs(world, "user.erase", erase.turn, {"uid": "ana"})

        world.step = between(wanted, gone, world)
        world.work()
        world.step = quiet
        world.pass_time(minutes=11)
        world.work()
        assert [path for path in world.desk.store.documents if "ana" in path] == ["usage/ana"]
        assert world.notes() == {}


def test_a_user_who_is_erased_gives_the_permission_back_at_google(world: DriveWorld) -> None:
    """Taken back first and forgotten then; another user's link, queue and begun links stay; again changes nothing."""
    world.link()
    world.link("bob", "bob@example.com")
    begun = {user: world.links.begin(user)[0] for user in ("ana", "bob")}
    for user in ("ana", "bob"):
        world.desk.save(b"1", user=user)
    erase = erase_of(world)
    world.google.faults = [Fault(status=503)] * 3
    with pytest.raises(DriveBusyError):
        run_jobs(world, "user.erase", erase.turn, {"uid": "ana"})
    assert drive_link_path("ana") in world.desk.store.documents, "nothing is forgotten that Google still allows"
    for path in [path for path in world.desk.store.documents if path.startswith("_jobs/")]:
        del world.desk.store.documents[path]
    for _ in range(2):
        run_jobs(world, "user.erase", erase.turn, {"uid": "ana"})
        assert world.google.consents.revoked == ["ana@example.com"]
    left = [path for path in world.desk.store.documents if "ana" in path]
    assert left == ["usage/ana"]
    assert begun["ana"].path not in world.desk.store.documents
    assert begun["bob"].path in world.desk.store.documents
    assert {fields["uid"] for fields in world.notes().values()} == {"bob"}
    world.settle()
    assert drive_begun_path("x") not in world.desk.store.documents


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DRIVE_KEY": ""}, "DRIVE_KEY"),
        ({"GOOGLE_REDIRECT_URI": ""}, "GOOGLE_REDIRECT_URI"),
        ({"GOOGLE_REDIRECT_URI": "http://api.example.com/callback"}, "https://"),
        ({"GOOGLE_REDIRECT_URI": "https://api.example.com/#callback"}, "https://"),
        ({"GOOGLE_API_URL": "http://localhost.evil.example.com"}, "GOOGLE_API_URL"),
        ({"DRIVE_RETURN_URL": "javascript:alert(1)"}, "DRIVE_RETURN_URL"),
    ],
)
def test_settings_that_would_send_tokens_elsewhere_are_refused(variables: dict[str, str], said: str) -> None:
    """Tokens go over TLS or stay on this machine; what is missing is named."""
    good = {
        "GCLOUD_PROJECT": "p",
        "GOOGLE_CLIENT_ID": "app",
        "GOOGLE_REDIRECT_URI": "http://localhost:8000/api/phase5/auth/callback",
        "DRIVE_KEY": "keys.json",
    }
    assert read_settings(good).drive is not None
    assert read_settings({"GCLOUD_PROJECT": "p"}).drive is None
    with pytest.raises(SettingsError, match=said):
        read_settings({**good, **variables})


def test_a_key_of_cloud_kms_without_an_account_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before it is used: whoever looks at a link, or is sent back by Google, needs no key."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    settings = read_settings({
        "GCLOUD_PROJECT": "p", "GOOGLE_CLIENT_ID": "app", "GOOGLE_REDIRECT_URI": "https://a.example/callback",
        "DRIVE_KEY": "projects/p/locations/l/keyRings/r/cryptoKeys/k",
    })  # fmt: skip
    assert settings.drive is not None
    keeper = key_keeper(settings.drive)
    with pytest.raises(SettingsError, match="no account at Google"):
        keeper.wrap(b"k" * 32, b"about")
