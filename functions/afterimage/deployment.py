"""What a deployment may choose: the deploy parameters, and the resources of each kind of function, with the reasons.

Every parameter has a default, so that importing the codebase never fails for want of one.
"""

from __future__ import annotations

from typing import Any, Final

from firebase_functions import params

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

LIGHT_WORK: Final[dict[str, Any]] = {
    "region": REGION,
    "memory": 512,
    "cpu": 1,
    "concurrency": 20,
    "timeout_sec": 120,
    "max_instances": 10,
}
"""Functions that only call Storage and Firestore."""

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
