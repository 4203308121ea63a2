"""The table of routes: each room of the API adds its own rows here."""

from __future__ import annotations

from typing import Final

from afterimage.api.dispatch import RouteTable
from afterimage.api.rooms.account_routes import ACCOUNT_ROUTES
from afterimage.api.rooms.drive_routes import DRIVE_ROUTES
from afterimage.api.rooms.generation_routes import GENERATION_ROUTES
from afterimage.api.rooms.operations_routes import OPERATIONS_ROUTES
from afterimage.api.rooms.status_routes import STATUS_ROUTES
from afterimage.api.rooms.storage_routes import STORAGE_ROUTES
from afterimage.api.rooms.versions_routes import VERSIONS_ROUTES

TABLE: Final = RouteTable(
    [
        *STATUS_ROUTES, *ACCOUNT_ROUTES, *DRIVE_ROUTES, *GENERATION_ROUTES, *OPERATIONS_ROUTES, *STORAGE_ROUTES,
        *VERSIONS_ROUTES,
    ]
)  # fmt: skip
