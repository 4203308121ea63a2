"""Workers in processes of their own, each killed as it comes to a given step.

Reads one line of JSON for each worker: `request`, `kill_at` (the number of the step; 0 never), and `breaks`, whether
its generator raises at the end. Answers with the steps it came to, and how its process ended. Every worker is a fork of
this process, which has imported everything and connected nothing.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from typing import Any

from afterimage_client.worker.generation import Generation, WorkerStep
from afterimage_client.worker.offline.drawing import draw
from afterimage_client.worker.worker import Worker

for name in ("firebase_admin.auth", "google.cloud.firestore", "google.cloud.storage"):
    importlib.import_module(name)


def work(asked: dict[str, Any], told: int) -> None:
    seen = 0

    def die(step: WorkerStep) -> None:
        nonlocal seen
        seen += 1
        os.write(told, f"{step} ".encode())
        if seen == asked["kill_at"]:
            os.kill(os.getpid(), signal.SIGKILL)

    def make(job: Generation) -> None:
        draw(job)
        if asked["breaks"]:
            raise RuntimeError("the model broke")

    Worker.from_environment(on_step=die).handle(asked["request"], make)


def main() -> None:
    for line in sys.stdin:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                work(json.loads(line), write)
            except RuntimeError:
                os._exit(1)
            os._exit(0)
        os.close(write)
        _, status = os.waitpid(child, 0)
        with os.fdopen(read) as steps:
            answer = {"steps": steps.read().split(), "killed": os.WIFSIGNALED(status)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
