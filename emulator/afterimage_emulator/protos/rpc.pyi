"""The types of the messages of google.rpc; written by `stubs`."""

from collections.abc import Iterable, Mapping, MutableMapping
from datetime import datetime, timedelta, tzinfo
from typing import Literal, overload

from afterimage_emulator.protos import well_known
from afterimage_emulator.protos.message import EnumType, Message, MessageMap
from afterimage_emulator.protos.message import RepeatedMessages, RepeatedScalars

class Status(Message):
    code: int
    message: str
    @property
    def details(self) -> RepeatedMessages[well_known.Any]: ...
    def __init__(self, *, code: int | None = ..., message: str | None = ..., details: Iterable[well_known.Any | Mapping[str, object]] | None = ...) -> None: ...

class ErrorInfo(Message):
    reason: str
    domain: str
    @property
    def metadata(self) -> MutableMapping[str, str]: ...
    def __init__(self, *, reason: str | None = ..., domain: str | None = ..., metadata: Mapping[str, str] | None = ...) -> None: ...

class RetryInfo(Message):
    @property
    def retry_delay(self) -> well_known.Duration: ...
    def __init__(self, *, retry_delay: well_known.Duration | Mapping[str, object] | timedelta | None = ...) -> None: ...
    def HasField(self, field_name: Literal["retry_delay"]) -> bool: ...

class DebugInfo(Message):
    @property
    def stack_entries(self) -> RepeatedScalars[str]: ...
    detail: str
    def __init__(self, *, stack_entries: Iterable[str] | None = ..., detail: str | None = ...) -> None: ...

class QuotaFailure(Message):
    class Violation(Message):
        subject: str
        description: str
        api_service: str
        quota_metric: str
        quota_id: str
        @property
        def quota_dimensions(self) -> MutableMapping[str, str]: ...
        quota_value: int
        future_quota_value: int
        def __init__(self, *, subject: str | None = ..., description: str | None = ..., api_service: str | None = ..., quota_metric: str | None = ..., quota_id: str | None = ..., quota_dimensions: Mapping[str, str] | None = ..., quota_value: int | None = ..., future_quota_value: int | None = ...) -> None: ...
        def HasField(self, field_name: Literal["future_quota_value"]) -> bool: ...
    @property
    def violations(self) -> RepeatedMessages[QuotaFailure.Violation]: ...
    def __init__(self, *, violations: Iterable[QuotaFailure.Violation | Mapping[str, object]] | None = ...) -> None: ...

class PreconditionFailure(Message):
    class Violation(Message):
        type: str
        subject: str
        description: str
        def __init__(self, *, type: str | None = ..., subject: str | None = ..., description: str | None = ...) -> None: ...
    @property
    def violations(self) -> RepeatedMessages[PreconditionFailure.Violation]: ...
    def __init__(self, *, violations: Iterable[PreconditionFailure.Violation | Mapping[str, object]] | None = ...) -> None: ...

class BadRequest(Message):
    class FieldViolation(Message):
        field: str
        description: str
        reason: str
        @property
        def localized_message(self) -> LocalizedMessage: ...
        def __init__(self, *, field: str | None = ..., description: str | None = ..., reason: str | None = ..., localized_message: LocalizedMessage | Mapping[str, object] | None = ...) -> None: ...
        def HasField(self, field_name: Literal["localized_message"]) -> bool: ...
    @property
    def field_violations(self) -> RepeatedMessages[BadRequest.FieldViolation]: ...
    def __init__(self, *, field_violations: Iterable[BadRequest.FieldViolation | Mapping[str, object]] | None = ...) -> None: ...

class RequestInfo(Message):
    request_id: str
    serving_data: str
    def __init__(self, *, request_id: str | None = ..., serving_data: str | None = ...) -> None: ...

class ResourceInfo(Message):
    resource_type: str
    resource_name: str
    owner: str
    description: str
    def __init__(self, *, resource_type: str | None = ..., resource_name: str | None = ..., owner: str | None = ..., description: str | None = ...) -> None: ...

class Help(Message):
    class Link(Message):
        description: str
        url: str
        def __init__(self, *, description: str | None = ..., url: str | None = ...) -> None: ...
    @property
    def links(self) -> RepeatedMessages[Help.Link]: ...
    def __init__(self, *, links: Iterable[Help.Link | Mapping[str, object]] | None = ...) -> None: ...

class LocalizedMessage(Message):
    locale: str
    message: str
    def __init__(self, *, locale: str | None = ..., message: str | None = ...) -> None: ...
