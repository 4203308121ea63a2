"""Three coroutines that programs of generation endpoints know by these names, over one machine's folder.

The same as `afterimage.generations.storage_helper` has for a project: save, get a URL, enrich a response. They open the
folder of this process's settings, beside the server that may be serving it, and answer without waiting for any cloud.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from afterimage.generations.storage_helper import GenerationFiles
from afterimage.made_once import made_once
from afterimage_server.configuration import read_server_settings
from afterimage_server.machine import Machine, open_machine


async def save_generation_with_cloud(
    *, project_id: str, generation_id: str, version: int, files: Mapping[str, str], metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Keeps the files of a version as an archive; where there is a cloud, an entry of the queue sends it there."""
    machine = opened_machine()
    saved = await asyncio.to_thread(
        _files(machine).save,
        project_id=project_id,
        generation_id=generation_id,
        version=version,
        files=files,
        metadata=metadata,
    )
    return {**saved, "cloud_storage_enabled": machine.settings.uses_cloud}


async def get_download_url_for_generation(*, project_id: str, generation_id: str, version: int) -> str | None:
    """The cloud's signed address once it has confirmed the archive, this machine's until then; None for no archive."""
    return await asyncio.to_thread(
        _files(opened_machine()).url, project_id=project_id, generation_id=generation_id, version=version
    )


async def enrich_generation_response(
    response: Mapping[str, Any], *, include_download_url: bool = True
) -> dict[str, Any]:
    """The response with `download_url` and `cloud_storage_enabled`, which are always there."""
    url: str | None = None
    project, generation, version = (response.get(name) for name in ("project_id", "id", "version"))
    if include_download_url and project and generation and version:
        url = await get_download_url_for_generation(project_id=project, generation_id=generation, version=int(version))
    uses_cloud = opened_machine().settings.uses_cloud
    return {**response, "cloud_storage_enabled": uses_cloud, "download_url": url}


@made_once
def opened_machine() -> Machine:
    """The machine of this process's settings; its addresses are those of the server that these name."""
    settings = read_server_settings()
    machine = open_machine(settings)
    machine.address.base = settings.public_url or f"http://{settings.host}:{settings.port}"
    return machine


def _files(machine: Machine) -> GenerationFiles:
    bucket = machine.settings.api.originals_bucket
    return GenerationFiles(files=machine.folder.files, bucket=bucket, links=machine.links)
