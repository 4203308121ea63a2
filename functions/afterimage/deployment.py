"""What a deployment may choose: the deploy parameters, and the resources of each kind of function, with the reasons.

Every parameter has a default, so that importing the codebase never fails for want of one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from firebase_functions import params
from firebase_functions.options import RateLimits, RetryConfig

from afterimage.paths import Family
from afterimage.publications.purge_notes import ORIGIN_TIMEOUT_SECONDS
from afterimage.settings import SettingsError, names_a_project, read_settings

ORIGINALS_BUCKET: Final = params.StringParam(
    "ORIGINALS_BUCKET",
    default=params.STORAGE_BUCKET,
    description="The bucket that clients upload to. Its events start the media functions.",
)
DERIVED_BUCKET: Final = params.StringParam(
    "DERIVED_BUCKET",
    default="{{ params.GCLOUD_PROJECT }}-derived",
    description="The bucket of everything derived. It must not be the originals' bucket; no function listens to it.",
)
REGION: Final = params.StringParam(
    "FUNCTIONS_REGION",
    default="us-central1",
    description="Where the functions run; storage triggers must be in their bucket's region.",
)
MEDIA_MEMORY_MIB: Final = params.IntParam(
    "MEDIA_MEMORY_MIB",
    default=1024,
    description="Memory of a media function. The largest picture it accepts follows from this.",
)
MEDIA_CPU: Final = params.IntParam(
    "MEDIA_CPU",
    default=1,
    description="vCPUs of a media function; variants are encoded in parallel up to this number.",
)
MEDIA_TIMEOUT_SECONDS: Final = params.IntParam(
    "MEDIA_TIMEOUT_SECONDS",
    default=300,
    description="After this long a media function is taken for dead. The platform allows 540 for events.",
)
MEDIA_MAX_INSTANCES: Final = params.IntParam(
    "MEDIA_MAX_INSTANCES",
    default=20,
    description="How many pictures are worked on at once, at most: the ceiling of the bill.",
)
RETRY_EVENTS: Final = params.BoolParam(
    "RETRY_EVENTS",
    default=True,
    description="Whether the platform delivers an event again after a transient failure.",
)
EVENT_AGE_LIMIT_HOURS: Final = params.IntParam(
    "EVENT_AGE_LIMIT_HOURS",
    # Under the platform's 24 hours of retries, so that one last delivery finds the event too old and records it.
    default=20,
    description="An event older than this is recorded for replay instead of being processed.",
)
KEEP_FINISHED_DAYS: Final = params.IntParam(
    "KEEP_FINISHED_DAYS",
    default=30,
    description="After how many days, at least 2, a TTL policy deletes closed letters and finished jobs.",
)
GENERATION_STUCK_MINUTES: Final = params.IntParam(
    "GENERATION_STUCK_MINUTES",
    default=15,
    description="After so many minutes, at least 3, without a sign of life of its worker a generation has failed.",
)
MEDIA_PLANS: Final = params.StringParam(
    "MEDIA_PLANS",
    default="",
    description='What to derive, by family of path, as JSON: {"media": {"thumbnails": [200, 400], "avif": true}}.',
)
MEDIA_READY_TOPIC: Final = params.StringParam(
    "MEDIA_READY_TOPIC",
    default="",
    description="A Pub/Sub topic that is told of each settled object, for example `media.ready`; empty: none.",
)
API_ALLOWED_ORIGINS: Final = params.StringParam(
    "API_ALLOWED_ORIGINS",
    default="",
    description="Origins of the web pages that may call the API, with commas between them; empty: the project's own.",
)
API_APP_CHECK: Final = params.StringParam(
    "API_APP_CHECK",
    default="auto",
    description="Whether the API asks for App Check tokens: `on`, `off`, or `auto`, which is on where it is deployed.",
)
API_MAX_INSTANCES: Final = params.IntParam(
    "API_MAX_INSTANCES",
    default=20,
    description="How many instances of the API there are, at most.",
)
DAY_FILES: Final = params.IntParam(
    "DAY_FILES",
    default=1_000,
    description="How many stored files of one account are worked on in a day; the rest waits for the next.",
)
DAY_MEGABYTES: Final = params.IntParam(
    "DAY_MEGABYTES",
    default=2_000,
    description="How many megabytes of one account's files are worked on in a day.",
)
DAY_MEGAPIXELS: Final = params.IntParam(
    "DAY_MEGAPIXELS",
    default=4_000,
    description="How many megapixels of one account's pictures are worked on in a day, frames counted one by one.",
)
DAY_DOCUMENTS: Final = params.IntParam(
    "DAY_DOCUMENTS",
    default=20_000,
    description="How many writes of one account are booked as they happen, in a day; the audit books the rest.",
)
DAY_ANONYMOUS_ACCOUNTS: Final = params.IntParam(
    "DAY_ANONYMOUS_ACCOUNTS",
    default=20,
    description="All accounts without a name together have for a day what so many accounts have; at least 8.",
)
AUDIT_ROTATION_NIGHTS: Final = params.IntParam(
    "AUDIT_ROTATION_NIGHTS",
    default=30,
    description="In how many nights everybody's books are audited once, also where nothing has touched them.",
)
AUDIT_MOST_READS: Final = params.IntParam(
    "AUDIT_MOST_READS",
    default=100_000_000,
    description="How many documents one night's audit reads, at most; a million are about 0.30 $.",
)
QUOTA_GB: Final = params.IntParam(
    "QUOTA_GB",
    default=5,
    description="How much each user may keep in saved files; `quota/{uid}.limit_bytes` gives one user another limit.",
)
MAX_FILE_SIZE_MB: Final = params.IntParam(
    "MAX_FILE_SIZE_MB",
    default=100,
    description="The largest file that can be saved or uploaded; a function has to hold it in memory.",
)
COMPRESS_FROM_MB: Final = params.IntParam(
    "COMPRESS_FROM_MB",
    default=10,
    description="Larger saved files are stored packed with gzip, where their type gains by it.",
)
QUOTA_ALERT_TOPIC: Final = params.StringParam(
    "QUOTA_ALERT_TOPIC",
    default="",
    description="A Pub/Sub topic that is told when a user's room runs out, for example `quota.alert`; empty: none.",
)
BUDGET_ALERT_TOPIC: Final = params.StringParam(
    "BUDGET_ALERT_TOPIC",
    default="",
    description="A Pub/Sub topic that is told when a user's budget runs out, for example `budget.alert`; empty: none.",
)
THREADS: Final = params.IntParam(
    "THREADS",
    default=20,
    description="Threads of an instance, which functions-framework reads: as many requests or events as run at once.",
)
GENERATOR: Final = params.StringParam(
    "GENERATOR",
    default="template",
    description="What makes projects: `template` (offline), `openai` (any endpoint of its chat form) or `gemini`.",
)
GENERATOR_MODEL: Final = params.StringParam(
    "GENERATOR_MODEL", default="", description="The model that the generator asks for; none for `template`."
)
GENERATOR_URL: Final = params.StringParam(
    "GENERATOR_URL", default="", description="Where the generator's endpoint is; empty: at its maker's."
)
GENERATE_WAIT_SECONDS: Final = params.IntParam(
    "GENERATE_WAIT_SECONDS",
    default=10,
    description="How long a request waits for a generation before it answers `processing`; at most 100.",
)
GENERATE_MOST_TOKENS: Final = params.IntParam(
    "GENERATE_MOST_TOKENS",
    default=32_000,
    description="How many tokens a generator may answer with; budgets reserve that many.",
)
GENERATE_MAX_INSTANCES: Final = params.IntParam(
    "GENERATE_MAX_INSTANCES",
    default=10,
    description="How many projects are made at once, at most: the ceiling of what generators cost.",
)

DEFAULT_CDN: Final = params.StringParam(
    "DEFAULT_CDN",
    default="",
    description="What stands in front of `assets`: cloudflare, cloudfront, vercel, or module:factory; empty: nothing.",
)
CDN_BASE_URL: Final = params.StringParam(
    "CDN_BASE_URL",
    default="",
    description="Where the world reaches the network in front, for example https://cdn.example.com.",
)
CDN_VARIES: Final = params.BoolParam(
    "CDN_VARIES",
    default=False,
    description="Whether the network in front was set up to keep answers apart that vary by Accept.",
)
CDN_SECRETS: Final = params.StringParam(
    "CDN_SECRETS",
    default="",
    description="Names of the secrets that a network of your own needs, with commas between.",
)
CDN_TTL_HOURS: Final = params.StringParam(
    "CDN_TTL_HOURS",
    default="",
    description='Hours for which caches may keep what is published, by family of path: {"*": 24, "media": 168}.',
)
ASSETS_SIGNED: Final = params.BoolParam(
    "ASSETS_SIGNED",
    default=False,
    description="Whether `assets` serves signed addresses; it then needs the secret ASSETS_SIGNING_KEY.",
)
ASSETS_MAX_INSTANCES: Final = params.IntParam(
    "ASSETS_MAX_INSTANCES", default=10, description="How many instances of `assets` there are, at most."
)
CLOUDFLARE_ZONE_ID: Final = params.StringParam("CLOUDFLARE_ZONE_ID", default="", description="The zone at Cloudflare.")
CLOUDFLARE_PLAN: Final = params.StringParam(
    "CLOUDFLARE_PLAN",
    default="free",
    description="free, pro, business or enterprise: how often Cloudflare may be asked to purge.",
)
CLOUDFRONT_DISTRIBUTION_ID: Final = params.StringParam(
    "CLOUDFRONT_DISTRIBUTION_ID", default="", description="The distribution at CloudFront."
)
VERCEL_PROJECT_ID: Final = params.StringParam("VERCEL_PROJECT_ID", default="", description="The project at Vercel.")
VERCEL_TEAM_ID: Final = params.StringParam("VERCEL_TEAM_ID", default="", description="The team at Vercel, if any.")

GOOGLE_CLIENT_ID: Final = params.StringParam(
    "GOOGLE_CLIENT_ID",
    default="",
    description="This app at Google, whose users can link their Google Drive; empty: nobody can.",
)
GOOGLE_REDIRECT_URI: Final = params.StringParam(
    "GOOGLE_REDIRECT_URI",
    default="",
    description="The address of /api/phase5/auth/callback, exactly as it is registered at Google.",
)
DRIVE_RETURN_URL: Final = params.StringParam(
    "DRIVE_RETURN_URL",
    default="",
    description="The page that a user comes back to and that completes the link; empty: the callback answers JSON.",
)
DRIVE_KEY: Final = params.StringParam(
    "DRIVE_KEY",
    default="",
    description="The key of Cloud KMS that permissions are kept under: projects/…/cryptoKeys/NAME.",
)


def _account(name: str, who: str) -> params.StringParam:
    return params.StringParam(
        name,
        default="",
        description=f"The service account of {who}, by its name or its whole address; empty: the project's default.",
    )


MEDIA_ACCOUNT: Final = _account("MEDIA_ACCOUNT", "the functions that derive files as they are stored")
MEDIA_JOBS_ACCOUNT: Final = _account("MEDIA_JOBS_ACCOUNT", "backfill, replay and sweep")
ERASE_ACCOUNT: Final = _account("ERASE_ACCOUNT", "the two functions that delete originals")
LEDGER_ACCOUNT: Final = _account("LEDGER_ACCOUNT", "the functions that keep the books")
LEDGER_JOBS_ACCOUNT: Final = _account(
    "LEDGER_JOBS_ACCOUNT", "the ledger's audit, rebuild, close-day, reprice and replay"
)
API_ACCOUNT: Final = _account("API_ACCOUNT", "the API, and of what works on its tasks")
ARTIFACTS_ACCOUNT: Final = _account("ARTIFACTS_ACCOUNT", "the functions that take uploads over, and their jobs")
PUBLICATIONS_ACCOUNT: Final = _account(
    "PUBLICATIONS_ACCOUNT", "the functions that make files public and take them back"
)
ASSETS_ACCOUNT: Final = _account("ASSETS_ACCOUNT", "the origin of published files")
CDN_ACCOUNT: Final = _account("CDN_ACCOUNT", "the functions that make the network in front forget")
DRIVE_ACCOUNT: Final = _account("DRIVE_ACCOUNT", "the functions that bring saved files to users' Google Drives")
SCHEDULES_ACCOUNT: Final = _account("SCHEDULES_ACCOUNT", "the nightly schedules, which only publish")


def run_as(account: params.StringParam) -> dict[str, Any]:
    """The option that makes a function run as an account; none where the parameter is empty.

    Read while the code is loaded, when the Firebase CLI has put `.env` into the environment, because an expression in
    the manifest cannot say "none": a schedule that runs as the empty text cannot be created. The name is completed
    here because the CLI completes it for events, but not for the caller of a schedule.
    """
    name, _, domain = account.value.strip().partition("@")
    if not name:
        return {}
    return {"service_account": f"{name}@{domain or os.environ.get('GCLOUD_PROJECT', '') + '.iam.gserviceaccount.com'}"}


AS_MEDIA: Final = run_as(MEDIA_ACCOUNT)
AS_MEDIA_JOBS: Final = run_as(MEDIA_JOBS_ACCOUNT)
AS_ERASE: Final = run_as(ERASE_ACCOUNT)
AS_LEDGER: Final = run_as(LEDGER_ACCOUNT)
AS_LEDGER_JOBS: Final = run_as(LEDGER_JOBS_ACCOUNT)
AS_API: Final = run_as(API_ACCOUNT)
AS_ARTIFACTS: Final = run_as(ARTIFACTS_ACCOUNT)
AS_PUBLICATIONS: Final = run_as(PUBLICATIONS_ACCOUNT)
AS_ASSETS: Final = run_as(ASSETS_ACCOUNT)
AS_CDN: Final = run_as(CDN_ACCOUNT)
AS_DRIVE: Final = run_as(DRIVE_ACCOUNT)
AS_SCHEDULES: Final = run_as(SCHEDULES_ACCOUNT)

IMAGE_WORK: Final[dict[str, Any]] = {
    "region": REGION,
    "memory": MEDIA_MEMORY_MIB,
    "cpu": MEDIA_CPU,
    # One picture at a time: the platform's default of 80 would share one memory limit between 80 pictures.
    "concurrency": 1,
    "timeout_sec": MEDIA_TIMEOUT_SECONDS,
    "max_instances": MEDIA_MAX_INSTANCES,
}
"""Functions that decode and encode."""

SECRETS_OF: Final[dict[str, list[str]]] = {
    "cloudflare": ["CLOUDFLARE_API_TOKEN"],
    "cloudfront": ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
    "vercel": ["VERCEL_TOKEN"],
}
"""What each network's API is asked with."""


