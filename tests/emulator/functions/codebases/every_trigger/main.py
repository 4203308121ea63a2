"""One function for each trigger that firebase-functions declares; each notes what it was given."""

import json
import os

from firebase_functions import (
    alerts_fn,
    dataconnect_fn,
    db_fn,
    eventarc_fn,
    firestore_fn,
    https_fn,
    identity_fn,
    options,
    pubsub_fn,
    remote_config_fn,
    scheduler_fn,
    storage_fn,
    tasks_fn,
    test_lab_fn,
)
from firebase_functions.alerts import app_distribution_fn, billing_fn, crashlytics_fn, performance_fn

BUCKET = "every-trigger"


def note(name, *seen):
    with open(os.environ["NOTES"], "a", encoding="utf-8") as file:
        file.write(json.dumps([name, *seen]) + "\n")


# -- storage


@storage_fn.on_object_finalized(bucket=BUCKET)
def finalized(event):
    note("finalized", event.data.name, event.data.content_type, event.data.size)


@storage_fn.on_object_deleted(bucket=BUCKET)
def deleted(event):
    note("deleted", event.data.name)


@storage_fn.on_object_archived(bucket=BUCKET)
def archived(event):
    note("archived", event.data.name)


@storage_fn.on_object_metadata_updated(bucket=BUCKET)
def metadata_updated(event):
    note("metadata_updated", event.data.name, event.data.metadata)


# -- firestore


def fields(snapshot):
    return None if snapshot is None else snapshot.to_dict()


@firestore_fn.on_document_created(document="cards/{card}")
def document_created(event):
    note("document_created", event.params, fields(event.data))


@firestore_fn.on_document_updated(document="cards/{card}")
def document_updated(event):
    note("document_updated", event.params, fields(event.data.before), fields(event.data.after))


@firestore_fn.on_document_deleted(document="cards/{card}")
def document_deleted(event):
    note("document_deleted", event.params, fields(event.data))


@firestore_fn.on_document_written(document="cards/{card}")
def document_written(event):
    note("document_written", event.params, fields(event.data.before), fields(event.data.after))


@firestore_fn.on_document_created_with_auth_context(document="cards/{card}")
def created_by(event):
    note("created_by", event.auth_type, event.auth_id, fields(event.data))


@firestore_fn.on_document_updated_with_auth_context(document="cards/{card}")
def updated_by(event):
    note("updated_by", event.auth_type, event.auth_id, fields(event.data.after))


@firestore_fn.on_document_deleted_with_auth_context(document="cards/{card}")
def deleted_by(event):
    note("deleted_by", event.auth_type, event.auth_id, fields(event.data))


@firestore_fn.on_document_written_with_auth_context(document="cards/{card}")
def written_by(event):
    note("written_by", event.auth_type, event.auth_id, fields(event.data.after))


# -- messages, requests, time


@pubsub_fn.on_message_published(topic="news")
def published(event):
    message = event.data.message
    note("published", message.json, message.attributes, message.ordering_key)


@https_fn.on_request()
def requested(request):
    note("requested", request.method, request.path, request.get_data(as_text=True))
    return https_fn.Response("heard")


@https_fn.on_call()
def called(request):
    note("called", request.data, request.auth and request.auth.uid)
    return "heard"


@scheduler_fn.on_schedule(schedule="every day 03:00", timezone=scheduler_fn.Timezone("Europe/Berlin"))
def scheduled(event):
    note("scheduled", event.job_name, event.schedule_time.tzinfo is not None)


# -- what nothing here raises by itself: sent by hand


@eventarc_fn.on_custom_event_published(event_type="com.example.order.placed", filters={"colour": "blue"})
def ordered(event):
    note("ordered", event.type, event.subject, event.data)


@alerts_fn.on_alert_published(alert_type=options.AlertType.CRASHLYTICS_NEW_ANR_ISSUE)
def alerted(event):
    note("alerted", event.alert_type, event.app_id, event.data.payload.issue.title)


@crashlytics_fn.on_new_fatal_issue_published()
def crashed(event):
    note("crashed", event.app_id, event.data.payload.issue.title)


@billing_fn.on_plan_update_published()
def plan_updated(event):
    note("plan_updated", event.data.payload.billing_plan)


@app_distribution_fn.on_new_tester_ios_device_published()
def device_added(event):
    note("device_added", event.app_id, event.data.payload.tester_email)


@performance_fn.on_threshold_alert_published()
def slow(event):
    note("slow", event.data.payload.event_name, event.data.payload.violation_value)


@remote_config_fn.on_config_updated()
def config_updated(event):
    note("config_updated", event.data.version_number, event.data.update_type.value)


@test_lab_fn.on_test_matrix_completed()
def matrix_completed(event):
    note("matrix_completed", event.data.test_matrix_id, event.data.state.value)


@db_fn.on_value_created(reference="rooms/{room}")
def value_created(event):
    note("value_created", event.params, event.data)


@db_fn.on_value_updated(reference="rooms/{room}")
def value_updated(event):
    note("value_updated", event.params, event.data.before, event.data.after)


@db_fn.on_value_deleted(reference="rooms/{room}")
def value_deleted(event):
    note("value_deleted", event.params, event.data)


@db_fn.on_value_written(reference="rooms/{room}", instance="main")
def value_written(event):
    note("value_written", event.params, event.data.before, event.data.after)


@dataconnect_fn.on_mutation_executed(service="shop", connector="web", operation="{operation}")
def mutated(event):
    note("mutated", event.params, event.auth_type, event.auth_id)


@tasks_fn.on_task_dispatched()
def dispatched(request):
    note("dispatched", request.data, request.raw_request.headers["x-cloudtasks-queuename"])


# -- what is not run here, and keeps nothing else from running


@identity_fn.before_user_created()
def before_created(event):
    note("before_created")


@identity_fn.before_user_signed_in()
def before_signed_in(event):
    note("before_signed_in")


@scheduler_fn.on_schedule(schedule="once in a blue moon")
def never(event):
    note("never")
