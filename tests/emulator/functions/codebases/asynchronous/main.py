"""Asynchronous functions as `functions_framework.aio` declares them, beside a synchronous one."""

import asyncio
import os
import sys

import functions_framework.aio
from firebase_functions import https_fn
from firebase_functions.options import HttpsOptions, PubSubOptions
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

OUT = os.environ.get("OUT_FILE", os.devnull)


def note(text):
    with open(OUT, "a", encoding="utf-8") as file:
        file.write(text + "\n")


def deployed(options):
    """Sets what firebase-functions' decorators set, and those of functions-framework do not."""

    def declare(function):
        function.__firebase_endpoint__ = options._endpoint(func_name=function.__name__)
        return function

    return declare


async def echo(request):
    body = await request.body()
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "query": request.query_params.get("q"),
            "header": request.headers.get("x-name"),
            "client": request.client.host,
            "bytes": len(body),
            "last": body[-4:].decode(),
        }
    )


async def count(request):
    async def numbers():
        try:
            for number in range(3):
                yield f"{number}\n"
            if request.query_params.get("then") == "wait":
                note("waiting")
                await asyncio.Event().wait()
            if request.query_params.get("then") == "break":
                raise ValueError("in the middle")
        finally:
            note("numbers ended")

    return StreamingResponse(numbers(), media_type="text/plain")


SITE = Starlette(routes=[Route("/echo", echo, methods=["GET", "PUT"]), Route("/count", count)])


@deployed(HttpsOptions())
@functions_framework.aio.http
async def site(request):
    return SITE


@deployed(HttpsOptions())
@functions_framework.aio.http
async def together(request):
    """Answers only when two callers are here at once."""
    together.here += 1
    if together.here == 2:
        together.both.set()
    await together.both.wait()
    return {"pid": os.getpid()}


together.here = 0
together.both = asyncio.Event()


@deployed(HttpsOptions())
@functions_framework.aio.http
def in_a_thread(request):
    sys.stdout.reconfigure(line_buffering=False, write_through=False)
    print("held back")
    return f"{request.method} in a thread", 201


@deployed(HttpsOptions())
@functions_framework.aio.http
async def failing(request):
    print("about to fail")
    raise ValueError("it never works")


@deployed(HttpsOptions())
@functions_framework.aio.http
async def leaving(request):
    note("leaving")
    sys.exit(7)


@deployed(HttpsOptions())
@functions_framework.aio.http
async def forking(request):
    os.fork()
    return f"{os.getpid()}"


@deployed(PubSubOptions(topic="news", retry=True))
@functions_framework.aio.cloud_event
async def heard(event):
    data = event.data["message"]["data"]
    note(f"heard {data}")
    if data == "ZmFpbA==":
        raise ValueError("it never works")


@https_fn.on_request()
def synchronous(request):
    return f"{request.method} synchronous"
