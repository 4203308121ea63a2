"""Erasing a user on one machine while something is under way for that user: wherever it stands, the user stays erased.

Each interleaving is brought about by hand: work begins, the erasure runs from beginning to end, the work goes on.
"""

from __future__ import annotations

import io
import math
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from afterimage.api.rooms import storage_handlers
from afterimage.artifacts.descriptions import Description
from afterimage.artifacts.handlers import library_over
from afterimage.artifacts.library import Saving
from afterimage.drive_paths import DRIVE_LINKS
from afterimage.edges.drive.composition import drive_queue_over
from afterimage.faults import PermanentError
from afterimage.generations.generator import Assignment, Made
from afterimage.generations.opening import Opening, Wish
from afterimage.generations.templates import TemplateGenerator
from afterimage.ledger.bookkeeper import Bookkeeper, HotUsers
from afterimage.ledger.observing import observe_live
from afterimage.ledger.prices.pricing import Prices
from afterimage.ledger.records import Observation
from afterimage.paths import books_path, upload_path
from afterimage.store.documents import ErasedError, Expect, Replace
from afterimage.store.files import FileAbout
from afterimage_client.queue import RefusedError
from afterimage_server.configuration import read_server_settings
from afterimage_server.doors.upload_sessions import EndedError
from afterimage_server.machine import Machine, open_machine
from afterimage_server.rooms.machine_routes import machine_table
from afterimage_server.store.ordered_keys import path_of
from afterimage_server.work.tasks import ARRIVED, JOB
from tests.functions.drive.google_server import GoogleServer, served
from tests.functions.drive.test_on_one_machine import Machine as Linking
from tests.functions.drive.test_on_one_machine import settings_for

SECRET = "a sentence that nobody finds any more"
OUTPUT = {
    "model": "gemini-2.5-flash", "input_tokens": 10, "output_tokens": 10, "cached": False, "status": "completed",
    "prompt": SECRET,
}  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """One that does nothing by itself."""
    with closing(open_machine(read_server_settings({"LOCAL_STORAGE_PATH": str(tmp_path / "machine")}))) as opened:
        yield opened
        assert opened.folder.check_invariants() == []


def erase(machine: Machine, between: Callable[[], object] = lambda: None) -> None:
    """Every turn of the job, and something after each but the last."""
    machine.tasks.publish("user.erase", {"job": f"erase-{uuid.uuid4()}", "uid": "ana"})
    while entries := machine.queue.take([JOB]):
        for entry in entries:
            machine.tasks.handlers()[JOB](entry)
            machine.queue.complete(entry)
        if machine.queue.entries(kinds=[JOB]):
            between()


def left_of_the_user(machine: Machine) -> list[str]:
    """Documents, files and bytes below the folder that tell of the user, but for the tombstone."""
    rows = machine.folder.database.rows("SELECT key FROM documents")
    paths = [path for (key,) in rows if "/ana" in (path := path_of(key)) and path != books_path("ana")]
    names = machine.folder.database.rows("SELECT name FROM files WHERE name LIKE '%/ana/%' OR name LIKE 'projects/%'")
    found = [path for path in machine.folder.path.rglob("*") if path.is_file()]
    told = [str(path) for path in found if SECRET.encode() in path.read_bytes()]
    return [*paths, *(name for (name,) in names), *told]


def save(machine: Machine, text: str = SECRET, name: str = "a.txt") -> None:
    library = library_over(machine.folder.documents, machine.folder.files, machine.settings.api)
    library.save(
        "ana", text.encode(), Description(name=name), Saving(), save=f"save {machine.queue.newest_id()} {name}"
    )


def generate(machine: Machine) -> None:
    opening = Opening(
        documents=machine.folder.documents, generator=TemplateGenerator(), prices=Prices(),
        now=lambda: datetime.now(UTC),
    )  # fmt: skip
    key = opening.generation(Wish(uid="ana", operation="one", prompt=SECRET, mode="classic"), "the-project")
    machine.tasks.enqueue_version(key)


