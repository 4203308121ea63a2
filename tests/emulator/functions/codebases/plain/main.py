"""Functions that tests call: each does one simple thing that shows from outside."""

import contextlib
import os
import threading
import time

from firebase_functions import firestore_fn, https_fn, options, pubsub_fn, scheduler_fn, storage_fn

OUT = os.environ.get("OUT_FILE", os.devnull)


def note(text):
    with open(OUT, "a", encoding="utf-8") as file:
        file.write(text + "\n")


@storage_fn.on_object_finalized(bucket="pictures")
def stored(event):
    print(f"stored {event.data.name}")
    note(f"stored {event.data.bucket}/{event.data.name}")


@firestore_fn.on_document_written(document="cards/{card}")
def card_written(event):
    after = event.data.after.to_dict() if event.data.after else None
    note(f"card {event.params['card']} {after}")


@pubsub_fn.on_message_published(topic="news")
def news(event):
    message = event.data.message
    note(f"news {message.message_id} {message.data} {message.attributes}")


@pubsub_fn.on_message_published(topic="failing", retry=True)
def failing(event):
    print("about to fail")
    raise ValueError("it never works")


@pubsub_fn.on_message_published(topic="dropped")
def dropped(event):
    raise ValueError("once is enough")


@pubsub_fn.on_message_published(topic="crash", concurrency=1)
def crash(event):
    print("crashing", flush=True)
    os._exit(3)


@pubsub_fn.on_message_published(topic="hang", timeout_sec=1)
def hang(event):
    print("hanging")
    while True:
        time.sleep(0.01)


@pubsub_fn.on_message_published(topic="greedy", memory=options.MemoryOption.MB_256)
def greedy(event):
    kept = []
    while True:
        kept.append(bytearray(8 * 1024 * 1024))


@pubsub_fn.on_message_published(topic="loud")
def loud(event):
    for _ in range(3_000):
        os.write(1, b"\x00\xff loud " * 1_000 + b"\n")
    note("loud done")


@https_fn.on_request()
def hello(request):
    if request.path == "/stream":
        return https_fn.Response((f"{number}\n" for number in range(3)), mimetype="text/plain")
    return https_fn.Response(
        f"{request.method} {request.path} {request.args.get('q')} {request.get_data(as_text=True)}"
    )


@https_fn.on_call()
def add(request):
    return request.data["a"] + request.data["b"]


at_work = []
peak = 0
together = threading.Barrier(2)


@https_fn.on_request(concurrency=2, max_instances=1)
def busy(request):
    global peak
    at_work.append(1)
    peak = max(peak, len(at_work))
    with contextlib.suppress(threading.BrokenBarrierError):
        together.wait(timeout=5)
    at_work.pop()
    return https_fn.Response(f"{os.getpid()} {peak}")


@scheduler_fn.on_schedule(schedule="every 5 minutes")
def tick(event):
    note(f"tick {event.schedule_time.isoformat()}")
