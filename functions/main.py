"""The table of contents: every trigger, what happens → who handles it."""

from afterimage.deployment import IMAGE_WORK, LIGHT_WORK
from afterimage.triggers import on_object

# What clients and workers store in the originals' bucket.
media_finalized = on_object("finalized", "media_finalized", "afterimage.media.handlers:finalized", **IMAGE_WORK)
media_deleted = on_object("deleted", "media_deleted", "afterimage.media.handlers:deleted", **LIGHT_WORK)
media_archived = on_object("archived", "media_archived", "afterimage.media.handlers:deleted", **LIGHT_WORK)
