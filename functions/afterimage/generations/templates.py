"""The generator that needs no network: a small project that runs, made from the words of the prompt. Deterministic."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from typing import Final

from afterimage.generations.generator import Assignment, Made, TokensSpent

MODEL: Final = "afterimage-template"
_WORD: Final = re.compile(r"[a-z][a-z0-9]*")
_IDLE: Final = frozenset(
    {"a", "an", "and", "app", "build", "create", "for", "in", "make", "me", "of", "please", "that", "the", "to", "with"}
)


class TemplateGenerator:
    """Makes a Python package with a command, its test and its readme; enhanced also a data model, CI and an image."""

    def most(self, assignment: Assignment) -> TokensSpent:
        return TokensSpent(model=MODEL)

    def make(self, assignment: Assignment) -> Made:
        files = _iterated(assignment) if assignment.files else _new(assignment)
        return Made(files=files, spent=TokensSpent(model=MODEL))


def words_of(prompt: str) -> list[str]:
    """What the prompt is about: its words in their order, each once."""
    return list(dict.fromkeys(word for word in _WORD.findall(prompt.lower()[:2_000]) if word not in _IDLE))


def _new(assignment: Assignment) -> Mapping[str, str]:
    words = words_of(assignment.prompt)[:12] or ["project"]
    package = "_".join(words[:3])[:40]
    package = f"the_{package}" if keyword.iskeyword(package) or package in _TAKEN else package
    title = " ".join(words[:3]).capitalize()
    files = {
        "README.md": f"# {title}\n\n{_quoted(assignment.prompt)}\n\n```\npython -m {package} list\n"
        f"python -m pytest\n```\n",
        "pyproject.toml": f'[project]\nname = "{package.replace("_", "-")}"\nversion = "0.1.0"\n'
        'requires-python = ">=3.11"\n\n[tool.pytest.ini_options]\npythonpath = ["."]\n',
        f"{package}/__init__.py": f'"""{title}."""\n',
        f"{package}/items.py": _ITEMS.replace("@TOPICS@", json.dumps(words)),
        f"{package}/__main__.py": _MAIN.replace("PACKAGE", package),
        "tests/test_items.py": _TEST.replace("PACKAGE", package),
    }
    if assignment.mode == "enhanced":
        files |= {
            ".gitignore": "__pycache__/\n.venv/\n",
            ".github/workflows/test.yml": _WORKFLOW,
            "Dockerfile": "FROM python:3.13-slim\nWORKDIR /app\nCOPY . .\nUSER nobody\n"
            f'CMD ["python", "-m", "{package}"]\n',
            "docs/design.md": f"# Design\n\n`{package}/items.py` holds what there is, `__main__.py` the command.\n",
        }
    return files


def _iterated(assignment: Assignment) -> Mapping[str, str]:
    """The files as they were, the wish noted, and a topic more for each new word of it."""
    files = dict(assignment.files)
    note = f"- {_quoted(assignment.prompt)}\n"
    files["CHANGES.md"] = files.get("CHANGES.md", "# Changes\n\n") + note
    for name, text in assignment.files.items():
        if name.endswith("/items.py") and (found := _TOPICS.search(text)):
            topics = list(dict.fromkeys([*json.loads(found[1]), *words_of(assignment.prompt)[:12]]))
            files[name] = text.replace(found[0], f"TOPICS = {json.dumps(topics)}", 1)
    return files


def _quoted(prompt: str) -> str:
    """The prompt on one line, as text that no reader of Markdown takes for a command."""
    return " ".join(prompt.split())[:500].replace("`", "'").replace("<", "&lt;")


_TOPICS: Final = re.compile(r"TOPICS = (\[[^\]\n]*\])")
_TAKEN: Final = frozenset({"tests", "test", "json", "sys", "docs", "pytest"})
_ITEMS: Final = '''"""What this project is about, as items that can be listed and found."""

TOPICS = @TOPICS@


def items() -> list[dict[str, object]]:
    return [{"id": number, "name": topic} for number, topic in enumerate(TOPICS, start=1)]


def find(text: str) -> list[dict[str, object]]:
    return [item for item in items() if text.lower() in str(item["name"])]
'''
_MAIN: Final = '''"""The command: `list` shows everything, `find TEXT` some of it."""

import json
import sys

from PACKAGE.items import find, items


def main(arguments: list[str]) -> int:
    match arguments:
        case ["find", text]:
            print(json.dumps(find(text)))
        case [] | ["list"]:
            print(json.dumps(items()))
        case _:
            print("usage: python -m PACKAGE [list | find TEXT]", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
'''
_TEST: Final = '''"""The items can be listed and found."""

from PACKAGE.items import find, items


def test_every_item_is_found_by_its_name() -> None:
    for item in items():
        assert item in find(str(item["name"]))
'''
_WORKFLOW: Final = """on: push
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v5
      - uses: actions/setup-python@v6
        with: { python-version: "3.13" }
      - run: pip install pytest && python -m pytest
"""
