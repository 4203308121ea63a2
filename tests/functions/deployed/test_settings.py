"""Settings: read from the environment, defaulted, and refused with a message that says what to write."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from afterimage.deployment import check_settings
from afterimage.settings import SettingsError, read_settings

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"


def test_defaults_need_nothing_but_a_project() -> None:
    """Deployed or local, the codebase runs with no parameter given."""
    settings = read_settings({"GCLOUD_PROJECT": "demo"})
    assert settings.originals_bucket == "demo.firebasestorage.app"
    assert settings.derived_bucket == "demo-derived"
    assert settings.event_age_limit < timedelta(hours=24), "the last retry must find the event too old"


def test_firebase_config_names_project_and_bucket() -> None:
    """Where only FIREBASE_CONFIG is set, it is enough."""
    settings = read_settings({"FIREBASE_CONFIG": '{"projectId":"p","storageBucket":"p.appspot.com"}'})
    assert (settings.project_id, settings.originals_bucket) == ("p", "p.appspot.com")


def test_an_unresolved_expression_counts_as_not_set() -> None:
    """A runner that does not resolve the defaults of parameters passes their expressions on; they are not buckets."""
    settings = read_settings({"GCLOUD_PROJECT": "p", "DERIVED_BUCKET": "{{ params.GCLOUD_PROJECT }}-derived"})
    assert settings.derived_bucket == "p-derived"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"K_SERVICE": "api"}, True),
        ({"K_SERVICE": "api", "FUNCTIONS_EMULATOR": "true"}, False),
        ({}, False),
        ({"API_APP_CHECK": "on", "FUNCTIONS_EMULATOR": "true"}, True),
        ({"API_APP_CHECK": "Off", "K_SERVICE": "api"}, False),
    ],
)
def test_apps_are_checked_where_the_code_is_deployed_unless_it_is_said_otherwise(
    variables: dict[str, str], expected: bool
) -> None:
    """On in production without a setting, off where somebody develops, and switchable in both."""
    assert read_settings({"GCLOUD_PROJECT": "p", **variables}).checks_apps is expected


def test_the_project_s_own_pages_may_call_the_api_where_no_origin_is_named() -> None:
    """Those of Firebase Hosting; named ones take their place."""
    assert read_settings({"GCLOUD_PROJECT": "p"}).allowed_origins == {"https://p.web.app", "https://p.firebaseapp.com"}
    named = read_settings({"GCLOUD_PROJECT": "p", "API_ALLOWED_ORIGINS": " https://a.example/ ,http://localhost:5000,"})
    assert named.allowed_origins == {"https://a.example", "http://localhost:5000"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "no project"),
        ({"GCLOUD_PROJECT": "p", "DERIVED_BUCKET": "p.firebasestorage.app"}, "name a bucket of their own"),
        ({"GCLOUD_PROJECT": "p", "MEDIA_MEMORY_MIB": "lots"}, "MEDIA_MEMORY_MIB is `lots`"),
        ({"GCLOUD_PROJECT": "p", "MEDIA_MEMORY_MIB": "64"}, "at least 256"),
        ({"GCLOUD_PROJECT": "p", "RETRY_EVENTS": "yes"}, "`true` or `false`"),
        ({"GCLOUD_PROJECT": "p", "KEEP_FINISHED_DAYS": "1"}, "at least 2"),
        ({"GCLOUD_PROJECT": "p", "KEEP_FINISHED_DAYS": "2", "EVENT_AGE_LIMIT_HOURS": "48"}, "keep it longer"),
        ({"GCLOUD_PROJECT": "p", "MEDIA_PLANS": "{"}, "not JSON"),
        ({"GCLOUD_PROJECT": "p", "MEDIA_PLANS": "[1]"}, "an object of objects"),
        ({"GCLOUD_PROJECT": "p", "FIREBASE_CONFIG": "{oops"}, "FIREBASE_CONFIG"),
        ({"GCLOUD_PROJECT": "p", "API_APP_CHECK": "maybe"}, "`auto`, `on` or `off`"),
        ({"GCLOUD_PROJECT": "p", "API_ALLOWED_ORIGINS": "*"}, "API_ALLOWED_ORIGINS holds `\\*`"),
        ({"GCLOUD_PROJECT": "p", "API_ALLOWED_ORIGINS": "https://a.example/page"}, "API_ALLOWED_ORIGINS"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(variables: dict[str, str], said: str) -> None:
    """The message names the setting, what it holds, and the way out."""
    with pytest.raises(SettingsError, match=said):
        read_settings(variables)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DERIVED_BUCKET": "p.firebasestorage.app"}, "DERIVED_BUCKET is `p.firebasestorage.app`"),
        ({"MEDIA_PLANS": '{"pictures": {}}'}, "MEDIA_PLANS names the family `pictures`"),
        ({"MEDIA_PLANS": '{"media": {"thumbnails": [0]}}'}, "MEDIA_PLANS `media.thumbnails` is"),
        ({"DEFAULT_CDN": "akamai"}, "DEFAULT_CDN is `akamai`"),
        ({"DEFAULT_CDN": "cloudflare"}, "which needs `CLOUDFLARE_ZONE_ID`"),
        ({"QUOTA_GB": "0"}, "QUOTA_GB is `0`"),
    ],
)
def test_what_cannot_work_is_refused_when_the_code_is_loaded(variables: dict[str, str], said: str) -> None:
    """Also what only a later event would read; a deployment that cannot work never begins."""
    with pytest.raises(SettingsError, match=said):
        check_settings({"GCLOUD_PROJECT": "p"} | variables)


def test_the_code_does_not_load_with_settings_that_cannot_work() -> None:
    """As the platform loads it; outside any project the same code can be read."""
    load = [sys.executable, "-c", "import main"]
    within = {"PATH": os.environ["PATH"], "GCLOUD_PROJECT": "p", "MEDIA_MEMORY_MIB": "lots"}
    refused = subprocess.run(load, cwd=FUNCTIONS, env=within, capture_output=True, text=True, timeout=120)
    assert refused.returncode != 0
    last = refused.stderr.splitlines()[-1]
    assert "MEDIA_MEMORY_MIB" in last
    outside = {"PATH": os.environ["PATH"], "DERIVED_BUCKET": "x", "ORIGINALS_BUCKET": "x"}
    assert subprocess.run(load, cwd=FUNCTIONS, env=outside, timeout=120).returncode == 0