def note_an_output(machine: Machine, name: str = "x") -> None:
    fields = {**OUTPUT, "generated_at": datetime.now(UTC)}
    path = f"ai_outputs/ana/code/{name}"
    machine.folder.documents.commit([Replace(path=path, fields=fields, expected=Expect.ANYTHING)])


def observed(machine: Machine, name: str) -> Observation:
    found = machine.folder.documents.read(f"ai_outputs/ana/code/{name}")
    assert found is not None
    seen = observe_live(found, Prices())
    assert seen is not None
    return seen


def lay_down_an_upload(machine: Machine) -> None:
    bucket, about = machine.settings.api.originals_bucket, FileAbout(content_type="text/plain")
    machine.folder.files.write(bucket, upload_path("ana", "up"), SECRET.encode(), about, expected=Expect.ABSENT)


def take_a_copy(machine: Machine) -> None:
    bucket, about = machine.settings.api.originals_bucket, FileAbout(content_type="text/plain")
    source = machine.folder.files.write(bucket, "of-nobody", SECRET[::-1].encode(), about, expected=Expect.ANYTHING)
    machine.folder.files.copy(source, upload_path("ana", "up"), about, expected=Expect.ABSENT)


@pytest.mark.parametrize("work", [save, generate, note_an_output, lay_down_an_upload, take_a_copy])
@pytest.mark.parametrize("has_account", [True, False])
def test_what_began_before_the_erasure_writes_nothing_after_it(
    machine: Machine, work: Callable[[Machine], None], has_account: bool
) -> None:
    """A request whose first write comes when the user is gone is refused; another one later is of who came back."""
    if has_account:
        save(machine, "older", "older.txt")
    with machine.folder.erasures.work():
        erase(machine)
        with pytest.raises(ErasedError, match="was erased while this was under way"):
            work(machine)
    assert left_of_the_user(machine) == []
    with machine.folder.erasures.work():
        work(machine)
    assert left_of_the_user(machine)


def test_what_is_written_between_two_turns_of_the_erasure_goes_too(machine: Machine) -> None:
    """Also where its place was emptied already, and its bytes were but not what names them."""
    names: list[str] = []
    for work in (save, generate, note_an_output):
        work(machine)

    def meanwhile() -> None:
        with machine.folder.erasures.work():
            names.append(f"{len(names)}.txt")
            save(machine, name=names[-1])
            note_an_output(machine)

    erase(machine, meanwhile)
    assert 3 < len(names) < 50
    assert left_of_the_user(machine) == []


def test_a_save_that_the_erasure_overtakes_between_its_bytes_and_its_documents_is_refused(machine: Machine) -> None:
    """Its bytes went with the others, and no version names what is not there."""
    library = library_over(machine.folder.documents, machine.folder.files, machine.settings.api)
    contents = library.versions.contents

    class Overtaken:
        """The files of the folder; the erasure comes when the first are written."""

        def __getattr__(self, name: str) -> Any:
            return getattr(contents.files, name)

        def write(self, *arguments: Any, **options: Any) -> Any:
            stored = contents.files.write(*arguments, **options)
            erase(machine)
            return stored

    files: Any = Overtaken()
    overtaken = replace(library, versions=replace(library.versions, contents=replace(contents, files=files)))
    with machine.folder.erasures.work(), pytest.raises(ErasedError):
        overtaken.save("ana", SECRET.encode(), Description(name="a.txt"), Saving(), save="one")
    assert left_of_the_user(machine) == []


