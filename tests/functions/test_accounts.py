"""Accounts: each kind of function runs as an account of its own, which may do what those functions do and no more."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "docs/examples/afterimage-accounts.sh"
STARTED_BY_SCHEDULES = {
    "media.sweep",
    "generations.expire",
    "versions.expire",
    "ledger.close-day",
    "ledger.audit",
    "artifacts.cleanup",
    "quota.audit",
    "publications.audit",
}
STARTED_BY_THE_API = {"user.erase", "media.replay", "ledger.replay", "artifacts.cleanup", "drive.rewrap"}
NAMES = (
    "media",
    "media-jobs",
    "erase",
    "ledger",
    "ledger-jobs",
    "artifacts",
    "api",
    "publications",
    "assets",
    "cdn",
    "drive",
    "schedules",
)
GCLOUD = """#!/usr/bin/env bash
printf '%q ' "$@" >> "$CALLS"; echo >> "$CALLS"
[[ -n "$EXISTS" || "$*" != *" describe "* ]]
"""
"""Notes what it is asked, and says whether things exist."""


def manifest(**variables: str) -> dict[str, Any]:
    """What the Firebase CLI would read, with these variables in its `.env` files."""
    script = "from firebase_functions.private import serving; print(serving.functions_as_yaml(serving.get_functions()))"
    done = subprocess.run(
        [sys.executable, "-B", "-c", script], cwd=ROOT / "functions", capture_output=True, text=True, timeout=60,
        env={"PATH": os.environ["PATH"], "GCLOUD_PROJECT": "demo-x"} | variables, check=True,
    )  # fmt: skip
    found: dict[str, Any] = yaml.safe_load(done.stdout)["endpoints"]
    return found


def said_by_the_script(tmp_path: Path, *arguments: str, exists: bool = False) -> tuple[str, list[list[str]]]:
    """Its own words, and every command it gave."""
    (tmp_path / "gcloud").write_text(GCLOUD)
    (tmp_path / "gcloud").chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "CALLS": str(tmp_path / "calls"),
        "EXISTS": "yes" * exists,
    }
    done = subprocess.run(
        [str(SCRIPT), *arguments], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout, [shlex.split(line) for line in (tmp_path / "calls").read_text().splitlines()]


def options(command: list[str]) -> dict[str, str]:
    return dict(word[2:].partition("=")[::2] for word in command if word.startswith("--"))


def member(command: list[str]) -> str:
    address = options(command)["member"].removeprefix("serviceAccount:afterimage-")
    name, _, domain = address.partition("@")
    assert domain == "demo-x.iam.gserviceaccount.com"
    return name


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The two runs as a deployment makes them."""
    variables, before = said_by_the_script(
        tmp_path_factory.mktemp("before"), "before", "demo-x", "originals", "derived"
    )
    _, after = said_by_the_script(
        tmp_path_factory.mktemp("after"),
        "after",
        "demo-x",
        "europe-west1",
        "media.ready",
        "quota.alert",
        "budget.alert",
    )
    lines = [line for line in variables.splitlines() if "_ACCOUNT=" in line]
    return {"before": before, "after": after, "variables": dict(line.split("=") for line in lines)}


def test_with_no_account_named_a_function_runs_as_the_project_s_default() -> None:
    """The manifest says null, which the platform takes for the default; the empty text would be no account at all."""
    for name, endpoint in manifest().items():
        assert endpoint.get("serviceAccountEmail") is None, name