def cdn_secrets(network: str, own: str) -> list[str]:
    """The secrets to hand to the functions that purge: none where there is no network, so that none has to exist."""
    named = [name.strip() for name in own.split(",") if name.strip()]
    return SECRETS_OF.get(network.strip(), named)


LIGHT_WORK: Final[dict[str, Any]] = {
    "region": REGION,
    "memory": 512,
    "cpu": 1,
    "concurrency": 20,
    "timeout_sec": 120,
    "max_instances": 10,
}
"""Functions that only call Storage and Firestore."""

# A secret is named only where it is needed: the CLI would ask every deployment for its value.
GENERATOR_SECRETS: Final = [] if GENERATOR.value == "template" else [params.SecretParam("GENERATOR_API_KEY")]
"""The key of the generator's endpoint."""
DRIVE_SECRETS: Final = [params.SecretParam("GOOGLE_CLIENT_SECRET")] if GOOGLE_CLIENT_ID.value.strip() else []
"""What this app shows Google for a user's permission."""

TASK_WORK: Final[dict[str, Any]] = {
    "region": REGION,
    "memory": 512,
    "cpu": 1,
    "concurrency": 8,
    # Longer than a generator is waited for, and as long as its task may take.
    "timeout_sec": 330,
    "max_instances": GENERATE_MAX_INSTANCES,
    # Past the time that the claim of a worker that died stands.
    "retry_config": RetryConfig(max_attempts=12, min_backoff_seconds=5, max_backoff_seconds=120, max_doublings=5),
    "rate_limits": RateLimits(max_concurrent_dispatches=80, max_dispatches_per_second=50),
    "secrets": GENERATOR_SECRETS,
}
"""Work that a queue hands out."""

