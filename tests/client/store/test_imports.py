"""What a program loads that wants the store or the queue alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"grpc", "httpx2", "google.protobuf", "cryptography"}


@pytest.mark.parametrize("part", ["queue", "store"])
def test_the_local_parts_load_no_connection(part: str) -> None:
    """A server's outbox needs SQLite: neither gRPC nor an HTTP client is imported for it."""
    program = f"import sys, afterimage_client.{part}; print(sorted({HEAVY} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


def test_every_public_name_is_there() -> None:
    """What is loaded late is all there when it is asked for."""
    import afterimage_client

    assert all(getattr(afterimage_client, name) for name in afterimage_client.__all__)
    with pytest.raises(AttributeError, match="has no `nothing`"):
        _ = afterimage_client.nothing
