"""Owns turns: several deliveries run at once, each one store operation at a time, in an order that the test decides."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.functions.media_world import Crash


@dataclass
class Turn:
    """One delivery, in a thread that only moves when told to."""

    work: Callable[[], object]
    may_go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    has_stopped: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    is_over: bool = False
    must_die: bool = False
    error: BaseException | None = None
    thread: threading.Thread | None = None

    def step(self) -> None:
        """Runs to the next store operation, or to the end."""
        if self.thread is None:
            self.thread = threading.Thread(target=self._run, daemon=True)
            self.thread.start()
        self.may_go.release()
        self.has_stopped.acquire()

    def kill(self) -> None:
        """Dies at the operation it is about to do; the work sees a Crash."""
        if self.thread is None:
            self.step()
        self.must_die = True
        self.step()

    def pause(self) -> None:
        """Called in the delivery's own thread, ahead of every store operation."""
        self.has_stopped.release()
        self.may_go.acquire()
        if self.must_die:
            raise Crash

    def _run(self) -> None:
        self.may_go.acquire()
        try:
            if not self.must_die:
                self.work()
        except BaseException as error:
            self.error = error
        finally:
            self.is_over = True
            self.has_stopped.release()


class Turns:
    """All deliveries under way."""

    def __init__(self) -> None:
        self.running: list[Turn] = []

    def start(self, work: Callable[[], object]) -> Turn:
        turn = Turn(work=work)
        self.running.append(turn)
        return turn

    def pause(self, _operation: str) -> None:
        """The hook of the stores; operations of the test itself pass."""
        for turn in self.running:
            if turn.thread is threading.current_thread():
                turn.pause()

    def step(self, index: int) -> None:
        self.running[index].step()
        self._drop_finished()

    def kill(self, index: int) -> None:
        self.running[index].kill()
        self._drop_finished()

    def run_in_any_order(self, dice: random.Random, *, killed: float) -> None:
        """Until all are over, one step of any of them after the other; this share of the steps kills instead."""
        while self.running:
            index = dice.randrange(len(self.running))
            if dice.random() < killed:
                self.kill(index)
            else:
                self.step(index)

    def _drop_finished(self) -> None:
        for turn in [turn for turn in self.running if turn.is_over]:
            self.running.remove(turn)
            if turn.thread is not None:
                turn.thread.join()
            if turn.error is not None:
                raise turn.error
