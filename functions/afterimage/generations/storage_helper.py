"""Three coroutines that programs of generation endpoints know by these names: save, get a URL, enrich a response.

They speak to the same stores as the API, in threads, so that no event loop waits for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from afterimage.generations.project_files import archive_of, checked_files
from afterimage.generations.records import Archive
from afterimage.made_once import made_once
from afterimage.paths import archive_name
from afterimage.store import clients
from afterimage.store.documents import ConflictError, Expect
from afterimage.store.files import FileAbout, FileStore, StoredFile
from afterimage.store.links import FileLinks


@dataclass(frozen=True, kw_only=True)
class GenerationFiles:
    """Archives of versions by their path alone."""

    files: FileStore
    bucket: str
    links: FileLinks

    def save(
        self,
        *,
        project_id: str,
        generation_id: str,
        version: int,
        files: Mapping[str, str],
        metadata: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Stores the archive; the same files again are stored once, others under the same version are refused."""
        contents = checked_files(files)
        data = archive_of(contents)
        name = archive_name(project_id, generation_id, version)
        about = FileAbout(
            content_type="application/gzip", metadata={key: str(value) for key, value in metadata.items()}
        )
        try:
            stored = self.files.write(self.bucket, name, data, about, expected=Expect.ABSENT)
        except ConflictError:
            found = self.files.find(self.bucket, name)
            if found is None or self.files.read(found) != data:
                raise
            stored = found
        return {
            "files_count": len(contents),
            "bytes": stored.size,
            "cloud_storage_enabled": True,
            "download_url": _archive_at(stored).link(self.links).url,
        }

    def url(self, *, project_id: str, generation_id: str, version: int) -> str | None:
        stored = self.files.find(self.bucket, archive_name(project_id, generation_id, version))
        return None if stored is None else _archive_at(stored).link(self.links).url


async def save_generation_with_cloud(
    *, project_id: str, generation_id: str, version: int, files: Mapping[str, str], metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Stores the files of a version as an archive."""
    return await asyncio.to_thread(
        _cloud_files().save,
        project_id=project_id,
        generation_id=generation_id,
        version=version,
        files=files,
        metadata=metadata,
    )


async def get_download_url_for_generation(*, project_id: str, generation_id: str, version: int) -> str | None:
    """A signed URL of one hour; None while the archive is not there."""
    return await asyncio.to_thread(
        _cloud_files().url, project_id=project_id, generation_id=generation_id, version=version
    )


async def enrich_generation_response(
    response: Mapping[str, Any], *, include_download_url: bool = True
) -> dict[str, Any]:
    """The response with `download_url` and `cloud_storage_enabled`, which are always there."""
    enriched = {**response, "cloud_storage_enabled": True, "download_url": None}
    known = [response.get("project_id"), response.get("id"), response.get("version")]
    if include_download_url and all(known):
        enriched["download_url"] = await get_download_url_for_generation(
            project_id=str(known[0]), generation_id=str(known[1]), version=int(str(known[2]))
        )
    return enriched


@made_once
def _cloud_files() -> GenerationFiles:
    bucket = clients.settings().originals_bucket
    return GenerationFiles(files=clients.files(), bucket=bucket, links=clients.links())


def _archive_at(stored: StoredFile) -> Archive:
    return Archive(bucket=stored.bucket, name=stored.name, generation=stored.generation, bytes=stored.size)
