"""Env files, parameters and expressions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage_emulator.functions.codebases.parameters import (
    EnvironmentFileError,
    as_environment,
    built_in_values,
    parameter_values,
    parse_environment_file,
    read_environment_files,
    read_secrets,
    resolve,
)


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("A=1\n#B=2\n\n export C = three \n", {"A": "1", "C": "three"}),
        ("A='single # kept \\n'\nB=\"two\\nlines\" # gone", {"A": "single # kept \\n", "B": "two\nlines"}),
        ('A="over\nlines"\r\nB=x#y\nC=x #y\n', {"A": "over\nlines", "B": "x#y", "C": "x"}),
        ("A=\nB=a=b\n", {"A": "", "B": "a=b"}),
        ("no sign here\nA=1", {"A": "1"}),
    ],
)
def test_env_files_are_read_as_the_firebase_cli_reads_them(text: str, entries: dict[str, str]) -> None:
    """Quotes, comments, `export`, several lines."""
    assert parse_environment_file(text) == entries


@pytest.mark.parametrize("key", ["FIREBASE_X", "X_GOOGLE_Y", "EXT_Z", "1A", "A-B"])
def test_names_that_cannot_be_deployed_are_refused(key: str) -> None:
    """Better here than at the deploy."""
    with pytest.raises(EnvironmentFileError, match=key):
        parse_environment_file(f"{key}=1")


@given(
    st.dictionaries(
        st.from_regex(r"[A-DG-W][A-Z0-9_]{0,8}", fullmatch=True),
        st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    )
)
def test_every_value_survives_double_quotes(entries: dict[str, str]) -> None:
    """What is written with quotes and backslashes escaped comes back as it was."""
    text = "\n".join(
        '{}="{}"'.format(key, value.replace("\\", "\\\\").replace('"', '\\"')) for key, value in entries.items()
    )
    assert parse_environment_file(text) == entries


def test_later_files_win(tmp_path: Path) -> None:
    """General, then the project's, then the machine's; secrets are kept apart."""
    for number, name in enumerate((".env", ".env.demo-x", ".env.local", ".secret.local")):
        (tmp_path / name).write_text(f"A={number}\nB{number}=here\n")
    assert read_environment_files(tmp_path, "demo-x") == {"A": "2", "B0": "here", "B1": "here", "B2": "here"}
    assert read_secrets(tmp_path) == {"A": "3", "B3": "here"}


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """An env file in another encoding is a mistake, not a crash."""
    (tmp_path / ".env").write_bytes(b"A=\xff")
    with pytest.raises(EnvironmentFileError, match=r"`\.env` is not UTF-8"):
        read_environment_files(tmp_path, "demo-x")


@pytest.mark.parametrize(("kind", "text"), [("int", "many"), ("float", "1,5"), ("list", "[1")])
def test_a_value_of_the_wrong_type_is_named(kind: str, text: str) -> None:
    """The message says which parameter, what it should be, and what was found."""
    with pytest.raises(ValueError, match=re.escape(f"`SIZE` is declared as {kind}, and its value is `{text}`")):
        parameter_values([{"name": "SIZE", "type": kind}], {"SIZE": text}, {})


def test_parameters_take_their_value_or_their_default_in_their_type() -> None:
    """Numbers are numbers, booleans booleans; a default may be made of others; what has neither is named."""
    declared = [
        {"name": "BUCKET", "type": "string", "default": "{{ params.STORAGE_BUCKET }}"},
        {"name": "DERIVED", "type": "string", "default": "{{ params.PROJECT_ID }}-derived"},
        {"name": "SIZE", "type": "int", "default": 5},
        {"name": "ON", "type": "boolean", "default": False},
        {"name": "LIST", "type": "list", "default": ["a"]},
        {"name": "NEEDED", "type": "string"},
        {"name": "KEY", "type": "secret"},
    ]
    built_in = built_in_values("demo-x", {"storageBucket": "b", "databaseURL": "https://demo-x-rtdb.firebaseio.com"})
    values, missing = parameter_values(declared, {"SIZE": "7", "ON": "true", "LIST": "x,y"}, built_in)
    assert {name: values[name] for name in ("BUCKET", "DERIVED", "SIZE", "ON", "LIST", "NEEDED")} == {
        "BUCKET": "b", "DERIVED": "demo-x-derived", "SIZE": 7, "ON": True, "LIST": ["x", "y"], "NEEDED": "",
    }  # fmt: skip
    assert missing == ["NEEDED", "KEY"]
    assert values["DATABASE_INSTANCE_NAME"] == "demo-x-rtdb"
    assert as_environment({"A": True, "B": ["x"], "C": 3}) == {"A": "true", "B": '["x"]', "C": "3"}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("{{ params.N }}", 4),
        ("n={{ params.N }}", "n=4"),
        ('{{ params.S == "prod" ? 10 : 1 }}', 10),
        ("{{ params.N > 4 ? 1 : 2 }}", 2),
        ("{{ params.N >= 4 }}", True),
        ('{{ params.S != "prod" }}', False),
        ("{{ params.B }}", True),
        ({"a": ["{{ params.N }}"]}, {"a": [4]}),
        ("plain", "plain"),
        (None, None),
    ],
)
def test_expressions_are_resolved_where_they_stand(expression: object, value: object) -> None:
    """A whole expression keeps its type; one inside a text becomes text."""
    assert resolve(expression, {"N": 4, "S": "prod", "B": True}) == value


@pytest.mark.parametrize("expression", ["{{ params.UNKNOWN }}", "{{ }}", "{{ params.S < 4 }}", "{{ a b c }}"])
def test_expressions_that_make_no_sense_are_named(expression: str) -> None:
    """An unknown parameter does not turn into an empty text."""
    with pytest.raises(ValueError, match=r"`"):
        resolve(expression, {"S": "x"})
