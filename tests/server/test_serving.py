"""The server as an operator runs it: one command, tokens made by a command, killed, stopped, and started again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

from afterimage.settings import SettingsError
from afterimage_server.__main__ import main
from afterimage_server.configuration import read_server_settings
from afterimage_server.rooms.machine_routes import machine_table
from tests.client.quick_folder import quick_folder
from tests.server.server_process import ServerProcess, command

ROOT = "/api/phase5"
DATA = b"0123456789abcdef" * 40_000


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """One server for all tests here that do not end it."""
    with quick_folder() as folder:
        started = ServerProcess(folder / "machine").start()
        yield started
        assert started.stop() == 0


def finished(server: ServerProcess, path: str) -> Any:
    """An upload, once it is done."""
    found = server.call("GET", path)
    return found if found["state"] == "done" else None


def test_nobody_calls_without_a_token(server: ServerProcess) -> None:
    """Health and status are anybody's; every other route wants a token that a command made, and holds to its word."""
    http = server.http
    assert http.get(f"{server.address}/health").json() == {"status": "ok"}
    assert http.get(f"{server.address}{ROOT}/status").json()["status"] == "operational"
    for token in ("x", "afl_guessed", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbmEifQ.", server.token("ana")[:-1]):
        answer = http.get(f"{server.address}{ROOT}/storage/overview", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "AUTHENTICATION_FAILED")
    assert server.call("GET", f"{ROOT}/storage/overview")["local_storage"]["limit_bytes"] == 5 * 1024**3
    for path in ("/local/status", "/local/metrics", "/local/queue"):
        server.call("GET", path, expect=403)
    assert server.address.startswith("http://127.0.0.1:")


def test_the_description_names_every_route_that_is_served(server: ServerProcess) -> None:
    """This machine's own among them: whoever reads `/docs` or `/openapi.json` sees what there is."""
    description = server.http.get(f"{server.address}/openapi.json").json()
    validate(description)
    described = {(method.upper(), path) for path, methods in description["paths"].items() for method in methods}
    assert described == {(row.method, row.path) for row in machine_table().routes}
    assert ("POST", "/local/conflicts") in described
    assert "/local/queue" in server.http.get(f"{server.address}/docs").text


def test_a_token_is_made_and_taken_back_while_the_server_runs(
    server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    """By commands beside it: shown once, listed without being shown, refused from the moment it is taken back."""
    folder = ["--folder", str(server.folder), "token"]
    made = command(*folder, "add", "gone", "--note", "for a while", "--days", "1")
    token = server.tokens["gone"] = made.stdout.strip()
    server.call("GET", f"{ROOT}/storage/files", user="gone")
    assert main([*folder, "list"]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if "gone" in line]
    assert token not in line
    assert "for a while" in line
    assert main([*folder, "remove", line.split()[0]]) == 0
    server.call("GET", f"{ROOT}/storage/files", user="gone", expect=401)
    assert main([*folder, "remove", line.split()[0]]) == 1
    assert main([*folder, "add", "a/b"]) == 1
    said = capsys.readouterr().err
    assert "names no token" in said
    assert "`a/b` cannot be the id of a user" in said


def test_a_large_upload_becomes_a_version_by_itself(server: ServerProcess) -> None:
    """Announced, sent in two pieces past the API, looked at by the queue; down again whole and in part."""
    announced = server.call("POST", f"{ROOT}/storage/uploads", json={"files": [{"name": "b.txt", "size": len(DATA)}]})
    upload = announced["files"][0]["upload"]
    start = upload["start"]
    session = server.http.post(start["url"], headers=start["headers"]).headers["Location"]
    half = len(DATA) // 2
    for begin, piece in ((0, DATA[:half]), (half, DATA[half:])):
        place = f"bytes {begin}-{begin + len(piece) - 1}/{len(DATA)}"
        last = server.http.put(session, content=piece, headers={"Content-Range": place})
    assert last.status_code == 200
    asked = server.http.put(session, headers={"Content-Range": f"bytes */{len(DATA)}"})
    assert (asked.status_code, asked.json()) == (200, last.json()), "the answer was lost, and is asked for"
    path = f"{ROOT}/storage/uploads/{upload['upload_id']}"
    done = server.until(partial(finished, server, path))
    url = server.call("GET", f"{ROOT}/storage/files/{done['file_id']}/download")["url"]
    assert server.http.get(url).content == DATA
    part = server.http.get(url, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (
        206, DATA[100:200], f"bytes 100-199/{len(DATA)}",
    )  # fmt: skip
    assert server.http.get(url, headers={"Range": "bytes=-7"}).content == DATA[-7:]
    assert server.http.get(url, headers={"Range": f"bytes={len(DATA)}-"}).status_code == 416
    assert server.http.head(url).headers["content-length"] == str(len(DATA))


def test_an_address_is_good_for_one_thing(server: ServerProcess) -> None:
    """Another file, another type, a later end, a word added or said twice, another verb: refused."""
    file = server.call("POST", f"{ROOT}/storage/save-artifact", json={"text": "hello", "name": "a.txt"})
    url = server.call("GET", f"{ROOT}/storage/files/{file['file_id']}/download")["url"]
    answer = server.http.get(url)
    assert (answer.text, answer.headers["x-content-type-options"]) == ("hello", "nosniff")
    assert "sandbox" in answer.headers["content-security-policy"]
    expires = url.partition("expires=")[2].partition("&")[0]
    for other in (
        url.replace(file["sha256"], "0" * 64),
        url.replace("text%2Fplain", "text%2Fhtml"),
        url.replace(expires, str(int(expires) + 60)),
        f"{url}&generation=1",
        f"{url}&as=other",
        url.replace("signature=", "signature=x"),
        url.partition("?")[0],
    ):
        assert other != url
        assert server.http.get(other).status_code == 403
    assert server.http.post(url, content=b"x").status_code == 405
    assert server.http.put(f"{server.address}/local/sessions/{'0' * 48}", content=b"x").status_code == 404


def test_the_operator_sees_how_the_machine_is(server: ServerProcess) -> None:
    """Status, figures and queue, for a token made with `--admin`; sync with no cloud is done at once."""
    server.token("root", is_admin=True)
    status = server.call("GET", "/local/status", user="root")["machine"]
    assert (status["cloud_storage_enabled"], status["is_sealed"], status["rescued"]) == (False, False, None)
    assert status["bytes_limit"] == 5 * 1024**3
    assert "# TYPE afterimage_bytes_held gauge\nafterimage_bytes_held " in server.call(
        "GET", "/local/metrics", user="root"
    )
    assert server.call("GET", "/local/queue", user="root")["failed"] == 0
    assert server.call("POST", f"{ROOT}/storage/sync", json={})["cloud_storage_enabled"] is False
    server.call("POST", "/local/queue", user="root", json={"id": 999_999}, expect=404)


def test_a_generation_is_made_by_the_queue(server: ServerProcess) -> None:
    """Answered with its local address and `cloud_storage_enabled: false`; the archive is there."""
    made = server.call("POST", "/generations/generate", json={"prompt": "a shop"})
    assert (made["status"], made["cloud_storage_enabled"]) == ("completed", False)
    assert made["download_url"].startswith(server.address)
    assert server.http.get(made["download_url"]).content[:2] == b"\x1f\x8b"


def test_one_server_for_one_folder(server: ServerProcess) -> None:
    """A second one is refused, and says so in a line."""
    second = command("--folder", str(server.folder), "serve", "--port", "0")
    assert (second.returncode, "another server serves" in second.stderr) == (1, True)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MAX_LOCAL_STORAGE_GB", "five", "from 0.001"),
        ("SERVER_PORT", "70000", "to 65535"),
        ("USE_CLOUD_STORAGE", "yes", "`true` or `false`"),
        ("USE_CLOUD_STORAGE", "true", "GCLOUD_PROJECT"),
        ("PUBLIC_URL", "javascript:alert(1)", "https://files.example.com"),
        ("LOCAL_STORAGE_KEY_FILE", "/nowhere", "afterimage_server key"),
    ],
)
def test_what_cannot_be_configured_is_refused_by_its_name(name: str, value: str, said: str) -> None:
    """Before anything is opened, with what to write instead."""
    with pytest.raises(SettingsError, match=name) as refused:
        read_server_settings({name: value})
    assert said in str(refused.value)


def test_a_killed_server_goes_on_where_it_was(tmp_path: Path) -> None:
    """Killed with a generation under way, an upload half sent and another not looked at: all come to their end."""
    folder = tmp_path / "machine"
    server = ServerProcess(folder, {"GENERATE_WAIT_SECONDS": "0"}).start()
    files = [{"name": f"{n}.txt", "size": len(DATA)} for n in range(2)]
    uploads = [
        each["upload"] for each in server.call("POST", f"{ROOT}/storage/uploads", json={"files": files})["files"]
    ]
    sessions = []
    for upload in uploads:
        begun = server.http.post(upload["start"]["url"], headers=upload["start"]["headers"])
        sessions.append(begun.headers["Location"])
    server.http.put(sessions[0], content=DATA[:1000], headers={"Content-Range": f"bytes 0-999/{len(DATA)}"})
    saved = server.call("POST", f"{ROOT}/storage/save-artifact", json={"text": "kept", "name": "a.txt"})
    made = server.call("POST", "/generations/generate", json={"prompt": "a shop"})
    assert server.http.put(sessions[1], content=DATA).status_code == 200
    server.kill()
    server.start()
    asked = server.http.put(
        f"{server.address}{httpx.URL(sessions[0]).path}", headers={"Content-Range": f"bytes */{len(DATA)}"}
    )
    assert (asked.status_code, asked.headers["range"]) == (308, "bytes=0-999")
    rest = f"bytes 1000-{len(DATA) - 1}/{len(DATA)}"
    path = httpx.URL(sessions[0]).path
    sent = server.http.put(f"{server.address}{path}", content=DATA[1000:], headers={"Content-Range": rest})
    assert sent.status_code == 200
    for upload in uploads:
        path = f"{ROOT}/storage/uploads/{upload['upload_id']}"
        done = server.until(partial(finished, server, path))
        url = server.call("GET", f"{ROOT}/storage/files/{done['file_id']}/download")["url"]
        assert server.http.get(url).content == DATA
    path = f"/generations/{made['id']}"
    server.until(lambda: server.call("GET", path)["status"] == "completed")
    assert server.call("GET", f"{ROOT}/storage/files/{saved['file_id']}")["name"] == "a.txt"
    assert server.call("GET", f"{ROOT}/storage/overview")["local_storage"]["used_bytes"] == len(DATA) + 4
    assert server.stop() == 0
    assert {line["severity"] for line in server.lines()} <= {"INFO", "WARNING"}


def test_a_stopped_server_ends_what_is_under_way(tmp_path: Path) -> None:
    """SIGTERM: no new request, the answer that was begun is sent whole, and the exit code says that all is well."""
    server = ServerProcess(tmp_path / "machine").start()
    saved = server.call("POST", f"{ROOT}/storage/upload", params={"name": "b.txt"}, content=DATA * 10)
    url = server.call("GET", f"{ROOT}/storage/files/{saved['file_id']}/download")["url"]
    with server.http.stream("GET", url) as answer:
        pieces = answer.iter_bytes(1000)
        got = next(pieces)
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        got += b"".join(pieces)
    assert got == DATA * 10
    assert server.process.wait(60) == 0
