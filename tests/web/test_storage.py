"""The room of storage: advice shown before it is taken, a way back, what is archived, data taken along and erased."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.cloud import firestore

from tests.web.conftest import Person, bars
from tests.web.test_versions import saves


def test_what_would_go_is_shown_first_and_nothing_goes_that_is_taken_back(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clean-up names versions before it takes them; an archive waits for second thoughts, and gives files back."""
    uid = person.arrives("versions")
    saves(person, "text 1", name="old.txt")
    person.sees("document.querySelector('.line')?.innerText.includes('old.txt')")
    person.page.run("() => document.querySelector('.line').click()")
    for number in range(2, 6):
        person.sees(f"document.querySelector('[data-part=\"{number - 1}\"]')")
        saves(person, f"text {number}")
    person.sees("document.querySelector('[data-part=\"5\"]')")
    for name, value in person.suite.environment().items():
        monkeypatch.setenv(name, value)
    store = firestore.Client(project=person.suite.project_id)
    (head,) = store.collection(f"artifacts/{uid}/files").stream()
    ago = datetime.now(UTC) - timedelta(days=100)
    head.reference.update({"kept": [{**each, "saved_at": ago} for each in head.get("kept")]})

    def kept() -> list[int]:
        return [each["number"] for each in head.reference.get().get("kept")]

    person.goes_to("storage")
    person.presses("Show what would go", "[data-kind=old_versions]")
    person.sees("document.querySelector('[data-kind=old_versions] table')?.innerText.match(/old.txt\\s+v1, v2/)")
    assert bars(person) == []
    person.presses("Clean up")
    person.sees("!document.querySelector('[data-kind=old_versions]').checkVisibility()")
    person.presses("Undo")
    person.sees("document.querySelector('[data-kind=old_versions]').checkVisibility()")
    assert kept() == [1, 2, 3, 4, 5]
    person.presses("Clean up")
    person.presses("Do it now")
    person.sees("!document.querySelector('[data-kind=old_versions]')")
    assert kept() == [3, 4, 5]

    person.presses("Archive them", "[data-kind=untouched_files]")
    person.presses("Undo")
    person.sees("document.querySelector('[data-kind=untouched_files]').checkVisibility()")
    assert kept() == [3, 4, 5]
    person.presses("Archive them", "[data-kind=untouched_files]")
    person.presses("Do it now")
    person.sees("document.querySelector('.archived')?.innerText.includes('old.txt')")
    assert kept() == [5]
    assert bars(person) == []
    person.presses("Take out of the archive: old.txt")
    person.sees("!document.querySelector('.archived').innerText")
    assert "Google Drive" not in person.text(), "a link is offered that this deployment cannot make"
    person.goes_to("versions")
    person.reads("old.txt")
    store.close()


def test_duplicates_are_merged_and_everything_is_taken_along_and_erased(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Advice with a way back; an export that holds what is there; an erase that asks twice and leaves nothing."""
    uid = person.arrives("versions")
    saves(person, "\0not text", name="refused.txt")
    saves(person, "the same words", name="one.txt")  # while the first answer is on its way
    saves(person, "the same words", name="two.txt")
    for name in ("one.txt", "two.txt"):
        person.reads(name)
    person.goes_to("storage")
    person.reads("Saved files take 14 bytes")
    person.presses("Make one of them")
    person.presses("Undo")
    person.presses("Make one of them")
    person.presses("Do it now")
    person.reads("There is nothing to tidy.")

    exported = person.page.run(
        """async () => {
          const written = new Promise((resolve) => {
            const make = URL.createObjectURL;
            URL.createObjectURL = (blob) => { resolve(blob); return make(blob); };
          });
          addEventListener("click", (event) => event.target.matches("a[download]") && event.preventDefault(), true);
          document.querySelector(".export button").click();
          return JSON.parse(await (await written).text());
        }"""
    )
    (kept, version) = sorted(exported["saved_files"])
    assert version == f"{kept}/versions/1"
    assert exported["saved_files"][kept]["name"] in {"one.txt", "two.txt"}
    assert exported["addresses"][kept].startswith("http")
    person.writes(".erase [name=sure]", "yes")
    person.page.run("() => document.querySelector('.erase').requestSubmit()")
    person.reads("Nothing is erased")
    person.writes(".erase [name=sure]", "erase")
    person.page.run("() => document.querySelector('.erase').requestSubmit()")
    person.sees(
        "document.querySelector('.who')?.innerText === 'Guest' && !document.querySelector('.erase input')?.value"
    )
    person.is_known()
    person.suite.settled()
    assert person.uid() != uid
    for name, value in person.suite.environment().items():
        monkeypatch.setenv(name, value)
    store = firestore.Client(project=person.suite.project_id)
    assert [one.id for one in store.collection(f"artifacts/{uid}/files").list_documents()] == []
    assert "erased_at" in (store.document(f"usage/{uid}").get().to_dict() or {})
    store.close()