def test_each_function_runs_as_the_account_of_its_kind_and_as_no_other(given: dict[str, Any]) -> None:
    """What the script prints for `.env` is what the manifest then says, and the same account may call the function."""
    endpoints = manifest(**given["variables"])
    runs_as = {name: endpoint["serviceAccountEmail"] for name, endpoint in endpoints.items()}
    invokers = [command for command in given["after"] if command[:2] == ["functions", "add-invoker-policy-binding"]]
    may_call = {command[2]: options(command)["member"].removeprefix("serviceAccount:") for command in invokers}
    assert len(invokers) == len(may_call)
    # The API asks by itself who calls, the origin serves anybody; nobody but the platform calls any other.
    public = {name for name, endpoint in endpoints.items() if "httpsTrigger" in endpoint}
    assert public == {"api", "assets"}
    assert all(endpoints[name]["httpsTrigger"] == {"invoker": ["public"]} for name in public)
    assert may_call == {name: address for name, address in runs_as.items() if name not in public}
    assert {address.removeprefix("afterimage-").partition("@")[0] for address in runs_as.values()} == set(NAMES)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("books", "books@demo-x.iam.gserviceaccount.com"),
        ("books@", "books@demo-x.iam.gserviceaccount.com"),
        ("books@other.iam.gserviceaccount.com", "books@other.iam.gserviceaccount.com"),
    ],
)
def test_an_account_may_be_named_in_three_ways(written: str, address: str) -> None:
    """By its name, as the CLI writes it, or whole; a schedule too, whose caller the CLI would not complete."""
    endpoints = manifest(LEDGER_ACCOUNT=written)
    assert endpoints["ledger_roll_up"]["serviceAccountEmail"] == address
    assert endpoints["ledger_object_finalized"]["serviceAccountEmail"] == address


def test_the_buckets_are_open_for_what_the_code_does_and_no_more(given: dict[str, Any]) -> None:
    """Only `erase`, `artifacts` and the API delete originals; the last two create some; the schedules see no bucket.

    Whoever gets or deletes may list, too: without it, what is gone is answered `forbidden` instead of `not found`.
    """
    permissions = {
        command[3]: set(options(command)["permissions"].split(","))
        for command in given["before"]
        if command[:3] == ["iam", "roles", "create"]
    }
    may: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for command in given["before"]:
        if command[:3] == ["storage", "buckets", "add-iam-policy-binding"]:
            role = options(command)["role"].rpartition("/")[2]
            verbs = {permission.removeprefix("storage.objects.") for permission in permissions[role]}
            may[member(command), command[3].removeprefix("gs://")] |= verbs
    assert may == {
        ("media", "originals"): {"get", "list", "update"},
        ("media", "derived"): {"list", "create", "delete"},
        ("media-jobs", "originals"): {"get", "list", "update"},
        ("media-jobs", "derived"): {"list", "create", "delete"},
        ("erase", "originals"): {"list", "delete"},
        ("erase", "derived"): {"list", "delete"},
        ("ledger-jobs", "originals"): {"get", "list"},
        ("artifacts", "originals"): {"get", "list", "create", "delete"},
        ("assets", "originals"): {"get", "list"},
        ("assets", "derived"): {"get", "list"},
        ("api", "originals"): {"get", "list", "create", "delete"},
        ("drive", "originals"): {"get", "list"},
    }
    roles: defaultdict[str, set[str]] = defaultdict(set)
    for command in given["before"]:
        if command[:2] == ["projects", "add-iam-policy-binding"]:
            roles[member(command)].add(options(command)["role"])
    writes_documents = {"roles/datastore.user", "roles/eventarc.eventReceiver", "roles/logging.logWriter"}
    sees_accounts = writes_documents | {"roles/firebaseauth.viewer"}
    assert roles == dict.fromkeys(NAMES, writes_documents) | {
        "media": sees_accounts,
        "media-jobs": sees_accounts,
        "ledger": sees_accounts | {"roles/cloudtasks.enqueuer"},
        "api": writes_documents | {"roles/firebaseappcheck.tokenVerifier", "roles/cloudtasks.enqueuer"},
        "assets": {"roles/datastore.viewer", "roles/logging.logWriter"},
        "schedules": {"roles/logging.logWriter"},
    }
    itself = [
        command for command in given["before"] if command[:3] == ["iam", "service-accounts", "add-iam-policy-binding"]
    ]
    assert {(command[3].partition("@")[0], member(command), options(command)["role"]) for command in itself} == {
        ("afterimage-api", "api", "roles/iam.serviceAccountTokenCreator"),  # signs URLs
        ("afterimage-api", "api", "roles/iam.serviceAccountUser"),  # names itself as the caller of its tasks
        ("afterimage-ledger", "ledger", "roles/iam.serviceAccountUser"),
    }


