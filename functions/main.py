"""The table of contents: every trigger, what happens → who handles it, with how much, as whom."""

from afterimage.delivery.triggers import (
    on_document_written,
    on_message,
    on_object,
    on_schedule,
    on_task,
    on_web_request,
)
from afterimage.deployment import (
    AS_API,
    AS_ARTIFACTS,
    AS_ASSETS,
    AS_CDN,
    AS_DRIVE,
    AS_ERASE,
    AS_LEDGER,
    AS_LEDGER_JOBS,
    AS_MEDIA,
    AS_MEDIA_JOBS,
    AS_PUBLICATIONS,
    AS_SCHEDULES,
    ASSET_WORK,
    BATCH_WORK,
    CDN_WORK,
    DRIVE_WORK,
    ERASE_WORK,
    IMAGE_WORK,
    LIGHT_WORK,
    ROUND_WORK,
    TASK_WORK,
    UPLOAD_WORK,
    WEB_WORK,
    check_settings,
)
from afterimage.drive_paths import DRIVE_NOTED
from afterimage.paths import (
    BUDGET_ALERT_WRITTEN,
    CAMPAIGN_WRITTEN,
    GENERATION_WRITTEN,
    OUTPUT_WRITTEN,
    PUBLISHED_WRITTEN,
    PURGE_WRITTEN,
    QUOTA_ALERT_WRITTEN,
)

check_settings()

# What clients and workers store in the originals' bucket.
media_finalized = on_object(
    "finalized", "media_finalized", "afterimage.media.handlers:finalized", **IMAGE_WORK, **AS_MEDIA
)
media_deleted = on_object("deleted", "media_deleted", "afterimage.media.handlers:deleted", **LIGHT_WORK, **AS_MEDIA)
media_archived = on_object("archived", "media_archived", "afterimage.media.handlers:deleted", **LIGHT_WORK, **AS_MEDIA)

# Jobs, each started by a message on its topic.
media_backfill = on_message(
    "media.backfill", "media_backfill", "afterimage.jobs.handlers:backfill", **BATCH_WORK, **AS_MEDIA_JOBS
)
media_replay = on_message(
    "media.replay", "media_replay", "afterimage.jobs.handlers:replay_media", **BATCH_WORK, **AS_MEDIA_JOBS
)
media_sweep = on_message("media.sweep", "media_sweep", "afterimage.jobs.handlers:sweep", **BATCH_WORK, **AS_MEDIA_JOBS)
user_erase = on_message("user.erase", "user_erase", "afterimage.jobs.handlers:erase", **ERASE_WORK, **AS_ERASE)
generations_expire = on_message(
    "generations.expire", "generations_expire", "afterimage.jobs.handlers:expire", **BATCH_WORK, **AS_ERASE
)
versions_expire = on_message(
    "versions.expire", "versions_expire", "afterimage.jobs.handlers:expire_versions", **BATCH_WORK, **AS_API
)

# Schedules publish the messages of the jobs.
generations_look = on_schedule(
    "*/5 * * * *", "generations_look", "afterimage.jobs.handlers:start_expiry", **LIGHT_WORK, **AS_SCHEDULES
)
nightly_sweep = on_schedule(
    "20 3 * * *", "nightly_sweep", "afterimage.jobs.handlers:start_nightly_sweep", **LIGHT_WORK, **AS_SCHEDULES
)

# What owners show the world: a mark makes a file public or takes it back, and a nightly look finds what events missed.
publication_marked = on_document_written(
    PUBLISHED_WRITTEN,
    "publication_marked",
    "afterimage.publications.handlers:mark_written",
    **LIGHT_WORK,
    **AS_PUBLICATIONS,
)
publications_audit = on_message(
    "publications.audit",
    "publications_audit",
    "afterimage.publications.handlers:audit_publications",
    **BATCH_WORK,
    **AS_PUBLICATIONS,
)
nightly_publications = on_schedule(
    "30 3 * * *",
    "nightly_publications",
    "afterimage.publications.handlers:start_nightly_publications",
    **LIGHT_WORK,
    **AS_SCHEDULES,
)

# What was taken back is forgotten by the network in front: at once, again a little later, and after every failure.
cdn_purge_noted = on_document_written(
    PURGE_WRITTEN, "cdn_purge_noted", "afterimage.edges.cdn.handlers:purge_noted", **CDN_WORK, **AS_CDN
)
cdn_purge = on_message("cdn.purge", "cdn_purge", "afterimage.edges.cdn.handlers:purge", **CDN_WORK, **AS_CDN)
cdn_minutely = on_schedule(
    "* * * * *", "cdn_minutely", "afterimage.edges.cdn.handlers:start_due_purges", **LIGHT_WORK, **AS_CDN
)
cdn_usage = on_schedule("10 4 * * *", "cdn_usage", "afterimage.edges.cdn.handlers:tell_usage", **CDN_WORK, **AS_CDN)

# What users save goes to their Google Drive, where they have linked one: at once, and again after every failure.
drive_noted = on_document_written(
    DRIVE_NOTED, "drive_noted", "afterimage.edges.drive.handlers:drive_noted", **DRIVE_WORK, **AS_DRIVE
)
drive_work = on_message("drive.work", "drive_work", "afterimage.edges.drive.handlers:work", **DRIVE_WORK, **AS_DRIVE)
drive_minutely = on_schedule(
    "* * * * *", "drive_minutely", "afterimage.edges.drive.handlers:start_due_work", **LIGHT_WORK, **AS_DRIVE
)
drive_rewrap = on_message(
    "drive.rewrap", "drive_rewrap", "afterimage.edges.drive.handlers:rewrap", **DRIVE_WORK, **AS_DRIVE
)

