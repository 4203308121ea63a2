"""What storage events call: builds the pipeline once per process and hands each event to it."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial

from afterimage.allowances.handlers import day_allowances
from afterimage.delivery.events import ObjectEvent
from afterimage.delivery.messages import publish
from afterimage.made_once import made_once
from afterimage.media.allocator import suit_pictures
from afterimage.media.pipeline import Pipeline
from afterimage.media.stores import media_stores
from afterimage.publications.handlers import publications
from afterimage.store import clients

logger = logging.getLogger("afterimage.media")


def finalized(event: ObjectEvent) -> None:
    outcome = pipeline().finalized(event.bucket, event.name, event.generation)
    logger.info("finalized `%s` generation %d: %s", event.name, event.generation, outcome)


def deleted(event: ObjectEvent) -> None:
    outcome = pipeline().deleted(event.bucket, event.name, event.generation)
    logger.info("deleted `%s` generation %d: %s", event.name, event.generation, outcome)


@made_once
def pipeline() -> Pipeline:
    suit_pictures()
    settings = clients.settings()
    stores = media_stores(clients.files(), clients.documents(), settings.derived_bucket)
    made = Pipeline(stores=stores, settings=settings, follow=publications().follow, allowances=day_allowances())
    return replace(made, announce=partial(publish, settings.ready_topic)) if settings.ready_topic else made
