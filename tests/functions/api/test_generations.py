"""Generations over sockets: begun, waited for, listed and iterated by their owner, and by nobody else."""

from __future__ import annotations

import asyncio
import io
import re
import tarfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest

from afterimage.generations.storage_helper import GenerationFiles
from afterimage.paths import archive_name, budget_path, generation_path, generations_path
from afterimage.store.documents import Expect, Replace
from afterimage.store.memory_documents import MemoryDocuments
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from tests.functions.api.conftest import ServedApi, User
from tests.functions.generations.workshop_world import COST, WORST, CountingGenerator, MadeWorld


def generate(served: ServedApi, address: str, who: User, *, key: str = "", **body: Any) -> httpx.Response:
    headers = who.headers | ({"Idempotency-Key": key} if key else {})
    return served.http.post(f"{address}/generations/generate", json={"prompt": "a shop", **body}, headers=headers)


def iterate(
    served: ServedApi, address: str, who: User, generation: str, *, key: str = "", **body: Any
) -> httpx.Response:
    headers = who.headers | ({"Idempotency-Key": key} if key else {})
    asked = {"generation_id": generation, "prompt": "more", **body}
    return served.http.post(f"{address}/generations/iterate", json=asked, headers=headers)


def repeated(ask: Callable[[], httpx.Response]) -> Any:
    """What a careful client does: the same request, with the same key, until it is answered."""
    for _ in range(40):
        answer = ask()
        if answer.status_code == 200 and answer.json()["status"] != "processing":
            return answer.json()
        assert answer.status_code in (200, 503), answer.text
    raise AssertionError("never answered")


