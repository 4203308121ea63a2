"""What can be configured: one typed value, read from the environment once and checked before any work starts.

The names are the deploy parameters of `deployment.py`; the Firebase CLI writes them into each function's environment.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from afterimage.paths import Family

GENERATOR_URLS: Final[Mapping[str, str]] = {
    "template": "",
    "openai": "https://api.openai.com/v1",
    "gemini": "https://generativelanguage.googleapis.com",
}
"""The generators there are, and where each is reached unless it is said otherwise."""
GOOGLE_ADDRESSES: Final[Mapping[str, str]] = {
    "GOOGLE_CONSENT_URL": "https://accounts.google.com/o/oauth2/v2/auth",
    "GOOGLE_OAUTH_URL": "https://oauth2.googleapis.com",
    "GOOGLE_API_URL": "https://www.googleapis.com",
    "CLOUD_KMS_URL": "https://cloudkms.googleapis.com",
}
"""Where Google is asked, unless it is said otherwise."""
KEEP_FINISHED_FOR: Final = timedelta(days=30)
"""The default of how long closed letters and finished jobs can be read."""

STUCK_AFTER: Final = timedelta(minutes=15)
"""The default of how long the worker of a generation may be silent."""


class SettingsError(ValueError):
    """A setting that cannot be used: its name, what it holds, and what to write instead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorSettings:
    """Which generator makes projects, and how it is reached."""

    kind: str = "template"
    model: str = ""
    url: str = ""
    key: str = field(default="", repr=False)
    most_output_tokens: int = 32_000


