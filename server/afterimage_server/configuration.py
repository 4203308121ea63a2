"""What one machine's server can be told: one typed value, read from the environment and checked before anything starts.

What the API itself can be told is read by `afterimage.settings`; here stands what only one machine has.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from afterimage.settings import Settings, SettingsError, read_settings
from afterimage_client.database import StoreKey
from afterimage_client.database.errors import StoreKeyError

NO_PROJECT: Final = "one-machine"
_NEVER_PACKED: Final = 2**62
NOT_USED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("SUPABASE_URL", "SUPABASE_SERVICE_KEY", "SUPABASE_BUCKET"), "the cloud here is Cloud Storage"),
    **dict.fromkeys(
        (
            *("DEFAULT_CDN", "CDN_BASE_URL", "CDN_TTL_HOURS", "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ZONE_ID"),
            *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "VERCEL_TOKEN"),
        ),
        "a network in front fetches from the deployed `assets`, and one machine publishes nothing",
    ),
    **dict.fromkeys(
        ("DERIVED_BUCKET", "MEDIA_PLANS", "MEDIA_READY_TOPIC"), "pictures are derived in the cloud, and none here"
    ),
    **dict.fromkeys(("QUOTA_ALERT_TOPIC", "BUDGET_ALERT_TOPIC"), "there are no topics here: alerts are logged"),
}
"""Names that programs and deployments set and that mean nothing on one machine, with the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerSettings:
    """Everything that one machine's server can be told."""

    api: Settings
    project_id: str = ""
    """The Firebase project whose users may sign in; empty: none."""
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = ""
    """Where clients reach the server, which local addresses begin with; empty: where it listens."""
    threads: int = 8
    folder: Path = Path("local_storage")
    most_bytes: int = 5 * 1024**3
    key: StoreKey | None = field(default=None, repr=False)
    cache_folder: Path = Path("storage/cache")
    cache_for: timedelta = timedelta(hours=24)
    cleans_up: bool = True
    cleanup_after: timedelta = timedelta(days=30)
    """How old bytes are that are let go of, where the cloud has them too."""
    uses_cloud: bool = False
    log_folder: Path | None = None
    is_debug: bool = False
    takes_unsigned_tokens: bool = False
    """Whether an Auth emulator is asked for in place of Firebase: its tokens are signed by nobody."""
    unused: Mapping[str, str] = field(default_factory=dict)
    """Names that are set and mean nothing here, with the reason."""

    @property
    def is_loopback(self) -> bool:
        return self.host in {"127.0.0.1", "::1", "localhost"}


