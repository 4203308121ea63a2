"""The table of contents: every trigger, what happens → who handles it."""

from afterimage.deployment import BATCH_WORK, IMAGE_WORK, LIGHT_WORK
from afterimage.triggers import on_message, on_object, on_schedule

# What clients and workers store in the originals' bucket.
media_finalized = on_object("finalized", "media_finalized", "afterimage.media.handlers:finalized", **IMAGE_WORK)
media_deleted = on_object("deleted", "media_deleted", "afterimage.media.handlers:deleted", **LIGHT_WORK)
media_archived = on_object("archived", "media_archived", "afterimage.media.handlers:deleted", **LIGHT_WORK)

# Jobs, each started by a message on its topic.
media_backfill = on_message("media.backfill", "media_backfill", "afterimage.jobs.handlers:backfill", **BATCH_WORK)
media_replay = on_message("media.replay", "media_replay", "afterimage.jobs.handlers:replay", **BATCH_WORK)
media_sweep = on_message("media.sweep", "media_sweep", "afterimage.jobs.handlers:sweep", **BATCH_WORK)
user_erase = on_message("user.erase", "user_erase", "afterimage.jobs.handlers:erase", **BATCH_WORK)

# Schedules publish the messages of the nightly jobs.
nightly_sweep = on_schedule(
    "20 3 * * *", "nightly_sweep", "afterimage.jobs.handlers:start_nightly_sweep", **LIGHT_WORK
)