@dataclass(frozen=True, kw_only=True, slots=True)
class DriveSettings:
    """This app at Google, and what keeps the permissions of its users."""

    client_id: str
    client_secret: str = field(default="", repr=False)
    """Only functions that talk to Google are given it."""
    redirect_uri: str
    """Where Google sends a user back to; exactly as it is registered there."""
    return_url: str = ""
    """The page that completes a link; empty: the callback answers with what the page would need."""
    key: str = ""
    """A key of Cloud KMS by its name, or the path of a key file."""
    consent_url: str
    oauth_url: str
    api_url: str
    kms_url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything the functions can be told."""

    project_id: str
    originals_bucket: str
    derived_bucket: str
    memory_mib: int = 1024
    timeout: timedelta = timedelta(seconds=300)
    event_age_limit: timedelta = timedelta(hours=20)
    platform_retries: bool = True
    keep_finished_for: timedelta = KEEP_FINISHED_FOR
    """How long a closed letter and a finished job stay before a TTL policy may delete them."""
    stuck_after: timedelta = STUCK_AFTER
    """How long nothing may be heard of a generation's worker before it is taken for dead."""
    quota_bytes: int = 5 * 1024**3
    """What a user may keep in saved files, unless an operator has given that user another limit."""
    most_file_bytes: int = 100 * 1024**2
    pack_from_bytes: int = 10 * 1024**2
    """Larger saved files are stored packed, where their type gains by it."""
    quota_alert_topic: str = ""
    """Where it is announced that a user's room is running out; empty: nowhere."""
    budget_alert_topic: str = ""
    """Where it is announced that a user's budget is running out; empty: nowhere."""
    ready_topic: str = ""
    """Where settled objects are announced; empty: nowhere."""
    cdn_provider: str = ""
    """What stands in front of `assets`, as `edges/cdn/providers.py` names it; empty: nothing."""
    cdn_base_url: str = ""
    """Where the world reaches what stands in front of `assets`, without a slash at its end."""
    cdn_keep_for: Mapping[str, timedelta] = field(default_factory=dict)
    """How long caches may keep what is published, by family; `*` for all others."""
    day_limits: Mapping[str, int] = field(default_factory=lambda: read_day_limits({}))
    """What the functions do for one account in a day: `files`, their `bytes` and `pixels`, `documents` booked."""
    audit_rotation_nights: int = 30
    """In how many nights everybody is audited whose books nothing has touched."""
    audit_most_reads: int = 100_000_000
    """What one night's audit reads of the database, at most."""
    anonymous_accounts: int = 20
    """All accounts without a name together have as much as so many."""
    plan_overrides: Mapping[str, Mapping[str, object]]
    """Plan options by family, as `media/plan.py` reads them."""
    allowed_origins: frozenset[str] = frozenset()
    """Origins of the web pages that may call the API."""
    checks_apps: bool = True
    """Whether the API asks for App Check tokens."""
    region: str = "us-central1"
    generate_wait_seconds: int = 10
    """How long a request waits for what it has begun, before it is told that this is under way."""
    generator: GeneratorSettings = GeneratorSettings()
    drive: DriveSettings | None = None
    """None: users cannot link a Google Drive."""


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Reads and checks the settings; raises SettingsError naming the first that cannot be used."""
    variables = os.environ if environment is None else environment
    project_id = _project_id(variables)
    originals = _value(variables, "ORIGINALS_BUCKET") or _default_bucket(variables, project_id)
    derived = _value(variables, "DERIVED_BUCKET") or f"{project_id}-derived"
    if derived == originals:
        raise SettingsError(
            f"DERIVED_BUCKET is `{derived}`, the same as ORIGINALS_BUCKET: derived files would trigger the functions "
            "that make them; name a bucket of their own"
        )
    event_age_limit = timedelta(hours=_whole_number(variables, "EVENT_AGE_LIMIT_HOURS", default=20, least=1))
    keep_days = _whole_number(variables, "KEEP_FINISHED_DAYS", default=KEEP_FINISHED_FOR.days, least=2)
    if timedelta(days=keep_days) <= event_age_limit:
        raise SettingsError(
            f"KEEP_FINISHED_DAYS is `{keep_days}`, no longer than EVENT_AGE_LIMIT_HOURS: a job's message that comes "
            "again would find the job gone and start it anew; keep it longer"
        )
    return Settings(
        project_id=project_id,
        originals_bucket=originals,
        derived_bucket=derived,
        memory_mib=_whole_number(variables, "MEDIA_MEMORY_MIB", default=1024, least=256),
        timeout=timedelta(seconds=_whole_number(variables, "MEDIA_TIMEOUT_SECONDS", default=300, least=10)),
        event_age_limit=event_age_limit,
        platform_retries=_truth(variables, "RETRY_EVENTS", default=True),
        keep_finished_for=timedelta(days=keep_days),
        stuck_after=timedelta(
            minutes=_whole_number(variables, "GENERATION_STUCK_MINUTES", default=STUCK_AFTER.seconds // 60, least=3)
        ),
        quota_bytes=_whole_number(variables, "QUOTA_GB", default=5, least=1) * 1024**3,
        most_file_bytes=_whole_number(variables, "MAX_FILE_SIZE_MB", default=100, least=1) * 1024**2,
        pack_from_bytes=_whole_number(variables, "COMPRESS_FROM_MB", default=10, least=1) * 1024**2,
        quota_alert_topic=_value(variables, "QUOTA_ALERT_TOPIC"),
        budget_alert_topic=_value(variables, "BUDGET_ALERT_TOPIC"),
        ready_topic=_value(variables, "MEDIA_READY_TOPIC"),
        cdn_provider=_value(variables, "DEFAULT_CDN"),
        cdn_base_url=_value(variables, "CDN_BASE_URL").rstrip("/"),
        cdn_keep_for=_keep_for(variables),
        day_limits=read_day_limits(variables),
        audit_rotation_nights=_whole_number(variables, "AUDIT_ROTATION_NIGHTS", default=30, least=1, most=3_650),
        audit_most_reads=_whole_number(variables, "AUDIT_MOST_READS", default=100_000_000, least=1_000),
        anonymous_accounts=_whole_number(variables, "DAY_ANONYMOUS_ACCOUNTS", default=20, least=8),
        plan_overrides=_plans(variables),
        allowed_origins=_origins(variables, project_id),
        checks_apps=_checks_apps(variables),
        region=_value(variables, "FUNCTIONS_REGION") or "us-central1",
        generate_wait_seconds=_whole_number(variables, "GENERATE_WAIT_SECONDS", default=10, least=0, most=100),
        generator=_generator(variables),
        drive=_drive(variables),
    )


def read_day_limits(variables: Mapping[str, str]) -> dict[str, int]:
    """What one account has for a day."""
    return {
        "files": _whole_number(variables, "DAY_FILES", default=1_000, least=1),
        "bytes": _whole_number(variables, "DAY_MEGABYTES", default=2_000, least=1) * 1_000_000,
        "pixels": _whole_number(variables, "DAY_MEGAPIXELS", default=4_000, least=1) * 1_000_000,
        "documents": _whole_number(variables, "DAY_DOCUMENTS", default=20_000, least=1),
    }


def names_a_project(variables: Mapping[str, str]) -> bool:
    return bool(_named_project(variables))


def _project_id(variables: Mapping[str, str]) -> str:
    found = _named_project(variables)
    if not found:
        raise SettingsError("no project: set GCLOUD_PROJECT, or projectId in FIREBASE_CONFIG")
    return str(found)


def _named_project(variables: Mapping[str, str]) -> object:
    return (
        variables.get("GCLOUD_PROJECT")
        or variables.get("GOOGLE_CLOUD_PROJECT")
        or _firebase_config(variables).get("projectId")
    )


def _default_bucket(variables: Mapping[str, str], project_id: str) -> str:
    return str(_firebase_config(variables).get("storageBucket") or f"{project_id}.firebasestorage.app")


def _firebase_config(variables: Mapping[str, str]) -> Mapping[str, object]:
    text = variables.get("FIREBASE_CONFIG", "")
    if not text.startswith("{"):
        return {}
    try:
        config = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"FIREBASE_CONFIG `{text}` is not JSON: {error}") from error
    return config if isinstance(config, dict) else {}


def _origins(variables: Mapping[str, str], project_id: str) -> frozenset[str]:
    """As they are written; where none is, those that Firebase Hosting serves the project's own page on."""
    written = [origin.strip().rstrip("/") for origin in _value(variables, "API_ALLOWED_ORIGINS").split(",")]
    origins = [origin for origin in written if origin]
    for origin in origins:
        if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?", origin):
            raise SettingsError(
                f"API_ALLOWED_ORIGINS holds `{origin}`; write origins with commas between them, such as "
                "`https://example.com`"
            )
    return frozenset(origins or (f"https://{project_id}.web.app", f"https://{project_id}.firebaseapp.com"))


