"""Users × resources × verbs: what the matrix allows is served, and nothing else is, whoever asks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from afterimage.api.table import TABLE
from afterimage.artifacts.descriptions import Description
from afterimage.artifacts.handlers import library_over
from afterimage.artifacts.library import Saving
from afterimage.artifacts.uploads import Announcement, Uploads
from afterimage.paths import artifacts_path, generations_path, quota_path, uploads_path
from tests.functions.api.conftest import ServedApi
from tests.functions.api.matrix import CALLERS, MATRIX, NAMED_LIKE_VERBS, VERBS

PRIVATE = "very private"
NOBODYS = {"{file_id}": "nobodys", "{upload_id}": "nobodys"}
PLAIN = str.maketrans({"/": "-", "{": "", "}": "", "_": "-", ".": "-"})


def test_every_route_stands_in_the_matrix() -> None:
    """A route that nobody thought through cannot be added."""
    assert {(row.method, row.path) for row in TABLE.routes} == set(MATRIX)


def test_nobody_is_wrongly_allowed_or_refused(served: ServedApi) -> None:
    """Every caller at every route with every verb: the matrix's answer, else 405; others neither see nor change."""
    address, owner = served.instance(), served.user("owner")
    body = {"prompt": f"a {PRIVATE} shop", "project_id": "the-project"}
    made = served.http.post(f"{address}/generations/generate", json=body, headers=owner.headers).json()
    foreign = served.user("owner", aud="demo-other", iss="https://securetoken.google.com/demo-other")
    wrong: list[str] = []
    for place, path in enumerate(sorted({path for _, path in MATRIX})):
        for verb in VERBS:
            row = {**MATRIX, **NAMED_LIKE_VERBS}.get((verb, path))
            names = {"{generation_id}": made["id"], "{project_id}": "the-project"}
            names |= _owned(served, f"{verb} {path}") if row else NOBODYS
            before = _state(served) if row else {}
            for number, caller in enumerate(CALLERS):
                # A user of each route's own: what is tried here is not the limit of requests.
                headers: dict[str, Any] = {
                    "nobody": {},
                    "forged": {"Authorization": "Bearer a.b.c"},
                    "foreign": foreign.headers,
                    "owner": owner.headers,
                    "other": served.user(f"other-{path.translate(PLAIN)}").headers,
                    "admin": served.user(f"admin-{path.translate(PLAIN)}", admin=True).headers,
                }[caller]
                # Each from an address of its own, too.
                headers = {**headers, "X-Forwarded-For": f"10.{place}.{number}.{VERBS.index(verb)}"}
                if row and caller == "owner" and _state(served) != before:
                    wrong.append(f"{verb} {path} of somebody else changes what is the owner's")
                filled, query, sent = path, row.query if row else "", json.dumps(row.body) if row and row.body else None
                for name, value in names.items():
                    filled, query = filled.replace(name, value), query.replace(name, value)
                    sent = sent and sent.replace(name, value)
                if sent:
                    headers["Content-Type"] = "application/json"
                url = f"{address}{filled}?{query}" if query else address + filled
                answer = served.http.request(verb, url, content=sent, headers=headers)
                expected = row.told[number] if row else 405
                if answer.status_code != expected:
                    wrong.append(f"{caller} {verb} {path}: {answer.status_code}, not {expected}: {answer.text[:200]}")
                if caller != "owner" and PRIVATE in answer.text:
                    wrong.append(f"{caller} {verb} {path} shows what is the owner's")
    assert wrong == []


def test_nobody_announces_a_version_of_what_is_anothers(served: ServedApi) -> None:
    """A batch is answered with 200; the file in it that is somebody else's is refused, and its owner loses nothing."""
    address, names = served.instance(), _owned(served, "a batch")
    before = _state(served)
    file = {"file_id": names["{file_id}"], "name": "a.txt", "size": 3}
    url, other = f"{address}/api/phase5/storage/uploads", served.user("other")
    said = served.http.post(url, json={"files": [file]}, headers=other.headers).json()
    assert [(each["success"], each["code"], each["upload"]) for each in said["files"]] == [(False, "NOT_FOUND", None)]
    assert PRIVATE not in str(said)
    assert _state(served) == before


def _owned(served: ServedApi, save: str) -> Mapping[str, str]:
    """Two files of the owner's with the same two versions, and an upload, all new."""
    library = library_over(served.documents, served.files, served.settings)
    found: dict[str, str] = {}
    for name in ("{file_id}", "{twin_id}"):
        for text in ("1", "2"):
            said = Description(name=f"{PRIVATE}.txt", description=PRIVATE)
            saving = Saving(file=found.get(name))
            saved = library.save("owner", text.encode(), said, saving, save=f"{save} {name} {text}")
            found[name] = saved.head.file
    file = Announcement(said=Description(name=f"{PRIVATE}.txt"), size=3)
    uploads = Uploads(library=library, links=served.links)
    [announced] = uploads.announce("owner", [file], operation=save)
    assert announced.upload is not None
    return found | {"{upload_id}": announced.upload.id}


def _state(served: ServedApi) -> Mapping[str, Any]:
    """All that is the owner's; the head of a file names its versions."""
    quota = served.documents.read(quota_path("owner"))
    found = {quota.path: quota.fields} if quota else {}
    for collection in (artifacts_path("owner"), uploads_path("owner"), generations_path("owner")):
        found |= {each.path: each.fields for each in served.documents.page(collection, "", 1000)}
    return found