def get(served: ServedApi, address: str, who: User, path: str) -> Any:
    answer = served.http.get(f"{address}/generations{path}", headers=who.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_prompt_of_blanks_is_refused_as_the_description_says(served: ServedApi) -> None:
    """Python and JavaScript disagree about blanks; what either takes for one is no prompt, and nothing is begun."""
    address, alice = served.instance(), served.user("alice")
    for prompt in ("", "  \n", "\x1c\x1f", "\x85", "\ufeff", "\u2003\u3000"):
        answer = generate(served, address, alice, prompt=prompt)
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST"), repr(prompt)
    assert get(served, address, alice, "")["generations"] == []


@pytest.mark.parametrize("mode", ["classic", "enhanced"])
def test_a_prompt_becomes_an_archive_that_anybody_with_the_url_can_fetch(served: ServedApi, mode: str) -> None:
    """POST answers with the finished version; the signed URL serves exactly the files that the answer names."""
    address, alice = served.instance(), served.user("alice")
    made = generate(served, address, alice, mode=mode)
    assert made.status_code == 200, made.text
    said = made.json()
    assert (said["status"], said["version"], said["mode"], said["cloud_storage_enabled"]) == (
        "completed",
        1,
        mode,
        served.is_in_cloud,
    )
    archive = served.http.get(said["download_url"])
    assert archive.status_code == 200
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as files:
        assert files.getnames() == [file["path"] for file in said["files"]]
    assert said["files_count"] == len(said["files"]) >= 6
    assert served.files.find(served.settings.originals_bucket, archive_name(said["project_id"], said["id"], 1))


def test_a_url_is_signed_at_a_read_kept_for_half_its_life_and_stored_nowhere(served: ServedApi) -> None:
    """Two reads give one URL; no document holds it; a changed one is refused by the storage."""
    address, alice = served.instance(), served.user("alice")
    said = generate(served, address, alice).json()
    again = get(served, address, alice, f"/{said['id']}")
    assert again["download_url"] == said["download_url"]
    assert served.signature in said["download_url"]
    later = re.sub(r"(?<=xpires=)\d+", lambda found: str(int(found[0]) + 1), said["download_url"])
    assert later != said["download_url"]
    assert served.http.get(later).status_code == 403
    assert get(served, address, alice, f"/{said['id']}?include_download_url=false")["download_url"] is None
    stored = [*served.documents.page(generations_path("alice"), "", 10)]
    stored += served.documents.page(f"{generation_path('alice', said['id'])}/versions", "", 10)
    assert len(stored) == 2
    assert served.signature not in str([document.fields for document in stored])


def test_what_takes_long_is_answered_as_processing_and_found_among_the_active(served: ServedApi) -> None:
    """The queue is slow: POST does not wait longer than told; the fields are all there; GET shows the end."""
    served.waiting = []
    address, alice = served.instance(GENERATE_WAIT_SECONDS="0"), served.user("alice")
    said = generate(served, address, alice).json()
    assert (said["status"], said["files_count"], said["download_url"]) == ("processing", 0, None)
    assert [each["id"] for each in get(served, address, alice, "/active")["generations"]] == [said["id"]]
    [key] = served.waiting
    assert key.project == said["project_id"]
    assert served.workshop().work(key) == "completed"
    assert get(served, address, alice, "/active")["generations"] == []
    assert get(served, address, alice, f"/{said['id']}")["status"] == "completed"


def test_an_answer_that_was_lost_is_had_again_without_a_second_bill(served: ServedApi) -> None:
    """The same key: the same generation, whichever instance answers; one task, one output."""
    served.generator = counting = CountingGenerator()
    first, second = served.instance(), served.instance()
    alice = served.user("alice")
    one = generate(served, first, alice, key="k").json()
    two = generate(served, second, alice, key="k").json()
    assert (one, counting.asked) == (two, 1)
    assert len(get(served, first, alice, "")["generations"]) == 1
    assert generate(served, first, alice, key="k", prompt="another").status_code == 422


def test_lists_come_newest_first_in_pages_without_a_gap_or_a_repeat(served: ServedApi) -> None:
    """Of everything, of one project; behind each cursor comes the rest."""
    address, alice = served.instance(), served.user("alice")
    made = [generate(served, address, alice, project_id=f"p-{number % 2}").json()["id"] for number in range(7)]

    def pages(path: str) -> list[str]:
        found, cursor = list[str](), ""
        while True:
            page = get(served, address, alice, f"{path}?limit=2" + (f"&cursor={cursor}" if cursor else ""))
            found += [each["id"] for each in page["generations"]]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    assert pages("") == made[::-1]
    assert pages("/project/p-0") == made[::-2]
    assert pages("/project/p-1") == made[1::2][::-1]
    for cursor in ("x", "W10", "eyJhIjoxfQ", "%00", "a" * 3000):
        refused = served.http.get(f"{address}/generations?cursor={cursor}", headers=alice.headers)
        assert refused.status_code == 400, cursor


def test_versions_raced_by_sixteen_clients_have_no_gap_no_repeat_and_no_loss(served: ServedApi) -> None:
    """Sixteen clients iterate one generation at one moment, over four instances; every one gets a number of its own."""
    addresses, alice = [served.instance() for _ in range(4)], served.user("alice")
    said = generate(served, addresses[0], alice).json()
    together = threading.Barrier(16)

    def race(number: int) -> int:
        together.wait()
        for _ in range(20):
            answer = iterate(served, addresses[number % 4], alice, said["id"], prompt=f"wish number {number}")
            if answer.status_code != 503:
                assert answer.status_code == 200, answer.text
                return int(answer.json()["version"])
        raise AssertionError("never served")

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(race, range(16))) == list(range(2, 18))
    versions = get(served, addresses[0], alice, f"/{said['id']}/iterations?limit=10")
    rest = get(served, addresses[0], alice, f"/{said['id']}/iterations?limit=10&before={versions['next_before']}")
    assert [each["version"] for each in versions["iterations"] + rest["iterations"]] == list(range(17, 0, -1))
    assert rest["next_before"] is None
    assert get(served, addresses[0], alice, f"/{said['id']}")["version"] == 17


def test_sixty_four_spenders_never_exceed_a_budget_by_a_nano_dollar(served: ServedApi) -> None:
    """Ten worst cases fit: of 64 requests at one moment ten begin at first, and all that is spent fits in the limit."""
    served.generator = CountingGenerator()
    served.waiting = []
    addresses, alice = [served.instance(GENERATE_WAIT_SECONDS="0") for _ in range(4)], served.user("alice")
    limit = 10 * WORST
    budget = Replace(path=budget_path("alice"), fields={"limit_nano_usd": limit}, expected=Expect.ABSENT)
    served.documents.commit([budget])

    def spend(number: int) -> int:
        for _ in range(60):
            status = generate(served, addresses[number % 4], alice, key=f"k{number}").status_code
            if status != 503:
                return status
        raise AssertionError("never answered")

    with ThreadPoolExecutor(64) as pool:
        told = list(pool.map(spend, range(64)))
    assert sorted(set(told)) == [200, 402]
    assert told.count(200) == 10
    document = served.documents.read(budget_path("alice"))
    assert document is not None
    assert document.fields["reserved_nano_usd"] == limit
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: served.workshop().work(key), set(served.waiting)))
    document = served.documents.read(budget_path("alice"))
    assert document is not None
    assert (document.fields["reserved_nano_usd"], document.fields["spent_nano_usd"]) == (0, 10 * COST)


