"""Runs google-cloud-storage's own system tests, from its source distribution, against the local storage service.

    python tests/conformance/storage_system_tests.py [--write docs/conformance-storage.md]

Ends with 1 when a test fails whose reason is not written down in `EXPECTED`, or passes although one is.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
CACHE: Final = ROOT / ".venv" / "conformance" / "storage"
# What the tests import beside the client itself; without their dependencies, which the environment has already.
EXTRA: Final = ("google-cloud-kms==3.18.0", "google-cloud-iam==2.26.0", "google-cloud-testutils==1.10.1", "mock==5.2.0")
MODULES: Final = ("test_blob", "test_bucket", "test_client", "test_fileio", "test_transfer_manager")
LEFT_OUT: Final = {
    "test_rapid": "zonal buckets over bidirectional gRPC are not served",
    "test_aco_observability": "looks at the client's own traces, not at the service",
    "test__signing": "signed URLs and POST policies come later",
    "test_hmac_key_metadata": "HMAC keys are not served",
    "test_kms_integration": "needs Cloud KMS",
    "test_notification": "notifications to Pub/Sub topics come later",
}

COMPOSE: Final = "compose comes later"
CONTEXTS: Final = "object contexts are not served"
KEYS: Final = "customer-supplied encryption keys are refused rather than ignored"
RETENTION: Final = "retention and holds come later"
IAM: Final = "IAM policies are not served: every caller of this dialect is an administrator"
SOFT_DELETE: Final = "soft delete is not served: what is deleted is gone"
ACLS: Final = "lists hold what clients put there, without the owner's entries that production adds"
PARTS: Final = "uploads in parts of the XML API are not served; the client's other ways are"
BUCKETS: Final = "this setting of a bucket is not served, and refused rather than ignored"
NETWORK: Final = "wants a public bucket of the real Cloud Storage"
EXPECTED: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "test_blob_compose_new_blob", "test_blob_compose_new_blob_wo_content_type",
            "test_blob_compose_replace_existing_blob", "test_blob_compose_w_generation_match_list",
            "test_blob_compose_w_generation_match_long", "test_blob_compose_w_source_generation_match",
            "test_blob_compose_w_user_project", "test_blob_compose_delete_source_objects",
        ),
        COMPOSE,
    ),
    **dict.fromkeys(
        (
            "test_blob_compose_w_destination_contexts", "test_blob_rewrite_w_destination_contexts",
            "test_blob_contexts", "test_blob_contexts_custom_setter", "test_bucket_copy_blob_w_destination_contexts",
            "test_bucket_list_blobs_w_filter",
        ),
        CONTEXTS,
    ),
    **dict.fromkeys(
        (
            "test_large_file_write_from_stream_w_encryption_key", "test_blob_rewrite_new_blob_add_key",
            "test_blob_rewrite_rotate_key", "test_blob_rewrite_add_key_w_user_project",
            "test_blob_rewrite_rotate_key_w_user_project",
        ),
        KEYS,
    ),
    **dict.fromkeys(
        (
            "test_object_retention_lock", "test_bucket_update_retention_period",
            "test_delete_object_bucket_w_retention_period", "test_blob_w_temporary_hold",
            "test_bucket_lock_retention_policy", "test_bucket_w_default_event_based_hold",
        ),
        RETENTION,
    ),
    **dict.fromkeys(("test_bucket_get_set_iam_policy", "test_bucket_acls_iam_w_user_project"), IAM),
    **dict.fromkeys(("test_blob_acl_upload_predefined", "test_blob_upload_from_string_w_owner"), ACLS),
    **dict.fromkeys(("test_soft_delete_policy", "test_restore_bucket"), SOFT_DELETE),
    **dict.fromkeys(
        (
            "test_upload_chunks_concurrently", "test_upload_chunks_concurrently_with_metadata",
            "test_upload_chunks_concurrently_with_content_encoding",
            "test_upload_chunks_concurrently_with_encryption_key", "test_upload_chunks_concurrently_with_kms",
            "test_upload_chunks_concurrently_with_quoted_blob_names",
        ),
        PARTS,
    ),
    **dict.fromkeys(
        (
            "test_bucket_lifecycle_rules", "test_bucket_move_blob_hns",
            "test_bucket_list_blobs_include_managed_folders",
            "test_new_bucket_with_rpo", "test_new_bucket_with_autoclass", "test_config_autoclass_w_existing_bucket",
            "test_new_bucket_with_hierarchical_namespace", "test_bucket_ip_filter_patch",
            "test_create_bucket_with_encryption_enforcement", "test_bucket_encryption_enforcement_config",
            "test_delete_bucket_encryption_enforcement_config", "test_create_bucket_dual_region",
        ),
        BUCKETS,
    ),
    "test_anonymous_client_access_to_public_bucket": NETWORK,
    "test_get_service_account_email": "there is no service agent whose address could be told",
}  # fmt: skip
"""Why a test does not pass, by its name."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one test."""

    module: str
    name: str
    status: str
    message: str


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", type=Path, help="write the table to this file as well")
    arguments = parser.parse_args()
    version = importlib.metadata.version("google-cloud-storage")
    source = fetched_source(version)
    extra = fetched_extra()
    with running_service() as origin, tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        run_tests(source, extra, origin, report)
        outcomes = read_report(report)
    table = render(version, outcomes)
    print(table)
    if arguments.write:
        arguments.write.write_text(table)
    wrong = surprises(outcomes)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def fetched_source(version: str) -> Path:
    """The unpacked source distribution of the installed version."""
    unpacked = CACHE / f"google_cloud_storage-{version}"
    if not unpacked.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        pip("download", "--no-deps", "--no-binary", "google-cloud-storage", f"google-cloud-storage=={version}")
        with tarfile.open(CACHE / f"google_cloud_storage-{version}.tar.gz") as archive:
            archive.extractall(CACHE, filter="data")
    return unpacked


