"""Everything between one folder and the cloud behind it, put together."""

from __future__ import annotations

from dataclasses import dataclass

from afterimage_client.queue import DurableQueue
from afterimage_server.cloud.conflicts import Conflicts
from afterimage_server.cloud.keeping_less import KeepingLess
from afterimage_server.cloud.links import CloudFirstLinks
from afterimage_server.cloud.outbox import CLOUD, Outbox, seed_outbox
from afterimage_server.cloud.project import CloudProject
from afterimage_server.cloud.pushing import CloudPush
from afterimage_server.configuration import ServerSettings
from afterimage_server.doors.signed_addresses import LocalLinks
from afterimage_server.store.machine_folder import MachineFolder
from afterimage_server.work.worker_thread import WorkerThread


@dataclass(frozen=True, kw_only=True)
class CloudSide:
    """What goes there, what is known of it, and how it is brought back."""

    outbox: Outbox
    push: CloudPush
    conflicts: Conflicts
    links: CloudFirstLinks
    keeping_less: KeepingLess
    worker: WorkerThread


def open_cloud_side(
    settings: ServerSettings, folder: MachineFolder, queue: DurableQueue, local: LocalLinks, project: CloudProject
) -> CloudSide:
    folder.database.bring(CLOUD)
    seed_outbox(folder, queue, settings.project_id)
    push = CloudPush(
        folder=folder,
        queue=queue,
        bucket=settings.api.originals_bucket,
        files=project.files,
        documents=project.documents,
    )
    keeping_less = KeepingLess(
        folder=folder, files=project.files, cache_folder=settings.cache_folder, older_than=settings.cleanup_after
    )
    folder.following.fetch_away = keeping_less.bring_back
    return CloudSide(
        outbox=Outbox(queue=queue),
        push=push,
        conflicts=Conflicts(folder=folder, queue=queue, documents=project.documents),
        links=CloudFirstLinks(local, project.links, folder.files),
        keeping_less=keeping_less,
        worker=WorkerThread(queue, push.performers(), together=push.together()),
    )
