"""The Cloud Tasks service: everything of this package put together, and what the suite asks of it."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from google.protobuf import json_format

from afterimage_emulator.activity import Activity
from afterimage_emulator.attempts import AttemptRecord
from afterimage_emulator.clock import NANOS_PER_SECOND, Clock
from afterimage_emulator.durable.entries import NOTHING_KEPT, Entries, KeptEntries, once_kept
from afterimage_emulator.durable.kept_calls import call_once_kept
from afterimage_emulator.events import NoteChange, note_nothing
from afterimage_emulator.faults import Faults
from afterimage_emulator.front.error_body import error_response
from afterimage_emulator.front.local_hosts import is_this_machine
from afterimage_emulator.protos import cloud_tasks_v2
from afterimage_emulator.status import StatusError
from afterimage_emulator.tasks.admin_sdk_api import AdminSdkApi
from afterimage_emulator.tasks.cloud_tasks_api import CloudTasksApi
from afterimage_emulator.tasks.dispatcher import Dispatcher
from afterimage_emulator.tasks.function_targets import FunctionTargets
from afterimage_emulator.tasks.kept_queues import KeptQueues, kept_task, task_kept_as
from afterimage_emulator.tasks.locations import Locations
from afterimage_emulator.tasks.queue import Queue
from afterimage_emulator.tasks.queues import Queues
from afterimage_emulator.tasks.refused_methods import add_refused_routes, refused_methods
from afterimage_emulator.tasks.rest_api import add_tasks_routes
from afterimage_emulator.wire.grpc_methods import GrpcMethod
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, is_read, text_response
from afterimage_emulator.wire.offered import Offered
from afterimage_emulator.wire.router import Router

_EXPORT_FILE: Final = "tasks.json"
_SHOWN_TASKS: Final = 100
_READS: Final = ("Get", "List", "Test")


class TasksService:
    """gRPC, REST and the Admin SDKs' own routes over the same queues. Nothing is dispatched before `start`."""

    def __init__(
        self,
        *,
        clock: Clock,
        activity: Activity,
        faults: Faults | None = None,
        record: AttemptRecord | None = None,
        functions: FunctionTargets | None = None,
        may_call: Callable[[str], bool] = is_this_machine,
        note: NoteChange = note_nothing,
        keeping: KeptEntries | None = None,
    ) -> None:
        self.record = record or AttemptRecord()
        dispatcher = Dispatcher(
            clock=clock,
            activity=activity,
            faults=faults or Faults(),
            record=self.record,
            functions=functions,
            may_call=may_call,
        )
        kept: Entries = keeping or NOTHING_KEPT
        self.queues = Queues(
            clock=clock, activity=activity, dispatcher=dispatcher, functions=functions, note=note, keeping=kept
        )
        self._api = CloudTasksApi(self.queues, touch=kept.touch)
        locations = Locations(self.queues)
        if keeping is not None:
            KeptQueues(keeping, self.queues, self._api.policies)
        self.grpc: Sequence[GrpcMethod] = [
            call_once_kept(keeping, each, only_reads=lambda name: name.startswith(_READS))
            for each in (*self._api.methods(), *locations.methods(), *refused_methods())
        ]
        self._routes = Router()
        self._routes.add("GET", "/", _alive)
        add_refused_routes(self._routes)
        add_tasks_routes(self._routes, self._api, locations)
        AdminSdkApi(self.queues).add_routes(self._routes)
        self._answer = once_kept(keeping, self._routes, only_reads=is_read)

    def start(self) -> None:
        """Once functions are loaded: what waits is dispatched from now on."""
        self.queues.open()

    async def http(self, request: HttpRequest) -> HttpResponse:
        try:
            return await self._answer(request)
        except StatusError as error:
            return error_response(error)

    def offered(self) -> Sequence[Offered]:
        return self._routes.offered()

    def is_admin_route(self, request: HttpRequest) -> bool:
        """Cloud Tasks has no rules: whoever may ask at all may do everything."""
        return request.raw_path != "/"

    def overview(self) -> list[dict[str, Any]]:
        """Every queue, with the first of its tasks in the order in which they are due."""
        return [_queue_overview(queue) for queue in self.queues.all_queues()]

    def remembers(self, task_name: str) -> bool:
        return self.queues.remembers(task_name)

    def replay(self, task_name: str) -> int:
        """Sends a task of the record again; answers how many that were."""
        return self.queues.replay(task_name)

    def reset(self) -> None:
        self._api.policies.clear()
        self.queues.clear()

    async def export_to(self, directory: Path) -> None:
        """Queues, what waits in them, and the names that cannot be used again yet. What is under way waits still."""
        body = {
            "queues": [
                {
                    "settings": json_format.MessageToDict(queue.settings),
                    "of_function": queue.declared is not None,
                    "tasks": [kept_task(task) for task in queue.tasks()],
                }
                for queue in self.queues.all_queues()
            ],
            "ended": self.queues.ended_names(),
        }
        directory.mkdir(parents=True, exist_ok=True)
        (directory / _EXPORT_FILE).write_text(json.dumps(body, indent=1))

    async def import_from(self, directory: Path) -> None:
        file = directory / _EXPORT_FILE
        if not file.is_file():
            return
        protos = cloud_tasks_v2
        body: dict[str, Any] = json.loads(file.read_text())
        self.queues.remember_ended(body["ended"])
        for exported in body["queues"]:
            settings = json_format.ParseDict(exported["settings"], protos.Queue(), ignore_unknown_fields=True)
            queue = self.queues.import_queue(settings, of_function=exported["of_function"])
            for kept in exported["tasks"]:
                queue.add(task_kept_as(kept))

    async def close(self) -> None:
        await self.queues.close()


async def _alive(request: HttpRequest) -> HttpResponse:
    return text_response("Ok")


def _queue_overview(queue: Queue) -> dict[str, Any]:
    limits = queue.settings.rate_limits
    first = heapq.nsmallest(_SHOWN_TASKS, queue.tasks(), key=lambda task: (task.due_ns, task.order))
    return {
        "name": queue.name,
        "state": cloud_tasks_v2.Queue.State.Name(queue.settings.state),
        "max_concurrent_dispatches": limits.max_concurrent_dispatches,
        "max_dispatches_per_second": limits.max_dispatches_per_second,
        "waiting": len(queue),
        "tasks": [
            {
                "name": task.name,
                "due": datetime.fromtimestamp(task.due_ns / NANOS_PER_SECOND, UTC).isoformat(),
                "attempts": task.attempts,
                "under_way": task.is_under_way,
            }
            for task in first
        ],
    }
