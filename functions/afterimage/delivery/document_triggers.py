"""Declares a trigger on written documents as the SDK does, without the SDK's module for it.

`firebase_functions.firestore_fn` imports the whole Firestore client, with gRPC, which every function of the codebase
would then load at every cold start. The description that it makes comes from its options alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from firebase_functions.options import FirestoreOptions
from firebase_functions.private.path_pattern import PathPattern
from firebase_functions.private.util import normalize_path, set_func_endpoint_attr

WRITTEN: Final = "google.cloud.firestore.document.v1.written"


def declare_on_written(*, document: str, **options: Any) -> Callable[[Callable[[Any], Any]], Any]:
    """Stands in for `firestore_fn.on_document_written`."""

    def declare(function: Callable[[Any], Any]) -> Any:
        described = FirestoreOptions(document=document, **options)._endpoint(
            event_type=WRITTEN,
            func_name=function.__name__,
            document_pattern=PathPattern(normalize_path(document)),
        )
        set_func_endpoint_attr(function, described)
        return function

    return declare