def test_the_answer_to_a_request_that_was_overtaken_says_so(machine: Machine) -> None:
    """A conflict, which no client asks again by itself; and the description of the route has it."""
    save_over_http = f"{__name__}:{save_after_erasing.__name__}"
    table = machine_table()
    table.match("POST", "/api/phase5/storage/save-artifact")
    [row] = [row for row in table.routes if row.path == "/api/phase5/storage/save-artifact"]
    overtaken[:] = [machine]
    application = machine.application(type(table)([replace(row, handler=save_over_http)]))
    headers = {"Authorization": f"Bearer {machine.tokens.make('ana', life=timedelta(days=1))}"}
    answer = application.test_client().post(row.path, json={"text": SECRET, "name": "a.txt"}, headers=headers)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "CONFLICT")
    assert "Retry-After" not in answer.headers
    assert answer.get_json()["code"] in row.refusals
    assert left_of_the_user(machine) == []


overtaken: list[Machine] = []
"""The machine of the test above: a handler is found by its name."""


def save_after_erasing(*asked: Any) -> object:
    erase(overtaken[0])
    return storage_handlers.save_artifact(*asked)


class ErasingGenerator(TemplateGenerator):
    """Its user is erased while it makes something."""

    erase: Callable[[], None] = staticmethod(lambda: None)

    def make(self, assignment: Assignment) -> Made:
        made = super().make(assignment)
        self.erase()
        return made


def test_a_generation_that_is_under_way_ends_with_its_user(tmp_path: Path) -> None:
    """What it has made is kept nowhere, and its task is at its end."""
    generator = ErasingGenerator()
    settings = read_server_settings({"LOCAL_STORAGE_PATH": str(tmp_path / "machine")})
    with closing(open_machine(settings, generator=lambda: generator)) as machine:
        generator.erase = partial(erase, machine)
        generate(machine)
        [entry] = machine.queue.take(["generate"])
        with pytest.raises(Exception, match="another worker wrote"):
            machine.tasks.handlers()["generate"](entry)
        machine.tasks.handlers()["generate"](entry)
        assert left_of_the_user(machine) == []
        assert machine.folder.check_invariants() == []


def test_a_booking_of_a_busy_user_that_is_under_way_opens_no_books(machine: Machine) -> None:
    """Bookings of the busiest go into documents that are written without a look at the books."""
    note_an_output(machine, "w")
    Bookkeeper(store=machine.folder.documents).book(observed(machine, "w"))
    note_an_output(machine)
    seen = observed(machine, "x")

    class Overtaken:
        """The documents of the folder; the erasure comes when the first booking was decided."""

        has_come = False

        def __getattr__(self, name: str) -> Any:
            return getattr(machine.folder.documents, name)

        def commit(self, writes: Any) -> Any:
            if not self.has_come:
                self.has_come = True
                erase(machine)
            return machine.folder.documents.commit(writes)

    store: Any = Overtaken()
    keeper = Bookkeeper(store=store, hot_users=HotUsers(burst=-math.inf), wait=lambda _seconds: None)
    with machine.folder.erasures.work():
        keeper.book(seen)
    assert left_of_the_user(machine) == []


def test_what_goes_to_a_drive_ends_at_any_step(tmp_path: Path) -> None:
    """The user is erased before each step of an upload in turn, comes back each time, and is erased for good."""
    with served(GoogleServer(clock=[datetime.now(UTC)])) as google:
        google.consents.redirects = ("http://localhost:8000/api/phase5/auth/callback",)
        settings = replace(read_server_settings({}), api=settings_for(google, tmp_path), folder=tmp_path / "machine")
        with closing(open_machine(settings)) as machine:
            steps = 0
            while True:
                steps += 1
                Linking(machine.folder, settings.api).link(google)
                save(machine)
                asked: list[int] = []

                def is_called_off(asked: list[int] = asked, last: int = steps) -> bool:
                    asked.append(len(asked) + 1)
                    if asked[-1] == last:
                        erase(machine)
                    return False

                queue = drive_queue_over(machine.folder.documents, machine.folder.files, settings.api)
                assert queue is not None
                with machine.folder.erasures.work():
                    queue.run(is_called_off=is_called_off)
                if len(asked) < steps:
                    break
                assert left_of_the_user(machine) == [], steps
                assert machine.folder.documents.page(DRIVE_LINKS, "", 10) == []
                assert machine.folder.documents.page("_driveQueue", "", 10) == []
            assert steps > 4