ROUND_WORK: Final[dict[str, Any]] = LIGHT_WORK | {
    "concurrency": 1,
    "max_instances": 1,
    # The next minute has a round of its own.
    "retry_config": RetryConfig(max_attempts=1),
    "rate_limits": RateLimits(max_concurrent_dispatches=1),
}
"""The roll-up's round in the middle of a minute, which the round before puts into a queue."""

WEB_WORK: Final[dict[str, Any]] = {
    "region": REGION,
    "memory": 512,
    "cpu": 1,
    # As many as an instance has threads: one more would wait behind requests that wait for a generation.
    "concurrency": THREADS,
    "timeout_sec": 120,
    "max_instances": API_MAX_INSTANCES,
    # Anybody may knock: the API itself asks who it is.
    "invoker": "public",
    # It reckons what a generator may cost, and never asks one; it completes links to Google Drive.
    "secrets": [*GENERATOR_SECRETS, *DRIVE_SECRETS],
}
"""The function that clients call."""
UPLOAD_WORK: Final[dict[str, Any]] = LIGHT_WORK | {
    # An upload of the largest size and its packed bytes, twice.
    "memory": 1024,
    "concurrency": 2,
    "timeout_sec": 300,
}
"""Functions that read whole uploads."""

ASSET_WORK: Final[dict[str, Any]] = {
    "region": REGION,
    "memory": 512,
    "cpu": 1,
    "concurrency": 8,
    # The second pass of a purge comes when no answer can be under way any more.
    "timeout_sec": ORIGIN_TIMEOUT_SECONDS,
    "max_instances": ASSETS_MAX_INSTANCES,
    "invoker": "public",
    "secrets": ["ASSETS_SIGNING_KEY"] if ASSETS_SIGNED.value else [],
}
"""The origin: anybody may ask for what is published."""

