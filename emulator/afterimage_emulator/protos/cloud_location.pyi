"""The types of the messages of google.cloud.location; written by `stubs`."""

from collections.abc import Iterable, Mapping, MutableMapping
from datetime import datetime, timedelta, tzinfo
from typing import Literal, overload

from afterimage_emulator.protos import well_known
from afterimage_emulator.protos.message import EnumType, Message, MessageMap
from afterimage_emulator.protos.message import RepeatedMessages, RepeatedScalars

class ListLocationsRequest(Message):
    name: str
    filter: str
    page_size: int
    page_token: str
    def __init__(self, *, name: str | None = ..., filter: str | None = ..., page_size: int | None = ..., page_token: str | None = ...) -> None: ...

class ListLocationsResponse(Message):
    @property
    def locations(self) -> RepeatedMessages[Location]: ...
    next_page_token: str
    def __init__(self, *, locations: Iterable[Location | Mapping[str, object]] | None = ..., next_page_token: str | None = ...) -> None: ...

class GetLocationRequest(Message):
    name: str
    def __init__(self, *, name: str | None = ...) -> None: ...

class Location(Message):
    name: str
    location_id: str
    display_name: str
    @property
    def labels(self) -> MutableMapping[str, str]: ...
    @property
    def metadata(self) -> well_known.Any: ...
    def __init__(self, *, name: str | None = ..., location_id: str | None = ..., display_name: str | None = ..., labels: Mapping[str, str] | None = ..., metadata: well_known.Any | Mapping[str, object] | None = ...) -> None: ...
    def HasField(self, field_name: Literal["metadata"]) -> bool: ...
