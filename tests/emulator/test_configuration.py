"""firebase.json and .firebaserc: what is read, and how mistakes are named."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterimage_emulator.configuration import (
    Address,
    Codebase,
    ConfigurationError,
    StorageTarget,
    find_configuration,
    load_configuration,
)
from tests.thoroughness import examples


def project(folder: Path, body: object, runcom: object = None) -> Path:
    (folder / "functions").mkdir(exist_ok=True)
    for name in ("firestore.rules", "storage.rules", "other.rules"):
        (folder / name).write_text("")
    file = folder / "firebase.json"
    file.write_text(body if isinstance(body, str) else json.dumps(body))
    if runcom is not None:
        (folder / ".firebaserc").write_text(json.dumps(runcom))
    return file


def test_the_usual_file_is_read_whole(tmp_path: Path) -> None:
    """Codebases, rules, ports and the default project, as the Firebase CLI understands them."""
    file = project(
        tmp_path,
        {
            "functions": {"runtime": "python312"},
            "firestore": {"rules": "firestore.rules"},
            "storage": {"rules": "storage.rules"},
            "emulators": {"firestore": {"port": 8181}, "storage": {"host": "127.0.0.2", "port": 0}},
        },
        {"projects": {"default": "demo-x"}},
    )
    read = load_configuration(file)
    assert read.project_id == "demo-x"
    assert read.codebases == (Codebase(name="default", source=tmp_path / "functions", runtime="python312"),)
    assert read.firestore[0].rules == tmp_path / "firestore.rules"
    assert read.storage == (StorageTarget(rules=tmp_path / "storage.rules"),)
    assert read.address("firestore") == Address(host="127.0.0.1", port=8181)
    assert read.address("storage") == Address(host="127.0.0.2", port=0)
    assert read.address("pubsub").port == 8085


def test_several_codebases_and_buckets(tmp_path: Path) -> None:
    """Lists are lists; a deploy target stands for the buckets that .firebaserc gives it."""
    (tmp_path / "more").mkdir()
    file = project(
        tmp_path,
        {
            "functions": [{"codebase": "a"}, {"codebase": "b", "source": "more"}],
            "storage": [{"target": "main", "rules": "storage.rules"}, {"bucket": "b2", "rules": "other.rules"}],
        },
        {"projects": {"default": "demo-x"}, "targets": {"demo-x": {"storage": {"main": ["b0", "b1"]}}}},
    )
    read = load_configuration(file)
    assert [codebase.name for codebase in read.codebases] == ["a", "b"]
    assert [target.bucket for target in read.storage] == ["b0", "b1", "b2"]


def test_comments_are_admitted_and_places_stay_right(tmp_path: Path) -> None:
    """The Firebase CLI reads comments, so we do; an error behind one still names its own line."""
    read = load_configuration(project(tmp_path, '{ // "a//b": [\n "emulators": {"auth": {"port": 7}} /* x */ }'))
    assert read.address("auth").port == 7
    with pytest.raises(ConfigurationError, match=r"firebase\.json:2:22: not JSON"):
        load_configuration(project(tmp_path, '{ /* a\n b */ "functions": {},\n }'))


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("", "not JSON"),
        ("[]", "must hold a JSON object"),
        ({"functions": 3}, "`functions` must be an object"),
        ({"functions": {"source": "nowhere"}}, "`functions.source` names `nowhere`"),
        ({"functions": [{"codebase": "a"}, {"codebase": "a"}]}, "`a` is used twice"),
        ({"firestore": {"rules": 3}}, "`firestore.rules` must be a string"),
        ({"firestore": {"rules": "a\0b"}}, "`firestore.rules` is no path"),
        ({"storage": {"target": "main"}}, "target:apply storage main"),
        ({"emulators": {"auth": {"port": "9"}}}, "`emulators.auth.port` must be a number"),
        ({"emulators": {"auth": {"port": 70000}}}, "`emulators.auth.port`"),
        ({"emulators": []}, "`emulators` must be an object"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, body: object, named: str) -> None:
    """Whoever mistypes firebase.json is told the file and the key."""
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(project(tmp_path, body))
    assert named in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("body", "key", "says"),
    [
        ({"firestoer": {"rules": "firestore.rules"}}, "firestoer", "did you mean `firestore`?"),
        ({"Firestore": {}}, "Firestore", "did you mean `firestore`?"),
        ({"firestore": {"rule": "x"}}, "firestore.rule", "did you mean `rules`?"),
        ({"storage": [{"bucket": "b"}, {"Rules": "x"}]}, "storage[1].Rules", "did you mean `rules`?"),
        ({"functions": {"sorce": "x"}}, "functions.sorce", "did you mean `source`?"),
        ({"emulators": {"fire-store": {}}}, "emulators.fire-store", "did you mean `firestore`?"),
        ({"emulators": {"auth": {"prot": 1}}}, "emulators.auth.prot", "did you mean `port`?"),
        ({"emulators": {"auth": {"quux": 1}}}, "emulators.auth.quux", "known there: host, port"),
    ],
)
def test_a_misspelt_key_is_a_warning_that_names_the_right_one(
    tmp_path: Path, body: object, key: str, says: str
) -> None:
    """A misspelt `firestore` is an open database; a key of a later Firebase CLI must not stop the suite."""
    said = f"`{key}` in firebase.json is unknown and does nothing; {says}"
    assert load_configuration(project(tmp_path, body)).warnings == (said,)


def test_keys_that_the_schema_allows_are_no_warnings(tmp_path: Path) -> None:
    """What the Firebase CLI uses and the suite does not is nothing to speak of."""
    hooks = {"predeploy": "x", "postdeploy": ["y"]}
    body = {
        "$schema": "https://raw.githubusercontent.com/firebase/firebase-tools/master/schema/firebase-config.json",
        "hosting": {"public": "public", "appAssociation": "AUTO", **hooks},
        "apphosting": {}, "auth": {}, "database": {}, "dataconnect": {}, "extensions": {"a": "b"}, "remoteconfig": {},
        "firestore": {"location": "nam5", "edition": "standard", "rules": "firestore.rules", **hooks},
        "storage": [{"bucket": "b", "target": None, "rules": "storage.rules", **hooks}],
        "functions": [{
            "source": "functions", "codebase": "default", "runtime": "python313", "ignore": ["venv"], "prefix": "p",
            "configDir": "c", "disallowLegacyRuntimeConfig": True, **hooks,
        }],
        "emulators": {
            "ui": {"enabled": True, "port": 4000}, "singleProjectMode": True, "extensions": {},
            "firestore": {"port": 0, "websocketPort": 9150}, "dataconnect": {"dataDir": "d"}, "hosting": {"port": 5000},
        },
    }  # fmt: skip
    assert load_configuration(project(tmp_path, body)).warnings == ()


@pytest.mark.parametrize("content", ["[1, ]", '{"a": 1, // last\n}'])
def test_a_comma_too_many_is_refused_as_by_the_firebase_cli(tmp_path: Path, content: str) -> None:
    """The same file must deploy: comments are taken, nothing else beyond JSON; the message says what to remove."""
    with pytest.raises(ConfigurationError, match=r"firebase\.json:1:\d+: not JSON: a comma before the closing bracket"):
        load_configuration(project(tmp_path, content))


def test_comments_without_end_are_read_in_linear_time(tmp_path: Path) -> None:
    """A damaged file is refused, not pondered: a quadratic pattern would take hours for this one."""
    with pytest.raises(ConfigurationError, match="not JSON"):
        load_configuration(project(tmp_path, "/* " * 400_000))


def test_files_of_rules_and_indexes_may_be_missing(tmp_path: Path) -> None:
    """Fresh projects and clones lack them; whoever reads them says what that means."""
    body = {"firestore": {"rules": "gone.rules", "indexes": "gone.json"}, "storage": {"rules": "gone.rules"}}
    read = load_configuration(project(tmp_path, body))
    assert read.firestore[0].rules == read.storage[0].rules == tmp_path / "gone.rules"
    assert read.firestore[0].indexes == tmp_path / "gone.json"


def test_the_file_is_found_from_a_folder_below_it(tmp_path: Path) -> None:
    """As with the Firebase CLI, commands work anywhere inside a project; elsewhere the error says what to do."""
    file = project(tmp_path, {})
    below = tmp_path / "functions" / "deep"
    below.mkdir()
    assert find_configuration(below) == file
    file.unlink()
    with pytest.raises(ConfigurationError, match="--config"):
        find_configuration(below)


def test_a_project_id_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    """A slash in a project id would move every document elsewhere."""
    with pytest.raises(ConfigurationError, match="`a/b`"):
        load_configuration(project(tmp_path, {}), project_id="a/b")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=examples(150), deadline=None)
@given(
    body=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("functions", "firestore", "storage", "emulators", "hosting"), _JSON)
    )
)
def test_no_json_whatever_crashes_the_reader(tmp_path_factory: pytest.TempPathFactory, body: object) -> None:
    """Any JSON is either read or refused with a ConfigurationError."""
    file = project(tmp_path_factory.mktemp("project"), body)
    with contextlib.suppress(ConfigurationError):
        load_configuration(file)
