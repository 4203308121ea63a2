"""The worker: one document and the right files for each request, answers of one shape, and no one in another's name."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from google.api_core.exceptions import FailedPrecondition
from PIL import Image

from afterimage.ledger.contribution import facts_of
from afterimage.ledger.prices.price_table import Row, Unit
from afterimage.ledger.prices.pricing import Prices
from afterimage_client.errors import WorkerError
from afterimage_client.worker.callers.signing import SigningKeys
from afterimage_client.worker.generation import Generation, WorkerStep
from afterimage_client.worker.offline.drawing import draw, drawn
from afterimage_client.worker.records import AlreadyDoneError, LostError
from afterimage_client.worker.requests import GenerationRequest
from afterimage_client.worker.worker import TAKEOVER_AFTER_SECONDS, Worker
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from tests.client.worker.conftest import Stage, User

KEYS = "k1:" + "AB" * 32


def pictures(response: dict[str, Any]) -> list[bytes]:
    """What a client that shows links gets to see."""
    return [
        base64.b64decode(link.partition(",")[2]) if link.startswith("data:") else httpx2.get(link).content
        for link in response["images"]
    ]


def refused(code: str) -> Any:
    return pytest.raises(WorkerError, check=lambda error: error.code == code)


def test_many_pictures_are_stored_named_and_answered_by_link(stage: Stage, user: User) -> None:
    """The document has the seed's fields, the request without its proof, and links that need no sign-in."""
    asked = user.asks(num_images=2, seed=7, negative_prompt="rain", steps=20)
    response = stage.worker().handle(asked, draw)
    assert list(response) == ["images", "image_url", "seed", "task_type", "file_uid", "user_id"]
    assert (response["seed"], response["task_type"], response["file_uid"]) == (7, "text2img", "f1")
    assert (response["user_id"], response["image_url"]) == (user.uid, response["images"][0])
    assert pictures(response) == list(drawn(GenerationRequest.from_input(asked)))
    assert [Image.open(io.BytesIO(data)).size for data in pictures(response)] == [(32, 32)] * 2
    user.check_whole(response)
    assert set(user.files()) == {"image/f1_0.png", "image/f1_1.png"}
    document = user.document()
    assert document is not None
    assert (document["file_uid"], document["user_id"], document["reason"]) == ("f1", user.uid, None)
    assert document["created_at"] <= document["completed_at"]
    assert document["request_data"] == {key: value for key, value in asked.items() if key != "id_token"} | {
        "task_type": "text2img"
    }
    assert document["generation_data"]["delivery"] == "storage"
    assert document["confirmed_cost_nano_usd"] == 0
    assert user.id_token not in str(document)


def test_a_film_is_stored_under_its_own_name(stage: Stage, user: User) -> None:
    """A video's answer has `video_url` and no `images`, which the seed's clients would take for pictures."""
    asked = user.asks(task_type="text2video", video_width=64, video_height=48, num_frames=5, fps=5)
    response = stage.worker().handle(asked, draw)
    assert list(response) == ["video_url", "seed", "task_type", "file_uid", "user_id"]
    user.check_whole(response)
    assert set(user.files()) == {"video/f1.mp4"}


@pytest.mark.parametrize(
    "change", [{"use_cloud_storage": False}, {"use_cloud_storage": None}], ids=["not wanted", "not said"]
)
def test_without_storage_the_same_shape_holds_the_data(stage: Stage, user: User, change: dict[str, Any]) -> None:
    """Nothing is written; whoever shows links shows these."""
    asked = {key: value for key, value in (user.asks() | change).items() if value is not None}
    response = stage.worker().handle(asked, draw)
    assert list(response) == ["images", "image_url", "seed", "task_type", "file_uid", "user_id"]
    assert [Image.open(io.BytesIO(data)).size for data in pictures(response)] == [(32, 32)]
    assert (user.documents(), user.files()) == ([], {})


def test_a_worker_without_firebase_needs_none() -> None:
    """No bucket is named: no SDK, no proof, no network, also where storage is asked for."""
    asked = {"prompt": "a city", "width": 16, "height": 16, "use_cloud_storage": True, "user_id": "anybody"}
    response = Worker.from_environment({}).handle(asked, draw)
    assert response["image_url"].startswith("data:image/png;base64,")
    assert (response["user_id"], response["file_uid"]) == ("anybody", None)


