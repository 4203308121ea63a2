"""Callable functions that tell what they saw: tokens, data of every kind, errors of every kind."""

import json
import os
import threading
import time

from firebase_admin import app_check, initialize_app
from firebase_functions import https_fn, options

initialize_app()


@https_fn.on_call()
def who(request):
    return {
        "uid": request.auth and request.auth.uid,
        "provider": request.auth and request.auth.token["firebase"]["sign_in_provider"],
        "app": request.app and request.app.app_id,
        "instance": request.instance_id_token,
    }


@https_fn.on_call(enforce_app_check=True)
def guarded(request):
    return {"uid": request.auth and request.auth.uid, "app": request.app.app_id}


@https_fn.on_call(enforce_app_check=True)
def once(request):
    """Replay protection as an author of Python functions writes it: the SDK's decorator has no option for it."""
    token = request.raw_request.headers["X-Firebase-AppCheck"]
    if app_check.verify_token(token, consume=True)["already_consumed"]:
        raise https_fn.HttpsError(https_fn.FunctionsErrorCode.UNAUTHENTICATED, "this token was used before")
    return "first"


@https_fn.on_call()
def echo(request):
    return request.data


@https_fn.on_call()
def fails(request):
    code = https_fn.FunctionsErrorCode(request.data["code"])
    raise https_fn.HttpsError(code, request.data["message"], request.data.get("details"))


@https_fn.on_call()
def broken(request):
    raise KeyError("a secret of the implementation")


@https_fn.on_call(cors=options.CorsOptions(cors_origins=["https://app.example.com"]))
def ours_alone(request):
    return "welcome"


@https_fn.on_request(cors=options.CorsOptions(cors_origins="*", cors_methods=["post"]))
def streamed(request):
    """The protocol of streaming callables, by hand: the SDK for Python has no way of its own."""

    def pieces():
        count = request.get_json()["data"]
        for number in range(count):
            yield f"data: {json.dumps({'message': number})}\n\n"
        yield f"data: {json.dumps({'result': count})}\n\n"

    return https_fn.Response(pieces(), mimetype="text/event-stream")


first_was_read = threading.Event()


@https_fn.on_request(max_instances=1)
def piecewise(request):
    """Goes on only when somebody who has read the first piece says so."""
    if request.path == "/go-on":
        first_was_read.set()
        return https_fn.Response("thanks")

    def pieces():
        yield "first"
        yield "last" if first_was_read.wait(20) else "nobody read the first piece"

    return https_fn.Response(pieces(), mimetype="text/plain")


@https_fn.on_request(max_instances=1, timeout_sec=1)
def drips(request):
    """Answers piece by piece, and then does what the path says."""

    def pieces():
        print("the first piece")
        yield "first"
        if request.path == "/crash":
            print("about to crash", flush=True)
            os._exit(4)
        # Twenty seconds are for ever to a timeout of one; without the timeout, whoever waits fails and does not hang.
        for _ in range(2000 if request.path == "/for-ever" else 0):
            time.sleep(0.01)
            yield "more"
        print("the last piece")
        yield "last"

    return https_fn.Response(pieces(), mimetype="text/plain")
