"""Which method of the storage API a request calls, in the words of retry tests (pure)."""

from __future__ import annotations

import re
from typing import Final

_ACCESS: Final = {
    ("GET", False): "list", ("POST", False): "insert", ("GET", True): "get", ("PATCH", True): "patch",
    ("PUT", True): "update", ("DELETE", True): "delete",
}  # fmt: skip
_BUCKET: Final = r"/b/[^/]+"
_OBJECT: Final = rf"{_BUCKET}/o/[^/]+"
_CALLS: Final = tuple(
    (verb, re.compile(path), f"storage.{name}")
    for verb, path, name in (
        ("GET", r"/b", "buckets.list"),
        ("POST", r"/b", "buckets.insert"),
        ("GET", _BUCKET, "buckets.get"),
        ("PATCH", _BUCKET, "buckets.patch"),
        ("PUT", _BUCKET, "buckets.update"),
        ("DELETE", _BUCKET, "buckets.delete"),
        ("POST", rf"{_BUCKET}/lockRetentionPolicy", "buckets.lockRetentionPolicy"),
        ("GET", rf"{_BUCKET}/iam", "buckets.getIamPolicy"),
        ("PUT", rf"{_BUCKET}/iam", "buckets.setIamPolicy"),
        ("GET", rf"{_BUCKET}/iam/testPermissions", "buckets.testIamPermissions"),
        ("GET", rf"{_BUCKET}/o", "objects.list"),
        ("POST", rf"{_BUCKET}/o", "objects.insert"),
        ("GET", _OBJECT, "objects.get"),
        ("PATCH", _OBJECT, "objects.patch"),
        ("PUT", _OBJECT, "objects.update"),
        ("DELETE", _OBJECT, "objects.delete"),
        ("POST", rf"{_OBJECT}/copyTo/.*", "objects.copy"),
        ("POST", rf"{_OBJECT}/rewriteTo/.*", "objects.rewrite"),
        ("POST", rf"{_OBJECT}/compose", "objects.compose"),
        ("POST", rf"{_OBJECT}/restore", "objects.restore"),
        ("POST", r"/projects/[^/]+/hmacKeys", "hmacKey.create"),
        ("GET", r"/projects/[^/]+/hmacKeys", "hmacKey.list"),
        ("GET", r"/projects/[^/]+/hmacKeys/[^/]+", "hmacKey.get"),
        ("PUT", r"/projects/[^/]+/hmacKeys/[^/]+", "hmacKey.update"),
        ("DELETE", r"/projects/[^/]+/hmacKeys/[^/]+", "hmacKey.delete"),
        ("GET", r"/projects/[^/]+/serviceAccount", "serviceaccount.get"),
        *(
            (verb, rf"{place}/{part}{'/[^/]+' if is_one else ''}", f"{name}.{what}")
            for place, part, name in (
                (_BUCKET, "acl", "bucket_acl"),
                (_BUCKET, "defaultObjectAcl", "default_object_acl"),
                (_OBJECT, "acl", "object_acl"),
                (_BUCKET, "notificationConfigs", "notifications"),
            )
            for (verb, is_one), what in _ACCESS.items()
            if name != "notifications" or what not in ("patch", "update")
        ),
    )
)
METHODS: Final = frozenset(name for _, _, name in _CALLS)
_IN_XML: Final = {
    "GET": "storage.objects.get", "HEAD": "storage.objects.get", "PUT": "storage.objects.insert",
    "POST": "storage.objects.insert", "DELETE": "storage.objects.delete",
}  # fmt: skip


def method_of(verb: str, path: str) -> str | None:
    """None for what no retry test can name."""
    for prefix in ("/resumable/upload", "/upload"):
        if path.startswith(prefix):
            return "storage.objects.delete" if verb == "DELETE" else "storage.objects.insert"
    plain = path.removeprefix("/download").removeprefix("/storage/v1")
    if not plain.startswith(("/b/", "/projects/")) and plain != "/b":
        return _IN_XML.get(verb) if plain.strip("/").count("/") else None
    return next((name for method, pattern, name in _CALLS if method == verb and pattern.fullmatch(plain)), None)