# The origin: what a network in front, or anybody, fetches published files from.
assets = on_web_request("assets", "afterimage.edges.assets.serving:serve_asset", **ASSET_WORK, **AS_ASSETS)

# The books: outputs that clients and workers write, and the bytes of what is stored.
ledger_output_written = on_document_written(
    OUTPUT_WRITTEN,
    "ledger_output_written",
    "afterimage.ledger.events:document_written",
    **LIGHT_WORK,
    **AS_LEDGER,
)
ledger_generation_written = on_document_written(
    GENERATION_WRITTEN,
    "ledger_generation_written",
    "afterimage.ledger.events:document_written",
    **LIGHT_WORK,
    **AS_LEDGER,
)
ledger_object_finalized = on_object(
    "finalized", "ledger_object_finalized", "afterimage.ledger.events:object_finalized", **LIGHT_WORK, **AS_LEDGER
)
ledger_object_deleted = on_object(
    "deleted", "ledger_object_deleted", "afterimage.ledger.events:object_deleted", **LIGHT_WORK, **AS_LEDGER
)
ledger_object_archived = on_object(
    "archived", "ledger_object_archived", "afterimage.ledger.events:object_deleted", **LIGHT_WORK, **AS_LEDGER
)

# Whose a campaign is, kept beyond its deletion: the rules let nobody else bring it back.
campaign_written = on_document_written(
    CAMPAIGN_WRITTEN,
    "campaign_written",
    "afterimage.campaign_owners:campaign_written",
    **LIGHT_WORK,
    **AS_LEDGER,
)

# The ledger's jobs, and its schedules: what is kept apart for speed comes together every minute.
ledger_audit = on_message(
    "ledger.audit", "ledger_audit", "afterimage.jobs.ledger_handlers:audit", **BATCH_WORK, **AS_LEDGER_JOBS
)
ledger_rebuild = on_message(
    "ledger.rebuild", "ledger_rebuild", "afterimage.jobs.ledger_handlers:rebuild", **BATCH_WORK, **AS_LEDGER_JOBS
)
ledger_close_day = on_message(
    "ledger.close-day", "ledger_close_day", "afterimage.jobs.ledger_handlers:close_day", **BATCH_WORK, **AS_LEDGER_JOBS
)
ledger_reprice = on_message(
    "ledger.reprice", "ledger_reprice", "afterimage.jobs.ledger_handlers:reprice", **BATCH_WORK, **AS_LEDGER_JOBS
)
ledger_replay = on_message(
    "ledger.replay", "ledger_replay", "afterimage.jobs.ledger_handlers:replay_ledger", **BATCH_WORK, **AS_LEDGER_JOBS
)
ledger_roll_up = on_schedule(
    "* * * * *",
    "ledger_roll_up",
    "afterimage.jobs.ledger_handlers:roll_up",
    **(LIGHT_WORK | {"max_instances": 1}),
    **AS_LEDGER,
)
rollup = on_task("rollup", "afterimage.jobs.ledger_handlers:second_round", **ROUND_WORK, **AS_LEDGER)
ledger_nightly = on_schedule(
    "40 3 * * *", "ledger_nightly", "afterimage.jobs.ledger_handlers:start_nightly_audit", **LIGHT_WORK, **AS_SCHEDULES
)

# What clients call: the table of routes is in afterimage/api.
api = on_web_request("api", "afterimage.api.serving:serve", **WEB_WORK, **AS_API)
generate = on_task("generate", "afterimage.generations.tasks:work_on_task", **TASK_WORK, **AS_API)

# Saved files: uploads that arrive, contents that somebody else deletes, and room that runs out.
artifact_finalized = on_object(
    "finalized", "artifact_finalized", "afterimage.artifacts.handlers:artifact_arrived", **UPLOAD_WORK, **AS_ARTIFACTS
)
artifact_deleted = on_object(
    "deleted", "artifact_deleted", "afterimage.artifacts.handlers:artifact_gone", **LIGHT_WORK, **AS_ARTIFACTS
)
artifact_archived = on_object(
    "archived", "artifact_archived", "afterimage.artifacts.handlers:artifact_gone", **LIGHT_WORK, **AS_ARTIFACTS
)
quota_alert_written = on_document_written(
    QUOTA_ALERT_WRITTEN, "quota_alert_written", "afterimage.quota.alerts:alert_written", **LIGHT_WORK, **AS_ARTIFACTS
)
budget_alert_written = on_document_written(
    BUDGET_ALERT_WRITTEN, "budget_alert_written", "afterimage.quota.alerts:alert_written", **LIGHT_WORK, **AS_ARTIFACTS
)
artifacts_cleanup = on_message(
    "artifacts.cleanup", "artifacts_cleanup", "afterimage.jobs.artifact_handlers:clean_up", **BATCH_WORK, **AS_ARTIFACTS
)
quota_audit = on_message(
    "quota.audit", "quota_audit", "afterimage.jobs.artifact_handlers:audit_quota", **BATCH_WORK, **AS_ARTIFACTS
)
artifacts_nightly = on_schedule(
    "10 4 * * *",
    "artifacts_nightly",
    "afterimage.jobs.artifact_handlers:start_nightly_artifacts",
    **LIGHT_WORK,
    **AS_SCHEDULES,
)
