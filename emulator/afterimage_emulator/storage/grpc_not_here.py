"""Cloud Storage over gRPC is out of scope: every method of its service says so, and what to use in its place."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Final, NoReturn

from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod

REFUSAL: Final = (
    "Cloud Storage is not served over gRPC here; use a client of the JSON API "
    "(Go: storage.NewClient, Java: StorageOptions.http()), see docs/storage.md"
)
_METHODS: Final = (
    "BidiReadObject", "BidiWriteObject", "CancelResumableWrite", "ComposeObject", "CreateBucket", "DeleteBucket",
    "DeleteObject", "GetBucket", "GetIamPolicy", "GetObject", "ListBuckets", "ListObjects", "LockBucketRetentionPolicy",
    "MoveObject", "QueryWriteStatus", "ReadObject", "RestoreObject", "RewriteObject", "SetIamPolicy",
    "StartResumableWrite", "TestIamPermissions", "UpdateBucket", "UpdateObject", "WriteObject",
)  # fmt: skip


_UNREAD: Final = SimpleNamespace(FromString=lambda payload: None)
"""Stands for whatever message was sent: it is not looked at, and no protobuf is loaded for it."""


def _refuse(request: object, call: Call) -> NoReturn:
    raise StatusError(Code.UNIMPLEMENTED, REFUSAL)


def methods_not_here() -> Sequence[GrpcMethod]:
    return [
        GrpcMethod(path=f"/google.storage.v2.Storage/{name}", request_class=_UNREAD, unary=_refuse, refused=REFUSAL)
        for name in _METHODS
    ]
