"""The grammar of every path: what a stored object's name says, and where each file and each document lives.

Nothing else in the functions spells a path, except `drive_paths.py`. Pure and total: any bucket and any name gets an
answer, and a name outside the grammar costs one dictionary look-up.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

OBJECT_NAME_LIMIT_BYTES: Final = 1024
"""The longest name Cloud Storage takes."""
DOCUMENT_ID_LIMIT_BYTES: Final = 1500
"""The longest document id Firestore takes."""


class Family(StrEnum):
    """Which part of the grammar a name belongs to; plans are configured per family."""

    AI_IMAGE = "ai_image"
    AI_VIDEO = "ai_video"
    AI_AUDIO = "ai_audio"
    GENERATED_IMAGE = "generated_image"
    GENERATED_VIDEO = "generated_video"
    MEDIA = "media"
    ARTIFACT = "artifact"
    PROJECT_ARCHIVE = "project_archive"


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """The document a file belongs to, and the parts its name is made of."""

    document: str | None = None
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What a name inside the grammar says: its family, whose it is, and which output it belongs to."""

    family: Family
    owner: str | None
    """From the path; under `media/`, from the metadata, where rules let nobody name somebody else."""
    output: Output
    records: str | None
    """The collection that holds the record of such an object; None where none is kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DerivedPath:
    """The parts of a derived file's name."""

    bucket: str
    name: str
    generation: int
    plan: str
    variant: str

    def __str__(self) -> str:
        return f"{derived_folder(self.bucket, self.name, self.generation)}{self.plan}/{self.variant}"


OUTPUT_KINDS: Final = ("dialogues", "images", "videos", "audio", "code")
"""Collections below a user in `ai_outputs`."""
OUTPUT_WRITTEN: Final = "ai_outputs/{uid}/{kind}/{outputId}"
GENERATION_WRITTEN: Final = "generations/{uid}/files/{fileUid}"
"""Patterns of the documents whose writes are booked, as triggers spell them."""
GENERATIONS: Final = "generations"
GENERATION_FILES: Final = "files"
"""Generations that workers make: the collections of this name below each user."""
WORKER_BEATS: Final = "worker"
"""Below a generation that is being made: the sign of life of its worker, where no trigger hears it."""
CAMPAIGN_WRITTEN: Final = "campaigns/{campaignId}"
BOOKED_ROOTS: Final[Mapping[str, tuple[str, ...]]] = {"ai_outputs": OUTPUT_KINDS, "generations": ("files",)}
"""Collections whose ids are users, and the collections below them whose documents are booked."""

USERS: Final = "users"
USER_RECORDS: Final = "objects"
"""Records of a user's files: the collections of this name below each user."""
SHARED_RECORDS: Final = "mediaObjects"
BOOKS: Final = "usage"
"""The books of each user, one document, and below it what the ledger keeps of that user."""
BUCKETS: Final = "buckets"
DEAD_LETTERS: Final = "_events"
JOBS: Final = "_jobs"
ROLL_UP_MARK: Final = f"{JOBS}/ledger.roll-up"
BUDGETS: Final = "budgets"
OPERATIONS_TOTALS: Final = "operations/totals"
PROJECTS: Final = "projects"
"""Whose a project is; below it in Cloud Storage lie its archives."""
USERS_GENERATIONS: Final = "generations"
GENERATION_VERSIONS: Final = "versions"
NOTHING: Final = "_none/none"
"""A document that nobody writes: asked for where only the answer counts."""

ARTIFACTS: Final = "artifacts"
"""What users save with versions: files and documents alike stand below each user."""
ARTIFACT_FILES: Final = "files"
ARTIFACT_VERSIONS: Final = "versions"
ARTIFACT_BLOBS: Final = "blobs"
ARTIFACT_UPLOADS: Final = "uploads"
QUOTA: Final = "quota"
QUOTA_ALERT_WRITTEN: Final = "quota/{uid}/alerts/{level}"
BUDGET_ALERT_WRITTEN: Final = "budgets/{uid}/alerts/{level}"
"""The pattern of the documents that say that a user's room is running out."""
PUBLISHED: Final = "published"
"""What users want the world to see: below each user a document of the user's own for a file, named as its record."""
PUBLISHED_WRITTEN: Final = "published/{uid}/objects/{objectId}"
PUBLICATIONS: Final = "publications"
"""What is public now, under ids that say nothing of whose it is."""
PURGES: Final = "_purges"
PURGE_WRITTEN: Final = "_purges/{purgeId}"
CDN_TOKENS: Final = "_cdn/tokens"
"""Not in `_limits`, whose ids are users. How many requests to the CDN's own API are left."""

