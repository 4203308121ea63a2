"""`send`: fires one event, or one schedule, by hand at the functions of a running suite."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.parse
from datetime import datetime
from pathlib import Path
from typing import Any

from afterimage_emulator.commands.hand_made_events import (
    AUTH_TYPES,
    FIRESTORE_KINDS,
    STORAGE_KINDS,
    HandMadeEventError,
    custom_event,
    firestore_event,
    message_event,
    read_attributes,
    read_object,
    storage_event,
)
from afterimage_emulator.commands.hub_client import ask_hub, chosen_project, find_hub, refusal_text
from afterimage_emulator.configuration import ConfigurationError, find_configuration, load_configuration

DESCRIPTION = """\
Fires an event at the functions of a running suite. Only functions hear of it: no object, document or message is made.

  afterimage-emulator send storage finalized photos/cat.jpg --metadata '{"contentType": "image/jpeg"}'
  afterimage-emulator send firestore created cards/one --data '{"title": "hello"}'
  afterimage-emulator send firestore updated cards/one --before '{"n": 1}' --data '{"n": 2}'
  afterimage-emulator send firestore deleted cards/one --before '{"n": 1}' --auth-type unknown --auth-id UID
  afterimage-emulator send pubsub news --data hello --attribute colour=blue
  afterimage-emulator send custom com.example.order.placed --data '{"order": 7}'
  afterimage-emulator send event order.json        a whole CloudEvent as JSON; `-` reads it from the input
  afterimage-emulator send schedule nightly        a scheduled function, now, whatever its time table says

Where nothing here raises the events of a trigger (Alerts, Remote Config, Test Lab, Realtime Database, Data Connect, an
Eventarc channel), `custom` stands in for it: the event's type, the attributes by which the trigger chooses, and as data
what the real source sends. An alert of Crashlytics:

  afterimage-emulator send custom google.firebase.firebasealerts.alerts.v1.published \\
      --attribute alerttype=crashlytics.newFatalIssue --attribute appid=1:2:web:3 --data "$(cat alert.json)"