def test_a_link_that_is_completed_while_its_user_is_erased_is_taken_back_at_google(tmp_path: Path) -> None:
    """Google gives the permission when the user is gone: nobody keeps it, and it is good for nothing."""
    with served(GoogleServer(clock=[datetime.now(UTC)])) as google:
        google.consents.redirects = ("http://localhost:8000/api/phase5/auth/callback",)
        settings = replace(read_server_settings({}), api=settings_for(google, tmp_path), folder=tmp_path / "machine")
        with closing(open_machine(settings)) as machine:
            links = machine.tasks.jobs.drive_links
            assert links is not None
            granted = links.oauth.exchanged
            begun, url = links.begin("ana")
            back = parse_qs(urlsplit(google.consents.consent(url, "ana@example.com")).query)
            links.park(begun.state, code=back["code"][0], refused="")
            tokens = granted(back["code"][0], begun.verifier)
            with machine.folder.erasures.work():
                erase(machine)
                with pytest.raises(ErasedError):
                    links.keep_granted("ana", tokens)
            assert google.consents.revoked == ["ana@example.com"]
            assert left_of_the_user(machine) == []


def test_uploads_that_have_come_in_part_go_too(machine: Machine) -> None:
    """With the bytes that have come, and those of a request that is under way; nobody else's."""
    bucket = machine.settings.api.originals_bucket
    hers, his = (
        machine.sessions.begin(bucket, upload_path(user, "up"), size=100, content_type="text/plain")
        for user in ("ana", "bob")
    )
    for session in (hers, his):
        machine.sessions.take(session, 0, io.BytesIO(SECRET.encode() if session is hers else b"bob's"))
    erase(machine)
    assert left_of_the_user(machine) == []
    with pytest.raises(EndedError):
        machine.sessions.take(hers, 0, io.BytesIO(SECRET.encode()))
    assert left_of_the_user(machine) == []
    assert machine.sessions.find(hers.id) is None
    assert machine.sessions.received(his) == 5


def test_dead_letters_about_an_erased_user_go(machine: Machine) -> None:
    """Their reasons tell of files and prompts; those about others stay."""
    for user in ("ana", "bob"):
        name = upload_path(user, "up")
        machine.queue.enqueue(ARRIVED, f"file|b/{name}", {"bucket": "b", "name": name, "generation": 1})
    for entry in machine.queue.take([ARRIVED], limit=2):
        machine.queue.fail(entry, RefusedError(SECRET if "ana" in entry.key else "bob's"))
    erase(machine)
    assert [letter.payload["name"] for letter in machine.queue.dead_letters()] == [upload_path("bob", "up")]
    assert left_of_the_user(machine) == []


def test_an_erasure_that_is_cut_short_begins_its_last_turn_anew(machine: Machine) -> None:
    """A kill in the middle of forgetting: the job is not done, and its next try does all of it."""
    save(machine)
    fault = iter([PermanentError("killed")])

    def broken(_user: str) -> None:
        for error in fault:
            raise error

    jobs = replace(machine.tasks.jobs, forget_user=[broken, *machine.tasks.jobs.forget_user])
    cut = replace(machine, tasks=replace(machine.tasks, jobs=jobs))
    with pytest.raises(PermanentError):
        erase(cut)
    [job] = machine.folder.documents.page("_jobs", "", 10)
    assert job.fields["state"] == "running"
    machine.queue.close()
    machine.queue.take_back()
    while entries := machine.queue.entries(kinds=[JOB]):
        for entry in entries:
            cut.tasks.handlers()[JOB](entry)
            machine.queue.discard(entry.id)
    assert left_of_the_user(machine) == []
    assert machine.folder.documents.page("_jobs", "", 10)[0].fields["state"] == "done"
