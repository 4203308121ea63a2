"""Owns what may be asked of a worker: the parameters of text2img and text2video, checked and normalised (pure)."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from afterimage_client.errors import WorkerError
from afterimage_client.worker.places import MediaKind

TASKS: Final = {"text2img": MediaKind.IMAGE, "text2video": MediaKind.VIDEO}
CREDENTIALS: Final = frozenset({"id_token", "signature", "signed_request"})
"""What proves the caller: it is checked, and written down nowhere."""
MOST_REQUEST_BYTES: Final = 256 * 1024
MOST_PROMPT: Final = 20_000
MOST_NESTED: Final = 5
MOST_VALUES: Final = 5000
"""A document has 40,000 entries in indexes at most, and each parameter takes up to three."""
_RANGES: Final[Mapping[str, tuple[int, int, int]]] = {
    # the least, the most, and what is taken where nothing is said
    "width": (16, 4096, 1024),
    "height": (16, 4096, 1024),
    "num_images": (1, 16, 1),
    "video_width": (16, 4096, 832),
    "video_height": (16, 4096, 480),
    "num_frames": (1, 2000, 49),
    "fps": (1, 120, 15),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationRequest:
    """One request, understood."""

    kind: MediaKind
    task_type: str
    prompt: str
    seed: int
    file_uid: str
    user_id: str
    use_cloud_storage: bool
    parameters: Mapping[str, Any] = field(repr=False)
    """All that was asked, without credentials; what `request_data` keeps."""

    @classmethod
    def from_input(cls, given: object) -> Self:
        """From the object that stands under `input`."""
        if not isinstance(given, Mapping) or not given:
            raise _wrong("the request is no object", "put the parameters under `input`")
        parameters = {key: value for key, value in given.items() if key not in CREDENTIALS}
        _check_value("input", parameters, MOST_NESTED)
        if len(json.dumps(parameters).encode()) > MOST_REQUEST_BYTES:
            raise _wrong(f"the request has more than {MOST_REQUEST_BYTES} bytes", "send less with it")
        if _values_in(parameters) > MOST_VALUES:
            raise _wrong(f"the request holds more than {MOST_VALUES} values", "send less with it")
        task = parameters.get("task_type", "text2img")
        if not isinstance(task, str) or task not in TASKS:
            raise _wrong(f"`task_type` is `{str(task)[:40]}`", f"it is one of {', '.join(TASKS)}")
        prompt = _text(parameters, "prompt", MOST_PROMPT)
        if not prompt:
            raise _wrong("`prompt` is missing", "say what to make")
        for name in _RANGES:
            _number_of(parameters, name)
        use_cloud = parameters.get("use_cloud_storage", False)
        if not isinstance(use_cloud, bool):
            raise _wrong("`use_cloud_storage` must be true or false", "send one of the two")
        return cls(
            kind=TASKS[task],
            task_type=task,
            prompt=prompt,
            seed=_seed(parameters),
            file_uid=_text(parameters, "file_uid", 1500),
            user_id=_text(parameters, "user_id", 1500),
            use_cloud_storage=use_cloud,
            parameters={**parameters, "task_type": task},
        )

    def number(self, name: str) -> int:
        """A parameter with a range, or what is taken where nothing was said."""
        return _number_of(self.parameters, name)

    @property
    def count(self) -> int:
        """How many files were asked for."""
        return self.number("num_images") if self.kind is MediaKind.IMAGE else 1

    @property
    def digest(self) -> str:
        """Tells a request that comes again from another one under the same `file_uid`; who asks is no part of it.

        Queues may write JSON anew: neither the order of keys nor `1` for `1.0` makes another request.
        """
        asked = {key: value for key, value in self.parameters.items() if key != "user_id"}
        return hashlib.sha256(json.dumps(_shortest(asked), sort_keys=True).encode()).hexdigest()


def _wrong(message: str, way_out: str) -> WorkerError:
    return WorkerError("invalid-request", message, way_out=way_out)


def _text(parameters: Mapping[str, Any], name: str, most: int) -> str:
    value = parameters.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > most:
        raise _wrong(f"`{name}` must be text of at most {most} characters", "shorten it")
    return value


def _number_of(parameters: Mapping[str, Any], name: str) -> int:
    least, most, usual = _RANGES[name]
    value = parameters.get(name)
    if value is None:
        return usual
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or value != int(value)
        or not least <= value <= most
    ):
        raise _wrong(f"`{name}` must be a whole number from {least} to {most}", "correct it, or leave it out")
    return int(value)


def _seed(parameters: Mapping[str, Any]) -> int:
    value = parameters.get("seed")
    if value is None:
        return secrets.randbelow(2**32)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise _wrong("`seed` must be a whole number from 0 to 2^53 - 1", "leave it out for a random one")
    return value


def _check_value(name: str, value: object, depth: int) -> None:
    """Refuses what a document cannot hold: the generation could not be opened, or not be ended."""
    if depth == 0:
        raise _wrong(f"`{name}` is nested more than {MOST_NESTED} deep", "flatten it")
    if isinstance(value, Mapping):
        for key, held in value.items():
            if not isinstance(key, str) or not key or (key.startswith("__") and key.endswith("__")) or len(key) > 200:
                raise _wrong(f"`{str(key)[:40]}` in `{name}` cannot name a parameter", "rename it")
            _check_text(name, key)
            _check_value(key, held, depth - 1)
    elif isinstance(value, list):
        for held in value:
            if isinstance(held, list):
                raise _wrong(f"`{name}` holds a list within a list", "put the inner one under a name")
            _check_value(name, held, depth - 1)
    elif isinstance(value, str):
        _check_text(name, value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise _wrong(f"`{name}` is not finite", "send a number")
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise _wrong(f"`{name}` has more than 64 bits", "send it as text")
    elif value is not None:
        raise _wrong(f"`{name}` is a `{type(value).__name__}`", "send JSON")


def _values_in(value: object) -> int:
    if isinstance(value, Mapping):
        return 1 + sum(map(_values_in, value.values()))
    return 1 + sum(map(_values_in, value)) if isinstance(value, list) else 1


def _shortest(value: object) -> object:
    """With whole numbers written in one way."""
    if isinstance(value, Mapping):
        return {key: _shortest(held) for key, held in value.items()}
    if isinstance(value, list):
        return [_shortest(held) for held in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _check_text(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _wrong(f"`{name[:40]!r}` holds half a character", "send valid Unicode") from None