def test_nobody_writes_in_another_s_name(stage: Stage, user: User) -> None:
    """A bare `user_id`, a false token, another's name under one's own token: each is refused, nothing is written."""
    worker, victim = stage.worker(), stage.user()
    bare = {key: value for key, value in user.asks().items() if key != "id_token"}
    for code, asked in (
        ("unauthenticated", bare | {"user_id": victim.uid}),
        ("unauthenticated", bare | {"user_id": victim.uid, "id_token": "a.b.c"}),
        ("unauthenticated", bare | {"user_id": victim.uid, "id_token": 7}),
        ("permission-denied", user.asks(user_id=victim.uid)),
    ):
        with refused(code):
            worker.handle(asked, draw)
    assert (victim.documents(), victim.files(), user.documents()) == ([], {}, [])
    assert worker.handle(user.asks(user_id=user.uid), draw)["user_id"] == user.uid


def test_a_server_with_a_key_asks_in_a_user_s_name(stage: Stage, user: User) -> None:
    """The signed text counts and nothing beside it; changed, it is nobody's; sent again, it is answered again."""
    keys = SigningKeys.from_text(KEYS)
    worker = Worker(stage.worker()._cloud, keys=keys)
    text = '{"prompt": "a city", "width": 16, "height": 16, "file_uid": "f1", "use_cloud_storage": true}'
    signature = keys.sign(method="POST", path="/run", body=text.encode(), uid=user.uid).to_fields()
    job = {"signed_request": text, "signature": signature, "prompt": "beside", "file_uid": "other"}
    response = worker.handle(job, draw)
    user.check_whole(response)
    assert user.documents() == ["f1"]
    assert worker.handle(job, draw) == response
    for forged in (
        job | {"signed_request": text.replace("city", "town")},
        job | {"signature": signature | {"uid": "bob"}},
        {"signed_request": text, "id_token": user.id_token},
        {"signature": signature},
    ):
        with refused("unauthenticated"):
            worker.handle(forged, draw)


@pytest.mark.parametrize(
    "file_uid", ["", "a/b", "..", "__x__", "x" * 1100, "a\nb", "\ud800"], ids=lambda value: repr(value)[:12]
)
def test_ids_that_are_no_place_are_refused_before_anything_is_written(stage: Stage, user: User, file_uid: str) -> None:
    """Nothing can be opened or stored outside the user's own folder."""
    with refused("invalid-request"):
        stage.worker().handle(user.asks(file_uid=file_uid), draw)
    assert user.documents() == []


def test_ids_that_meet_have_files_of_their_own(stage: Stage, user: User) -> None:
    """`x_0` alone would have the name of the first picture of `x`."""
    worker = stage.worker()
    worker.handle(user.asks(file_uid="x", num_images=2), draw)
    worker.handle(user.asks(file_uid="x_0"), draw)
    assert set(user.files()) == {"image/x_0.png", "image/x_1.png", "image/x_0_0.png"}


class BrokenError(Exception):
    """What a model raises."""


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (BrokenError("out of\nmemory"), "BrokenError: out of memory"),
        (KeyboardInterrupt(), "the worker was stopped"),
        (SystemExit(3), "the worker was stopped"),
    ],
)
def test_a_block_that_is_left_early_ends_as_failed(
    stage: Stage, user: User, raised: BaseException, reason: str
) -> None:
    """Whatever is raised goes on to the caller, the user reads why, and what was stored already is gone."""

    def breaks(job: Generation) -> None:
        job.add(next(drawn(job.request)))
        assert user.files() != {}
        raise raised

    with pytest.raises(type(raised)):
        stage.worker().handle(user.asks(num_images=2), breaks)
    document = user.document()
    assert document is not None
    assert (document["status"], document["reason"]) == ("failed", reason)
    assert document["completed_at"] is not None
    assert (user.files(), user.has_beat()) == ({}, False)


def test_a_block_that_is_never_entered_ends_as_failed(stage: Stage, user: User) -> None:
    """Interrupted between the opening and the block: nothing goes on beating for a generation that nobody makes."""

    def interrupts(step: WorkerStep) -> None:
        if step is WorkerStep.OPENED:
            raise KeyboardInterrupt

    worker = stage.worker(on_step=interrupts)
    with pytest.raises(KeyboardInterrupt):
        worker.handle(user.asks(), lambda _job: pytest.fail("the block is not entered"))
    document = user.document()
    assert document is not None
    assert (document["status"], document["reason"], user.has_beat()) == ("failed", "the worker was stopped", False)


