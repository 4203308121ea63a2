"""What Cloud Tasks keeps of itself: which key stands for what, its value, and how the next start takes it back."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Final

from afterimage_emulator.durable.entries import KeptEntries
from afterimage_emulator.durable.plain_values import written
from afterimage_emulator.front.iam_policies import IamPolicies
from afterimage_emulator.protos import cloud_tasks_v2, iam_v1
from afterimage_emulator.tasks.queue import QueuedTask
from afterimage_emulator.tasks.queues import Queues
from afterimage_emulator.tasks.resource_names import queue_of

PROGRESS: Final = tuple(
    field.name for field in fields(QueuedTask) if field.name not in ("message", "order", "is_under_way")
)


class KeptQueues:
    """A task that was under way when the suite ended is sent again: nobody knows how far it came."""

    def __init__(self, keeping: KeptEntries, queues: Queues, policies: IamPolicies) -> None:
        self._keeping = keeping
        self._queues = queues
        self._policies = policies
        self._readers: Mapping[str, Callable[[str], bytes | None]] = {
            "queue": self._read_queue,
            "task": self._read_task,
            "ended": lambda name: _number(queues.not_again_before("ended", name)),
            "deleted": lambda name: _number(queues.not_again_before("deleted", name)),
            "policy": self._read_policy,
        }
        self._takers: Mapping[str, Callable[[str, bytes], None]] = {
            # In this order: queues before what waits in them.
            "queue": self._take_queue,
            "task": self._take_task,
            "ended": lambda name, until: self._queues.remember_ended({name: int(until)}),
            "deleted": lambda name, until: self._queues.remember_deleted(name, int(until)),
            "policy": lambda resource, value: policies.adopt(resource, iam_v1.Policy.FromString(value)),
        }
        keeping.hold(read=self._read, restore=self._take_back)

    def _read(self, key: str) -> bytes | None:
        kind, _, name = key.partition("/")
        return self._readers[kind](name)

    def _read_queue(self, name: str) -> bytes | None:
        queue = self._queues.find_queue(name)
        if queue is None:
            return None
        whose = b"f" if queue.declared is not None else b"-"
        return whose + queue.settings.SerializeToString(deterministic=True)

    def _read_task(self, name: str) -> bytes | None:
        queue = self._queues.find_queue(queue_of(name))
        task = None if queue is None else queue.task(name)
        return None if task is None else written(kept_task(task))

    def _read_policy(self, resource: str) -> bytes | None:
        policy = self._policies.find(resource)
        return None if policy is None else policy.SerializeToString(deterministic=True)

    def _take_back(self, entries: Mapping[str, bytes]) -> None:
        for kind, take in self._takers.items():
            for key, value in entries.items():
                if key.startswith(f"{kind}/"):
                    take(key.partition("/")[2], value)

    def _take_queue(self, name: str, value: bytes) -> None:
        self._queues.import_queue(cloud_tasks_v2.Queue.FromString(value[1:]), of_function=value[:1] == b"f")

    def _take_task(self, name: str, value: bytes) -> None:
        queue = self._queues.find_queue(queue_of(name))
        if queue is not None:
            queue.add(task_kept_as(json.loads(value)))


def kept_task(task: QueuedTask) -> dict[str, Any]:
    """As exports have it too."""
    return {
        "raw": base64.b64encode(task.message.SerializeToString(deterministic=True)).decode(),
        "progress": {name: getattr(task, name) for name in PROGRESS},
    }


def task_kept_as(kept: Mapping[str, Any]) -> QueuedTask:
    return QueuedTask(cloud_tasks_v2.Task.FromString(base64.b64decode(kept["raw"])), **kept["progress"])


def _number(until_ns: int | None) -> bytes | None:
    return None if until_ns is None else str(until_ns).encode()
