"""The types of the messages of google.type; written by `stubs`."""

from collections.abc import Iterable, Mapping, MutableMapping
from datetime import datetime, timedelta, tzinfo
from typing import Literal, overload

from afterimage_emulator.protos.message import EnumType, Message, MessageMap
from afterimage_emulator.protos.message import RepeatedMessages, RepeatedScalars

class LatLng(Message):
    latitude: float
    longitude: float
    def __init__(self, *, latitude: float | None = ..., longitude: float | None = ...) -> None: ...

class Expr(Message):
    expression: str
    title: str
    description: str
    location: str
    def __init__(self, *, expression: str | None = ..., title: str | None = ..., description: str | None = ..., location: str | None = ...) -> None: ...