def test_who_watches_the_steps_decides_nothing(stage: Stage, user: User) -> None:
    """A progress bar that breaks at every step neither fails a generation nor keeps one from being ended."""

    def breaks(step: WorkerStep) -> None:
        raise BrokenError(step)

    worker = stage.worker(on_step=breaks)
    user.check_whole(worker.handle(user.asks(), draw))
    with pytest.raises(WorkerError, match="nothing was made"):
        worker.handle(user.asks(file_uid="f2"), lambda _job: None)
    document = user.document("f2")
    assert document is not None
    assert (document["status"], document["reason"]) == ("failed", "nothing was made")


def test_a_generator_that_makes_nothing_or_the_wrong_thing_has_failed(stage: Stage, user: User) -> None:
    """No picture, no PNG, too many, too large: the user reads which."""
    worker = stage.worker()

    def adds(*made: bytes) -> Callable[[Generation], None]:
        def make(job: Generation) -> None:
            for data in made:
                job.add(data)

        return make

    picture = next(drawn(GenerationRequest.from_input(user.asks())))
    for number, (made, reason) in enumerate(
        (
            ((), "nothing was made"),
            ((b"GIF89a",), "the generator's bytes are no PNG"),
            ((picture, picture), "`1` were asked for"),
            ((picture + bytes(10 << 20),), "more than 10 MiB"),
        )
    ):
        with pytest.raises(WorkerError):
            worker.handle(user.asks(file_uid=f"f{number}"), adds(*made))
        document = user.document(f"f{number}")
        assert document is not None
        assert document["status"] == "failed"
        assert reason in document["reason"]
    assert user.files() == {}


def test_the_same_request_again_is_answered_and_not_made_again(stage: Stage, user: User) -> None:
    """From another worker too; the block form says so by an exception that holds the answer."""
    first = stage.worker().handle(user.asks(seed=1), draw)
    again = stage.worker()
    assert again.handle(user.asks(seed=1), lambda job: pytest.fail("made again")) == first
    with pytest.raises(AlreadyDoneError) as done, again.generation(user.asks(seed=1)):
        pytest.fail("the block is not entered")
    assert done.value.response == first
    with refused("already-exists"):
        again.handle(user.asks(seed=2), draw)
    user.check_whole(first)


def test_a_request_that_a_queue_wrote_anew_is_the_same(stage: Stage, user: User) -> None:
    """Keys in another order and `1` for `1.0` ask for nothing else; another number does, and so does a truth value."""
    worker = stage.worker()
    asked = user.asks(seed=1, guidance=1.0, extra={"scales": [2.0, 0.5], "is_on": True})
    first = worker.handle(asked, draw)
    anew = {**dict(reversed(asked.items())), "guidance": 1, "width": 32.0, "extra": {"is_on": True, "scales": [2, 0.5]}}
    assert worker.handle(anew, draw) == first
    for other in ({"guidance": 1.5}, {"guidance": True}, {"extra": {"scales": [2, 0.5], "is_on": 1}}):
        with refused("already-exists"):
            worker.handle(asked | other, draw)


def test_a_failed_generation_may_be_asked_for_again(stage: Stage, user: User) -> None:
    """In the same document, which keeps its place in the history."""
    with pytest.raises(BrokenError), stage.worker().generation(user.asks()):
        raise BrokenError
    before = user.document()
    response = stage.worker().handle(user.asks(), draw)
    user.check_whole(response)
    after = user.document()
    assert before is not None
    assert after is not None
    assert (after["created_at"], after["attempt"], after["reason"]) == (before["created_at"], 2, None)


def test_a_deleted_generation_may_be_asked_for_again(stage: Stage, user: User) -> None:
    """Files that its first life left behind are in nobody's way, and so is what that life uploads late."""
    worker = stage.worker()
    answers: list[dict[str, Any]] = []

    def late(slow_one: Generation) -> None:
        slow_one.add(next(drawn(slow_one.request)))
        user.firestore.document(f"generations/{user.uid}/files/f1").delete()
        answers.append(stage.worker().handle(user.asks(num_images=2, seed=2), draw))
        slow_one.add(next(drawn(slow_one.request)))

    with pytest.raises(LostError):
        worker.handle(user.asks(num_images=2, seed=1), late)
    user.check_whole(answers[0])


