"""One machine, composed: its folder, its API, its doors, and what it does by itself."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from afterimage.api.admission.tokens import CallerTokens
from afterimage.api.application import Api
from afterimage.api.dispatch import RouteTable
from afterimage.api.services import Services
from afterimage.artifacts.handlers import collector_over, library_over
from afterimage.edges.drive.composition import drive_links_over, drive_queue_over
from afterimage.edges.generators import generator_of
from afterimage.generations.generator import Generator
from afterimage.generations.working import Workshop
from afterimage.ledger.bookkeeper import Bookkeeper, HotUsers
from afterimage.ledger.prices.pricing import Prices
from afterimage.made_once import made_once
from afterimage.store.links import FileLinks
from afterimage_client.database import FileTransaction
from afterimage_client.queue import QUEUE_SCHEMA, DurableQueue, SyncReport
from afterimage_server.cloud.cloud_side import CloudSide, open_cloud_side
from afterimage_server.cloud.project import CloudProject, cloud_project
from afterimage_server.cloud.sign_in import project_tokens
from afterimage_server.configuration import ServerSettings
from afterimage_server.doors.file_doors import FileDoors
from afterimage_server.doors.signed_addresses import LocalLinks
from afterimage_server.doors.upload_sessions import UploadSessions
from afterimage_server.local_tokens import LocalTokens
from afterimage_server.machine_look import MachineLook
from afterimage_server.rooms.machine_routes import machine_table
from afterimage_server.rooms.machine_services import MachineServices
from afterimage_server.store.folder_files import FileChanged
from afterimage_server.store.local_documents import DocumentChanged
from afterimage_server.store.machine_folder import MachineFolder, open_folder
from afterimage_server.work.bookkeeping import Bookkeeping
from afterimage_server.work.drive_thread import DriveThread
from afterimage_server.work.erasing import ForgetUser
from afterimage_server.work.machine_jobs import MachineJobs
from afterimage_server.work.tasks import Tasks, forget_letters
from afterimage_server.work.tending import Tending
from afterimage_server.work.worker_thread import WorkerThread

if TYPE_CHECKING:
    from flask import Flask

SYNC_SECONDS: Final = 60.0
logger = logging.getLogger("afterimage_server")


@dataclass
class Address:
    """Where clients reach a server; known when it listens."""

    base: str = ""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Everything that serves one folder; made by `open_machine`, which nothing listens to yet."""

    settings: ServerSettings
    folder: MachineFolder
    tokens: LocalTokens
    links: FileLinks
    local_links: LocalLinks
    sessions: UploadSessions
    queue: DurableQueue
    tasks: Tasks
    services: MachineServices
    worker: WorkerThread
    tending: Tending
    address: Address
    cloud: CloudSide | None = None
    """None where everything stays here."""
    drive: DriveThread | None = None
    """None where no user can link a Google Drive."""

    def application(self, table: RouteTable | None = None, services: Services | None = None) -> Flask:
        """What a WSGI server serves."""
        from flask import Flask, request

        api = Api(table or machine_table(), services or self.services)
        doors = FileDoors(self.folder.files, self.local_links, self.sessions, self.settings.api)
        app = Flask("afterimage_server", static_folder=None)

        def answer() -> Any:
            with self.folder.erasures.work():
                return doors(request) if doors.serves(request.path) else api(request)

        # Before Flask looks for a route of its own: its `<path:path>` knows no path with a line break in it.
        app.before_request(answer)
        return app

    def start_work(self) -> None:
        """Begins what the machine does by itself. What a process that is gone has left is taken up first."""
        if self.folder.heal_journal():
            logger.info("the journal was begun anew: the last process was killed")
        released = self.tasks.release_claims()
        if released:
            logger.info("%d generations were under way and go on", released)
        self.worker.start()
        if self.cloud is not None:
            self.cloud.worker.start()
        if self.drive is not None:
            self.drive.start()
        self.tending.start()

    def stop_work(self) -> None:
        self.tending.stop()
        if self.drive is not None:
            self.drive.stop()
        if self.cloud is not None:
            self.cloud.worker.stop()
        self.worker.stop()

    def close(self) -> None:
        self.queue.close()
        self.folder.close()