def test_running_it_again_changes_what_is_there_and_makes_nothing_twice(tmp_path: Path) -> None:
    """Accounts and roles that exist are kept, and a role gets the permissions of this version."""
    _, again = said_by_the_script(tmp_path, "before", "demo-x", "originals", "derived", exists=True)
    verbs = {(command[1], command[2]) for command in again if command[0] == "iam"}
    assert verbs == {
        ("service-accounts", "describe"),
        ("service-accounts", "add-iam-policy-binding"),
        ("roles", "describe"),
        ("roles", "update"),
    }


def test_the_api_alone_signs_and_nobody_in_another_s_name(given: dict[str, Any]) -> None:
    """Links to files carry the API's signature; the API and the ledger name themselves as callers of their tasks."""
    signers = [
        (command[3].partition("@")[0], member(command), options(command)["role"])
        for command in given["before"]
        if command[:3] == ["iam", "service-accounts", "add-iam-policy-binding"]
    ]
    assert signers == [
        ("afterimage-api", "api", "roles/iam.serviceAccountTokenCreator"),
        ("afterimage-api", "api", "roles/iam.serviceAccountUser"),
        ("afterimage-ledger", "ledger", "roles/iam.serviceAccountUser"),
    ]


def test_a_topic_takes_messages_from_those_who_publish_on_it(given: dict[str, Any]) -> None:
    """Every topic that a function listens to is covered: a job on its own, the schedules on those they start."""
    publishers: defaultdict[str, set[str]] = defaultdict(set)
    for command in given["after"]:
        if command[:3] == ["pubsub", "topics", "add-iam-policy-binding"]:
            assert options(command)["role"] == "roles/pubsub.publisher"
            publishers[command[3]].add(member(command))
    endpoints = manifest(**given["variables"])
    expected: dict[str, set[str]] = {"media.ready": {"media", "media-jobs"}, "quota.alert": {"artifacts"}}
    expected["budget.alert"] = {"artifacts"}
    for endpoint in endpoints.values():
        topic = endpoint.get("eventTrigger", {}).get("eventFilters", {}).get("topic")
        if topic:
            own = endpoint["serviceAccountEmail"].removeprefix("afterimage-").partition("@")[0]
            expected[topic] = {own} | ({"schedules"} if topic in STARTED_BY_SCHEDULES else set())
            expected[topic] |= {"api"} if topic in STARTED_BY_THE_API else set()
    assert publishers == expected


def test_the_key_of_drives_is_used_by_those_who_seal_open_and_take_back(tmp_path: Path) -> None:
    """And by no other account; erasing opens permissions, and seals none."""
    key = "projects/demo-x/locations/global/keyRings/afterimage/cryptoKeys/drive"
    _, commands = said_by_the_script(tmp_path, "drive", "demo-x", key)
    assert {command[:4] for command in map(tuple, commands)} == {("kms", "keys", "add-iam-policy-binding", key)}
    assert {member(command): options(command)["role"] for command in commands} == {
        "api": "roles/cloudkms.cryptoKeyEncrypterDecrypter",
        "drive": "roles/cloudkms.cryptoKeyEncrypterDecrypter",
        "erase": "roles/cloudkms.cryptoKeyDecrypter",
    }


@pytest.mark.parametrize("arguments", [(), ("before", "p"), ("after", "p"), ("drive", "p"), ("sideways", "p", "r")])
def test_too_few_arguments_say_how_it_is_called(arguments: tuple[str, ...]) -> None:
    """Nothing is asked of the platform before all of it is known."""
    done = subprocess.run([str(SCRIPT), *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "before PROJECT ORIGINALS_BUCKET DERIVED_BUCKET" in done.stderr
