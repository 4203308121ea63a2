"""Imports a codebase the way functions-framework does, and describes it the way the SDK's own discovery does."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import os
import sys
import threading
import traceback
from types import ModuleType
from typing import Any

from . import local_app_check


class ImportedCodebase:
    """One imported codebase."""

    def __init__(self, source: str, module: ModuleType) -> None:
        self.source = source
        self.module = module

    def manifest(self) -> dict[str, object]:
        """The SDK's manifest; a `functions.yaml` beside main.py takes its place."""
        import yaml

        static = os.path.join(os.path.dirname(self.source), "functions.yaml")
        if os.path.exists(static):
            with open(static, encoding="utf-8") as file:
                text = file.read()
        else:
            from firebase_functions.private import serving

            # What the SDK's discovery server collects, from the module that is imported already.
            found = [member for _, member in inspect.getmembers(self.module, inspect.isfunction)]
            declared = [function for function in found if hasattr(function, "__firebase_endpoint__")]
            text = serving.functions_as_yaml({f.__firebase_endpoint__.entryPoint: f for f in declared})
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        manifest = yaml.load(text, Loader=loader)  # noqa: S506 — both are safe loaders, the first one in C
        if not isinstance(manifest, dict):
            raise TypeError(f"`functions.yaml` must hold a mapping, not {json.dumps(manifest, default=str)[:60]}")
        return manifest


def import_frameworks() -> None:
    """What nearly every codebase imports; one that lacks it fails when it is loaded, with its own traceback."""
    with contextlib.suppress(ImportError):
        import functions_framework
        from firebase_functions.private import serving

        assert functions_framework
        assert serving


def load(source: str) -> ImportedCodebase:
    """Runs main.py. Whatever it raises is the caller's to report."""
    if not os.path.exists(source):
        raise FileNotFoundError(f"`{source}` does not exist; a codebase for Python begins in a file `main.py`")
    import functions_framework
    from functions_framework import _function_registry

    # Python takes a compiled module for current when its source has the same size and second; a quick save has both.
    sys.dont_write_bytecode = True
    local_app_check.install()
    module, spec = _function_registry.load_function_module(source)
    import flask

    # functions-framework runs the module within an application's context; code may rely on it.
    with flask.Flask("codebase").app_context():
        spec.loader.exec_module(module)
    assert functions_framework.create_app
    return ImportedCodebase(source, module)


def is_wsgi(created: object) -> bool:
    """Whether `application` made a Flask application; what `functions_framework.aio` declares is an ASGI one."""
    return hasattr(created, "wsgi_app")


def application(codebase: ImportedCodebase, target: str, signature: str) -> Any:
    """The functions-framework application of one function, around the module that is loaded already."""
    import functions_framework
    from functions_framework import _function_registry

    class _Loaded:
        loader: object

        @staticmethod
        def exec_module(module: ModuleType) -> None:
            """It has run."""

    _Loaded.loader = _Loaded
    load_function_module = _function_registry.load_function_module
    _replace(_function_registry, "load_function_module", lambda source: (codebase.module, _Loaded))
    try:
        created = functions_framework.create_app(target, codebase.source, signature)
    finally:
        _replace(_function_registry, "load_function_module", load_function_module)
    folder = os.path.dirname(os.path.realpath(codebase.source)) + os.sep
    if is_wsgi(created):
        created.log_exception = lambda raised: sys.stderr.write(handlers_traceback(raised[1], folder))
    return created


def handlers_traceback(error: BaseException, folder: str) -> str:
    """From the first line of the codebase on: the twenty lines of the frameworks above it are always the same."""
    whole = traceback.TracebackException.from_exception(error)
    own = [
        at
        for at, frame in enumerate(whole.stack)
        if os.path.realpath(frame.filename).startswith(folder) and "site-packages" not in frame.filename
    ]
    del whole.stack[: own[0] if own else 0]
    return "".join(whole.format())


def _replace(module: ModuleType, name: str, function: object) -> None:
    setattr(module, name, function)


def traceback_of(error: BaseException, *outer_files: str) -> str:
    """The traceback from the codebase's own first line on: what lies above it is of no use to its author."""
    ours = (os.path.dirname(os.path.abspath(__file__)), "<frozen importlib", *outer_files)
    frames = traceback.extract_tb(error.__traceback__)
    while frames and frames[0].filename.startswith(ours):
        del frames[0]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(frames)] if frames else []
    return "".join([*lines, *traceback.format_exception_only(type(error), error)])


def warm_up(codebase: ImportedCodebase, manifest: dict[str, Any]) -> None:
    """Lets the framework import what it imports late, once for all instances instead of in each of them."""
    endpoints = manifest.get("endpoints") or {}
    kept = dict(os.environ)
    try:
        if "functions_framework.aio" in sys.modules:
            importlib.import_module("uvicorn.server")
        for endpoint in list(endpoints.values())[:1]:
            application(
                codebase, str(endpoint.get("entryPoint")), "cloudevent" if "eventTrigger" in endpoint else "http"
            )
    except Exception:  # whatever is wrong is reported by the instance it is wrong in
        return
    finally:
        os.environ.clear()
        os.environ.update(kept)


def runtime() -> str:
    return f"python{sys.version_info.major}{sys.version_info.minor}"


def why_not_forkable(sockets_before: set[str]) -> str:
    """What the import left behind that a fork would break; empty when it can be forked."""
    if threading.active_count() > 1:
        names = ", ".join(thread.name for thread in threading.enumerate()[1:4])
        return f"it starts threads when imported ({names})"
    tasks = "/proc/self/task"
    if os.path.isdir(tasks) and len(os.listdir(tasks)) > 1:
        return "it starts native threads when imported, as gRPC channels do"
    if open_sockets() - sockets_before:
        return "it opens connections when imported"
    return ""


def open_sockets() -> set[str]:
    folder = "/proc/self/fd"
    found: set[str] = set()
    if os.path.isdir(folder):
        for name in os.listdir(folder):
            try:
                target = os.readlink(os.path.join(folder, name))
            except OSError:
                continue
            if target.startswith("socket:"):
                found.add(target)
    return found
