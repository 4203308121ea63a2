"""The one API of this process, made at its first request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afterimage.api.application import Api
from afterimage.api.services import cloud_services
from afterimage.api.table import TABLE
from afterimage.made_once import made_once

if TYPE_CHECKING:
    from flask import Request, Response


@made_once
def the_api() -> Api:
    return Api(TABLE, cloud_services())


def serve(request: Request) -> Response:
    return the_api()(request)