CDN_WORK: Final[dict[str, Any]] = LIGHT_WORK | {
    "concurrency": 1,
    "timeout_sec": 300,
    "max_instances": 3,
    # Read while the code is loaded, as the accounts are: a secret that is declared must exist.
    "secrets": cdn_secrets(DEFAULT_CDN.value, CDN_SECRETS.value),
}
"""Functions that ask the network in front, and alone hold its secrets."""

BATCH_WORK: Final[dict[str, Any]] = {
    "region": REGION,
    "memory": MEDIA_MEMORY_MIB,
    "cpu": MEDIA_CPU,
    "concurrency": 1,
    "timeout_sec": 540,
    # Pages of one job follow each other; a second instance serves a second job.
    "max_instances": 4,
}
"""Jobs: long, one page of work per message."""

ERASE_WORK: Final[dict[str, Any]] = BATCH_WORK | {"secrets": DRIVE_SECRETS}
"""What erases a user takes back the user's permission at Google, too."""

DRIVE_WORK: Final[dict[str, Any]] = LIGHT_WORK | {
    # One piece of an upload for each, and what Python makes of it on its way.
    "concurrency": 4,
    "timeout_sec": 300,
    "max_instances": 5,
    "secrets": DRIVE_SECRETS,
}
"""Functions that talk to Google for users."""


def check_settings(environment: Mapping[str, str] | None = None) -> None:
    """Refuses settings that cannot work while the code is loaded, before any event comes; each by its variable's name.

    Code that is loaded outside any project, to be read or to be tried, is not checked.
    """
    variables = os.environ if environment is None else environment
    if not names_a_project(variables):
        return
    settings = read_settings(variables)
    # What these two need is imported only where somebody has set them: a cold start waits for every import.
    if settings.plan_overrides:
        from afterimage.media.plan import PlanError, options_for

        try:
            for family in Family:
                options_for(family, settings.plan_overrides)
        except PlanError as error:
            raise SettingsError(str(error)) from error
    if settings.cdn_provider:
        from afterimage.edges.cdn.providers import provider_from

        provider_from(variables, with_secrets=False)
