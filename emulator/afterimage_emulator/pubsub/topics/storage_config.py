"""What a Cloud Storage subscription may be set to. Pure."""

from __future__ import annotations

import re
from typing import Final

from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.status import Code, StatusError

_DEFAULT_DURATION_SECONDS: Final = 300
_DURATIONS: Final = (60, 600)
_LEAST_BYTES: Final = 1_000
_MOST_BYTES: Final = 10 * 1024**3
_LEAST_MESSAGES: Final = 1_000
FORMAT_PART: Final = re.compile(r"YYYY|YY|MM|DD|hh|mm|ss|T|Z|[-_:/]|\+00:00")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


def checked_storage_config(config: pubsub_v1.CloudStorageConfig, ack_deadline_seconds: int) -> None:
    """Fills in what is left out; `ack_deadline_seconds` is 0 where nobody has set it."""
    if not _BUCKET.fullmatch(config.bucket):
        raise _wrong(f"`bucket` is the name of a bucket without `gs://`, not `{config.bucket[:100]}`")
    if config.WhichOneof("output_format") is None:
        config.text_config.SetInParent()
    if not config.HasField("max_duration"):
        config.max_duration.seconds = _DEFAULT_DURATION_SECONDS
    elif ack_deadline_seconds and config.max_duration.ToNanoseconds() > ack_deadline_seconds * 10**9:
        raise _wrong("`max_duration` is longer than `ack_deadline_seconds`")
    if not _DURATIONS[0] <= config.max_duration.ToNanoseconds() / 1e9 <= _DURATIONS[1]:
        raise _wrong(f"`max_duration` is from {_DURATIONS[0]} to {_DURATIONS[1]} seconds")
    if config.max_bytes and not _LEAST_BYTES <= config.max_bytes <= _MOST_BYTES:
        raise _wrong(f"`max_bytes` is from {_LEAST_BYTES:,} to {_MOST_BYTES:,}")
    if config.max_messages and config.max_messages < _LEAST_MESSAGES:
        raise _wrong(f"`max_messages` is {_LEAST_MESSAGES:,} or more")
    if config.filename_suffix.endswith("/"):
        raise _wrong("`filename_suffix` must not end in `/`")
    if config.filename_datetime_format:
        _check_format(config.filename_datetime_format)
    config.state = pubsub_v1.CloudStorageConfig.ACTIVE


def _check_format(written: str) -> None:
    parts, position = [], 0
    while position < len(written):
        found = FORMAT_PART.match(written, position)
        if found is None:
            raise _wrong(
                f"`filename_datetime_format` has `{written[position : position + 10]}`, which is no part of a time"
            )
        parts.append(found[0])
        position = found.end()
    years = parts.count("YYYY") + parts.count("YY")
    once = all(parts.count(part) == 1 for part in ("MM", "DD", "hh", "mm", "ss"))
    zones = parts.count("Z") + parts.count("+00:00")
    if years != 1 or not once or parts.count("T") > 1 or zones > 1:
        raise _wrong(
            "`filename_datetime_format` has YYYY or YY, MM, DD, hh, mm, ss once each, and T, Z or +00:00 at most once"
        )


def _wrong(message: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, f"`cloud_storage_config`: {message}")