def fetched_extra() -> Path:
    extra = CACHE / "extra"
    if not extra.is_dir():
        pip("install", "--no-deps", "--target", str(extra), *EXTRA)
    return extra


def pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", *arguments, "-q"], cwd=CACHE, check=True, timeout=300)


@contextmanager
def running_service() -> Iterator[str]:
    """The service in a thread of this process; answers with its address."""
    from emulator.activity import Activity
    from emulator.clock import Clock
    from emulator.events import EventBus
    from emulator.faults import Faults
    from emulator.storage.service import StorageService
    from emulator.wire.server import WireServer

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    with tempfile.TemporaryDirectory() as folder:

        async def start() -> tuple[StorageService, WireServer]:
            clock = Clock()
            bus = EventBus(clock=clock, faults=Faults(), activity=Activity())
            service = StorageService(clock=clock, events=bus, directory=Path(folder))
            server = WireServer(name="storage", http=service.http)
            await server.start()
            return service, server

        service, server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        try:
            yield f"http://127.0.0.1:{server.port}"
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
            asyncio.run_coroutine_threadsafe(service.close(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


def run_tests(source: Path, extra: Path, origin: str, report: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(extra), str(Path(__file__).parent))),
        "STORAGE_EMULATOR_HOST": origin,
        "GOOGLE_CLOUD_PROJECT": "demo-conformance",
        "GOOGLE_CLOUD_TESTS_USER_PROJECT": "demo-conformance",
    }
    # Failing tests retry themselves with growing pauses: two at a time, and nothing without an end.
    command = ["-m", "pytest", "-q", "-n", "2", "-p", "service_account_plugin", "-p", "no:cacheprovider", "--tb=line"]
    tests = [f"tests/system/{module}.py" for module in MODULES]
    subprocess.run(
        [sys.executable, *command, f"--junitxml={report}", *tests],
        cwd=source,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=900,
    )


def read_report(report: Path) -> list[Outcome]:
    outcomes = []
    for case in ElementTree.parse(report).iter("testcase"):
        status, message = "passed", ""
        for child in case:
            if child.tag in ("failure", "error", "skipped"):
                status = "skipped" if child.tag == "skipped" else "failed"
                message = (child.get("message") or "").splitlines()[0] if child.get("message") else ""
        outcomes.append(Outcome(case.get("classname", "").rpartition(".")[2], case.get("name", ""), status, message))
    assert outcomes, "no test ran"
    return outcomes


def surprises(outcomes: list[Outcome]) -> list[str]:
    failed = {outcome.name: outcome.message for outcome in outcomes if outcome.status == "failed"}
    names = {outcome.name for outcome in outcomes}
    return [
        *(f"unexpected failure: {name}: {message}" for name, message in failed.items() if name not in EXPECTED),
        *(f"unexpected success: {name}" for name in EXPECTED if name in names and name not in failed),
    ]


def render(version: str, outcomes: list[Outcome]) -> str:
    """The table of docs/conformance-storage.md."""
    lines = [
        "# Cloud Storage: the official client's own tests",
        "",
        f"google-cloud-storage {version}, its `tests/system` from the source distribution, against the local suite;",
        "written by `tests/conformance/storage_system_tests.py`.",
        "",
        "| tests | passed | failed | skipped by themselves |",
        "|---|---|---|---|",
    ]
    for module in MODULES:
        count = Counter(outcome.status for outcome in outcomes if outcome.module == module)
        lines.append(f"| `{module}` | {count['passed']} | {count['failed']} | {count['skipped']} |")
    total = Counter(outcome.status for outcome in outcomes)
    lines.append(f"| all | {total['passed']} | {total['failed']} | {total['skipped']} |")
    lines += ["", "## What does not pass, and why", "", "| test | why |", "|---|---|"]
    for outcome in outcomes:
        if outcome.status == "failed":
            lines.append(f"| `{outcome.name}` | {EXPECTED.get(outcome.name, 'unexplained')} |")
    lines += ["", "## Skipped by themselves", "", "| test | reason given |", "|---|---|"]
    lines += [f"| `{one.name}` | {one.message} |" for one in outcomes if one.status == "skipped"]
    lines += ["", "## Left out as a whole", "", "| tests | why |", "|---|---|"]
    lines += [f"| `{module}` | {why} |" for module, why in LEFT_OUT.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
