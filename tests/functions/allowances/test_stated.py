"""The bill that docs/deploy.md states is the one that the settings come to."""

from __future__ import annotations

from pathlib import Path

from afterimage.jobs.estimate import worst_day_microdollars
from afterimage.settings import read_settings

DEPLOYING = Path(__file__).resolve().parents[3] / "docs/deploy.md"


def test_what_a_day_of_one_account_can_cost_is_what_the_page_says() -> None:
    """At the defaults, for one account and for all without a name together; and no default is missing."""
    settings = read_settings({"GCLOUD_PROJECT": "p"})
    dollars = worst_day_microdollars(settings.day_limits, settings.memory_mib) / 1e6
    page = DEPLOYING.read_text()
    assert f"costs **${dollars:.2f}** in functions" in page
    assert f"together **${dollars * settings.anonymous_accounts:.2f}**" in page
    limits = settings.day_limits
    assert f"| `DAY_FILES` | {limits['files']:,} files |" in page
    assert f"| `DAY_MEGABYTES` | {limits['bytes'] // 10**6:,} |" in page
    assert f"| `DAY_MEGAPIXELS` | {limits['pixels'] // 10**6:,}, each frame counted |" in page
    assert f"| `DAY_DOCUMENTS` | {limits['documents']:,} events booked |" in page