def test_figures_come_from_what_was_made(stage: Stage, user: User) -> None:
    """The ledger prices by them, so a request's own words about itself do not count."""
    worker = stage.worker()
    false = {"duration_seconds": 0.001, "num_images": 4}
    worker.handle(user.asks(**false), lambda job: job.add(next(drawn(job.request))))
    small = {"video_width": 32, "video_height": 32, "num_frames": 6, "fps": 4}
    worker.handle(user.asks(file_uid="v1", task_type="text2video", **small, **false), draw)
    pictured, filmed = user.document("f1"), user.document("v1")
    assert pictured is not None
    assert filmed is not None
    assert pictured["generation_data"]["num_images"] == 1
    assert filmed["generation_data"].items() >= {"num_frames": 6, "fps": 4, "duration_seconds": 1.5}.items()
    row = Row("text2video", Unit.SECOND, date(2026, 1, 1), Decimal("0.01"))
    unconfirmed = filmed | {"confirmed_cost_nano_usd": None}
    unconfirmed["generation_data"].pop("model")
    found = facts_of("files", unconfirmed, filmed["created_at"], Prices(rows=[row]))
    assert found.cost_nano_usd == 15_000_000


def test_what_is_made_twice_is_billed_twice(stage: Stage, user: User) -> None:
    """An answer that had to be inline is made anew when it is asked for again; both bills count."""
    worker = stage.worker()

    def makes(cost: str) -> Callable[[Generation], None]:
        def make(job: Generation) -> None:
            job.add(next(drawn(job.request)))
            job.confirm_cost(cost)

        return make

    match = {"service": "storage", "method": "POST", "resource": "/upload/*"}
    stage.suite.add_fault(FaultRule(action="fail", match=match, code=Code.PERMISSION_DENIED))
    worker.handle(user.asks(), makes("0.5"))
    stage.suite.clear_faults()
    with pytest.raises(WorkerError, match="nothing was made"):
        worker.handle(user.asks(), lambda _job: None)
    user.check_whole(worker.handle(user.asks(), makes("0.25")))
    document = user.document()
    assert document is not None
    assert document["confirmed_cost_nano_usd"] == 750_000_000


@pytest.mark.parametrize("cost", ["much", None, float("nan"), True, [1], "-1", "1001", "1e400"], ids=str)
def test_what_is_no_cost_is_refused(cost: Any) -> None:
    """By its own words, before the ledger would have to refuse it."""
    with (
        pytest.raises(ValueError, match="is no cost from 0 to 1000 dollars"),
        Worker().generation({"prompt": "a"}) as job,
    ):
        job.confirm_cost(cost)


