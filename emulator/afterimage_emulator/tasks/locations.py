"""`google.cloud.location.Locations` on Cloud Tasks' own port, as Google's clients ask it beside the queues."""

from __future__ import annotations

import re
from typing import Final

from afterimage_emulator.protos import cloud_location
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.tasks.queues import Queues
from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod
from afterimage_emulator.wire.pages import page_of

_PREFIX: Final = "/google.cloud.location.Locations/"
_DEFAULT: Final = "us-central1"
_PROJECT_NAME: Final = re.compile(r"projects/[^/]+")
_LOCATION_NAME: Final = re.compile(r"projects/[^/]+/locations/[^/]+")


class Locations:
    """Every location is there; listed are those that have queues, and the one that the SDKs take by default."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    def methods(self) -> list[GrpcMethod]:
        listing, getting = cloud_location.ListLocationsRequest, cloud_location.GetLocationRequest
        return [
            GrpcMethod(path=f"{_PREFIX}ListLocations", request_class=listing, unary=self.list_locations),
            GrpcMethod(path=f"{_PREFIX}GetLocation", request_class=getting, unary=self.get_location),
        ]

    def list_locations(
        self, request: cloud_location.ListLocationsRequest, call: Call
    ) -> cloud_location.ListLocationsResponse:
        if not _PROJECT_NAME.fullmatch(request.name):
            raise StatusError(Code.INVALID_ARGUMENT, f"`{request.name[:200]}` is no project: write `projects/ID`")
        own = f"{request.name}/locations/"
        names = {own + _DEFAULT} | {
            queue.name.partition("/queues/")[0] for queue in self._queues.all_queues() if queue.name.startswith(own)
        }
        page, token = page_of(sorted(names), request, key=str)
        return cloud_location.ListLocationsResponse(locations=[_location(name) for name in page], next_page_token=token)

    def get_location(self, request: cloud_location.GetLocationRequest, call: Call) -> cloud_location.Location:
        if not _LOCATION_NAME.fullmatch(request.name):
            raise StatusError(
                Code.INVALID_ARGUMENT, f"`{request.name[:200]}` is no location: write `projects/ID/locations/ID`"
            )
        return _location(request.name)


def _location(name: str) -> cloud_location.Location:
    return cloud_location.Location(name=name, location_id=name.rpartition("/")[2])
