"""A sign-in that waits for its second factor, as the credential that its client holds meanwhile."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from afterimage_emulator.auth.errors import refused
from afterimage_emulator.front.json_reading import UnreadableJsonError, read_json_object

_MARK = "localPendingSignIn"


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingSignIn:
    """The account whose first factor was shown, where it is, and which factor that was."""

    uid: str
    project_id: str
    tenant_id: str | None
    provider: str
    attributes: Mapping[str, object] | None = None


def encode_pending_sign_in(pending: PendingSignIn) -> str:
    record = {
        _MARK: 1,
        "localId": pending.uid,
        "projectId": pending.project_id,
        "tenantId": pending.tenant_id,
        "provider": pending.provider,
        "attributes": pending.attributes,
    }
    return base64.b64encode(json.dumps(record, separators=(",", ":")).encode()).decode()


def read_pending_sign_in(text: str) -> PendingSignIn:
    try:
        record = read_json_object(base64.b64decode(text))
    except (UnreadableJsonError, ValueError, binascii.Error):
        record = {}
    uid, project_id, provider = record.get("localId"), record.get("projectId"), record.get("provider")
    tenant_id, attributes = record.get("tenantId"), record.get("attributes")
    if (
        _MARK not in record
        or not isinstance(uid, str)
        or not isinstance(project_id, str)
        or not isinstance(provider, str)
        or not (tenant_id is None or isinstance(tenant_id, str))
        or not (attributes is None or isinstance(attributes, dict))
    ):
        raise refused("((Invalid phoneVerificationInfo.mfaPendingCredential.))")
    return PendingSignIn(uid=uid, project_id=project_id, tenant_id=tenant_id, provider=provider, attributes=attributes)
