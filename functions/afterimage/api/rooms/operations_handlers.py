"""Handlers of what operators ask: translation only."""

from __future__ import annotations

from typing import Any

from afterimage.api.rooms.account_routes import JobStarted
from afterimage.api.rooms.operations_routes import JobToStart, UserCost, UserCosts, UsersQuery
from afterimage.api.routes import Asked, Caller
from afterimage.api.services import Services
from afterimage.paths import BOOKS
from afterimage.store.documents import Query


def list_users(services: Services, _caller: Caller, asked: Asked[UsersQuery, None]) -> UserCosts:
    dearest = Query(collection=BOOKS, order_by="total_cost_usd", descending=True, limit=asked.query.limit)
    return UserCosts(
        users=[
            UserCost(
                uid=found.id,
                total_cost_usd=float(found.fields["total_cost_usd"]),
                total_generations=int(found.fields.get("total_generations", 0)),
                cache_rate=float(found.fields.get("cache_rate", 0.0)),
                updated_at=found.fields.get("updated_at"),
            )
            for found in services.documents().find(dearest)
        ]
    )


def start_job(services: Services, _caller: Caller, asked: Asked[Any, JobToStart]) -> JobStarted:
    job = f"{asked.body.kind}-{asked.operation_id}"
    services.publish(asked.body.kind, {"job": job})
    return JobStarted(job=job)
