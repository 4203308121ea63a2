"""Owns Google on a socket of this machine: tokens, Drive's REST, KMS; with faults at any byte, either way."""

from __future__ import annotations

import json
import secrets
import socket
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import google_crc32c
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.functions.cdn.contract_server import Answer, Asked
from tests.functions.drive.consent import Consents, OAuthRefusalError
from tests.functions.drive.drive_model import START, Drive, DriveFaultError, KeptFile, Revision
from tests.functions.drive.published_contract import ContractError, check_answer, check_request, drive_method
from tests.listening import listening

UNIT = 256 * 1024
SESSION_LIVES = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What the next request meets."""

    status: int = 0
    """Answered in place of everything else."""
    reason: str = "backendError"
    retry_after: str = ""
    takes: int = -1
    """Of the request's body so many bytes are taken; then the connection is cut."""
    gives: int = -1
    """Done as asked, but of the answer so many bytes are given; then the connection is cut."""


@dataclass
class Session:
    """An upload on its way."""

    drive: Drive
    about: Mapping[str, Any]
    target: str
    """The file that gets another revision; empty: a new file."""
    size: int
    mime: str
    is_kept: bool
    fields: str
    opened: datetime
    held: bytearray = field(default_factory=bytearray)
    made: str = ""


@dataclass
class GoogleServer:
    """Accounts with their Drives, this app's client, a key in KMS, and what was asked."""

    clock: list[datetime] = field(default_factory=lambda: [START])
    url: str = ""
    drives: dict[str, Drive] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    faults: list[Fault | None] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    lengths: list[tuple[int, int]] = field(default_factory=list)
    """Of each request that was answered: the bytes of its body, and of the whole answer."""
    broken_contracts: list[str] = field(default_factory=list)
    kms_versions: list[bytes] = field(default_factory=lambda: [AESGCM.generate_key(256)])
    allowed: float = float("inf")
    """How many more requests to Drive are taken before there are too many."""
    most_chunk: int = 1 << 40
    """Of a piece at most so many bytes are held, as Drive is free to do."""
    ahead: Callable[[Asked], object] = lambda _asked: None
    """What happens just before a request is answered."""
    consents: Consents = field(init=False)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.consents = Consents(clock=self.clock)

    @property
    def now(self) -> datetime:
        return self.clock[0]

    def pass_time(self, **span: float) -> None:
        self.clock[0] += timedelta(**span)

    def drive(self, email: str = "ana@example.com") -> Drive:
        return self.drives.setdefault(email, Drive(email=email, clock=self.clock))

    def answer(self, asked: Asked) -> Answer:
        with self.lock:
            self.ahead(asked)
            try:
                return self._answer(asked)
            except DriveFaultError as fault:
                said = {"code": fault.status, "message": fault.message, "errors": [{"reason": fault.reason}]}
                return Answer(status=fault.status, body=json.dumps({"error": said}).encode())
            except OAuthRefusalError as refusal:
                said = {"error": refusal.error, "error_description": refusal.description}
                return Answer(status=refusal.status, body=json.dumps(said).encode())
            except ContractError as error:
                self.broken_contracts.append(str(error))
                return Answer(status=400, body=json.dumps({"error": {"message": str(error)}}).encode())

    def _answer(self, asked: Asked) -> Answer:
        if asked.path in {"/token", "/revoke"}:
            form = {name: values[0] for name, values in parse_qs(asked.body.decode(), keep_blank_values=True).items()}
            given = self.consents.token(form) if asked.path == "/token" else self.consents.revoke(form)
            return Answer(body=json.dumps(given).encode())
        if asked.path.startswith("/v1/projects/"):
            return self._kms(asked)
        email = self.consents.account_of(asked.headers.get("authorization", ""))
        if email is None:
            raise DriveFaultError(401, "authError", "Invalid Credentials")
        self.allowed -= 1
        if self.allowed < 0:
            raise DriveFaultError(403, "userRateLimitExceeded", "User Rate Limit Exceeded.")
        drive = self.drive(email)
        if "upload_id" in asked.query:
            return self._piece(self._session(asked.query["upload_id"][0]), asked)
        identifier, names = drive_method(asked.method, asked.path)
        is_upload = asked.path.startswith("/upload/")
        body = json.loads(asked.body) if asked.body else None
        check_request(identifier, asked.query, body, is_upload=is_upload)
        query = {name: values[0] for name, values in asked.query.items()}
        if is_upload:
            return self._begin(drive, asked, names.get("fileId", ""), query, body or {})
        answer = self._called(drive, identifier, names, query, body or {})
        check_answer(identifier, answer)
        return Answer(body=json.dumps(masked(answer, query.get("fields", "*"))).encode())

    # -- Drive's methods

    def _called(
        self, drive: Drive, identifier: str, names: Mapping[str, str], query: Mapping[str, str], body: dict[str, Any]
    ) -> dict[str, Any]:
        method = identifier.removeprefix("drive.")
        file = names.get("fileId", "")
        if method == "about.get":
            return self._about(drive)
        if method == "files.generateIds":
            return {
                "kind": "drive#generatedIds",
                "space": "drive",
                "ids": [drive.new_id() for _ in range(int(query["count"]))],
            }
        if method == "files.get":
            return shown_file(drive.visible(file))
        if method == "files.list":
            return {"files": [shown_file(each) for each in self._searched(drive, query["q"])]}
        if method == "files.create":
            return shown_file(drive.make(body))
        if method == "files.update":
            return shown_file(drive.change(file, body))
        if method == "revisions.list":
            return {"revisions": [shown_revision(each) for each in drive.visible(file).revisions]}
        if method == "revisions.update":
            return shown_revision(drive.keep(file, names["revisionId"], is_kept=body["keepForever"]))
        if method == "changes.getStartPageToken":
            return {"startPageToken": str(len(drive.feed))}
        if method == "changes.list":
            return self._changes(drive, query)
        raise ContractError(f"the server does not serve `{identifier}`")

    def _about(self, drive: Drive) -> dict[str, Any]:
        room = {"usage": str(drive.usage()), "usageInDrive": str(drive.usage()), "usageInDriveTrash": "0"}
        if drive.limit is not None:
            room["limit"] = str(drive.limit)
        user = {"permissionId": drive.permission, "emailAddress": drive.email, "displayName": "Ana"}
        return {"kind": "drive#about", "user": user, "storageQuota": room}

    def _searched(self, drive: Drive, query: str) -> list[KeptFile]:
        wanted = "mimeType = 'application/vnd.google-apps.folder' and trashed = false"
        wanted += " and appProperties has { key='afterimage' and value='folder' }"
        if query != wanted:
            raise ContractError(f"the server does not search for `{query}`")
        found = [each for each in drive.folders() if not each.is_trashed]
        return [each for each in found if each.properties.get("afterimage") == "folder"]

    def _changes(self, drive: Drive, query: Mapping[str, str]) -> dict[str, Any]:
        token = query["pageToken"]
        if not token.isdigit() or int(token) > len(drive.feed):
            raise DriveFaultError(400, "invalid", "Invalid Value")
        page = drive.feed[int(token) : int(token) + int(query["pageSize"])]
        end = int(token) + len(page)
        changes = []
        for identifier in dict.fromkeys(page):
            file = drive.files.get(identifier)
            shown = {} if file is None else {"file": shown_file(file)}
            changes.append({"changeType": "file", "fileId": identifier, "removed": file is None, **shown})
        more = {"nextPageToken": str(end)} if end < len(drive.feed) else {"newStartPageToken": str(end)}
        return {"changes": changes, **more}

    # -- uploads

    def _begin(
        self, drive: Drive, asked: Asked, target: str, query: Mapping[str, str], about: dict[str, Any]
    ) -> Answer:
        size = int(asked.headers["x-upload-content-length"])
        mime = asked.headers["x-upload-content-type"]
        is_kept = query.get("keepRevisionForever") == "true"
        if target:
            if is_kept:
                drive.refuse_more_kept(drive.visible(target))
            drive.refuse_locked(target)
        elif about.get("id") in drive.used:
            raise DriveFaultError(409, "fileIdInUse", "A file already exists with the provided ID.")
        else:
            for parent in about.get("parents", []):
                drive.visible(parent)
        drive.refuse_without_room(size)
        name = secrets.token_urlsafe(24)
        self.sessions[name] = Session(
            drive=drive, about=about, target=target, size=size, mime=mime, is_kept=is_kept,
            fields=query.get("fields", "*"), opened=self.now,
        )  # fmt: skip
        address = f"{self.url}{asked.path}?uploadType=resumable&upload_id={name}"
        return Answer(headers={"Location": address})

    def _session(self, name: str) -> Session:
        session = self.sessions.get(name)
        if session is None or self.now - session.opened > SESSION_LIVES:
            raise DriveFaultError(404, "notFound", "The upload has run out.")
        return session

    def _piece(self, session: Session, asked: Asked) -> Answer:
        said = asked.headers.get("content-range", "")
        if not session.made and said != f"bytes */{session.size}":
            self._take(session, said, asked.body)
        if not session.made and len(session.held) == session.size and (session.size or not said.startswith("bytes */")):
            session.made = self._finished(session).id
        if session.made:
            answer = shown_file(session.drive.visible(session.made))
            return Answer(body=json.dumps(masked(answer, session.fields)).encode())
        held = {"Range": f"bytes=0-{len(session.held) - 1}"} if session.held else {}
        return Answer(status=308, headers=held)

    def _take(self, session: Session, said: str, data: bytes) -> None:
        if session.size == 0:
            return
        span, _, total = said.removeprefix("bytes ").partition("/")
        start, _, end = span.partition("-")
        if int(total) != session.size or int(start) > len(session.held):
            raise DriveFaultError(400, "badRequest", f"`{said}` does not follow {len(session.held)} of {session.size}")
        is_last = int(end) == session.size - 1
        is_whole = len(data) == int(end) - int(start) + 1
        if is_whole and not is_last and len(data) % UNIT:
            raise DriveFaultError(400, "badRequest", f"a piece of {len(data)} bytes is no multiple of {UNIT}")
        taken = data[: self.most_chunk]
        if not (is_whole and is_last and len(taken) == len(data)):
            # What is held is always whole units, except at the end.
            taken = (
                taken[: (int(start) + len(taken)) // UNIT * UNIT - int(start)]
                if (int(start) + len(taken)) >= UNIT
                else b""
            )
        del session.held[int(start) :]
        session.held += taken

    def _finished(self, session: Session) -> KeptFile:
        drive, data = session.drive, bytes(session.held)
        drive.refuse_without_room(len(data))
        if session.target:
            drive.visible(session.target)
            file = drive.change(session.target, session.about)
        else:
            file = drive.make(session.about)
        drive.put(file, data, session.mime, is_kept=session.is_kept)
        return file

    # -- KMS

    def _kms(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.consents.own:
            return Answer(status=401, body=b'{"error": {"status": "UNAUTHENTICATED"}}')
        name, _, verb = asked.path.removeprefix("/v1/").partition(":")
        body = json.loads(asked.body)
        about = b64decode(body["additionalAuthenticatedData"])
        nonce = bytes(12)
        if verb == "encrypt":
            plain = b64decode(body["plaintext"])
            right = str(google_crc32c.value(plain)) == body["plaintextCrc32c"]
            version = len(self.kms_versions)
            data = bytes([version]) + AESGCM(self.kms_versions[-1]).encrypt(nonce, plain, about)
            answer: dict[str, Any] = {
                "name": f"{name}/cryptoKeyVersions/{version}", "ciphertext": b64encode(data).decode(),
                "ciphertextCrc32c": str(google_crc32c.value(data)), "verifiedPlaintextCrc32c": right,
                "verifiedAdditionalAuthenticatedDataCrc32c": True, "protectionLevel": "SOFTWARE",
            }  # fmt: skip
        else:
            data = b64decode(body["ciphertext"])
            try:
                plain = AESGCM(self.kms_versions[data[0] - 1]).decrypt(nonce, data[1:], about)
            except (InvalidTag, IndexError):
                return Answer(status=400, body=b'{"error": {"status": "INVALID_ARGUMENT"}}')
            answer = {
                "plaintext": b64encode(plain).decode(), "plaintextCrc32c": str(google_crc32c.value(plain)),
                "usedPrimary": data[0] == len(self.kms_versions), "protectionLevel": "SOFTWARE",
            }  # fmt: skip
        method = f"cloudkms.projects.locations.keyRings.cryptoKeys.{verb}"
        check_answer(method, answer, api="cloudkms.v1")
        return Answer(body=json.dumps(answer).encode())


def shown_file(file: KeptFile) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "kind": "drive#file", "id": file.id, "name": file.name, "mimeType": file.mime, "parents": file.parents,
        "trashed": file.is_trashed, "appProperties": file.properties,
        "capabilities": {"canModifyContent": not file.is_locked, "canEdit": True},
        "webViewLink": f"https://drive.google.com/file/d/{file.id}/view",
    }  # fmt: skip
    if file.revisions:
        head = file.head
        shown |= {
            "headRevisionId": head.id, "md5Checksum": head.md5, "size": str(len(head.data)),
            "modifiedTime": stamp(head.at),
        }  # fmt: skip
    return shown


def shown_revision(revision: Revision) -> dict[str, Any]:
    return {
        "kind": "drive#revision", "id": revision.id, "md5Checksum": revision.md5, "modifiedTime": stamp(revision.at),
        "keepForever": revision.is_kept, "size": str(len(revision.data)), "mimeType": revision.mime,
    }  # fmt: skip


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def masked(value: Any, mask: str) -> Any:
    """The part of an answer that `fields` asks for: nothing else is ever sent."""
    if mask == "*":
        return value
    found: dict[str, Any] = {}
    for part in _parts(mask):
        name, _, inner = part.partition("(")
        if name in value:
            kept = value[name]
            if inner:
                inner = inner.removesuffix(")")
                kept = [masked(each, inner) for each in kept] if isinstance(kept, list) else masked(kept, inner)
            found[name] = kept
    return found


def _parts(mask: str) -> list[str]:
    depth, parts = 0, [""]
    for letter in mask:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


@contextmanager
def served(server: GoogleServer) -> Iterator[GoogleServer]:
    """On a free port, until the test is over."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            parts = urlsplit(self.path)
            server.asked.append(f"{self.command} {parts.path}")
            fault = (server.faults.pop(0) if server.faults else None) or Fault()
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length if fault.takes < 0 else min(fault.takes, length))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(
                method=self.command, path=parts.path, query=parse_qs(parts.query, keep_blank_values=True),
                headers=headers, body=body,
            )  # fmt: skip
            if fault.status:
                said = {"code": fault.status, "message": "a fault of the test's", "errors": [{"reason": fault.reason}]}
                more = {"Retry-After": fault.retry_after} if fault.retry_after else {}
                self._write(Answer(status=fault.status, body=json.dumps({"error": said}).encode(), headers=more), -1)
            elif fault.takes >= 0:
                if "upload_id" in asked.query and fault.takes < length:
                    server.answer(asked)  # what came of a piece is held
                self._cut()
            else:
                self._write(server.answer(asked), fault.gives)

        def _write(self, answer: Answer, gives: int) -> None:
            head = f"HTTP/1.1 {answer.status} Told\r\nContent-Length: {len(answer.body)}\r\n"
            head += "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
            data = f"{head}Content-Type: application/json\r\n\r\n".encode() + answer.body
            server.lengths.append((int(self.headers.get("content-length", 0)), len(data)))
            if 0 <= gives < len(data):
                self.wfile.write(data[:gives])
                self._cut()
            else:
                self.wfile.write(data)

        def _cut(self) -> None:
            self.close_connection = True
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_arguments: object) -> None:
            return

    for verb in ("GET", "POST", "PATCH", "PUT", "DELETE"):
        setattr(Handler, f"do_{verb}", Handler.serve)
    with listening(Handler) as server.url:
        yield server
