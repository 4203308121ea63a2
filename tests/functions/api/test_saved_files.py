"""Saved files over the API: every route by plain HTTP, with the stores of the suite beneath."""

from __future__ import annotations

import hashlib
import io
import os
import random
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from afterimage.artifacts.handlers import collector_over, library_over
from afterimage.deployment import UPLOAD_WORK
from afterimage.paths import object_id, published_mark_path
from tests.functions.api.conftest import ServedApi, User
from tests.functions.conftest import FUNCTIONS
from tests.functions.eventually import eventually

ROOT = "/api/phase5"
TEXT = b"a line of text\n" * 100


@dataclass
class Shelf:
    """One user of one instance of the API."""

    served: ServedApi
    address: str
    user: User

    def call(self, method: str, path: str, expect: int = 200, **options: Any) -> Any:
        headers = self.user.headers | options.pop("headers", {})
        answer = self.served.http.request(method, f"{self.address}{ROOT}{path}", headers=headers, **options)
        assert answer.status_code == expect, answer.text
        return answer.json()

    def save(self, text: str, **said: Any) -> Any:
        key = {"Idempotency-Key": said.pop("key")} if "key" in said else {}
        expect = said.pop("expect", 200)
        return self.call("POST", "/storage/save-artifact", expect, json={"text": text, **said}, headers=key)

    def history(self, file: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", f"/versions/history/{file}")["versions"]
        return found

    def fields(self, path: str) -> dict[str, Any]:
        found = self.served.documents.read(path)
        assert found is not None
        return dict(found.fields)

    def arrived(self, name: str) -> str:
        """The event of a stored file, handed to the real handler."""
        settings = self.served.settings
        library = library_over(self.served.documents, self.served.files, settings)
        file = self.served.files.find(settings.originals_bucket, name)
        assert file is not None
        return str(collector_over(library, self.served.links).arrivals.finalized(file.bucket, name, file.generation))


@pytest.fixture
def shelf(served: ServedApi) -> Shelf:
    return Shelf(served=served, address=served.instance(), user=served.user("alice"))


def test_an_artifact_is_saved_with_versions(shelf: Shelf) -> None:
    """The shapes that clients know: `drive_result.file_id`, `versions[].version_number`, `size_change_bytes`."""
    data = {"canvas": "data", "layers": []}
    first = shelf.call(
        "POST", "/storage/save-artifact",
        json={"artifact_type": "graphics", "artifact_data": data, "auto_save": True, "create_version": True},
    )  # fmt: skip
    assert (first["success"], first["version_number"], first["content_type"]) == (True, 1, "application/json")
    file = first["drive_result"]["file_id"]
    second = shelf.call(
        "POST", "/storage/save-artifact",
        json={"artifact_data": data | {"layers": [1]}, "file_id": file, "description": "one layer", "tags": ["draft"]},
    )  # fmt: skip
    assert second["version_id"] == "v2"
    versions = shelf.history(file)
    assert [(each["version_number"], each["description"]) for each in versions] == [(2, "one layer"), (1, "")]
    compared = shelf.call(
        "GET", "/versions/compare", params={"file_id": file, "version1_id": "v1", "version2_id": "v2"}
    )
    assert compared["differences"]["size_change_bytes"] == 1
    assert compared["differences"]["changes"] == [{"path": "/layers/0", "what": "added", "after": 1}]
    back = shelf.call("POST", "/versions/revert", json={"file_id": file, "version_id": "v1"})
    assert (back["version_number"], back["sha256"]) == (3, first["sha256"])
    shelf.call("POST", "/versions/pin", json={"file_id": file, "version_id": "v2"})
    [day] = shelf.call("GET", f"/versions/timeline/{file}")["days"]
    assert [event["what"] for event in day["events"]] == ["reverted to version 1", "saved", "created"]
    shown = shelf.call("GET", f"/storage/files/{file}")
    assert (shown["pinned"], shown["tags"], shown["name"]) == ([2], ["draft"], "graphics.json")


def test_bytes_go_up_and_come_down(shelf: Shelf) -> None:
    """A small file through the API; down by a signed address, as an attachment that no browser runs."""
    page = b"<html><script>alert(1)</script></html>"
    saved = shelf.call(
        "POST", "/storage/upload", params={"name": "page é.html"}, content=page, headers={"Content-Type": "text/html"}
    )
    assert (saved["cdn"]["cdn_url"], saved["content_type"]) == (None, "text/plain; charset=utf-8")
    address = shelf.call("GET", f"/storage/files/{saved['file_id']}/download")
    fetched = shelf.served.http.get(address["url"])
    assert (fetched.status_code, fetched.content) == (200, page)
    assert fetched.headers["content-type"] == "text/plain; charset=utf-8"
    assert fetched.headers["content-disposition"] == "attachment; filename*=UTF-8''page%20%C3%A9.html"
    twisted = address["url"].replace(saved["sha256"], "0" * 64)
    assert shelf.served.http.get(twisted).status_code == 403


def test_what_is_refused_says_why_in_the_one_shape(shelf: Shelf) -> None:
    """The codes that clients know, under the statuses that carry them; nothing is kept of it."""
    file = shelf.save("x", name="a.txt")["file_id"]

    def refused(status: int, code: str, method: str, path: str, **options: Any) -> None:
        body = shelf.call(method, path, status, **options)
        assert (body["success"], body["code"]) == (False, code)
        assert body["error"]

    save, upload = "/storage/save-artifact", "/storage/upload"
    refused(400, "INVALID_REQUEST", "POST", save, json={"name": "a.txt"})
    refused(400, "INVALID_REQUEST", "POST", save, json={"text": "x", "artifact_data": 1})
    refused(400, "INVALID_REQUEST", "POST", save, json={"text": "x", "name": "a/b"})
    refused(404, "NOT_FOUND", "POST", save, json={"text": "x", "file_id": "nobody"})
    refused(415, "INVALID_FILE_TYPE", "POST", upload, params={"name": "a.png"}, content=b"MZ")
    refused(413, "REQUEST_TOO_LARGE", "POST", upload, params={"name": "a.txt"}, content=b"x" * (10 * 1024**2 + 1))
    refused(404, "NOT_FOUND", "GET", "/versions/history/nobody")
    refused(404, "NOT_FOUND", "POST", "/versions/revert", json={"file_id": file, "version_id": "v9"})
    refused(400, "INVALID_REQUEST", "POST", "/versions/revert", json={"file_id": file, "version_id": "first"})
    refused(409, "CONFLICT", "POST", "/storage/cleanup", json={"dry_run": False})
    refused(400, "INVALID_REQUEST", "GET", "/storage/files", params={"cursor": "x"})
    refused(404, "NOT_FOUND", "GET", "/storage/uploads/nobody")
    assert len(shelf.call("GET", "/storage/files")["files"]) == 1


def test_the_limit_is_held_and_the_overview_tells_it(shelf: Shelf) -> None:
    """An operator's limit for one user: `STORAGE_QUOTA_EXCEEDED` beyond it, alerts on the way there."""
    from afterimage.store.documents import Expect, Replace

    limit = Replace(path="quota/alice", fields={"limit_bytes": 1000}, expected=Expect.ABSENT)
    shelf.served.documents.commit([limit])
    shelf.save("x" * 850, name="a.txt")
    body = shelf.save("y" * 200, name="b.txt", expect=507)
    assert body["code"] == "STORAGE_QUOTA_EXCEEDED"
    shown = shelf.call("GET", "/storage/overview")
    assert (shown["local_storage"]["usage_percentage"], shown["alerts"]) == (85.0, [80])
    assert shown["google_drive"]["quota"]["usage_percentage"] == 0.0
    assert shelf.fields("quota/alice/alerts/80")["state"] == "raised"


def test_the_same_request_twice_is_one_save(shelf: Shelf) -> None:
    """With the same `Idempotency-Key`, even behind others' saves: one file, one version, one reservation."""
    first = shelf.save("one", name="a.txt", key="k1")
    assert shelf.save("one", name="a.txt", key="k1")["file_id"] == first["file_id"]
    second = shelf.save("two", file_id=first["file_id"], key="k2")
    shelf.save("three", file_id=first["file_id"])
    assert shelf.save("two", file_id=first["file_id"], key="k2")["version_number"] == second["version_number"]
    assert [each["version_number"] for each in shelf.history(first["file_id"])] == [3, 2, 1]
    batch = {"files": [{"name": "big.txt", "size": 1000}]}
    once, twice = (
        shelf.call("POST", "/storage/uploads", json=batch, headers={"Idempotency-Key": "k3"}) for _ in range(2)
    )
    assert once["files"][0]["upload"]["upload_id"] == twice["files"][0]["upload"]["upload_id"]
    assert shelf.fields("quota/alice")["reserved_bytes"] == 1000


def test_sixteen_clients_save_one_file_at_once(shelf: Shelf) -> None:
    """Over sockets, threads and two instances: numbers without gap or repeat, and every save is there."""
    file = shelf.save("0", name="a.txt")["file_id"]
    other = Shelf(served=shelf.served, address=shelf.served.instance(), user=shelf.user)
    numbers: list[int] = []

    def client(name: int) -> None:
        instance = other if name % 2 else shelf
        numbers.append(instance.save(f"by {name}", file_id=file)["version_number"])

    threads = [threading.Thread(target=client, args=(name,)) for name in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(2, 18))
    assert [each["version_number"] for each in shelf.history(file)] == list(range(17, 0, -1))
    assert shelf.fields("quota/alice")["used_bytes"] == 1 + sum(len(f"by {name}") for name in range(16))


def test_a_large_file_is_uploaded_past_the_api_and_goes_on_after_a_cut(shelf: Shelf) -> None:
    """Announced, begun by the signed link, cut, asked how far it came, finished; then a version, and nothing left."""
    data = b"0123456789abcdef" * 65_536
    files = [{"name": "big.txt", "size": len(data), "content_type": "text/plain"}, {"name": "b.exe", "size": 1}]
    batch = shelf.call("POST", "/storage/uploads", json={"files": files})
    assert (batch["success"], batch["files"][1]["code"]) == (False, "INVALID_FILE_TYPE")
    upload = batch["files"][0]["upload"]
    start, http = upload["start"], shelf.served.http
    assert http.post(start["url"], headers={**start["headers"], "content-type": "text/html"}).status_code == 403
    session = http.request(start["method"], start["url"], headers=start["headers"]).headers["Location"]
    half = len(data) // 2
    cut = http.put(session, content=data[:half], headers={"Content-Range": f"bytes 0-{half - 1}/{len(data)}"})
    assert cut.status_code == 308
    asked = http.put(session, headers={"Content-Range": f"bytes */{len(data)}"})
    assert (asked.status_code, asked.headers["Range"]) == (308, f"bytes=0-{half - 1}")
    shelf.call("POST", f"/storage/uploads/{upload['upload_id']}/progress", json={"received_bytes": half})
    assert shelf.fields(upload["document"])["received_bytes"] == half
    rest = http.put(
        session, content=data[half:], headers={"Content-Range": f"bytes {half}-{len(data) - 1}/{len(data)}"}
    )
    assert rest.status_code == 200
    assert http.request(start["method"], start["url"], headers=start["headers"]).status_code in {200, 201, 412}
    assert shelf.arrived(upload["document"]) == "kept"
    shown = shelf.call("GET", f"/storage/uploads/{upload['upload_id']}")
    assert (shown["state"], shown["version_number"]) == ("done", 1)
    address = shelf.call("GET", f"/storage/files/{shown['file_id']}/download")
    assert http.get(address["url"]).content == data
    assert shelf.served.files.find(shelf.served.settings.originals_bucket, upload["document"]) is None
    assert shelf.fields("quota/alice")["reserved_bytes"] == 0


TAKES_OVER = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from afterimage.artifacts.handlers import collector
print(collector().arrivals.finalized(sys.argv[2], sys.argv[3], int(sys.argv[4])))
print(int(pathlib.Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("content_type", ["video/mp4", pytest.param("text/plain", marks=pytest.mark.soak)])
def test_a_file_of_the_largest_size_is_uploaded_and_taken_over_in_half_a_function(
    shelf: Shelf, content_type: str
) -> None:
    """100 MiB in pieces, with a cut: text is packed, a film is copied. Two of these share a function, so each is taken
    over by a process that never holds more than half of its memory; a byte more is refused before any is sent."""
    if content_type == "text/plain":
        name, data = "large.txt", random.Random(1).randbytes(2**19).hex().encode() * 100
    else:
        name, data = "large.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".ljust(2**20, b"\1") * 100
    assert len(data) == shelf.served.settings.most_file_bytes
    asked = [{"name": name, "size": len(data) + more, "content_type": content_type} for more in (0, 1)]
    batch = shelf.call("POST", "/storage/uploads", json={"files": asked})
    assert [each["code"] for each in batch["files"]] == ["", "FILE_TOO_LARGE"]
    upload, http = batch["files"][0]["upload"], shelf.served.http
    start, piece, sent = upload["start"], 16 * 2**20, 0
    session = http.request(start["method"], start["url"], headers=start["headers"]).headers["Location"]
    while sent < len(data):
        end = min(len(data), sent + piece)
        # As after a cut: whatever was answered, the store says how far the file has come.
        http.put(session, content=data[sent:end], headers={"Content-Range": f"bytes {sent}-{end - 1}/{len(data)}"})
        how_far = http.put(session, headers={"Content-Range": f"bytes */{len(data)}"})
        sent = len(data) if how_far.status_code == 200 else int(how_far.headers["Range"].rpartition("-")[2]) + 1
    settings = shelf.served.settings
    file = shelf.served.files.find(settings.originals_bucket, upload["document"])
    assert file is not None
    command = [sys.executable, "-c", TAKES_OVER, str(FUNCTIONS), file.bucket, file.name, str(file.generation)]
    environment = {**os.environ, "ORIGINALS_BUCKET": file.bucket}
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300, env=environment)
    outcome, mebibytes = told.stdout.split()
    assert outcome == "kept"
    assert int(mebibytes) < int(UPLOAD_WORK["memory"]) // int(UPLOAD_WORK["concurrency"])
    shown = shelf.call("GET", f"/storage/uploads/{upload['upload_id']}")
    digest = hashlib.sha256(data).hexdigest()
    content = shelf.fields(f"artifacts/alice/blobs/{digest}")
    assert (content["is_packed"], content["stored_bytes"] < len(data)) == (content_type == "text/plain",) * 2
    assert shelf.fields("quota/alice")["used_bytes"] == content["stored_bytes"]
    address = shelf.call("GET", f"/storage/files/{shown['file_id']}/download")
    assert hashlib.sha256(http.get(address["url"]).content).hexdigest() == digest


def test_more_bytes_than_announced_are_refused_by_the_link_itself(shelf: Shelf) -> None:
    """Size and type are signed: the store refuses what was not announced, and a second file of the same name."""
    batch = shelf.call("POST", "/storage/uploads", json={"files": [{"name": "a.txt", "size": len(TEXT)}]})
    upload = batch["files"][0]["upload"]
    start, http = upload["start"], shelf.served.http
    for data in (TEXT + b"x", TEXT[:-1]):
        begun = http.post(start["url"], headers=start["headers"])
        session = begun.headers["Location"]
        answer = http.put(session, content=data)
        assert answer.status_code in {400, 403, 412}, answer.text
    begun = http.post(start["url"], headers=start["headers"])
    assert http.put(begun.headers["Location"], content=TEXT).status_code == 200
    again = http.post(start["url"], headers=start["headers"])
    assert again.status_code == 412 or http.put(again.headers["Location"], content=TEXT).status_code == 412


def test_lists_clean_up_and_advice(shelf: Shelf) -> None:
    """Pages by cursor, archive and back, merge, delete; the clean-up runs by the plan that was shown."""
    files = [shelf.save(f"text {number}", name=f"{number}.txt")["file_id"] for number in range(5)]
    page = shelf.call("GET", "/storage/files", params={"limit": 2})
    seen = [each["name"] for each in page["files"]]
    while page["next_cursor"]:
        page = shelf.call("GET", "/storage/files", params={"limit": 2, "cursor": page["next_cursor"]})
        seen += [each["name"] for each in page["files"]]
    assert seen == [f"{number}.txt" for number in range(4, -1, -1)]
    shelf.call("POST", f"/storage/files/{files[0]}/archive")
    archived = shelf.call("GET", "/storage/files", params={"archived": True})
    assert [each["file_id"] for each in archived["files"]] == [files[0]]
    shelf.call("POST", f"/storage/files/{files[0]}/restore")
    shelf.call("PATCH", f"/storage/files/{files[1]}", json={"name": "renamed.txt", "tags": ["t"]})
    copy = shelf.save("text 2", name="copy.txt")["file_id"]
    advice = shelf.call("GET", "/storage/recommendations")["recommendations"]
    assert {each["kind"] for each in advice} >= {"duplicates"}
    shelf.call("POST", "/storage/files/merge", json={"kept": files[2], "others": [copy]})
    for number in range(4):
        shelf.save(f"again {number}", file_id=files[1])
    options = {"older_than_days": 0, "keep_newest": 2}
    plan = shelf.call("POST", "/storage/cleanup", json=options)
    assert (plan["dry_run"], plan["files"][0]["versions"]) == (True, [1, 2, 3])
    done = shelf.call("POST", "/storage/cleanup", json={**options, "dry_run": False, "plan": plan["plan"]})
    assert done["freed_bytes"] == plan["freed_bytes"]
    assert [each["version_number"] for each in shelf.history(files[1])] == [5, 4]
    shelf.call("DELETE", f"/storage/files/{files[3]}")
    shelf.call("GET", f"/storage/files/{files[3]}", 404)


def test_nobody_reads_or_changes_what_is_another_s(shelf: Shelf) -> None:
    """Every route that names a file or an upload, for everybody else: not found, as if it were not there."""
    file = shelf.save("mine", name="a.txt")["file_id"]
    batch = shelf.call("POST", "/storage/uploads", json={"files": [{"name": "b.txt", "size": 5}]})
    upload = batch["files"][0]["upload"]["upload_id"]
    eve = Shelf(served=shelf.served, address=shelf.address, user=shelf.served.user("eve", admin=True))
    for method, path, options in (
        ("GET", f"/storage/files/{file}", {}),
        ("PATCH", f"/storage/files/{file}", {"json": {"name": "eve.txt"}}),
        ("DELETE", f"/storage/files/{file}", {}),
        ("GET", f"/storage/files/{file}/download", {}),
        ("POST", f"/storage/files/{file}/archive", {}),
        ("POST", f"/storage/files/{file}/restore", {}),
        ("POST", "/storage/save-artifact", {"json": {"text": "x", "file_id": file}}),
        ("POST", "/storage/upload", {"params": {"file_id": file}, "content": b"x"}),
        ("POST", "/storage/files/merge", {"json": {"kept": file, "others": ["x"]}}),
        ("GET", f"/versions/history/{file}", {}),
        ("GET", f"/versions/timeline/{file}", {}),
        ("GET", "/versions/compare", {"params": {"file_id": file, "version1_id": "1", "version2_id": "1"}}),
        ("POST", "/versions/revert", {"json": {"file_id": file, "version_id": "1"}}),
        ("POST", "/versions/pin", {"json": {"file_id": file, "version_id": "1"}}),
        ("GET", f"/storage/uploads/{upload}", {}),
        ("POST", f"/storage/uploads/{upload}/start", {}),
        ("POST", f"/storage/uploads/{upload}/progress", {"json": {"received_bytes": 1}}),
        ("DELETE", f"/storage/uploads/{upload}", {}),
    ):
        eve.call(method, path, 404, **options)
    refused = eve.call("POST", "/storage/uploads", json={"files": [{"name": "b.txt", "size": 5, "file_id": file}]})
    assert refused["files"][0]["code"] == "NOT_FOUND"
    assert [each["version_number"] for each in shelf.history(file)] == [1]


def test_pictures_are_compared_by_their_pixels(shelf: Shelf) -> None:
    """Through the API, with the picture of the differences in the answer."""

    def png(color: tuple[int, int, int]) -> bytes:
        out = io.BytesIO()
        Image.new("RGB", (20, 10), color).save(out, "PNG")
        return out.getvalue()

    first = shelf.call("POST", "/storage/upload", params={"name": "p.png"}, content=png((0, 0, 0)))
    params = {"file_id": first["file_id"]}
    shelf.call("POST", "/storage/upload", params=params, content=png((255, 255, 255)))
    found = shelf.call("GET", "/versions/compare", params={**params, "version1_id": "v1", "version2_id": "v2"})
    assert (found["differences"]["kind"], found["differences"]["changed_share"]) == ("picture", 1.0)
    assert hashlib.sha256(png((0, 0, 0))).hexdigest() == first["sha256"]


def test_a_stranger_s_client_needs_no_more_than_http(shelf: Shelf) -> None:
    """No header beyond the token; the answer says how long the limit holds."""
    answer = httpx.get(f"{shelf.address}{ROOT}/storage/overview", headers=shelf.user.headers, timeout=60)
    assert answer.status_code == 200
    assert "RateLimit-Remaining" in answer.headers


def test_a_save_that_cannot_publish_as_it_was_asked_keeps_nothing(served: ServedApi) -> None:
    """No network in front, another than was named, a network without the wish: refused by name, before any byte."""
    ana = served.user("ana")
    with_network = {"DEFAULT_CDN": "cloudflare", "CDN_BASE_URL": "https://cdn.example.com/"}
    asked: list[tuple[dict[str, str], dict[str, Any], str]] = [
        ({}, {"upload_to_cdn": True}, "upload_to_cdn"),
        ({"DEFAULT_CDN": "cloudflare"}, {"upload_to_cdn": True}, "upload_to_cdn"),
        (with_network, {"upload_to_cdn": True, "cdn_provider": "vercel"}, "cdn_provider"),
        (with_network, {"cdn_provider": "cloudflare"}, "cdn_provider"),
    ]
    for variables, said, named in asked:
        address = f"{served.instance(**variables)}{ROOT}/storage"
        saved = served.http.post(f"{address}/save-artifact", json={"text": "a", **said}, headers=ana.headers)
        query = {"name": "a.txt", **{name: str(value).lower() for name, value in said.items()}}
        sent = served.http.post(f"{address}/upload", params=query, content=b"a", headers=ana.headers)
        for answer in (saved, sent):
            assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")
            assert f"`{named}`" in answer.json()["error"]
    assert served.http.get(f"{address}/files", headers=ana.headers).json()["files"] == []


def test_large_texts_are_packed_unless_the_save_says_otherwise(served: ServedApi) -> None:
    """`auto_compress`: either way the bytes come down as they went up; what is packed already is not published."""
    variables = {"DEFAULT_CDN": "cloudflare", "CDN_BASE_URL": "https://cdn.example.com", "COMPRESS_FROM_MB": "1"}
    shelf = Shelf(served=served, address=served.instance(**variables), user=served.user("alice"))
    for sent, packs in ((b"a line of text\n" * 100_000, "true"), (b"another line\n" * 100_000, "false")):
        params = {"name": "a.txt", "auto_compress": packs}
        saved = shelf.call("POST", "/storage/upload", params=params, content=sent)
        blob = f"artifacts/alice/blobs/{saved['sha256']}"
        content = shelf.fields(blob)
        assert (content["is_packed"], content["stored_bytes"] < len(sent)) == (packs == "true", packs == "true")
        address = shelf.call("GET", f"/storage/files/{saved['file_id']}/download")["url"]
        assert hashlib.sha256(served.http.get(address).content).hexdigest() == saved["sha256"]
        published = shelf.call("POST", "/storage/upload", params={**params, "upload_to_cdn": "true"}, content=sent)
        url = published["cdn"]["cdn_url"]
        mark = published_mark_path("alice", object_id(served.settings.originals_bucket, blob))
        assert (served.documents.read(mark) is None) == (packs == "true")
        assert url is None if packs == "true" else url.startswith("https://cdn.example.com/a/")


def test_a_save_that_publishes_is_served_to_the_world_until_its_file_is_deleted(
    served_beside_functions: ServedApi,
) -> None:
    """Marked by the save, made public and served by the deployed functions; one content in two files stays until both
    are gone, and the mark goes in the commit that deletes the last."""
    served = served_beside_functions
    origin = f"http://{served.suite.address('functions')}/{served.project_id}/us-central1/assets"
    variables = {"DEFAULT_CDN": "cloudflare", "CDN_BASE_URL": origin, "COMPRESS_FROM_MB": "1"}
    user = served.user(f"user-{uuid.uuid4().hex[:8]}")
    shelf = Shelf(served=served, address=served.instance(**variables), user=user)
    out = io.BytesIO()
    Image.new("RGB", (300, 200), (9, 8, 7)).save(out, "PNG")
    for name, data in (("design.png", out.getvalue()), ("large.txt", b"a line of text\n" * 100_000)):
        params = {"name": name, "auto_compress": "true", "upload_to_cdn": "true", "cdn_provider": "cloudflare"}
        saved = shelf.call("POST", "/storage/upload", params=params, content=data)
        url = saved["cdn"]["cdn_url"]
        assert (url.startswith(f"{origin}/a/"), saved["cdn"]["cdn_provider"]) == (True, "cloudflare")
        eventually(served.suite, partial(answers, url, 200))
        fetched = served.http.get(url)
        assert (fetched.content, "public" in fetched.headers["cache-control"]) == (data, True)
        other = shelf.call("POST", "/storage/upload", params={**params, "name": f"other-{name}"}, content=data)
        assert other["cdn"]["cdn_url"] == url
        shelf.call("DELETE", f"/storage/files/{other['file_id']}")
        blob = f"artifacts/{user.uid}/blobs/{saved['sha256']}"
        mark = published_mark_path(user.uid, object_id(served.settings.originals_bucket, blob))
        assert served.documents.read(mark) is not None
        shelf.call("DELETE", f"/storage/files/{saved['file_id']}")
        assert served.documents.read(mark) is None
        eventually(served.suite, partial(answers, url, 404))


def answers(url: str, status: int) -> bool:
    return httpx.get(url, timeout=60, trust_env=False).status_code == status