def _generator(variables: Mapping[str, str]) -> GeneratorSettings:
    kind = _value(variables, "GENERATOR").lower() or "template"
    if kind not in GENERATOR_URLS:
        raise SettingsError(f"GENERATOR is `{kind}`; it must be one of {', '.join(sorted(GENERATOR_URLS))}")
    found = GeneratorSettings(
        kind=kind,
        model=_value(variables, "GENERATOR_MODEL"),
        url=(_value(variables, "GENERATOR_URL") or GENERATOR_URLS[kind]).rstrip("/"),
        key=_value(variables, "GENERATOR_API_KEY"),
        most_output_tokens=_whole_number(variables, "GENERATE_MOST_TOKENS", default=32_000, least=256),
    )
    if kind != "template" and not (found.model and found.key):
        raise SettingsError(f"GENERATOR is `{kind}`: name its model in GENERATOR_MODEL, its key in GENERATOR_API_KEY")
    local = re.match(r"http://(localhost|127\.0\.0\.1)(:|/|$)", found.url)
    if found.url and not found.url.startswith("https://") and not local:
        raise SettingsError(f"GENERATOR_URL is `{found.url}`; a key goes out over `https://` alone")
    return found


def _drive(variables: Mapping[str, str]) -> DriveSettings | None:
    client = _value(variables, "GOOGLE_CLIENT_ID")
    if not client:
        return None
    key, back = _value(variables, "DRIVE_KEY"), _value(variables, "GOOGLE_REDIRECT_URI")
    if not key or not back:
        raise SettingsError(
            "GOOGLE_CLIENT_ID is set: name what keeps permissions in DRIVE_KEY (a key of Cloud KMS, or a key file), "
            "and the callback's address in GOOGLE_REDIRECT_URI"
        )
    google = {name: _secure_address(variables, name, default).rstrip("/") for name, default in GOOGLE_ADDRESSES.items()}
    return DriveSettings(
        client_id=client,
        client_secret=_value(variables, "GOOGLE_CLIENT_SECRET"),
        redirect_uri=_secure_address(variables, "GOOGLE_REDIRECT_URI"),
        return_url=_secure_address(variables, "DRIVE_RETURN_URL"),
        key=key,
        consent_url=google["GOOGLE_CONSENT_URL"],
        oauth_url=google["GOOGLE_OAUTH_URL"],
        api_url=google["GOOGLE_API_URL"],
        kms_url=google["CLOUD_KMS_URL"],
    )


