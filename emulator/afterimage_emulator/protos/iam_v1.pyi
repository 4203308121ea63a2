"""The types of the messages of google.iam.v1; written by `stubs`."""

from collections.abc import Iterable, Mapping, MutableMapping
from datetime import datetime, timedelta, tzinfo
from typing import Literal, overload

from afterimage_emulator.protos import well_known
from afterimage_emulator.protos import google_type
from afterimage_emulator.protos.message import EnumType, Message, MessageMap
from afterimage_emulator.protos.message import RepeatedMessages, RepeatedScalars

class GetPolicyOptions(Message):
    requested_policy_version: int
    def __init__(self, *, requested_policy_version: int | None = ...) -> None: ...

class Policy(Message):
    version: int
    @property
    def bindings(self) -> RepeatedMessages[Binding]: ...
    @property
    def audit_configs(self) -> RepeatedMessages[AuditConfig]: ...
    etag: bytes
    def __init__(self, *, version: int | None = ..., bindings: Iterable[Binding | Mapping[str, object]] | None = ..., audit_configs: Iterable[AuditConfig | Mapping[str, object]] | None = ..., etag: bytes | None = ...) -> None: ...

class Binding(Message):
    role: str
    @property
    def members(self) -> RepeatedScalars[str]: ...
    @property
    def condition(self) -> google_type.Expr: ...
    def __init__(self, *, role: str | None = ..., members: Iterable[str] | None = ..., condition: google_type.Expr | Mapping[str, object] | None = ...) -> None: ...
    def HasField(self, field_name: Literal["condition"]) -> bool: ...

class AuditConfig(Message):
    service: str
    @property
    def audit_log_configs(self) -> RepeatedMessages[AuditLogConfig]: ...
    def __init__(self, *, service: str | None = ..., audit_log_configs: Iterable[AuditLogConfig | Mapping[str, object]] | None = ...) -> None: ...

class AuditLogConfig(Message):
    LogType: EnumType
    LOG_TYPE_UNSPECIFIED: int
    ADMIN_READ: int
    DATA_WRITE: int
    DATA_READ: int
    log_type: int
    @property
    def exempted_members(self) -> RepeatedScalars[str]: ...
    def __init__(self, *, log_type: int | str | None = ..., exempted_members: Iterable[str] | None = ...) -> None: ...

class PolicyDelta(Message):
    @property
    def binding_deltas(self) -> RepeatedMessages[BindingDelta]: ...
    @property
    def audit_config_deltas(self) -> RepeatedMessages[AuditConfigDelta]: ...
    def __init__(self, *, binding_deltas: Iterable[BindingDelta | Mapping[str, object]] | None = ..., audit_config_deltas: Iterable[AuditConfigDelta | Mapping[str, object]] | None = ...) -> None: ...

class BindingDelta(Message):
    Action: EnumType
    ACTION_UNSPECIFIED: int
    ADD: int
    REMOVE: int
    action: int
    role: str
    member: str
    @property
    def condition(self) -> google_type.Expr: ...
    def __init__(self, *, action: int | str | None = ..., role: str | None = ..., member: str | None = ..., condition: google_type.Expr | Mapping[str, object] | None = ...) -> None: ...
    def HasField(self, field_name: Literal["condition"]) -> bool: ...

class AuditConfigDelta(Message):
    Action: EnumType
    ACTION_UNSPECIFIED: int
    ADD: int
    REMOVE: int
    action: int
    service: str
    exempted_member: str
    log_type: str
    def __init__(self, *, action: int | str | None = ..., service: str | None = ..., exempted_member: str | None = ..., log_type: str | None = ...) -> None: ...

class SetIamPolicyRequest(Message):
    resource: str
    @property
    def policy(self) -> Policy: ...
    @property
    def update_mask(self) -> well_known.FieldMask: ...
    def __init__(self, *, resource: str | None = ..., policy: Policy | Mapping[str, object] | None = ..., update_mask: well_known.FieldMask | Mapping[str, object] | None = ...) -> None: ...
    def HasField(self, field_name: Literal["policy", "update_mask"]) -> bool: ...

class GetIamPolicyRequest(Message):
    resource: str
    @property
    def options(self) -> GetPolicyOptions: ...
    def __init__(self, *, resource: str | None = ..., options: GetPolicyOptions | Mapping[str, object] | None = ...) -> None: ...
    def HasField(self, field_name: Literal["options"]) -> bool: ...

class TestIamPermissionsRequest(Message):
    resource: str
    @property
    def permissions(self) -> RepeatedScalars[str]: ...
    def __init__(self, *, resource: str | None = ..., permissions: Iterable[str] | None = ...) -> None: ...

class TestIamPermissionsResponse(Message):
    @property
    def permissions(self) -> RepeatedScalars[str]: ...
    def __init__(self, *, permissions: Iterable[str] | None = ...) -> None: ...