Events carry the time of the suite's clock. `afterimage-emulator events` then shows what became of them. The exit code
is 1 where no function wants the event."""


def add_send(commands: Any) -> None:
    send = commands.add_parser(
        "send", help="fire an event or a schedule by hand at a running suite",
        description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    kinds = send.add_subparsers(dest="kind", required=True, metavar="KIND")
    storage = kinds.add_parser("storage", help="something happened to an object")
    storage.add_argument("what", choices=STORAGE_KINDS)
    storage.add_argument("name", help="the object's name in its bucket, such as photos/cat.jpg")
    storage.add_argument("--bucket", help="default: the project's default bucket")
    storage.add_argument("--metadata", default="{}", metavar="JSON", help="members of the object to add or replace")
    firestore = kinds.add_parser("firestore", help="something happened to a document")
    firestore.add_argument("what", choices=FIRESTORE_KINDS)
    firestore.add_argument("document", help="its path, such as cards/one")
    firestore.add_argument("--data", metavar="JSON", help="its fields now")
    firestore.add_argument("--before", metavar="JSON", help="its fields before")
    firestore.add_argument("--database", default="(default)")
    firestore.add_argument(
        "--auth-type", choices=AUTH_TYPES,
        help="for the triggers with auth context, which hear of it instead of those without; "
        "a signed-in user of an app is `unknown`, with the uid as --auth-id",
    )  # fmt: skip
    firestore.add_argument("--auth-id", help="who did it; with --auth-type")
    pubsub = kinds.add_parser("pubsub", help="a message came")
    pubsub.add_argument("topic")
    pubsub.add_argument("--data", default="", help="the message's text")
    custom = kinds.add_parser("custom", help="an event of any type")
    custom.add_argument("type", help="the event's type, as the trigger names it")
    custom.add_argument("--source", default="//local/by-hand")
    custom.add_argument("--subject")
    custom.add_argument("--data", default="{}", metavar="JSON")
    for kind in (pubsub, custom):
        kind.add_argument("--attribute", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    event = kinds.add_parser("event", help="a whole CloudEvent in JSON (structured mode)")
    event.add_argument("file", help="a file, or `-` for the standard input")
    schedule = kinds.add_parser("schedule", help="run a scheduled function now")
    schedule.add_argument("name", help="the function's name")
    for kind in (storage, firestore, pubsub, custom, event, schedule):
        kind.add_argument("--project", metavar="ID", help="the running suite's project (default: from .firebaserc)")


def run_send(options: argparse.Namespace) -> int:
    try:
        hub = find_hub(options.project)
        if options.kind == "schedule":
            name = urllib.parse.quote(options.name, safe="")
            ask_hub(hub, f"/control/schedules/{name}:run", method="POST")
            sys.stdout.write(f"started {options.name}\n")
            return 0
        now = datetime.fromisoformat(ask_hub(hub, "/control/clock")["now"])
        event = _event_of_file(options.file) if options.kind == "event" else _event(options, now)
        answer = ask_hub(hub, "/control/events", method="POST", body=event)
    except (ConfigurationError, HandMadeEventError, urllib.error.HTTPError) as error:
        sys.stderr.write(f"{refusal_text(error)}\n")
        return 1
    if not answer["deliveries"]:
        sys.stderr.write(f"no function wants it: `{event['type']}` with {_attributes(event)}\n")
        if options.kind == "firestore" and options.auth_type is None:
            sys.stderr.write("with --auth-type it goes to the triggers with auth context\n")
        return 1
    sys.stdout.write(f"sent to {answer['deliveries']} function(s) as {answer['id']}\n")
    return 0


def _event_of_file(file: str) -> dict[str, object]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HandMadeEventError(f"cannot read `{file}`: {error}") from None
    event = read_object(text, f"the event in {file}")
    if not isinstance(event.get("type"), str):
        raise HandMadeEventError(f"the event in `{file}` has no `type`")
    return event


def _event(options: argparse.Namespace, now: datetime) -> dict[str, object]:
    if options.kind == "storage":
        bucket = options.bucket or _default_bucket(options.project)
        metadata = read_object(options.metadata, "--metadata")
        return storage_event(kind=options.what, bucket=bucket, name=options.name, metadata=metadata, now=now)
    if options.kind == "firestore":
        if options.auth_id is not None and options.auth_type is None:
            raise HandMadeEventError("--auth-id needs --auth-type, which says what kind of caller it names")
        return firestore_event(
            kind=options.what,
            project_id=chosen_project(options.project),
            database=options.database,
            path=options.document.strip("/"),
            before=None if options.before is None else read_object(options.before, "--before"),
            after=None if options.data is None else read_object(options.data, "--data"),
            now=now,
            auth=None if options.auth_type is None else (options.auth_type, options.auth_id or ""),
        )
    attributes = read_attributes(options.attribute)
    if options.kind == "pubsub":
        project_id = chosen_project(options.project)
        return message_event(
            project_id=project_id, topic=options.topic, text=options.data, attributes=attributes, now=now
        )
    try:
        data = json.loads(options.data)
    except ValueError as error:
        raise HandMadeEventError(f"--data `{options.data[:60]}` is not JSON: {error}") from None
    return custom_event(
        event_type=options.type,
        source=options.source,
        subject=options.subject,
        data=data,
        attributes=attributes,
        now=now,
    )


def _default_bucket(project: str | None) -> str:
    configuration = load_configuration(find_configuration(Path.cwd()), project_id=project)
    return configuration.default_bucket


def _attributes(event: dict[str, object]) -> str:
    plain = ("bucket", "document", "topic", "database", "project", "subject", "source")
    return ", ".join(f"{name} `{event[name]}`" for name in plain if name in event)