def test_commits_that_fail_and_answers_that_are_lost_change_nothing(served: ServedApi) -> None:
    """A third of all commits is refused or applied and not told: a client that repeats its key gets everything once."""
    served.generator = CountingGenerator()
    address, alice = served.instance(), served.user("alice")
    limit = Replace(path=budget_path("alice"), fields={"limit_nano_usd": 1000 * WORST}, expected=Expect.ABSENT)
    served.documents.commit([limit])
    for number, (action, code) in enumerate(
        [("fail", Code.ABORTED), ("fail", Code.UNAVAILABLE), ("apply_then_fail", Code.UNAVAILABLE),
         ("apply_then_fail", Code.DEADLINE_EXCEEDED), ("apply_then_fail", Code.ABORTED)]
    ):  # fmt: skip
        match = {"service": "firestore", "method": "*Commit"}
        served.suite.add_fault(FaultRule(action=action, code=code, match=match, probability=0.08, seed=number))
    try:
        made = [repeated(partial(generate, served, address, alice, key=f"k{number}")) for number in range(6)]
        versions = [
            repeated(partial(iterate, served, address, alice, made[0]["id"], key=f"i{number}"))["version"]
            for number in range(6)
        ]
    finally:
        served.suite.clear_faults()
    assert versions == list(range(2, 8))
    listed = get(served, address, alice, "")["generations"]
    assert [each["id"] for each in listed] == [each["id"] for each in reversed(made)]
    assert {each["status"] for each in listed} == {"completed"}
    budget = served.documents.read(budget_path("alice"))
    assert budget is not None
    assert (budget.fields["reserved_nano_usd"], budget.fields["spent_nano_usd"]) == (0, 12 * COST)
    assert served.generator.asked == 12


def test_whoever_is_not_the_owner_finds_nothing(served: ServedApi) -> None:
    """Every route with another's id: not found, or for another's project forbidden; nothing is changed."""
    address, alice, mallory = served.instance(), served.user("alice"), served.user("mallory")
    said = generate(served, address, alice, project_id="shop").json()
    for path in (f"/{said['id']}", f"/{said['id']}/iterations", "/project/shop"):
        assert served.http.get(f"{address}/generations{path}", headers=mallory.headers).status_code == 404
    assert iterate(served, address, mallory, said["id"]).status_code == 404
    assert generate(served, address, mallory, project_id="shop").status_code == 403
    assert get(served, address, mallory, "") == {"generations": [], "next_cursor": None}
    assert get(served, address, alice, f"/{said['id']}/iterations")["iterations"][0]["version"] == 1


def test_the_coroutines_of_programs_that_know_them(served: ServedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saved once however often; a URL when the archive is there; a response enriched with both fields, always."""
    from afterimage.generations import storage_helper

    files = GenerationFiles(files=served.files, bucket=served.settings.originals_bucket, links=served.links)
    monkeypatch.setattr(storage_helper, "_cloud_files", lambda: files)

    async def walk() -> None:
        place: dict[str, Any] = {"project_id": "p", "generation_id": "g", "version": 1}
        assert await storage_helper.get_download_url_for_generation(**place) is None
        response = {"id": "g", "project_id": "p", "version": 1, "status": "completed"}
        early = await storage_helper.enrich_generation_response(response, include_download_url=True)
        assert early == {**response, "download_url": None, "cloud_storage_enabled": True}
        for _ in range(2):
            saved = await storage_helper.save_generation_with_cloud(
                files={"a.py": "1"}, metadata={"mode": "x"}, **place
            )
        url = await storage_helper.get_download_url_for_generation(**place)
        assert url is not None
        assert saved["download_url"] == url
        enriched = await storage_helper.enrich_generation_response(response)
        assert enriched["download_url"] == url
        assert served.http.get(url).status_code == 200

    asyncio.run(walk())


def test_a_read_costs_at_most_three_reads_of_documents(served: ServedApi) -> None:
    """The limit and the generation: two at the first request of a user, then one, and a write for every ten."""
    documents = MemoryDocuments()
    world = MadeWorld(documents=documents)
    key = world.begun()
    world.workshop().work(key)
    documents.bill.taken()
    served.store = documents
    address, alice = served.instance(), served.user("alice")
    path = f"/{key.generation}?include_download_url=false"
    get(served, address, alice, path)
    assert documents.bill.taken() == (2, 1, 0)
    for _ in range(30):
        get(served, address, alice, path)
    reads, writes, _ = documents.bill.taken()
    assert (reads, writes) == (30 + writes, writes)
    assert writes <= 4
