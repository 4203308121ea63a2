"""Owns what each target of a Listen stream is known to hold, and what a message from the server changes (pure).

A message yields effects; whoever reads the stream carries them out. Between two snapshots changes are only gathered:
they are told as one, when the server says that they are consistent. One message costs what it changes, never what the
target holds, but for a reset and a filter that does not fit, which go over the target once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from afterimage_client.errors import FirestoreError
from afterimage_client.firestore.listening.bloom_filter import BloomFilter
from afterimage_client.firestore.refusals import NUMBERS, refused
from afterimage_client.firestore.values import micros_of
from afterimage_client.firestore.wire.messages import firestore as messages

_NO_CHANGE, _ADD, _REMOVE, _CURRENT, _RESET = range(5)
UNKNOWN_VERSION: Final = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What to listen to: a query or one document, as the `add_target` message says it."""

    query: Any = None
    """A Target.QueryTarget message."""
    document: str = ""
    """The full name of one document."""
    read_time: Any = None
    """A Timestamp from which to go on, where there is no resume token."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Raised:
    """A consistent step of one target: the Document message of what changed, None for what left."""

    target: Target
    changes: Mapping[str, Any]
    read_time: Any
    resume_token: bytes
    is_first: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """The server ended one target. The others go on."""

    target: Target
    error: FirestoreError


@dataclass(frozen=True, kw_only=True, slots=True)
class AskAgain:
    """What is known of the target cannot be trusted: end `old_id` and add the target anew, without a token."""

    target: Target
    old_id: int


Effect = Raised | Failed | AskAgain


@dataclass(eq=False, slots=True)
class Target:
    """One target. `shown` is what the last raised step said: names, and the versions of their documents."""

    wanted: Wanted
    shown: dict[str, int] = field(default_factory=dict)
    resume_token: bytes = b""
    id: int = 0
    is_acknowledged: bool = False
    is_current: bool = False
    was_raised: bool = False
    gathered: dict[str, Any] = field(default_factory=dict)
    next_token: bytes = b""
    """The token for what is gathered: worth nothing before that is told."""
    added: int = 0
    """How many names `gathered` adds to `shown`, less those that it takes away."""

    def gather(self, name: str, document: Any) -> None:
        """The newest word on one document, since the last raised step."""
        before = self.gathered[name] is not None if name in self.gathered else name in self.shown
        self.added += (document is not None) - before
        self.gathered[name] = document

    def expected_count(self) -> int:
        return len(self.shown) + self.added

    def start_over(self) -> None:
        """Before it is added to a stream: what was gathered is told again, after the token or from the beginning."""
        if self.resume_token or (self.wanted.read_time is not None and not self.was_raised):
            self.gathered = {}
            self.added = 0
            self.next_token = b""
            self.is_current = False
        else:
            self.reset()

    def reset(self) -> None:
        """All that is shown leaves, unless it comes again before the next step."""
        self.gathered = dict.fromkeys(self.shown)
        self.added = -len(self.shown)
        self.resume_token = self.next_token = b""
        self.is_current = False

    def take_step(self) -> dict[str, Any]:
        """What is new, and only that: documents that came again unchanged are not."""
        news: dict[str, Any] = {}
        for name, document in self.gathered.items():
            if document is None:
                if self.shown.pop(name, None) is not None:
                    news[name] = None
                continue
            version = micros_of(document.update_time)
            if self.shown.get(name) != version:
                news[name] = document
                self.shown[name] = version
        self.gathered = {}
        self.added = 0
        self.resume_token, self.next_token = self.next_token or self.resume_token, b""
        return news

    def request(self, database: str) -> Any:
        """The message that adds it to a stream."""
        message = messages.ListenRequest(database=database)
        added = message.add_target
        added.target_id = self.id
        if self.wanted.query is not None:
            added.query.CopyFrom(self.wanted.query)
        else:
            added.documents.documents.append(self.wanted.document)
        if self.resume_token:
            added.resume_token = self.resume_token
        elif self.wanted.read_time is not None and not self.was_raised:
            added.read_time.CopyFrom(self.wanted.read_time)
        else:
            return message
        if self.shown:
            added.expected_count.value = len(self.shown)
        return message


class Watch:
    """All targets of one stream. Each time a target is added it gets a new id, so that late words never reach it."""

    def __init__(self) -> None:
        self._targets: dict[int, Target] = {}
        self._ids = itertools.count(2, 2)

    def __len__(self) -> int:
        return len(self._targets)

    def __iter__(self) -> Iterator[Target]:
        return iter(tuple(self._targets.values()))

    def add(self, target: Target) -> None:
        target.start_over()
        target.id = next(self._ids)
        target.is_acknowledged = False
        self._targets[target.id] = target

    def remove(self, target: Target) -> bool:
        return self._targets.pop(target.id, None) is not None

    def disconnected(self) -> None:
        """The stream broke: what was gathered is told again after the last token."""
        for target in self:
            self.remove(target)
            self.add(target)

    def blamed(self) -> list[Target]:
        """Whose fault it may be that the server refused the whole stream: those it has not accepted yet, or all."""
        waiting = [target for target in self if not target.is_acknowledged]
        return waiting or list(self)

    def receive(self, response: Any) -> list[Effect]:
        """What follows from one message of the server."""
        kind = response.WhichOneof("response_type")
        if kind == "document_change":
            change = response.document_change
            self._gather(change.removed_target_ids, change.document.name, None)
            self._gather(change.target_ids, change.document.name, change.document)
        elif kind == "document_delete":
            self._gather(response.document_delete.removed_target_ids, response.document_delete.document, None)
        elif kind == "document_remove":
            self._gather(response.document_remove.removed_target_ids, response.document_remove.document, None)
        elif kind == "filter":
            return self._compare(response.filter)
        elif kind == "target_change":
            return self._change(response.target_change)
        return []

    def _gather(self, target_ids: Iterable[int], name: str, document: Any) -> None:
        for target_id in target_ids:
            target = self._targets.get(target_id)
            if target is not None:
                target.gather(name, document)

    def _change(self, change: Any) -> list[Effect]:
        kind = change.target_change_type
        concerned = [
            target
            for target_id in change.target_ids or tuple(self._targets)
            if (target := self._targets.get(target_id)) is not None
        ]
        if kind == _REMOVE:
            return [self._end(target, change) for target in concerned]
        for target in concerned:
            if kind == _ADD:
                target.is_acknowledged = True
            elif kind == _CURRENT:
                target.is_current = True
            elif kind == _RESET:
                target.reset()
        is_snapshot = not change.target_ids and change.HasField("read_time")
        effects: list[Effect] = []
        for target in concerned:
            if change.resume_token and kind != _RESET:
                target.next_token = change.resume_token
            if is_snapshot and target.is_current:
                effects += self._step(target, change.read_time)
        return effects

    def _step(self, target: Target, read_time: Any) -> list[Effect]:
        news = target.take_step()
        is_first, target.was_raised = not target.was_raised, True
        if not news and not is_first:
            return []
        token = target.resume_token
        return [Raised(target=target, changes=news, read_time=read_time, resume_token=token, is_first=is_first)]

    def _end(self, target: Target, change: Any) -> Effect:
        self.remove(target)
        code = NUMBERS.get(change.cause.code, "unknown")
        message = change.cause.message or "the server ended the listener without saying why"
        return Failed(target=target, error=refused(code, message))

    def _compare(self, filter_message: Any) -> list[Effect]:
        """The server counts what the target holds; if we count otherwise, something was missed."""
        target = self._targets.get(filter_message.target_id)
        if target is None or filter_message.count == target.expected_count():
            return []
        if target.wanted.query is None and filter_message.count == 0:
            target.gather(target.wanted.document, None)
            return []
        bloom = BloomFilter.from_message(filter_message.unchanged_names) if target.shown else None
        if bloom is not None:
            for name in tuple(target.shown):
                if name not in target.gathered and not bloom.may_have(name):
                    target.gather(name, None)
            if filter_message.count == target.expected_count():
                return []
        old_id = target.id
        self.remove(target)
        target.resume_token = b""
        target.was_raised = target.was_raised or bool(target.shown)
        self.add(target)
        return [AskAgain(target=target, old_id=old_id)]