def test_two_workers_at_one_file_uid_make_it_once(stage: Stage, user: User) -> None:
    """Both begin at the same moment; one makes it, the other waits and answers the same."""
    made: list[str] = []
    gate = threading.Barrier(2)
    answers: list[dict[str, Any]] = []

    def make(job: Generation) -> None:
        made.append(job.user_id)
        draw(job)

    def work(worker: Worker) -> None:
        gate.wait()
        answers.append(worker.handle(user.asks(num_images=2, seed=1), make, wait_seconds=60))

    threads = [threading.Thread(target=work, args=[stage.worker()]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert answers[0] == answers[1]
    user.check_whole(answers[0])


def test_without_waiting_the_second_worker_says_that_one_is_at_it(stage: Stage, user: User) -> None:
    """While the first beats, whatever its age: its beats are as good as a new document."""
    with stage.worker().generation(user.asks()) as job:
        assert job._record is not None
        stage.suite.advance_clock(TAKEOVER_AFTER_SECONDS - 1)
        job._record.beat()
        stage.suite.advance_clock(TAKEOVER_AFTER_SECONDS - 1)
        with refused("in-progress"):
            stage.worker().handle(user.asks(), draw)
        draw(job)
    user.check_whole(job.response)


def test_of_two_that_take_over_at_the_same_moment_one_has_it(stage: Stage, user: User) -> None:
    """Both saw the dead worker's document; the second one's claim finds it changed, and it looks again."""
    asked = user.asks(seed=1)
    dead = stage.worker().generation(asked)
    assert dead._record is not None
    dead._record.open()
    stage.suite.advance_clock(TAKEOVER_AFTER_SECONDS)
    late = stage.worker().generation(asked)._record
    assert late is not None
    seen = late._look()
    with stage.worker().generation(asked) as job:
        with pytest.raises(FailedPrecondition):
            late._claim(seen.generation)
        with refused("in-progress"):
            late.open()
        draw(job)
    user.check_whole(job.response)


def test_a_worker_that_was_taken_over_spoils_nothing(stage: Stage, user: User) -> None:
    """Cut off and slow, it uploads late and ends late: each is refused, its leftovers go, the other's stand."""
    slow, quick = stage.worker(), stage.worker()
    asked = user.asks(num_images=3, seed=2)
    right = list(drawn(GenerationRequest.from_input(asked)))
    wrong = next(drawn(GenerationRequest.from_input(user.asks(seed=9))))
    answers: list[dict[str, Any]] = []

    def late(slow_one: Generation) -> None:
        slow_one.add(wrong)
        stage.suite.advance_clock(TAKEOVER_AFTER_SECONDS)
        with quick.generation(asked) as early:
            slow_one.add(wrong)
            early.add(right[0])
            early.add(right[1])
            slow_one.add(wrong)
        answers.append(early.response)

    with pytest.raises(LostError):
        slow.handle(asked, late)
    user.check_whole(answers[0])
    assert user.files() == {"image/f1_0.png": right[0], "image/f1_1.png": right[1]}


def test_a_late_upload_finds_its_way_barred(stage: Stage, user: User) -> None:
    """The later attempt's bytes are never replaced by an earlier one's."""
    slow, quick = stage.worker(), stage.worker()
    right, wrong = (next(drawn(GenerationRequest.from_input(user.asks(seed=seed)))) for seed in (1, 2))
    asked = user.asks(seed=1)
    answers: list[dict[str, Any]] = []

    def late(slow_one: Generation) -> None:
        stage.suite.advance_clock(TAKEOVER_AFTER_SECONDS)
        with quick.generation(asked) as early:
            early.add(right)
            with pytest.raises(LostError):
                slow_one.add(wrong)
        answers.append(early.response)
        slow_one.add(wrong)

    with pytest.raises(LostError):
        slow.handle(asked, late)
    user.check_whole(answers[0])
    assert user.files() == {"image/f1.png": right}


def test_a_generation_that_its_user_deleted_is_given_up(stage: Stage, user: User) -> None:
    """The worker finds out at its next beat, stores nothing more, and leaves nothing behind."""
    worker = stage.worker(beat_every_seconds=0.01, takeover_after_seconds=0.04)

    def deleted(job: Generation) -> None:
        job.add(next(drawn(job.request)))
        user.firestore.document(f"generations/{user.uid}/files/f1").delete()
        assert job._heart is not None
        job._heart._thread.join()
        job.add(next(drawn(job.request)))

    with pytest.raises(LostError):
        worker.handle(user.asks(num_images=16), deleted)
    assert (user.documents(), user.files(), user.has_beat()) == ([], {}, False)


@pytest.mark.parametrize("skip", [0, 1], ids=["the first file", "the second file"])
def test_a_bucket_that_takes_no_more_is_answered_inline(stage: Stage, user: User, skip: int) -> None:
    """`completed`, with a marker and no links; the answer holds the data, and what was stored already is gone."""
    worker = stage.worker()
    stage.suite.add_fault(
        FaultRule(
            # What Cloud Storage answers where a quota is used up for good, or billing is off.
            action="fail",
            match={"service": "storage", "method": "POST", "resource": "/upload/*"},
            code=Code.PERMISSION_DENIED,
            skip=skip,
        )
    )
    response = worker.handle(user.asks(num_images=2, seed=1), draw)
    assert pictures(response) == list(drawn(GenerationRequest.from_input(user.asks(num_images=2, seed=1))))
    document = user.document()
    assert document is not None
    data = document["generation_data"]
    assert (document["status"], data["delivery"], data["images"], data["image_url"]) == (
        "completed", "inline", [], None,
    )  # fmt: skip
    assert "could not be stored" in data["inline_reason"]
    assert (document["files"], user.files(), user.has_beat()) == ([], {}, False)
    stage.suite.clear_faults()
    user.check_whole(worker.handle(user.asks(num_images=2, seed=1), draw))


def test_steps_tell_how_far_a_generation_is(stage: Stage, user: User) -> None:
    """Each is told before and after, so that a log shows where it stands."""
    steps: list[WorkerStep] = []
    stage.worker(on_step=steps.append).handle(user.asks(num_images=2), draw)
    assert steps == ["opening", "opened", *["uploading", "uploaded"] * 2, "ending", "ended"]