LIMITS: Final = "_limits"
"""How often each user may ask just now."""
OWNED_FILES: Final = ("users", "generating", "artifacts")
"""Folders of which each user owns one."""
GENERATED_FILES: Final = "generating/"
"""What workers have made, for all users."""
SHARED_FILES: Final = "media/"
OWNED_DOCUMENTS: Final = ("users", "ai_outputs", "generations", "players", "quota", "artifacts", "budgets", LIMITS)
"""Collections in which each user owns one document with everything beneath it, beside the books.

In the order in which they are erased: without an account of bytes, late events about contents write nothing.
"""

_NO_OUTPUT: Final = Output()
_RESERVED_ID = re.compile(r"__.*__", re.DOTALL)
_GENERATED_NAME = re.compile(r"(?P<file_uid>.+?)(?:_(?P<index>\d+))?", re.DOTALL)
_VERSION = re.compile(r"v[1-9]\d*")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DERIVED_TAIL = re.compile(
    r"(?P<name>.+)/(?P<generation>[0-9]{1,19})/(?P<plan>[0-9a-f]+)/(?P<variant>[^/]+)", re.DOTALL
)


def place_of(name: str, metadata: Mapping[str, str] | None = None) -> Place | None:
    """What the name of an object says; None for a name outside the grammar, which is left alone.

    `metadata` is the object's custom metadata. Its ids are taken where they spell the very same file name, because only
    they can tell `a_b` + `c` from `a` + `b_c`; without them a name is split at its last underscore.
    """
    parse = _GRAMMAR.get(name.partition("/")[0])
    return parse(name.split("/"), metadata or {}) if parse else None


def object_id(bucket: str, name: str) -> str:
    """The id of an object's record: any client can compute it before it uploads, and listen."""
    return urlsafe_b64encode(f"{bucket}/{name}".encode()).rstrip(b"=").decode("ascii")


def parse_object_id(identifier: str) -> tuple[str, str] | None:
    """Bucket and name of an object's record; None for an id that `object_id` would write in another way."""
    try:
        bucket, slash, name = urlsafe_b64decode(identifier + "=" * (-len(identifier) % 4)).decode().partition("/")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (bucket, name) if bucket and slash and name and object_id(bucket, name) == identifier else None


def record_path(place: Place, bucket: str, name: str) -> str | None:
    """Where the record of an object lives; None where none is kept, or where its id would be too long to exist."""
    if place.records is None:
        return None
    identifier = object_id(bucket, name)
    return f"{place.records}/{identifier}" if len(identifier) <= DOCUMENT_ID_LIMIT_BYTES else None


def published_mark_path(user: str, identifier: str) -> str:
    """Where a user says that the world may see a file of theirs."""
    return f"{PUBLISHED}/{user}/{USER_RECORDS}/{identifier}"


def parse_published_mark(path: str) -> tuple[str, str] | None:
    """Whose mark stands at a path, and the id of the file's record; None where no mark belongs."""
    match path.split("/"):
        case [root, user, group, identifier] if (root, group) == (PUBLISHED, USER_RECORDS):
            return user, identifier
    return None


def records_of(user: str, identifier: str) -> tuple[str, str]:
    """Where the record of a file may stand that a user has marked: among the user's own, or among the shared ones."""
    return f"{USERS}/{user}/{USER_RECORDS}/{identifier}", f"{SHARED_RECORDS}/{identifier}"


def public_id(bucket: str, name: str, generation: int) -> str:
    """What one generation of a file is called in public: its owner can compute it, and nobody can read it backwards."""
    return hashlib.sha256(f"{bucket}/{name}#{generation}".encode()).hexdigest()[:40]


def publication_path(public: str) -> str:
    return f"{PUBLICATIONS}/{public}"


def purge_path(public: str) -> str:
    return f"{PURGES}/{public}"


def app_file_path(digest: str, name: str) -> str:
    """One of the app's own files, in the derived bucket. No bucket's name begins like this, so nothing derived does."""
    return f"_app/{digest}/{name}"


def cdn_day(day: str) -> str:
    """The operators' figures of one day at the CDN."""
    return f"operations/cdn/days/{day}"


def campaign_owners_path(campaign: str) -> str:
    """Where it is kept whose a campaign is; the campaign's own path is `campaigns/{id}`."""
    return f"campaignOwners/{campaign.removeprefix('campaigns/')}"


