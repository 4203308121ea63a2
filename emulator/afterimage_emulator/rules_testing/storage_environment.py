"""Storage rules under test in Python: files and documents as they lie there, actors, and what each may do.

    environment = StorageRulesEnvironment(Path("storage.rules").read_text())
    environment.seed({"users/alice/a.png": {"size": 3, "contentType": "image/png"}})
    alice = environment.as_user("alice")
    assert_allowed(alice.get("users/alice/a.png"))
    assert_denied(alice.create("users/bob/a.png", size=3, content_type="image/png"))

Allowed uploads, changes and deletions take effect, so that what follows sees them; denied ones change nothing.
With `wire=StorageWireDriver(…)` the same tests ask a running Storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from afterimage_emulator.rules_language import MemoryLookup, StorageRequest, Timestamp, compile_ruleset
from afterimage_emulator.rules_testing.answers import Answer, ask
from afterimage_emulator.rules_testing.drivers.storage_wire_driver import SERVER_FIELDS, StorageWireDriver

DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"


class StorageRulesEnvironment:
    """Rules, the files of one bucket, the documents that rules may look up, and a time that only the test moves."""

    def __init__(
        self,
        source: str | bytes,
        *,
        file_name: str = "storage.rules",
        bucket: str = "demo-bucket",
        files: Mapping[str, Mapping[str, object]] | None = None,
        documents: Mapping[str, Mapping[str, object]] | None = None,
        now: Timestamp | None = None,
        wire: StorageWireDriver | None = None,
    ) -> None:
        self.ruleset = compile_ruleset(source, file_name=file_name)
        self.bucket = bucket
        self.now = now or Timestamp.from_seconds(1_704_067_200)
        self.files: dict[str, dict[str, Any]] = {}
        self.documents: dict[str, dict[str, Any]] = {path: dict(data) for path, data in (documents or {}).items()}
        self.seed(files or {})
        self._wire = wire
        if wire is not None:
            wire.load(self.ruleset.source.text)

    def decide(self, request: StorageRequest) -> Answer:
        """The answer to one request."""
        if self._wire is None:
            return self.ruleset.decide(request, MemoryLookup(self.documents))
        said = replace(
            request,
            resource=_without_times(request.resource),
            request_resource=_without_times(request.request_resource),
        )
        return ask(self._wire, said, documents=self.documents, after={})

    def seed(self, files: Mapping[str, Mapping[str, object]]) -> None:
        """Stores files as an administrator would: no rule is asked."""
        for path, fields in files.items():
            self.files[path] = self.described(path, fields)

    def seed_documents(self, documents: Mapping[str, Mapping[str, object]]) -> None:
        """Stores documents for `firestore.get` and `firestore.exists`."""
        self.documents.update({path: dict(data) for path, data in documents.items()})

    def clear(self) -> None:
        self.files.clear()
        self.documents.clear()

    def as_user(self, uid: str, /, **claims: object) -> StorageActor:
        """Somebody signed in, with the claims of their token."""
        return StorageActor(self, {"uid": uid, "token": {"sub": uid, "user_id": uid, **claims}})

    def as_nobody(self) -> StorageActor:
        return StorageActor(self, None)

    def described(self, path: str, fields: Mapping[str, object]) -> dict[str, object]:
        """A file as rules see it: what every file has, and what is said of this one."""
        return {
            "name": path,
            "bucket": self.bucket,
            "size": 0,
            "contentType": DEFAULT_CONTENT_TYPE,
            "metadata": {},
            "timeCreated": self.now,
            "updated": self.now,
            **fields,
        }


class StorageActor:
    """Does things under the rules; each answers the decision."""

    def __init__(self, environment: StorageRulesEnvironment, auth: Mapping[str, object] | None) -> None:
        self._environment = environment
        self._auth = auth

    def get(self, path: str) -> Answer:
        return self._decide("get", path, None)

    def list(self, path: str) -> Answer:
        """What lies in a folder; an empty path is the whole bucket."""
        return self._decide("list", path, None)

    def create(
        self,
        path: str,
        *,
        size: int = 0,
        content_type: str = DEFAULT_CONTENT_TYPE,
        metadata: Mapping[str, str] | None = None,
        **more: object,
    ) -> Answer:
        """An upload; over an existing file, too, it is asked as `create`. `more` are fields such as `md5Hash`."""
        said = {"size": size, "contentType": content_type, "metadata": dict(metadata or {}), **more}
        return self._write("create", path, self._environment.described(path, said))

    def update(self, path: str, **changes: Any) -> Answer:
        """A change of metadata: fields by the names that rules use, such as `contentType` or `metadata`."""
        stored = self._environment.files.get(path)
        if stored is None:
            return self._decide("update", path, None)  # as the service asks: there is nothing to change
        return self._write("update", path, {**stored, "updated": self._environment.now, **changes})

    def delete(self, path: str) -> Answer:
        return self._write("delete", path, None)

    def _write(self, method: str, path: str, after: dict[str, object] | None) -> Answer:
        decision = self._decide(method, path, after)
        if decision.allowed and after is not None:
            self._environment.files[path] = after
        elif decision.allowed:
            self._environment.files.pop(path, None)
        return decision

    def _decide(self, method: str, path: str, proposed: Mapping[str, object] | None) -> Answer:
        environment = self._environment
        request = StorageRequest(
            method=method,
            bucket=environment.bucket,
            path=path,
            time=environment.now,
            auth=self._auth,
            resource=None if method == "list" else environment.files.get(path),
            request_resource=proposed,
        )
        return environment.decide(request)


def _without_times(fields: Mapping[str, object] | None) -> Mapping[str, object] | None:
    """What the wire can say of a file: the times of those that lie there are the server's own."""
    return None if fields is None else {name: value for name, value in fields.items() if name not in SERVER_FIELDS}