def open_machine(
    settings: ServerSettings,
    *,
    generator: Callable[[], Generator] | None = None,
    project: CloudProject | None = None,
) -> Machine:
    """Opens the folder and puts everything over it together; `project` stands for the cloud that settings name."""
    folder = open_folder(settings.folder, settings.key, most_bytes=settings.most_bytes)
    folder.database.bring(QUEUE_SCHEMA)
    queue = DurableQueue(folder.database, sealer=folder.vault.sealer)
    others: CallerTokens | None = project_tokens(settings.project_id) if settings.project_id else None
    tokens = LocalTokens(folder.documents, others=others)
    address = Address(settings.public_url)
    local_links = LocalLinks(folder.database, lambda: address.base)
    cloud: CloudSide | None = None
    if settings.uses_cloud:
        project = project or cloud_project(settings.project_id)
        cloud = open_cloud_side(settings, folder, queue, local_links, project)
    links: FileLinks = cloud.links if cloud is not None else local_links
    make_generator = made_once(generator or (lambda: generator_of(settings.api)))
    prices = made_once(Prices)
    sessions = UploadSessions(folder.files)
    forget_user: list[ForgetUser] = [sessions.forget_user, partial(forget_letters, queue)]
    if cloud is not None:
        forget_user.append(cloud.conflicts.forget_user)
    jobs = _jobs(settings, folder, queue, links, make_generator, prices, forget_user)
    tasks = Tasks(folder=folder, queue=queue, jobs=jobs)
    drive_queue = drive_queue_over(folder.documents, folder.files, settings.api)
    drive = DriveThread(drive_queue, folder.erasures) if drive_queue is not None else None
    _follow(folder, tasks, cloud, drive)
    worker = WorkerThread(queue, tasks.performers())
    services = MachineServices(
        documents=lambda: folder.documents,
        files=lambda: folder.files,
        links=lambda: links,
        settings=lambda: settings.api,
        tokens=tokens,
        generator=make_generator,
        enqueue=tasks.enqueue_version,
        publish=tasks.publish_asked,
        prices=prices,
        drive=lambda: jobs.drive_links,
        is_in_cloud=settings.uses_cloud,
        queue=queue,
        look=MachineLook(
            settings=settings, folder=folder, queue=queue, worker=cloud.worker if cloud is not None else worker
        ),
        sync=lambda: cloud.worker.sync_all(SYNC_SECONDS) if cloud is not None else SyncReport(),
        conflicts=cloud.conflicts if cloud is not None else None,
    )
    return Machine(
        settings=settings,
        folder=folder,
        tokens=tokens,
        links=links,
        local_links=local_links,
        sessions=sessions,
        queue=queue,
        tasks=tasks,
        services=services,
        worker=worker,
        tending=Tending(
            folder=folder,
            tasks=tasks,
            sessions=sessions,
            cache_folder=settings.cache_folder,
            cache_for=settings.cache_for,
            cleans_up=settings.cleans_up,
            let_go=cloud.keeping_less.let_go_of_old_bytes if cloud is not None else lambda: 0,
        ),
        address=address,
        cloud=cloud,
        drive=drive,
    )


def _jobs(
    settings: ServerSettings,
    folder: MachineFolder,
    queue: DurableQueue,
    links: FileLinks,
    make_generator: Callable[[], Generator],
    prices: Callable[[], Prices],
    forget_user: Sequence[ForgetUser],
) -> MachineJobs:
    workshop = made_once(
        lambda: Workshop(
            documents=folder.documents,
            files=folder.files,
            bucket=settings.api.originals_bucket,
            generator=make_generator(),
            prices=prices(),
            now=lambda: datetime.now(UTC),
        )
    )
    # At once, and not at the first use: an operator hears of a missing key or secret as the server starts.
    drive_links = drive_links_over(folder.documents, settings.api)
    # SQLite takes as many writes of one document as of many: nobody's bookings are spread.
    keeper = Bookkeeper(store=folder.documents, hot_users=HotUsers(burst=math.inf))
    return MachineJobs(
        folder=folder,
        settings=settings.api,
        workshop=workshop,
        collector=made_once(lambda: collector_over(library_over(folder.documents, folder.files, settings.api), links)),
        bookkeeping=Bookkeeping(documents=folder.documents, queue=queue, keeper=keeper, prices=prices),
        cache_folder=settings.cache_folder,
        forget_user=forget_user,
        drive_links=drive_links,
    )


def _follow(folder: MachineFolder, tasks: Tasks, cloud: CloudSide | None, drive: DriveThread | None) -> None:
    """Has tasks, the outbox where there is a cloud, and Drive where it is linked, hear of each commit in its own."""

    def files(transaction: FileTransaction, change: FileChanged) -> None:
        tasks.file_changed(transaction, change)
        if cloud is not None:
            cloud.outbox.file_changed(transaction, change)

    def documents(transaction: FileTransaction, changes: Sequence[DocumentChanged]) -> None:
        tasks.documents_changed(transaction, changes)
        if cloud is not None:
            cloud.outbox.documents_changed(transaction, changes)
        if drive is not None:
            drive.documents_changed(transaction, changes)

    folder.following.files, folder.following.documents = files, documents