def derived_folder(bucket: str, name: str, generation: int) -> str:
    """Where everything made of one generation of an object lives, in the derived bucket; ends with a slash."""
    return f"{bucket}/{name}/{generation}/"


def derived_path(bucket: str, name: str, generation: int, plan: str, variant: str) -> DerivedPath:
    return DerivedPath(bucket=bucket, name=name, generation=generation, plan=plan, variant=variant)


def parse_derived(path: str) -> DerivedPath | None:
    """The parts of a derived file's name, read from the right so that no two originals can be mistaken."""
    bucket, _, rest = path.partition("/")
    found = _DERIVED_TAIL.fullmatch(rest)
    if not bucket or found is None:
        return None
    return DerivedPath(
        bucket=bucket,
        name=found["name"],
        generation=int(found["generation"]),
        plan=found["plan"],
        variant=found["variant"],
    )


def is_document_id(text: str) -> bool:
    """Whether Firestore takes the text as one segment of a path."""
    return (
        0 < len(text.encode()) <= DOCUMENT_ID_LIMIT_BYTES
        and "/" not in text
        and text not in {".", ".."}
        and _RESERVED_ID.fullmatch(text) is None
    )


def owned_folder(root: str, user: str) -> str:
    """The folder of one user below one of OWNED_FILES; ends with a slash."""
    return f"{root}/{user}/"


def owned_document(root: str, user: str) -> str:
    return f"{root}/{user}"


def booked_collections(user: str) -> list[str]:
    """The collections of a user's outputs in the order of their kinds, which is the order of their records."""
    places = [(group, f"{root}/{user}/{group}") for root, groups in BOOKED_ROOTS.items() for group in groups]
    return [place for _, place in sorted(places)]


def booked_document(user: str, kind: str, identifier: str) -> str | None:
    """The document of an output; None for a kind that is no document's."""
    root = next((root for root, groups in BOOKED_ROOTS.items() if kind in groups), None)
    return f"{root}/{user}/{kind}/{identifier}" if root else None


def parse_booked(path: str) -> tuple[str, str, str] | None:
    """User, kind and id of a document that is booked; None for any other."""
    match path.split("/"):
        case [root, user, kind, identifier] if kind in BOOKED_ROOTS.get(root, ()):
            return user, kind, identifier
    return None


def beat_path(generation: str) -> str:
    """Where the worker of a generation shows that it is alive."""
    return f"{generation}/{WORKER_BEATS}/beat"


def generation_of_beat(path: str) -> str | None:
    """The generation whose sign of life stands at a path; None where none belongs."""
    generation = "/".join(path.split("/")[:4])
    return generation if parse_booked(generation) and path == beat_path(generation) else None


def books_path(user: str) -> str:
    return f"{BOOKS}/{user}"


def buckets_path(user: str) -> str:
    """The collection into which a hot user's bookings are spread."""
    return f"{BOOKS}/{user}/{BUCKETS}"


def bucket_path(user: str, number: int) -> str:
    return f"{buckets_path(user)}/{number:03d}"


def user_of_bucket(path: str) -> str | None:
    """Whose bucket stands at a path; None where none belongs."""
    match path.split("/"):
        case [root, user, group, _] if (root, group) == (BOOKS, BUCKETS):
            return user
    return None


def days_path(user: str) -> str:
    """The collection of a user's closed days."""
    return f"{BOOKS}/{user}/days"


def day_path(user: str, day: str) -> str:
    return f"{days_path(user)}/{day}"


def ledger_records_path(user: str) -> str:
    """The collection of the ledger's records, one for each output of a user."""
    return f"{BOOKS}/{user}/records"


def ledger_record_path(user: str, kind: str, identifier: str) -> str:
    """The ledger's record of one output; ids too long to carry the kind as well are hashed."""
    name = f"{kind}~{identifier}"
    if len(name.encode()) > DOCUMENT_ID_LIMIT_BYTES:
        name = f"{kind}-long~{hashlib.sha256(identifier.encode()).hexdigest()}"
    return f"{ledger_records_path(user)}/{name}"


def published_path(user: str) -> str:
    """Where it is kept how much of a user's live books the operators' view has been given."""
    return f"{BOOKS}/{user}/published/operations"


def repairs_path(user: str) -> str:
    """Where the audit counts its repairs of a user's books."""
    return f"{BOOKS}/{user}/repairs/books"


def operations_day(day: str) -> str:
    return f"operations/days/totals/{day}"


def job_path(job: str) -> str:
    return f"{JOBS}/{job}"


