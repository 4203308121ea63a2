"""Cloud Storage as one service: puts the store, the two dialects and the control routes together."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from afterimage_emulator.clock import Clock
from afterimage_emulator.configuration import StorageTarget
from afterimage_emulator.credentials.local_credentials import account_email
from afterimage_emulator.credentials.local_signer import LocalSigner
from afterimage_emulator.durable.entries import KeptEntries, touch_nothing
from afterimage_emulator.events import EventBus
from afterimage_emulator.front.cors import VARY, preflight, readable
from afterimage_emulator.front.judged_requests import JudgedRequests
from afterimage_emulator.front.rules_gate import RulesGate
from afterimage_emulator.storage.control_api import StorageControlApi
from afterimage_emulator.storage.copying.composing import Composer
from afterimage_emulator.storage.copying.rewriting import Rewrites
from afterimage_emulator.storage.exports import StorageExports
from afterimage_emulator.storage.firebase.api import FirebaseApi
from afterimage_emulator.storage.firebase.objects import FirebaseObjects
from afterimage_emulator.storage.firebase.uploads import FirebaseUploads
from afterimage_emulator.storage.folders.folders import Folders
from afterimage_emulator.storage.folders.managed_folders import ManagedFolders
from afterimage_emulator.storage.gcs.acl import AccessLists, GcsAcl
from afterimage_emulator.storage.gcs.answers import ObjectAnswers
from afterimage_emulator.storage.gcs.api import GcsApi
from afterimage_emulator.storage.gcs.buckets import GcsBuckets
from afterimage_emulator.storage.gcs.copies import GcsCopies
from afterimage_emulator.storage.gcs.folders.folders_api import FoldersApi
from afterimage_emulator.storage.gcs.folders.hierarchy_api import HierarchyApi
from afterimage_emulator.storage.gcs.hmac_api import HmacApi
from afterimage_emulator.storage.gcs.iam_api import IamApi
from afterimage_emulator.storage.gcs.notifications_api import NotificationsApi
from afterimage_emulator.storage.gcs.objects import GcsObjects
from afterimage_emulator.storage.gcs.operations_api import OperationsApi
from afterimage_emulator.storage.gcs.uploads import GcsUploads
from afterimage_emulator.storage.grpc_not_here import methods_not_here
from afterimage_emulator.storage.kept_storage import KeptStorage
from afterimage_emulator.storage.lifecycle.runs import LifecycleRuns
from afterimage_emulator.storage.notifications.sending import NO_TOPICS, Notifications, Topics
from afterimage_emulator.storage.objects.blob_files import BlobFiles
from afterimage_emulator.storage.objects.events import ObjectEvents
from afterimage_emulator.storage.objects.records import ObjectMetadata
from afterimage_emulator.storage.objects.requests import Upload
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.origins import origin_of
from afterimage_emulator.storage.retry_tests.resource import RetryTests
from afterimage_emulator.storage.rules.bucket_rules import BucketRules
from afterimage_emulator.storage.rules.guarded_objects import GuardedObjects
from afterimage_emulator.storage.signing.hmac_keys import HmacKeys
from afterimage_emulator.storage.signing.keys import SigningKeys
from afterimage_emulator.storage.signing.policies import PostPolicies
from afterimage_emulator.storage.signing.signed_urls import SignedUrls
from afterimage_emulator.storage.uploads.in_parts import UploadsInParts
from afterimage_emulator.storage.uploads.receiving import Receiver
from afterimage_emulator.storage.uploads.resumable import ResumableUploads
from afterimage_emulator.storage.xml.api import XmlApi
from afterimage_emulator.storage.xml.buckets import XmlBuckets
from afterimage_emulator.storage.xml.forms import FormUploads
from afterimage_emulator.storage.xml.listing import XmlListing
from afterimage_emulator.storage.xml.objects import XmlObjects
from afterimage_emulator.storage.xml.parts import XmlParts
from afterimage_emulator.wire.grpc_methods import GrpcMethod
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, is_read, text_response
from afterimage_emulator.wire.offered import Offered

if TYPE_CHECKING:
    from afterimage_emulator.storage.rules.guarded_objects import DocumentLookup

_log = logging.getLogger("afterimage_emulator.storage")
_API_PREFIXES: Final = (
    "/b/", "/projects/", "/storage/", "/upload/", "/resumable/", "/download/", "/batch/", "/internal/",
)  # fmt: skip
_UPLOAD_PREFIXES: Final = ("/upload/", "/resumable/")
_API_ROOTS: Final = frozenset({"/b"})
_EXPOSED: Final = ", ".join(
    (
        "content-type", "content-length", "content-range", "content-disposition", "content-encoding", "etag", "range",
        "location", "last-modified", "x-firebase-storage-version", "x-goog-generation", "x-goog-metageneration",
        "x-goog-hash", "x-goog-stored-content-length", "x-goog-upload-chunk-granularity", "x-goog-upload-command",
        "x-goog-upload-control-url", "x-goog-upload-size-received", "x-goog-upload-status", "x-goog-upload-url",
        "x-guploader-uploadid",
    )
)  # fmt: skip


class StorageService:
    """`directory` belongs to this service alone: it removes what an earlier run left there.

    `targets` say which rules guard which bucket in the Firebase dialect; `documents` is what rules may read of
    Firestore; `default_buckets` exist from the start, every other bucket from its first use.
    """

    grpc: Sequence[GrpcMethod] = methods_not_here()

    def __init__(
        self,
        *,
        clock: Clock,
        events: EventBus,
        directory: Path,
        default_buckets: Sequence[str] = (),
        targets: Sequence[StorageTarget] = (),
        documents: DocumentLookup | None = None,
        signer: LocalSigner | None = None,
        accept_unknown_signers: bool = False,
        judged: JudgedRequests | None = None,
        topics: Topics = NO_TOPICS,
        project_id: str = "demo-suite",
        keeping: KeptEntries | None = None,
    ) -> None:
        self._keeping = keeping
        touch = touch_nothing if keeping is None else keeping.touch
        self.files = BlobFiles(directory, keeping=keeping)
        notifications = Notifications(clock=clock, topics=topics)
        self._object_events = ObjectEvents(clock=clock, bus=events, notify=notifications.send)
        named = [target.bucket for target in targets if target.bucket is not None]
        self.store = ObjectStore(
            clock=clock,
            files=self.files,
            events=self._object_events,
            default_buckets=tuple(dict.fromkeys((*default_buckets, *named))),
            touch=touch,
        )
        self.resumable = ResumableUploads(clock=clock, files=self.files, touch=touch)
        self.rules = BucketRules(targets, touch=touch)
        guarded = GuardedObjects(
            store=self.store,
            files=self.files,
            gate=RulesGate(self.rules.in_force, log=_log, record=judged),
            clock=clock,
            documents=documents,
        )
        self._folders = ManagedFolders(store=self.store, clock=clock, touch=touch)
        self._trees = Folders(store=self.store, clock=clock, touch=touch)
        self._exports = StorageExports(
            store=self.store, files=self.files, clock=clock, folders=self._folders, trees=self._trees
        )
        receiver = self._receiver = Receiver(store=self.store, files=self.files)
        self._control = StorageControlApi(rules=self.rules, exports=self._exports, reset=self.reset, keeping=keeping)
        self._firebase = self._firebase_api(guarded, keeping)
        self._hmac_keys = HmacKeys(clock=clock, touch=touch)
        lists = AccessLists(account=account_email(project_id))
        answers = ObjectAnswers(store=self.store, lists=lists)
        gcs_uploads = GcsUploads(store=self.store, receiver=receiver, resumable=self.resumable, answers=answers)
        self._rewrites = Rewrites(store=self.store, clock=clock, touch=touch)
        composer = Composer(store=self.store, files=self.files)
        self.in_parts = UploadsInParts(store=self.store, files=self.files, composer=composer, clock=clock, touch=touch)
        LifecycleRuns(store=self.store, in_parts=self.in_parts, clock=clock)
        self._retry_tests = RetryTests(clock)
        self._operations = OperationsApi(store=self.store, clock=clock)
        self._gcs = GcsApi(
            buckets=GcsBuckets(store=self.store, clock=clock, lists=lists),
            objects=GcsObjects(store=self.store, answers=answers, folders=self._folders),
            copies=GcsCopies(store=self.store, composer=composer, rewrites=self._rewrites, answers=answers),
            acl=GcsAcl(store=self.store, lists=lists),
            uploads=gcs_uploads,
            hmac=HmacApi(keys=self._hmac_keys),
            folders=FoldersApi(store=self.store, folders=self._folders),
            hierarchy=HierarchyApi(folders=self._trees, operations=self._operations),
            operations=self._operations,
            notifications=NotificationsApi(store=self.store, topics=topics),
            iam=IamApi(store=self.store, folders=self._folders, project=project_id),
            keeping=keeping,
        )
        keys = SigningKeys(
            signer=signer or LocalSigner(), hmac_keys=self._hmac_keys, accept_unknown=accept_unknown_signers
        )
        self._xml = self._xml_api(gcs_uploads, keys, clock, keeping)
        if keeping is not None:
            self._keep(keeping, guarded)

    def _firebase_api(self, guarded: GuardedObjects, keeping: KeptEntries | None) -> FirebaseApi:
        uploads = FirebaseUploads(objects=guarded, receiver=self._receiver, resumable=self.resumable)
        return FirebaseApi(objects=FirebaseObjects(guarded), uploads=uploads, keeping=keeping)

    def _xml_api(self, uploads: GcsUploads, keys: SigningKeys, clock: Clock, keeping: KeptEntries | None) -> XmlApi:
        store, receiver = self.store, self._receiver
        return XmlApi(
            store=store,
            objects=XmlObjects(store=store, receiver=receiver, resumable=self.resumable, uploads=uploads),
            forms=FormUploads(store=store, receiver=receiver, policies=PostPolicies(clock=clock, keys=keys)),
            listing=XmlListing(store=store),
            buckets=XmlBuckets(store=store),
            parts=XmlParts(store=store, uploads=self.in_parts),
            urls=SignedUrls(clock=clock, keys=keys),
            resumable=self.resumable,
            keeping=keeping,
        )

    def _keep(self, keeping: KeptEntries, guarded: GuardedObjects) -> None:
        KeptStorage(
            keeping,
            store=self.store,
            files=self.files,
            guarded=guarded,
            rules=self.rules,
            folders=self._folders,
            trees=self._trees,
            hmac_keys=self._hmac_keys,
            rewrites=self._rewrites,
            resumable=self.resumable,
            in_parts=self.in_parts,
        )

    async def http(self, request: HttpRequest) -> HttpResponse:
        """Pages that the port's guard lets pass may read every answer, with all that SDKs look at."""
        if request.method == "OPTIONS":
            return preflight(request)
        answer = await self._retry_tests.around(request, self._answered)(request)
        if "origin" not in request.headers:
            answer.headers.append(VARY)  # what a browser keeps of a picture is no answer to a script that asks for it
            return answer
        answer.with_header("access-control-expose-headers", _EXPOSED)
        return readable(request, answer)

    async def _answered(self, request: HttpRequest) -> HttpResponse:
        path = request.raw_path
        self._object_events.origin = origin_of(request)
        if path.startswith("/v0/"):
            answer = await self._firebase(request)
        elif self._retry_tests.owns(request):
            answer = await self._retry_tests(request)
        elif path.startswith("/internal/"):
            answer = await self._control(request)
        elif path == "/" and is_read(request) and not request.raw_query:
            answer = text_response("Cloud Storage of the local Firebase suite\n")
        elif path.startswith(_API_PREFIXES) or path in _API_ROOTS:
            answer = await self._gcs(request)
        else:
            answer = await self._xml(request)
        return answer

    def has_bucket(self, name: str) -> bool:
        return self.store.bucket_or_none(name) is not None

    async def write_object(self, bucket: str, name: str, content: bytes, content_type: str) -> None:
        """For services beside, which ask no rules; events tell of it as of any upload."""

        async def chunks() -> AsyncIterator[bytes]:
            yield content

        metadata = ObjectMetadata(content_type=content_type)
        await self._receiver.receive(Upload(bucket=bucket, name=name, metadata=metadata), chunks())

    def offered(self) -> Sequence[Offered]:
        """All dialects: Firebase's, Cloud Storage's JSON and XML, and the routes of tools."""
        return (
            *self._firebase.offered(),
            *self._gcs.offered(),
            *self._xml.offered(),
            *self._control.offered(),
            *self._retry_tests.offered(),
        )

    def is_admin_route(self, request: HttpRequest) -> bool:
        """All but the Firebase dialect, which asks the rules, and what shows by itself that it may do what it does.

        That is a signed URL, the address of an upload under way, or the read of one object by its plain address, which
        is a public object's address in production, and how the pages of a web site in a bucket find theirs.
        """
        path = request.raw_path
        if path.startswith("/v0/") or (path == "/" and is_read(request)):
            return False
        if path.startswith(_UPLOAD_PREFIXES):
            return not self.resumable.is_open(request.query_value("upload_id"))
        if path.startswith(_API_PREFIXES) or path in _API_ROOTS or self._retry_tests.owns(request):
            return True
        return not is_read(request) and not self._xml.carries_its_own_proof(request)

    def reset(self) -> None:
        """Forgets all buckets, objects and uploads under way; rules stay."""
        self.resumable.reset()
        self._rewrites.reset()
        self.in_parts.reset()
        self.store.reset()
        self._hmac_keys.reset()
        self._folders.reset()
        self._operations.reset()
        self._retry_tests.reset()
        self.files.reset()
        if self._keeping is not None:
            self._keeping.touch_all()

    async def export_to(self, directory: Path) -> None:
        await self._exports.export_to(directory)

    async def import_from(self, directory: Path) -> None:
        await self._exports.import_from(directory)

    async def close(self) -> None:
        if self._keeping is None:
            self.resumable.reset()
        else:
            self.resumable.close()
        await self.files.close()
