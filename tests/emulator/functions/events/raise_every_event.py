"""A program for `afterimage-emulator exec`: makes everything happen that the codebase `every_trigger` waits for.

What the suite raises by itself is caused through the official clients; the rest is sent by hand.
"""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any, Final

import firebase_admin
from firebase_admin import functions as task_queues
from google.cloud import firestore, pubsub_v1, storage

from afterimage_emulator.commands.command_line import main

PROJECT: Final = os.environ["GCLOUD_PROJECT"]
HUB: Final = f"http://{os.environ['FIREBASE_EMULATOR_HUB']}"
MOMENT: Final = "2026-01-02T03:04:05.678Z"
ISSUE: Final = {"id": "1", "title": "it fell", "subtitle": "down", "appVersion": "1.0"}
ROOM: Final = (
    "--subject", "refs/rooms/one", "--attribute", "instance=main", "--attribute", "ref=rooms/one",
    "--attribute", "firebasedatabasehost=firebaseio.com", "--attribute", "location=us-central1",
)  # fmt: skip


def ask(url: str, body: Any, token: str | None = None, method: str = "POST") -> Any:
    headers = {"content-type": "application/json"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:
        return json.load(answer)


def settle() -> None:
    """So that the order in which things happen is also that of the notes."""
    ask(f"{HUB}/control/settled", {})


def change_objects() -> None:
    bucket = storage.Client(project=PROJECT).bucket("every-trigger")
    bucket.versioning_enabled = True
    bucket.create()
    blob = bucket.blob("photos/cat.jpg")
    blob.upload_from_string(b"meow", content_type="image/jpeg")
    settle()
    blob.metadata = {"mood": "sleepy"}
    blob.patch()
    settle()
    bucket.blob("photos/cat.jpg").delete()  # with versions kept, it becomes an archived one
    settle()
    for version in bucket.list_blobs(versions=True):
        version.delete()
    settle()


def change_documents() -> None:
    document = firestore.Client(project=PROJECT).document("cards/one")
    document.set({"n": 1})
    settle()
    document.update({"n": 2})
    settle()
    document.delete()
    settle()


def change_documents_as_a_user() -> None:
    """Over REST, with an ID token of the suite's Auth."""
    auth = f"http://{os.environ['FIREBASE_AUTH_EMULATOR_HOST']}/identitytoolkit.googleapis.com/v1"
    user = ask(f"{auth}/accounts:signUp?key=any", {})
    ask(f"{auth}/accounts:signUp?key=any", {"email": "asked@example.com", "password": "secret-1"})
    collection = (
        f"http://{os.environ['FIRESTORE_EMULATOR_HOST']}/v1/projects/{PROJECT}/databases/(default)/documents/cards"
    )
    for number, method, url in (
        ("3", "POST", f"{collection}?documentId={user['localId']}"),
        ("4", "PATCH", f"{collection}/{user['localId']}"),
    ):
        ask(url, {"fields": {"n": {"integerValue": number}}}, user["idToken"], method)
        settle()
    ask(f"{collection}/{user['localId']}", None, user["idToken"], "DELETE")
    settle()


def publish_and_call() -> None:
    publisher = pubsub_v1.PublisherClient(
        publisher_options=pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
    )
    topic = publisher.topic_path(PROJECT, "news")
    publisher.publish(topic, b'{"hello": "you"}', ordering_key="key", colour="blue").result(30)
    functions = ask(f"{HUB}/emulators", None, method="GET")["functions"]
    origin = f"http://{functions['host']}:{functions['port']}/{PROJECT}/us-central1"
    with urllib.request.urlopen(f"{origin}/requested/deep/er", data=b"posted", timeout=30) as answer:
        assert answer.read() == b"heard"
    assert ask(f"{origin}/called", {"data": {"a": [1]}}) == {"result": "heard"}
    firebase_admin.initialize_app()
    task_queues.task_queue("dispatched").enqueue({"data": {"n": 1}})


def pass_a_day() -> None:
    ask(f"{HUB}/control/clock", {"advance_seconds": 24 * 3600})


def send(*arguments: str, data: Any = None) -> None:
    given = [] if data is None else ["--data", json.dumps(data)]
    code = main(["send", *arguments, *given, "--project", PROJECT])
    assert code == 0, arguments


def alert(kind: str, payload: dict[str, Any]) -> None:
    send(
        "custom", "google.firebase.firebasealerts.alerts.v1.published", "--attribute", f"alerttype={kind}",
        "--attribute", "appid=app-1", data={"createTime": MOMENT, "payload": payload},
    )  # fmt: skip


def send_by_hand() -> None:
    send("custom", "com.example.order.placed", "--subject", "orders/7", "--attribute", "colour=blue", data={"order": 7})
    send("schedule", "never")
    alert("crashlytics.newAnrIssue", {"issue": ISSUE})
    alert("crashlytics.newFatalIssue", {"issue": ISSUE})
    alert("billing.planUpdate", {"notificationType": "upgrade", "billingPlan": "blaze", "principalEmail": "a@b.c"})
    device = {"testerName": "A", "testerEmail": "a@b.c", "testerDeviceModelName": "x", "testerDeviceIdentifier": "1"}
    alert("appDistribution.newTesterIosDevice", device)
    threshold = {
        "eventName": "start", "eventType": "trace", "metricType": "duration", "numSamples": 9, "thresholdValue": 1,
        "thresholdUnit": "s", "violationValue": 2, "violationUnit": "s", "investigateUri": "https://example.com",
    }  # fmt: skip
    alert("performance.threshold", threshold)
    config = {
        "versionNumber": 12, "updateTime": MOMENT, "updateUser": {"name": "A", "email": "a@b.c", "imageUrl": ""},
        "description": "", "updateOrigin": "CONSOLE", "updateType": "FORCED_UPDATE",
    }  # fmt: skip
    send("custom", "google.firebase.remoteconfig.remoteConfig.v1.updated", data=config)
    storage_of = {"toolResultsHistory": "h", "resultsUri": "https://example.com", "gcsPath": "gs://b/p"}
    matrix = {
        "createTime": MOMENT, "state": "FINISHED", "outcomeSummary": "SUCCESS", "invalidMatrixDetails": "",
        "resultStorage": storage_of, "clientInfo": {"client": "gcloud"}, "testMatrixId": "matrix-1",
    }  # fmt: skip
    send("custom", "google.firebase.testlab.testMatrix.v1.completed", data=matrix)
    for kind in ("created", "updated", "deleted", "written"):
        change = {"data": {"n": 1}, "delta": {"n": 2}}
        send("custom", f"google.firebase.database.ref.v1.{kind}", *ROOM, data=change)
    send(
        "custom", "google.firebase.dataconnect.connector.v1.mutationExecuted", "--attribute", "service=shop",
        "--attribute", "connector=web", "--attribute", "operation=buy", "--attribute", "authtype=app_user",
        "--attribute", "authid=u1", "--attribute", "location=us-central1", "--attribute", f"project={PROJECT}",
        data={"payload": {"data": {}, "variables": {}}},
    )  # fmt: skip


if __name__ == "__main__":
    change_objects()
    change_documents()
    change_documents_as_a_user()
    publish_and_call()
    pass_a_day()
    send_by_hand()
    settle()
