"""The gallery: files on their way and stored, each shown as its record says, and nobody else's among them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from tests.browser.chromium import BrowserError
from tests.web.conftest import Person, bars
from tests.web.pictures import animation, picture

TILES = "[...document.querySelectorAll('.tile')]"


def address_of_download(person: Person, button: str) -> tuple[str, str]:
    """The name that the browser is given, and the type of what lies at the address."""
    found = person.page.run(
        """async (label) => {
          const asked = new Promise((resolve) => document.addEventListener("click", (event) => {
            if (event.target.matches("a[download]")) { event.preventDefault(); resolve(event.target); }
          }, true));
          const buttons = [...document.querySelectorAll("dialog button")];
          buttons.find((one) => one.ariaLabel === label || one.innerText === label).click();
          const { href, download } = await asked;
          return [download, (await fetch(href)).headers.get("content-type")];
        }""",
        button,
    )
    name, kind = found
    return ("image" if name.endswith("_portrait.jpg") else name), kind


def test_pictures_are_dropped_shown_live_looked_at_and_deleted_with_a_way_back(person: Person) -> None:
    """Progress, thumbnail, large; a moving one moves; what is broken says why; sizes; delete, undo, delete for good."""
    uid = person.arrives()
    person.reads("Nothing here yet.")
    person.drops(
        ("a.jpg", "image/jpeg", picture()),
        ("b.gif", "image/gif", animation()),
        ("c.png", "image/png", b"this is no picture at all, whatever it says"),
        ("d.svg", "image/svg+xml", b"<svg/>"),
        ("e.png", "image/png", b"\0" * (5 * 1024 * 1024)),
        ("f.tif", "image/tiff", b"II*\0" + b"\0" * 99),
    )
    person.reads("4 of 6 files are stored")
    person.reads("2 were refused.")
    person.reads("Pictures (no SVG), MP4 films and Opus sounds are stored here.")
    person.reads("5 MB are the most that is stored here.")
    first = "[0, 1].map((at) => document.querySelector(`.uploads [data-index='${at}'] .line`).dataset.state)"
    assert person.page.run(f"() => {first}") == ["refused", "refused"]
    person.sees(f"{TILES}.filter((one) => one.dataset.status === 'ready').length === 2")
    person.sees(f"{TILES}.filter((one) => one.querySelector('img.here')).length === 2")
    person.sees(
        f"{TILES}.find((one) => one.dataset.status === 'quarantined')"
        "?.innerText.includes('Kept apart: declared image/png')"
    )
    person.sees(
        f"{TILES}.find((one) => one.dataset.status === 'unsupported')?.innerText.match(/Stored as it is: .*image.tiff/)"
    )
    moving = """[...document.querySelectorAll('.tile img')].find((one) => one.src.includes('.gif'))"""
    person.sees(moving)
    assert "ANIM" in person.page.run(f"async () => (await fetch({moving}.src)).text()")
    variants = [{"content_type": "image/webp", "width": 200, "animated": moves} for moves in (False, True)]
    for motion in ("reduce", "no-preference"):
        person.page.command(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": motion}]
        )
        shown = person.page.run("async (given) => (await import('/app/picture.js')).steps(given, 200)", variants)
        assert [one["animated"] for one in shown] == [motion != "reduce"]

    person.page.run(f"() => {{ {TILES}.find((one) => one.querySelector('img')?.src.includes('.jpg')).click(); }}")
    person.sees(
        "document.querySelector('dialog').open"
        " && Number(document.querySelector('dialog .picture').dataset.width) >= 800"
    )
    steps = person.page.run(
        "() => [...document.querySelectorAll('dialog .picture > *')].map((one) => [one.localName, one.dataset.width])"
    )
    assert steps == [["canvas", None], ["img", "200"], ["img", "800"]]
    assert "900 × 600" in person.text("dialog")
    assert "thumb_200" in person.text("dialog table")
    assert person.text("dialog dl").startswith("Kind\nPicture\nSize\n")
    assert [address_of_download(person, name) for name in ("Download thumb_200.webp", "Download the original")] == [
        ("thumb_200.webp", "image/webp"),
        ("image", "image/jpeg"),
    ]
    person.presses("Delete", "dialog")
    person.sees(f"{TILES}.length === 3")
    person.presses("Undo")
    person.sees(f"{TILES}.length === 4")
    person.page.run(f"() => {{ {TILES}.find((one) => one.querySelector('img')?.src.includes('.jpg')).click(); }}")
    person.presses("Delete", "dialog")
    person.presses("Do it now")
    person.suite.settled()
    person.page.reload()
    person.is_known()
    person.reads("3 files")
    assert person.uid() == uid
    assert [line for line in person.page.console if "Content Security Policy" in line] == []


def test_nobody_sees_the_files_of_another(people: Callable[[], Person]) -> None:
    """Two guests at once: each sees the own file alone, live."""
    one, other = people(), people()
    one.arrives()
    other.arrives()
    one.drops(("a.jpg", "image/jpeg", picture(colour=1)))
    one.reads("1 file\n")
    other.drops(("a.jpg", "image/jpeg", picture(colour=2)), ("b.jpg", "image/jpeg", picture(colour=3)))
    other.reads("2 files")
    one.suite.settled()
    one.sees(f"{TILES}.length === 1 && {TILES}[0].dataset.status === 'ready'")
    assert one.uid() != other.uid()


def test_an_upload_is_held_and_goes_on_where_it_was(person: Person) -> None:
    """Held and resumed by hand; nobody else signs in over it; it waits for the network; another one is cancelled."""
    person.arrives()
    person.page.command("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1,
                        uploadThroughput=300_000)  # fmt: skip
    noise = bytes(range(256)) * 4000
    person.drops(("a.png", "image/png", picture(1200, 900, kind="PNG") + noise), ("b.png", "image/png", noise))
    person.sees("document.querySelector('.uploads progress')?.value > 0")
    person.presses("Pause")
    person.reads("Paused.")
    person.goes_to("account")
    for name, value in (("email", "ana@example.com"), ("password", "long enough")):
        person.writes(f"#enter [name={name}]", value)
    person.page.run("() => document.querySelector('#enter').requestSubmit()")
    person.reads("Files of yours are still on their way.")
    person.goes_to("gallery")
    person.presses("Cancel b.png")
    person.reads("1 was cancelled.")
    person.presses("Go on")
    person.sees("document.querySelector('.uploads [data-state=sending]')")
    person.page.go_offline()
    person.reads("Waiting for the network.")
    person.page.go_offline(offline=False)
    person.reads("1 of 2 files are stored")
    person.sees(f"{TILES}.length === 1 && {TILES}[0].dataset.status === 'ready'")


def test_a_refused_upload_says_so_and_a_token_that_ran_out_is_renewed(person: Person) -> None:
    """What the service refuses is said, and goes again when somebody asks; an expired token costs no word at all."""
    person.arrives()
    upload = {"service": "storage", "method": "POST"}
    for code in (Code.PERMISSION_DENIED, Code.UNAUTHENTICATED):
        person.suite.add_fault(FaultRule(action="fail", match=upload, times=1, code=code))
    person.drops(("a.jpg", "image/jpeg", picture(colour=4)))
    person.reads("The rules refuse this file.")
    person.presses("Try again")
    person.reads("1 of 1 files are stored")


def test_a_thousand_files_are_dropped_at_once(person: Person) -> None:
    """All are taken, few have elements, they go on in another room, and what is not stored yet can be called off."""
    person.suite.add_fault(FaultRule(action="drop", match={"type": "*finalized"}))
    person.arrives()
    dot = picture(2, 2, kind="PNG")
    person.drops(*[(f"{number}.png", "image/png", dot + bytes([number % 251])) for number in range(1000)])
    person.reads("of 1,000 files are stored")
    assert person.page.run("() => document.querySelectorAll('.uploads .one').length") < 40
    person.goes_to("account")
    person.goes_to("gallery")
    person.sees("Number(document.body.innerText.match(/([0-9,]+) of 1,000 files are stored/)[1].replace(',', '')) > 50")
    person.sees("document.querySelector('.uploads .one[data-index=\"0\"] .line')?.dataset.state === 'sending'")
    person.presses("Cancel all")
    stored, cancelled = person.sees(
        "(document.body.innerText.match(/([0-9,]+) of 1,000 files.+?([0-9,]+) were cancelled/) ?? []).slice(1)"
        ".map((text) => Number(text.replace(',', '')))"
    )
    assert stored + cancelled == 1000
    assert bars(person) == []


@pytest.mark.soak
def test_each_of_a_thousand_files_arrives(person: Person) -> None:
    """Nothing is lost in the queue, and the functions make every one ready."""
    person.arrives()
    dot = picture(2, 2, kind="PNG")
    person.drops(*[(f"{number}.png", "image/png", dot + bytes([number % 251])) for number in range(1000)])
    for _ in range(10):
        try:
            person.reads("1,000 of 1,000 files are stored")
            break
        except BrowserError:
            continue
    person.suite.settled(600)
    person.page.reload()
    person.reads("1,000 files")
    person.sees(f"{TILES}.length > 5 && {TILES}.every((one) => one.dataset.status === 'ready')")
