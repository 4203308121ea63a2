"""The work on one version: claimed, generated, archived, ended, and ended once however often its task comes.

The archive is written before the version says that it is there. Whoever comes after a crash between the two finds the
archive, which says what it cost, and asks no generator a second time.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from afterimage.faults import TransientError
from afterimage.generations.budgets import BudgetChange, budget_writes, cost_of
from afterimage.generations.faults import (
    GenerationError,
    GeneratorBusyError,
    GeneratorError,
    OverBudgetError,
    UnusableProjectError,
)
from afterimage.generations.generator import Assignment, Generator, TokensSpent
from afterimage.generations.project_files import archive_of, checked_files, files_in
from afterimage.generations.records import (
    ARCHIVE_OF,
    Archive,
    GenerationStatus,
    VersionKey,
    file_list,
    is_open,
    with_version,
)
from afterimage.ledger.prices.pricing import Prices
from afterimage.paths import archive_name, budget_path, code_output_path, generation_path, version_path
from afterimage.store.documents import (
    ConflictError,
    Document,
    DocumentStore,
    Expect,
    NoRoomError,
    Replace,
    UncertainError,
    Write,
)
from afterimage.store.files import FileAbout, FileStore, GoneError, StoredFile

logger = logging.getLogger("afterimage.generations")

MOST_ATTEMPTS: Final = 5
CLAIMED_FOR: Final = timedelta(seconds=330)
"""How long a worker may be at it before it is taken for dead; longer than the function's timeout."""
_ROUNDS: Final = 24


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Works on versions."""

    documents: DocumentStore
    files: FileStore
    bucket: str
    generator: Generator
    prices: Prices
    now: Callable[[], datetime]

    def work(self, key: VersionKey) -> str:
        """Sees one version to its end, and says what was done; raises TransientError to be called again."""
        version = self.documents.read(key.path)
        if version is None:
            return self._taken_back(key)
        if not is_open(version):
            return "nothing to do"
        name = archive_name(version.fields["project_id"], key.generation, key.version)
        found = self.files.find(self.bucket, name)
        is_made = _is_of(found, key)
        claimed = self._claimed(key, asks=not is_made)
        if claimed is None:
            return "nothing to do"
        try:
            if found is not None and is_made:
                archive, contents, spent = self._adopted(found)
            else:
                archive, contents, spent = self._made(key, claimed, name, found)
        except GeneratorBusyError:
            self._put_down(claimed, spent=False)
            raise
        except TransientError:
            self._put_down(claimed, spent=True)
            raise
        except GeneratorError as error:
            return self._end(key, claimed, _failed(str(error)), error.spent)
        except GenerationError as error:
            # Nobody was asked.
            idle = replace(claimed, fields={**claimed.fields, "may_have_spent": False})
            return self._end(key, idle, _failed(str(error)), None)
        done = {
            "status": GenerationStatus.COMPLETED.value,
            "files": file_list(contents),
            "files_count": len(contents),
            "archive": archive.as_fields(),
        }
        return self._end(key, claimed, done, spent)

    def give_up(self, key: VersionKey, reason: str) -> str:
        """Ends a version that nobody is working on any more; whatever an attempt may have spent counts as spent."""
        version = self.documents.read(key.path)
        if version is None or not is_open(version) or _is_claimed(version.fields, self.now()):
            return "nothing to do"
        return self._end(key, version, _failed(reason), None)

    def archive_found(self, key: VersionKey, file: StoredFile) -> str:
        """Decides about an archive that was listed before: a worker writes none before its version is there."""
        for _ in range(_ROUNDS):
            head, version = self.documents.read_many([generation_path(key.uid, key.generation), key.path])
            if head is None or version is None:
                self.files.delete(file.bucket, file.name, generation=file.generation)
                return "archives of no version deleted"
            held = version.fields["archive"]
            if held is None or held["name"] != file.name or held["generation"] >= file.generation:
                return "as it should be"
            archive = _archive(file).as_fields()
            writes = [Replace(path=key.path, fields={**version.fields, "archive": archive}, expected=version.version)]
            if head.fields["current_version"] == key.version:
                fields = {**head.fields, "archive": archive}
                writes.append(Replace(path=head.path, fields=fields, expected=head.version))
            try:
                self.documents.commit(writes)
                return "archives taken up anew"
            except (ConflictError, UncertainError):
                continue
        raise TransientError(f"`{key.path}` is contended")

    def _claimed(self, key: VersionKey, *, asks: bool) -> Document | None:
        """The version, claimed for this worker; None where it has ended or is gone. `asks`: a generator will be."""
        for _ in range(_ROUNDS):
            version, budget = self.documents.read_many([key.path, budget_path(key.uid)])
            if version is None or not is_open(version):
                return None
            fields, now = version.fields, self.now()
            if _is_claimed(fields, now):
                raise TransientError(f"another worker is at `{key.path}`")
            if fields["attempts"] >= MOST_ATTEMPTS:
                self._end(key, version, _failed(f"{MOST_ATTEMPTS} attempts failed"), None)
                return None
            reserved = fields["reserved_nano_usd"]
            taken = {
                **fields,
                "attempts": fields["attempts"] + 1,
                "claim": secrets.token_hex(8),
                "claimed_until": now + CLAIMED_FOR,
                "may_have_spent": True,
            }
            change = BudgetChange()
            if asks and reserved and fields["may_have_spent"]:
                # The attempt before may have spent all that was reserved for it; this one needs as much again.
                change = BudgetChange(release=reserved, spend=reserved, reserve=reserved)
            try:
                paid = budget_writes(key.uid, key.name, budget, change, now) if change.reserve else []
            except OverBudgetError as error:
                self._end(key, version, _failed(str(error)), None)
                return None
            try:
                made = self.documents.commit([Replace(path=key.path, fields=taken, expected=version.version), *paid])
            except (ConflictError, UncertainError):
                found = self.documents.read(key.path)
                if found is not None and found.fields["claim"] == taken["claim"]:
                    return found
                continue
            return Document(path=key.path, fields=taken, version=made[0])
        raise TransientError(f"`{key.path}` is contended")

    def _made(
        self, key: VersionKey, claimed: Document, name: str, found: StoredFile | None
    ) -> tuple[Archive, Mapping[str, bytes], TokensSpent]:
        fields = claimed.fields
        before = self._before(key, fields)
        made = self.generator.make(Assignment(prompt=fields["prompt"], mode=fields["mode"], files=before))
        try:
            contents = checked_files(made.files)
        except UnusableProjectError as error:
            raise GeneratorError(str(error), made.spent) from error
        data = archive_of(contents)
        about = FileAbout(
            content_type="application/gzip",
            cache_control="private, max-age=3600",
            metadata={
                ARCHIVE_OF: f"{key.uid}/{key.name}",
                "afterimage_model": made.spent.model,
                "afterimage_tokens": msgspec.json.encode([made.spent.input_tokens, made.spent.output_tokens]).decode(),
            },
        )
        expected = found.generation if found else Expect.ABSENT
        try:
            stored = self.files.write(self.bucket, name, data, about, expected=expected)
        except ConflictError as error:
            raise TransientError(f"another worker wrote `{name}`") from error
        except NoRoomError as error:
            raise GeneratorError(str(error), made.spent) from error
        return _archive(stored), contents, made.spent

    def _adopted(self, found: StoredFile) -> tuple[Archive, Mapping[str, bytes], TokensSpent]:
        """What an attempt before this one made and did not come to say."""
        read, written = msgspec.json.decode(found.metadata["afterimage_tokens"], type=tuple[int, int])
        spent = TokensSpent(model=found.metadata["afterimage_model"], input_tokens=read, output_tokens=written)
        try:
            return _archive(found), files_in(self.files.read(found)), spent
        except GoneError as error:
            raise TransientError(f"`{found.name}` changed meanwhile") from error

    def _before(self, key: VersionKey, fields: Mapping[str, Any]) -> Mapping[str, str]:
        """The files of the version that this one goes on from."""
        if fields["parent_version"] is None:
            return {}
        parent = self.documents.read(version_path(key.uid, key.generation, fields["parent_version"]))
        held = parent.fields["archive"] if parent else None
        stored = self.files.find(held["bucket"], held["name"]) if held else None
        if stored is None:
            raise UnusableProjectError(f"version {fields['parent_version']}, from which this goes on, is gone")
        return {name: data.decode("utf-8", "replace") for name, data in files_in(self.files.read(stored)).items()}

    def _end(self, key: VersionKey, version: Document, ending: Mapping[str, Any], spent: TokensSpent | None) -> str:
        """Ends a version, books what it cost and settles what was reserved, in one commit."""
        for _ in range(_ROUNDS):
            now = self.now()
            head, budget = self.documents.read_many([generation_path(key.uid, key.generation), budget_path(key.uid)])
            if head is None:
                return self._taken_back(replace(key, project=version.fields["project_id"]))
            ended = {**version.fields, **ending, "claimed_until": None, "completed_at": now, "reserved_nano_usd": 0}
            if spent is not None:
                tokens = {"input_tokens": spent.input_tokens, "output_tokens": spent.output_tokens}
                ended |= {"model": spent.model, **tokens, "may_have_spent": False}
            writes: list[Write] = [
                Replace(path=key.path, fields=ended, expected=version.version),
                Replace(path=head.path, fields=with_version(head.fields, ended, now), expected=head.version),
                *self._settled(key, version, budget, spent, now),
            ]
            if spent is not None:
                output = _output(spent, version.fields, ended, now)
                path = code_output_path(key.uid, key.name)
                writes.append(Replace(path=path, fields=output, expected=Expect.ANYTHING))
            try:
                self.documents.commit(writes)
                return str(ended["status"])
            except (ConflictError, UncertainError):
                # Another version of the generation, another spender, or an answer that was lost: read again. If this
                # version has changed, it has ended, perhaps by this very commit.
                found = self.documents.read(key.path)
                if found is None or found.version != version.version:
                    project = version.fields["project_id"]
                    return self._taken_back(replace(key, project=project)) if found is None else "nothing to do"
        raise TransientError(f"`{key.path}` is contended")

    def _settled(
        self, key: VersionKey, version: Document, budget: Document | None, spent: TokensSpent | None, now: datetime
    ) -> list[Write]:
        reserved = version.fields["reserved_nano_usd"]
        if budget is None:
            return []
        if spent is not None:
            cost = cost_of(spent, self.prices, now) if spent.input_tokens or spent.output_tokens else 0
            # A model without a price reserved nothing either; were it otherwise, the worst case stands.
            cost = reserved if cost is None else cost
        else:
            cost = reserved if version.fields["may_have_spent"] else 0
        if not reserved and not cost:
            return []
        return list(budget_writes(key.uid, key.name, budget, BudgetChange(release=reserved, spend=cost), now))

    def _put_down(self, claimed: Document, *, spent: bool) -> None:
        """Lets the next delivery take up the work at once; a claim that cannot be given back runs out by itself."""
        fields = {**claimed.fields, "claimed_until": None, "may_have_spent": spent}
        try:
            self.documents.commit([Replace(path=claimed.path, fields=fields, expected=claimed.version)])
        except (ConflictError, TransientError) as error:
            logger.warning("the claim of `%s` stays until it runs out: %s", claimed.path, error)

    def _taken_back(self, key: VersionKey) -> str:
        """The user was erased meanwhile: what was written for them goes too, by this worker or one that died."""
        if key.project:
            name = archive_name(key.project, key.generation, key.version)
            if _is_of(self.files.find(self.bucket, name), key):
                self.files.delete(self.bucket, name)
        return "nothing to do"


def version_of_archive(file: StoredFile) -> VersionKey | None:
    """Whose archive a file is, by what its worker wrote on it; None for one that no worker wrote."""
    uid, _, name = file.metadata.get(ARCHIVE_OF, "").partition("/")
    generation, _, number = name.partition("~v")
    if not (uid and generation and number.isascii() and number.isdigit()):
        return None
    return VersionKey(uid=uid, generation=generation, version=int(number))


def _is_of(found: StoredFile | None, key: VersionKey) -> bool:
    """Whether it is the archive of this very version, whoever wrote it."""
    return found is not None and found.metadata.get(ARCHIVE_OF) == f"{key.uid}/{key.name}"


def _is_claimed(fields: Mapping[str, Any], now: datetime) -> bool:
    return fields["claimed_until"] is not None and fields["claimed_until"] > now


def _failed(reason: str) -> dict[str, Any]:
    return {"status": GenerationStatus.FAILED.value, "error": reason[:500]}


def _archive(stored: StoredFile) -> Archive:
    return Archive(bucket=stored.bucket, name=stored.name, generation=stored.generation, bytes=stored.size)


def _output(spent: TokensSpent, version: Mapping[str, Any], ended: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The output as the ledger reads every output."""
    latency = (now - version["created_at"]).total_seconds() * 1000
    return {
        "model": spent.model,
        "input_tokens": spent.input_tokens,
        "output_tokens": spent.output_tokens,
        "generated_at": now,
        "latency_ms": round(latency),
        "cached": False,
        "cache_hit_count": 0,
        "project_id": ended["project_id"],
        "status": ended["status"],
    }
