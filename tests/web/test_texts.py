"""What the page says: each text in both languages, with the same gaps, and every text that a module asks for."""

from __future__ import annotations

import re

from tests.web.conftest import TOO_WIDE, WEB, Person

MODULES = {path: path.read_text("utf-8") for path in sorted((WEB / "app").rglob("*.js"))}
ASKED = re.compile(r"""\b(?:say|sayCount|sayOr)\(\s*(?:"([^"]+)"|`([^`]+)`)""")


def test_every_text_stands_in_both_languages_and_is_asked_for(person: Person) -> None:
    """Nobody sees a key, an English word in German, or a gap without its value; no text is left over."""
    person.arrives("account")
    texts: dict[str, list[str]] = person.page.run("async () => (await import('/app/texts.js')).TEXTS")
    assert len(texts) > 100
    for key, (english, german) in texts.items():
        assert english.strip(), key
        assert german.strip(), key
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", german)), key
    code = "\n".join(source for path, source in MODULES.items() if path.name != "texts.js")
    for literal, template in ASKED.findall(code):
        wanted = re.escape(literal) if literal else re.sub(r"\\\$\\\{[^}]*\\\}", ".+", re.escape(template))
        assert any(re.fullmatch(rf"{wanted}(\.one|\.other)?", key) for key in texts), literal or template
    begins = tuple(re.findall(r"`([\w.]+\.)\$\{", code))
    ends = tuple(re.findall(r"`\$\{\w+\}(\.\w+)`", code))
    plain = {key: re.sub(r"\.(one|other)$", "", key) for key in texts}
    left = [
        key
        for key, name in plain.items()
        if f'"{key}"' not in code
        and f'"{name}"' not in code
        and not name.startswith(begins)
        and not name.endswith(ends)
    ]
    assert left == []


def test_german_is_chosen_and_stays(person: Person) -> None:
    """At once and after a reload; the page says which language it speaks; its longer words fit a narrow screen."""
    person.arrives("account")
    person.writes("#account-state select", "de")
    person.reads("Du bist Gast")
    person.page.reload()
    person.reads("Du bist Gast")
    assert person.page.run("() => document.documentElement.lang") == "de"
    person.looks(width=360)
    for room in ("gallery", "generations", "dialogues", "books", "versions", "storage", "account"):
        person.goes_to(room)
        assert person.page.run(TOO_WIDE) == [], room
