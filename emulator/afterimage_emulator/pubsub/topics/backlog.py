"""What a subscription still has to deliver: waiting messages, messages out with subscribers, and what returns them.

Without I/O and without protobuf: time comes from the clock, messages are bytes. A message is in exactly one place:
waiting, put off (until a retry is due), or out under an ack id, until it is acknowledged or dropped.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from afterimage_emulator.clock import NANOS_PER_SECOND, Clock, Timer

_ids = itertools.count(1)


@dataclass(slots=True, eq=False)
class Entry:
    """One message of one subscription."""

    raw: bytes
    """A serialized PubsubMessage."""
    key: str
    published_ns: int
    attempt: int = 0
    number: int = 0
    """Its place among all messages: the id that it was given."""


Settled = Callable[[str, Entry], None]
"""Called for whoever took a message, with its ack id, when it is out with them no more."""


@dataclass(slots=True, eq=False)
class _Out:
    entry: Entry
    deadline_ns: int
    settled: Settled | None


@dataclass(slots=True)
class _Lane:
    """The messages of one ordering key: out together or not at all, and always in their order."""

    waiting: deque[Entry] = field(default_factory=deque)
    out: dict[str, None] = field(default_factory=dict)
    queued: bool = False
    """Whether the lane itself stands in the queue of what can be taken."""
    put_off: bool = False


class Backlog:
    """`take`, `acknowledge`, `modify`; `available` is called whenever there may be something new to take."""

    def __init__(
        self,
        *,
        clock: Clock,
        ordered: bool = False,
        retention_seconds: float = 7 * 24 * 3600.0,
        backoff_seconds: Callable[[int], float] = lambda attempt: 0.0,
        give_up: Callable[[Entry], bool] = lambda entry: False,
        available: Callable[[], None] = lambda: None,
        finished: Callable[[Entry], None] = lambda entry: None,
        loses_acknowledgement: Callable[[Entry], float | None] = lambda entry: None,
        acknowledged: Callable[[Entry], None] | None = None,
        attempted: Callable[[Entry], None] = lambda entry: None,
    ) -> None:
        self.ordered = ordered
        self.retention_seconds = retention_seconds
        self._clock = clock
        self._backoff_seconds = backoff_seconds
        self._give_up = give_up
        self._available = available
        self._finished = finished
        self._loses_acknowledgement = loses_acknowledgement
        self._acknowledged = acknowledged
        self._attempted = attempted
        self._queue: deque[Entry | str] = deque()
        self._lanes: dict[str, _Lane] = {}
        self._out: dict[str, _Out] = {}
        self._deadlines: list[tuple[int, str]] = []
        self._timer: Timer | None = None
        self._put_off: dict[Entry, Timer] = {}

    def __len__(self) -> int:
        """Everything not acknowledged."""
        waiting = sum(isinstance(item, Entry) for item in self._queue)
        return waiting + len(self._out) + len(self._put_off) + sum(len(lane.waiting) for lane in self._lanes.values())

    @property
    def out_count(self) -> int:
        return len(self._out)

    def is_out(self, ack_id: str) -> bool:
        return ack_id in self._out

    @property
    def can_take(self) -> bool:
        return bool(self._queue)

    def add(self, entry: Entry) -> None:
        if self.ordered and entry.key:
            self._lanes.setdefault(entry.key, _Lane()).waiting.append(entry)
            self._queue_lane(entry.key)
        else:
            self._queue.append(entry)
        if self._queue:
            self._available()

    def take(
        self, *, count: int, deadline_seconds: float, settled: Settled | None = None, size_bytes: int = 1 << 62
    ) -> list[tuple[str, Entry]]:
        """At most so many, and so many bytes (but always one message); they are out until their deadline."""
        now_ns = self._clock.now_ns()
        oldest_ns = now_ns - round(self.retention_seconds * NANOS_PER_SECOND)
        taken: list[tuple[str, Entry]] = []
        while self._queue and len(taken) < count and (size_bytes > 0 or not taken):
            item = self._queue[0]
            lane = self._lanes[item] if isinstance(item, str) else None
            if lane is not None and not lane.waiting:
                self._queue.popleft()
                lane.queued = False
                continue
            entry = lane.waiting[0] if lane is not None else item
            assert isinstance(entry, Entry)
            if taken and len(entry.raw) > size_bytes:
                break
            if lane is None:
                self._queue.popleft()
            else:
                lane.waiting.popleft()
            if entry.published_ns < oldest_ns:
                self._finished(entry)
                continue
            entry.attempt += 1
            self._attempted(entry)
            size_bytes -= len(entry.raw)
            ack_id = self._send_out(entry, now_ns + round(deadline_seconds * NANOS_PER_SECOND), settled)
            if lane is not None:
                lane.out[ack_id] = None
            taken.append((ack_id, entry))
        self._rest_lane_in_front()
        if taken:
            self._watch_deadlines()
        return taken

    def acknowledge(self, ack_ids: Iterable[str]) -> list[str]:
        """Unknown ids are passed over: their deadline has passed, or they were acknowledged before.

        Answers those whose acknowledgement a fault rule loses.
        """
        lost: list[str] = []
        for ack_id in ack_ids:
            out = self._out.get(ack_id)
            if out is None:
                continue
            again_in_seconds = self._loses_acknowledgement(out.entry)
            if again_in_seconds is not None:
                self.modify([ack_id], again_in_seconds)
                lost.append(ack_id)
                continue
            self._end(ack_id)
            self._leave_lane(out.entry, ack_id)
            self._done(out.entry)
        return lost

    def modify(self, ack_ids: Iterable[str], deadline_seconds: float) -> None:
        """A new deadline from now; 0 gives the message back at once."""
        ids = list(ack_ids)
        if deadline_seconds <= 0:
            self._give_back([ack_id for ack_id in ids if ack_id in self._out])
            return
        deadline_ns = self._clock.now_ns() + round(deadline_seconds * NANOS_PER_SECOND)
        for ack_id in ids:
            out = self._out.get(ack_id)
            if out is not None:
                out.deadline_ns = deadline_ns
                heapq.heappush(self._deadlines, (deadline_ns, ack_id))
        self._watch_deadlines()

    def release(self, settled: Settled) -> None:
        """Somebody has gone: what was sent to them is delivered again at its deadline, as on the platform."""
        for out in self._out.values():
            if out.settled == settled:
                out.settled = None

    def entries(self) -> list[Entry]:
        """Everything not acknowledged, the oldest first."""
        found = [item for item in self._queue if isinstance(item, Entry)]
        found += [entry for lane in self._lanes.values() for entry in lane.waiting]
        found += [out.entry for out in self._out.values()]
        found += list(self._put_off)
        return sorted(found, key=lambda entry: (entry.published_ns, entry.number))

    def unexpired(self) -> list[Entry]:
        """What of it can still be delivered."""
        oldest_ns = self.oldest_ns
        return [entry for entry in self.entries() if entry.published_ns >= oldest_ns]

    @property
    def oldest_ns(self) -> int:
        """What was published before is gone."""
        return self._clock.now_ns() - round(self.retention_seconds * NANOS_PER_SECOND)

    def take_all(self) -> list[Entry]:
        """Everything not acknowledged leaves; nothing is acknowledged by it, and what was out is out no more."""
        found = self.entries()
        for ack_id in list(self._out):
            self._end(ack_id)
        for timer in self._put_off.values():
            timer.cancel()
        self._put_off.clear()
        self._queue.clear()
        self._lanes.clear()
        self._deadlines.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return found

    def clear(self) -> None:
        for entry in self.take_all():
            self._finished(entry)

    # -- what must hold

    def check_invariants(self) -> None:
        """What must hold between any two operations; every test of a backlog ends in it."""
        found = list(self.faults())
        assert not found, "the backlog is not whole:\n" + "\n".join(found)

    def faults(self) -> Iterator[str]:
        """Everything that is not as it must be, each with its message or its key."""
        places: dict[int, list[str]] = {}
        for place, entries in (
            ("waiting", [item for item in self._queue if isinstance(item, Entry)]),
            ("out", [out.entry for out in self._out.values()]),
            ("put off", list(self._put_off)),
            ("waiting on its key", [entry for lane in self._lanes.values() for entry in lane.waiting]),
        ):
            for entry in entries:
                places.setdefault(id(entry), []).append(place)
        for found in places.values():
            if len(found) > 1:
                yield f"a message is in {len(found)} places: {', '.join(found)}"
        watched = set(self._deadlines)
        for ack_id, out in self._out.items():
            if (out.deadline_ns, ack_id) not in watched:
                yield f"nobody watches the deadline of `{ack_id}`"
            lane = self._lanes.get(out.entry.key) if self.ordered and out.entry.key else None
            if self.ordered and out.entry.key and (lane is None or ack_id not in lane.out):
                yield f"`{ack_id}` is out, and its key `{out.entry.key}` does not know"
        if self._deadlines and self._out and (self._timer is None or self._timer.callback is None):
            yield "messages are out and no timer is set"
        for entry, timer in self._put_off.items():
            if timer.callback is None:
                yield f"a message put off after {entry.attempt} attempts has no timer any more"
        queued = [item for item in self._queue if isinstance(item, str)]
        for key in self._lanes.keys() | set(queued):
            yield from self._faults_of_lane(key, queued.count(key))

    def _faults_of_lane(self, key: str, queued: int) -> Iterator[str]:
        lane = self._lanes.get(key)
        if lane is None:
            yield f"the key `{key}` is queued and holds nothing"
            return
        if queued != lane.queued:
            yield f"the key `{key}` stands {queued} times in the queue and says {lane.queued}"
        if lane.waiting and not (lane.queued or lane.out or lane.put_off):
            yield f"the key `{key}` has {len(lane.waiting)} messages waiting and nobody will come for them"
        for ack_id in lane.out:
            if ack_id not in self._out:
                yield f"the key `{key}` waits for `{ack_id}`, which is not out"

    # -- inside

    def _send_out(self, entry: Entry, deadline_ns: int, settled: Settled | None) -> str:
        ack_id = f"ack-{next(_ids)}"
        self._out[ack_id] = _Out(entry, deadline_ns, settled)
        heapq.heappush(self._deadlines, (deadline_ns, ack_id))
        return ack_id

    def _end(self, ack_id: str) -> _Out | None:
        out = self._out.pop(ack_id, None)
        if out is not None and out.settled is not None:
            out.settled(ack_id, out.entry)
        return out

    def _done(self, entry: Entry) -> None:
        """By the subscriber, or by the dead letter topic that has it now."""
        if self._acknowledged is not None:
            self._acknowledged(entry)
        self._finished(entry)

    def _queue_lane(self, key: str) -> None:
        lane = self._lanes[key]
        if lane.waiting and not (lane.queued or lane.out or lane.put_off):
            lane.queued = True
            self._queue.append(key)

    def _rest_lane_in_front(self) -> None:
        """A lane of which some are out gives no more until these are settled."""
        while self._queue and isinstance(self._queue[0], str) and self._lanes[self._queue[0]].out:
            self._lanes[self._queue.popleft()].queued = False  # type: ignore[index]  # a str, as was just seen

    def _leave_lane(self, entry: Entry, ack_id: str) -> None:
        lane = self._lanes.get(entry.key) if self.ordered and entry.key else None
        if lane is None:
            return
        lane.out.pop(ack_id, None)
        if lane.out or lane.put_off:
            return
        if lane.waiting:
            self._queue_lane(entry.key)
            self._available()
        elif not lane.queued:
            del self._lanes[entry.key]

    def _give_back(self, ack_ids: list[str]) -> None:
        for ack_id in ack_ids:
            out = self._end(ack_id)
            if out is None:
                continue
            entry = out.entry
            if self._give_up(entry):
                self._leave_lane(entry, ack_id)
                self._done(entry)
            elif self.ordered and entry.key:
                self._give_back_in_order(entry, ack_id)
            else:
                wait_seconds = self._backoff_seconds(entry.attempt)
                if wait_seconds > 0:
                    self._put_off[entry] = self._clock.call_later(wait_seconds, lambda e=entry: self._return(e))  # type: ignore[misc]  # the default binds the loop's entry
                else:
                    self._queue.append(entry)
        if self._queue:
            self._available()

    def _give_back_in_order(self, entry: Entry, ack_id: str) -> None:
        """All that was sent after it on the same key, and is not yet acknowledged, is sent again after it."""
        lane = self._lanes[entry.key]
        later: list[Entry] = []
        seen = False
        for other in list(lane.out):
            if other == ack_id:
                seen = True
            elif seen and (out := self._end(other)) is not None:
                later.append(out.entry)
            if seen:
                lane.out.pop(other)
        lane.waiting.extendleft(reversed([entry, *later]))
        wait_seconds = self._backoff_seconds(entry.attempt)
        if wait_seconds > 0:
            lane.put_off = True
            self._clock.call_later(wait_seconds, lambda: self._return_lane(entry.key))
        else:
            self._queue_lane(entry.key)

    def _return(self, entry: Entry) -> None:
        if self._put_off.pop(entry, None) is not None:
            self._queue.append(entry)
            self._available()

    def _return_lane(self, key: str) -> None:
        lane = self._lanes.get(key)
        if lane is not None:
            lane.put_off = False
            self._queue_lane(key)
            if self._queue:
                self._available()

    def _watch_deadlines(self) -> None:
        while self._deadlines:
            deadline_ns, ack_id = self._deadlines[0]
            out = self._out.get(ack_id)
            if out is not None and out.deadline_ns == deadline_ns:
                break
            heapq.heappop(self._deadlines)
        if not self._deadlines:
            return
        first_ns = self._deadlines[0][0]
        if self._timer is not None and self._timer.callback is not None:
            if self._timer.due_ns <= first_ns:
                return
            self._timer.cancel()
        wait_seconds = max(0, first_ns - self._clock.now_ns()) / NANOS_PER_SECOND
        self._timer = self._clock.call_later(wait_seconds, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now_ns = self._clock.now_ns()
        expired: list[str] = []
        while self._deadlines and self._deadlines[0][0] <= now_ns:
            deadline_ns, ack_id = heapq.heappop(self._deadlines)
            out = self._out.get(ack_id)
            if out is not None and out.deadline_ns == deadline_ns:
                expired.append(ack_id)
        self._give_back(expired)
        self._watch_deadlines()
