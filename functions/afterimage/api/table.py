"""The table of routes: each room of the API adds its own rows here."""

from __future__ import annotations

from typing import Final

from afterimage.api.dispatch import RouteTable
from afterimage.api.rooms.status_routes import STATUS_ROUTES

TABLE: Final = RouteTable([*STATUS_ROUTES])