def read_server_settings(environment: Mapping[str, str] | None = None) -> ServerSettings:
    """Reads and checks the settings; raises SettingsError naming the first that cannot be used."""
    variables = dict(os.environ if environment is None else environment)
    project = variables.get("GCLOUD_PROJECT") or variables.get("GOOGLE_CLOUD_PROJECT") or ""
    if variables.get("FIREBASE_STORAGE_BUCKET"):
        variables.setdefault("ORIGINALS_BUCKET", variables["FIREBASE_STORAGE_BUCKET"])
    gigabytes = _number(variables, "MAX_LOCAL_STORAGE_GB", 5.0, least=0.001)
    most_bytes = int(gigabytes * 1024**3)
    api = read_settings({"GCLOUD_PROJECT": project or NO_PROJECT, "API_APP_CHECK": "off", **variables})
    # No network in front: what would be published for one is refused, as wherever there is none.
    api = replace(api, cdn_provider="", cdn_base_url="")
    if not variables.get("COMPRESS_FROM_MB", "").strip() and api.drive is None:
        # The folder packs by itself, after a save was answered; what goes to a Drive is packed as it is saved.
        api = replace(api, pack_from_bytes=_NEVER_PACKED)
    if not variables.get("QUOTA_GB"):
        api = replace(api, quota_bytes=most_bytes)
    uses_cloud = _truth(variables, "USE_CLOUD_STORAGE", default=False)
    _refuse_what_is_not_installed(variables, project, uses_cloud=uses_cloud)
    if uses_cloud and not project:
        raise SettingsError("USE_CLOUD_STORAGE is `true` and there is no project: name it in GCLOUD_PROJECT")
    return ServerSettings(
        api=api,
        project_id=project,
        host=variables.get("SERVER_HOST", "").strip() or "127.0.0.1",
        port=int(_number(variables, "SERVER_PORT", 8000, least=0, most=65_535)),
        public_url=_address(variables),
        threads=int(_number(variables, "THREADS", 8, least=1, most=256)),
        folder=Path(variables.get("LOCAL_STORAGE_PATH", "") or "local_storage"),
        most_bytes=most_bytes,
        key=_key(variables),
        cache_folder=Path(variables.get("CACHE_PATH", "") or "storage/cache"),
        cache_for=timedelta(hours=_number(variables, "CACHE_TTL_HOURS", 24, least=0.01)),
        cleans_up=_truth(variables, "AUTO_CLEANUP_ENABLED", default=True),
        cleanup_after=timedelta(days=_number(variables, "CLEANUP_AFTER_DAYS", 30, least=1)),
        uses_cloud=uses_cloud,
        log_folder=Path(variables["LOG_PATH"]) if variables.get("LOG_PATH") else None,
        is_debug=_truth(variables, "DEBUG", default=False),
        takes_unsigned_tokens=bool(project and variables.get("FIREBASE_AUTH_EMULATOR_HOST")),
        unused={name: why for name, why in NOT_USED.items() if variables.get(name)},
    )


def _refuse_what_is_not_installed(variables: Mapping[str, str], project: str, *, uses_cloud: bool) -> None:
    has_kms = bool(variables.get("GOOGLE_CLIENT_ID")) and variables.get("DRIVE_KEY", "").startswith("projects/")
    for wants, name, why in (
        (bool(project), "firebase_admin", f"GCLOUD_PROJECT is `{project}`"),
        (uses_cloud, "google.cloud.storage", "USE_CLOUD_STORAGE is `true`"),
        (has_kms, "google.auth", "DRIVE_KEY names a key of Cloud KMS"),
    ):
        if wants and not is_installed(name):
            raise SettingsError(f"{why}, and `{name}` is not installed: `pip install './server[cloud]'`")


def is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _key(variables: Mapping[str, str]) -> StoreKey | None:
    path, passphrase = variables.get("LOCAL_STORAGE_KEY_FILE", ""), variables.get("LOCAL_STORAGE_PASSPHRASE", "")
    if path and passphrase:
        raise SettingsError("LOCAL_STORAGE_KEY_FILE and LOCAL_STORAGE_PASSPHRASE are both set: give one of them")
    if passphrase:
        return StoreKey.of_passphrase(passphrase)
    if not path:
        return None
    try:
        return StoreKey.of_bytes(bytes.fromhex(Path(path).read_text(encoding="ascii").strip()))
    except (OSError, ValueError, StoreKeyError) as error:
        raise SettingsError(
            f"LOCAL_STORAGE_KEY_FILE is `{path}`, which holds no key: make one with `python -m afterimage_server key`"
        ) from error


def _address(variables: Mapping[str, str]) -> str:
    text = variables.get("PUBLIC_URL", "").strip().rstrip("/")
    if text and not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*", text):
        raise SettingsError(f"PUBLIC_URL is `{text[:80]}`; write it as `https://files.example.com`")
    return text


def _number(variables: Mapping[str, str], name: str, default: float, *, least: float, most: float = 1_000_000) -> float:
    text = variables.get(name, "").strip()
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text) or not least <= float(text) <= most:
        raise SettingsError(f"{name} is `{text[:40]}`; it must be a number from {least:g} to {most:g}")
    return float(text)


def _truth(variables: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = variables.get(name, "").strip().lower()
    if text not in {"", "true", "false"}:
        raise SettingsError(f"{name} is `{text[:40]}`; it must be `true` or `false`")
    return text == "true" if text else default