def _secure_address(variables: Mapping[str, str], name: str, default: str = "") -> str:
    """An address that tokens may go to: over TLS, or on this machine."""
    written = _value(variables, name) or default
    if written and not re.fullmatch(r"(https://|http://(localhost|127\.0\.0\.1)(?=[:/]|$))[^\s#]*", written):
        raise SettingsError(
            f"{name} is `{written[:200]}`; write `https://…` without a `#`; `http://` on localhost alone"
        )
    return written


def _checks_apps(variables: Mapping[str, str]) -> bool:
    """On where the platform runs the code; off where somebody develops it, unless it is said otherwise."""
    text = _value(variables, "API_APP_CHECK").lower() or "auto"
    if text not in {"auto", "on", "off"}:
        raise SettingsError(f"API_APP_CHECK is `{text}`; it must be `auto`, `on` or `off`")
    if text == "auto":
        return "K_SERVICE" in variables and variables.get("FUNCTIONS_EMULATOR") != "true"
    return text == "on"


def _value(variables: Mapping[str, str], name: str) -> str:
    """A setting's text; an expression that nobody resolved counts as not set."""
    text = variables.get(name, "").strip()
    return "" if "{{" in text else text


def _whole_number(
    variables: Mapping[str, str], name: str, *, default: int, least: int, most: int = 1_000_000_000
) -> int:
    text = _value(variables, name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 10 or not least <= int(text) <= most:
        bound = f" and at most {most}" if most < 1_000_000_000 else ""
        raise SettingsError(f"{name} is `{text[:40]}`; it must be a whole number of at least {least}{bound}")
    return int(text)


def _truth(variables: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = _value(variables, name).lower()
    if not text:
        return default
    if text not in {"true", "false"}:
        raise SettingsError(f"{name} is `{text}`; it must be `true` or `false`")
    return text == "true"


def _plans(variables: Mapping[str, str]) -> Mapping[str, Mapping[str, object]]:
    text = _value(variables, "MEDIA_PLANS")
    if not text:
        return {}
    try:
        plans = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"MEDIA_PLANS is not JSON: {error}") from error
    if not isinstance(plans, dict) or not all(isinstance(options, dict) for options in plans.values()):
        raise SettingsError('MEDIA_PLANS must be an object of objects, for example {"media": {"avif": true}}')
    return plans


def _keep_for(variables: Mapping[str, str]) -> Mapping[str, timedelta]:
    text = _value(variables, "CDN_TTL_HOURS")
    if not text:
        return {}
    try:
        hours = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"CDN_TTL_HOURS is not JSON: {error}") from error
    if isinstance(hours, int | float):
        hours = {"*": hours}
    known = {"*", *Family}
    if not isinstance(hours, dict) or not set(hours) <= known:
        raise SettingsError(f'CDN_TTL_HOURS must be hours by family, as {{"*": 24}}; families are {", ".join(known)}')
    for family, count in hours.items():
        if isinstance(count, bool) or not isinstance(count, int | float) or not 0 < count <= 8760:
            raise SettingsError(f"CDN_TTL_HOURS gives `{family}` `{count}` hours; it must be more than 0, at most 8760")
    return {str(family): timedelta(hours=count) for family, count in hours.items()}