def project_path(project: str) -> str:
    return f"{PROJECTS}/{project}"


def project_folder(project: str) -> str:
    """Everything of a project in Cloud Storage; ends with a slash."""
    return f"{PROJECTS}/{project}/"


def archive_name(project: str, generation: str, version: int) -> str:
    """The archive of one version."""
    return f"{project_folder(project)}generations/{generation}/v{version}.tar.gz"


def generations_path(user: str) -> str:
    """The collection of what the API has made for a user."""
    return f"{USERS}/{user}/{USERS_GENERATIONS}"


def generation_path(user: str, generation: str) -> str:
    return f"{generations_path(user)}/{generation}"


def version_path(user: str, generation: str, version: int) -> str:
    """Numbers of one length: in the order of their ids versions are in their own."""
    return f"{generation_path(user, generation)}/{GENERATION_VERSIONS}/{version:06d}"


def parse_version(path: str) -> tuple[str, str, int] | None:
    """User, generation and number of a version; None for any other path."""
    match path.split("/"):
        case [root, user, generations, generation, versions, number] if (root, generations, versions) == (
            USERS,
            USERS_GENERATIONS,
            GENERATION_VERSIONS,
        ) and number.isdigit():
            return user, generation, int(number)
    return None


def opened_path(user: str, generation: str, operation: str) -> str:
    """Which version an operation began."""
    return f"{generation_path(user, generation)}/opened/{operation}"


def code_output_path(user: str, name: str) -> str:
    """A version as the output that the ledger books."""
    return f"ai_outputs/{user}/code/{name}"


def budget_path(user: str) -> str:
    return f"{BUDGETS}/{user}"


def reservation_path(user: str, name: str) -> str:
    """What is reserved of a budget for one piece of work."""
    return f"{BUDGETS}/{user}/reservations/{name}"


def rate_limit_path(user: str) -> str:
    return f"{LIMITS}/{user}"


def idempotency_path(operation: str) -> str:
    return f"_operations/{operation}"


def dead_letter_path(key: str) -> str:
    return f"{DEAD_LETTERS}/{key}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactFile:
    """What the name of a stored file below `artifacts/` says."""

    user: str
    is_upload: bool
    """Whether it has only arrived; otherwise it holds bytes that versions refer to."""
    id: str
    """The id of the upload, or the digest of the content."""


def artifact_path(user: str, file: str) -> str:
    """The head of a saved file; its versions lie beneath it."""
    return f"{ARTIFACTS}/{user}/{ARTIFACT_FILES}/{file}"


def artifacts_path(user: str) -> str:
    return f"{ARTIFACTS}/{user}/{ARTIFACT_FILES}"


def artifact_versions_path(user: str, file: str) -> str:
    return f"{artifact_path(user, file)}/{ARTIFACT_VERSIONS}"


def artifact_version_path(user: str, file: str, number: int) -> str:
    return f"{artifact_versions_path(user, file)}/{number}"


def blobs_path(user: str) -> str:
    """The collection that counts who refers to each content; `blob_path` is also the name of the stored file."""
    return f"{ARTIFACTS}/{user}/{ARTIFACT_BLOBS}"


def blob_path(user: str, digest: str) -> str:
    """Where a document and the stored file itself stand: bytes once for each user, under their digest."""
    return f"{blobs_path(user)}/{digest}"


def uploads_path(user: str) -> str:
    return f"{ARTIFACTS}/{user}/{ARTIFACT_UPLOADS}"


def upload_path(user: str, upload: str) -> str:
    """Where the document of an upload and the stored file itself stand."""
    return f"{uploads_path(user)}/{upload}"


def parse_artifact_file(name: str) -> ArtifactFile | None:
    """What the name of a stored file says; None for any that is no artifact's."""
    match name.split("/"):
        case [root, user, "blobs" | "uploads" as kind, identifier] if root == ARTIFACTS and is_document_id(user):
            is_upload = kind == ARTIFACT_UPLOADS
            if is_document_id(identifier) if is_upload else _DIGEST.fullmatch(identifier):
                return ArtifactFile(user=user, is_upload=is_upload, id=identifier)
    return None


def quota_path(user: str) -> str:
    return f"{QUOTA}/{user}"


def alert_path(account: str, level: int) -> str:
    return f"{account}/alerts/{level}"


def parse_alert(path: str) -> tuple[str, str] | None:
    """What an alert is about, room or money (`QUOTA`, `BUDGETS`), and whose; None where no alert stands."""
    match path.split("/"):
        case [root, user, "alerts", _] if root in {QUOTA, BUDGETS}:
            return root, user
    return None


