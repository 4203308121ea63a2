"""Handler of what a user asks about the account as a whole: translation only; the job does the work."""

from __future__ import annotations

from typing import Any

from afterimage.api.errors import ApiError, ErrorCode
from afterimage.api.rooms.account_routes import EraseToAsk, JobStarted
from afterimage.api.routes import Asked, Caller
from afterimage.api.services import Services


def erase_account(services: Services, caller: Caller, asked: Asked[Any, EraseToAsk]) -> JobStarted:
    if asked.body.confirm != caller.uid:
        raise ApiError(ErrorCode.FORBIDDEN, "`confirm` names somebody else", "send the id of the user who asks")
    job = f"user.erase-{asked.operation_id}"
    services.publish("user.erase", {"job": job, "uid": caller.uid})
    return JobStarted(job=job)
