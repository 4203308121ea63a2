"""The page by keys alone: Tab, Enter, Space and arrows go through rooms that ask, compare and tidy."""

from __future__ import annotations

import pytest

from tests.web.conftest import Person

CONTROLS = ":is(button, a[href], input, select, textarea, summary)"


def presses_enter(person: Person) -> None:
    person.key("Enter", 13, "\r")


def presses_space(person: Person) -> None:
    person.key(" ", 32, " ")


def goes_to_room(person: Person, name: str) -> None:
    """By the row of rooms; the focus goes into the room with it."""
    person.goes_by_tab(f"#rooms a[href='#{name}']")
    presses_enter(person)
    person.sees(f"document.querySelector('main > section.{name}') && document.activeElement.id === 'main'")


def test_generations_are_asked_for_and_compared_by_keys_alone(person: Person) -> None:
    """Asked for, made once more while the focus stays where it is, and both versions chosen."""
    person.arrives("account")
    goes_to_room(person, "generations")
    person.goes_by_tab(".ask textarea")
    person.types("a tool that counts words")
    person.goes_by_tab(".ask .strong")
    presses_enter(person)
    person.sees("document.querySelector('[data-part=\"1\"][data-status=completed]')")
    person.goes_by_tab("[data-part='1'] input")
    presses_space(person)
    person.goes_by_tab(".ask textarea")
    person.types("and lines")
    person.goes_by_tab(".ask .strong")
    presses_enter(person)
    person.goes_by_tab("[data-part='1'] input", backwards=True)
    person.sees("document.querySelector('[data-part=\"2\"][data-status=completed]')")
    # The cards were drawn anew while the focus was among them.
    assert person.page.run("() => document.activeElement.closest('[data-part]')?.dataset.part") == "1", person.focus()
    person.goes_by_tab("[data-part='2'] input", backwards=True)
    presses_space(person)
    person.reads("From version 1 to version 2")
    person.goes_by_tab(".comparison .scrolls")


def test_versions_and_storage_are_used_by_keys_alone(person: Person) -> None:
    """A file saved twice, compared, pinned, described; the same bytes made one file after a second thought."""
    person.arrives("account")
    goes_to_room(person, "versions")
    person.goes_by_tab("summary")
    presses_enter(person)
    person.goes_by_tab(".save [name=name]")
    person.types("story.txt")
    person.goes_by_tab(".save textarea")
    person.types("the quick brown fox")
    person.goes_by_tab(".save .strong")
    presses_enter(person)
    person.sees("document.querySelector('.line')?.innerText.includes('story.txt')")
    person.goes_by_tab(".line")
    presses_enter(person)
    person.sees("document.querySelector('.describe')")
    person.goes_by_tab("summary")
    presses_enter(person)
    person.goes_by_tab(".save textarea")
    person.types("the quick red fox")
    person.goes_by_tab(".save .strong")
    presses_enter(person)
    person.sees("document.querySelector('[data-part=\"2\"]')")
    for version in ("2", "1"):
        person.goes_by_tab(f"[data-part='{version}'] input")
        presses_space(person)
    person.goes_by_tab("main section > .row button", backwards=True)
    presses_enter(person)
    person.sees("document.querySelector('.comparison')?.contains(document.activeElement)")
    person.goes_by_tab("[aria-label='Pin: Version 2']")
    presses_enter(person)
    person.sees("document.querySelector('[aria-label=\"Unpin: Version 2\"]')")
    assert person.page.run("() => document.activeElement.getAttribute('aria-label')") == "Unpin: Version 2"
    presses_enter(person)
    person.sees("document.activeElement.getAttribute('aria-label') === 'Pin: Version 2'")
    person.goes_by_tab(".describe [name=tags]", backwards=True)
    person.types("old, told")
    presses_enter(person)

    person.goes_by_tab("main section > p a", backwards=True)
    presses_enter(person)
    person.sees("document.querySelector('.save [name=name]')")
    person.goes_by_tab("summary")
    presses_enter(person)
    person.goes_by_tab(".save [name=name]")
    person.types("other.txt")
    person.goes_by_tab(".save textarea")
    person.types("the quick red fox")
    person.goes_by_tab(".save .strong")
    presses_enter(person)
    person.reads("other.txt")
    goes_to_room(person, "storage")
    person.sees("document.querySelector('[data-kind=duplicates]')")
    person.goes_by_tab("[data-kind=duplicates] button")
    presses_enter(person)
    person.sees("document.activeElement.closest('.toast')")
    presses_enter(person)
    person.sees("document.activeElement.closest('[data-kind=duplicates]')")
    presses_enter(person)
    person.sees("document.activeElement.closest('.toast')")
    person.goes_by_tab(".toast .plain")
    presses_enter(person)
    person.sees("!document.querySelector('[data-kind=duplicates]')")
    assert person.page.run("() => document.activeElement !== document.body"), "the focus is lost"


def walk(person: Person) -> tuple[int, list[int]]:
    """How many controls there are, and which of them a walk by Tab comes to; each must be seen to have the focus."""
    person.page.run("() => { for (const each of document.querySelectorAll('main details')) each.open = true; }")
    wanted: int = person.page.run(
        """(controls) => {
          const all = document.querySelectorAll(`main ${controls}`);
          const shown = [...all].filter((each) => each.checkVisibility() && !each.disabled && each.type !== "hidden");
          shown.forEach((each, number) => { each.dataset.walked = number; });
          return shown.length;
        }""",
        CONTROLS,
    )
    walked: list[int] = []
    for _ in range(wanted + 40):
        person.key("Tab", 9)
        step = person.page.run(
            """() => {
              const now = document.activeElement;
              const { outlineStyle, boxShadow } = getComputedStyle(now);
              return { number: now.dataset.walked, isSeen: outlineStyle !== "none" || boxShadow !== "none" };
            }"""
        )
        if step.get("number") is not None:
            assert step["isSeen"], person.focus()
            walked.append(int(step["number"]))
    return wanted, walked


@pytest.mark.parametrize("room", ["account", "dialogues", "books"])
def test_every_control_of_a_room_is_reached_with_tab_and_shows_that_it_is(person: Person, room: str) -> None:
    """What can be pressed, chosen or written in can be walked to, in its order, and the walk leaves the room again."""
    person.arrives(room)
    person.sees(f"document.querySelectorAll('main > section.{room} {CONTROLS}').length")
    for _ in range(10):
        wanted, walked = walk(person)
        if person.page.run("() => document.querySelectorAll('main [data-walked]').length") == wanted:
            break  # else the room was drawn anew meanwhile, and its marks are gone
    first_round = list(dict.fromkeys(walked))
    # A walk that follows another begins where that one ended.
    begins = first_round.index(min(first_round))
    first_round = [*first_round[begins:], *first_round[:begins]]
    # Of radio buttons in a group one alone is in the walk, as everywhere in the web.
    assert first_round == sorted(first_round)
    assert len(first_round) == wanted > 1