def _owned(owner: str, family: Family, output: Output) -> Place | None:
    if not is_document_id(owner):
        return None
    return Place(family=family, owner=owner, output=output, records=f"{USERS}/{owner}/{USER_RECORDS}")


def _output(owner: str, kind: str, identifier: str, parts: Mapping[str, str]) -> Output:
    document = booked_document(owner, kind, identifier) if is_document_id(identifier) else None
    return Output(document=document, parts=parts)


def _pair(stem: str, first: str, second: str, metadata: Mapping[str, str]) -> dict[str, str]:
    """Splits `{first}_{second}`: by the metadata where it spells this stem, else at the last underscore."""
    stated = {key: metadata[key] for key in (first, second) if metadata.get(key)}
    if len(stated) == 2 and "_".join(stated.values()) == stem:
        return stated
    left, underscore, right = stem.rpartition("_")
    return {first: left, second: right} if underscore and left and right else {}


def _users(segments: list[str], metadata: Mapping[str, str]) -> Place | None:
    match segments:
        case [_, owner, "ai_generated", "images", file] if file:
            stem = _stem(file)
            parts = _pair(stem, "card_id", "image_type", metadata)
            return _owned(owner, Family.AI_IMAGE, _output(owner, "images", stem, parts))
        case [_, owner, "ai_generated", "videos", file] if file:
            stem = _stem(file)
            return _owned(owner, Family.AI_VIDEO, _output(owner, "videos", stem, {"scene_id": stem} if stem else {}))
        case [_, owner, "ai_generated", "audio", "stems", file] if file:
            stem = _stem(file)
            parts = _pair(stem, "stem_type", "stem_id", metadata)
            return _owned(owner, Family.AI_AUDIO, _output(owner, "audio", stem, parts))
    return None


def _generating(segments: list[str], metadata: Mapping[str, str]) -> Place | None:
    match segments:
        case [_, owner, "image" | "video" as kind, file] if file:
            family = Family.GENERATED_IMAGE if kind == "image" else Family.GENERATED_VIDEO
            stem = _stem(file)
            stated = metadata.get("file_uid", "")
            tail = stem.removeprefix(stated)
            if stated and stem.startswith(stated) and re.fullmatch(r"(_\d+)?", tail):
                parts = {"file_uid": stated, **({"index": tail[1:]} if tail else {})}
            else:
                found = _GENERATED_NAME.fullmatch(stem)
                parts = {key: value for key, value in found.groupdict().items() if value} if found else {}
            return _owned(owner, family, _output(owner, "files", parts.get("file_uid", ""), parts))
    return None


def _media(segments: list[str], metadata: Mapping[str, str]) -> Place | None:
    match segments:
        case [_, file] if file:
            output = _NO_OUTPUT
        case [_, asset, file] if asset and file:
            document = f"mediaAssets/{asset}" if is_document_id(asset) else None
            output = Output(document=document, parts={"asset_id": asset})
        case _:
            return None
    uploader = metadata.get("owner", "")
    owner = uploader if is_document_id(uploader) else None
    return Place(family=Family.MEDIA, owner=owner, output=output, records=SHARED_RECORDS)


def _projects(segments: list[str], _metadata: Mapping[str, str]) -> Place | None:
    match segments:
        case [_, project, "generations", generation, file] if project and generation and file.endswith(".tar.gz"):
            version = file.removesuffix(".tar.gz")
            if _VERSION.fullmatch(version):
                parts = {"project_id": project, "generation_id": generation, "version": version[1:]}
                return Place(family=Family.PROJECT_ARCHIVE, owner=None, output=Output(parts=parts), records=None)
    return None


def _artifacts(segments: list[str], _metadata: Mapping[str, str]) -> Place | None:
    match segments:
        # What has only arrived below `uploads` is nobody's yet: it is looked at when it has been taken.
        case [_, owner, "blobs", digest] if _DIGEST.fullmatch(digest):
            return _owned(owner, Family.ARTIFACT, Output(parts={"sha256": digest}))
    return None


def _stem(file: str) -> str:
    """The file name without its extension; a leading dot is not an extension."""
    stem, dot, _ = file.rpartition(".")
    return stem if dot and stem else file


_GRAMMAR: Final[Mapping[str, Callable[[list[str], Mapping[str, str]], Place | None]]] = {
    "users": _users,
    "generating": _generating,
    "media": _media,
    "projects": _projects,
    "artifacts": _artifacts,
}
