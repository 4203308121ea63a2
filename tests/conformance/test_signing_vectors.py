"""The published vectors of V4 signing, as the pinned client's source distribution carries them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from afterimage_emulator.storage.signing.canonical import SignedRequest, canonical_request, read_query
from afterimage_emulator.storage.signing.policies import read_policy
from afterimage_emulator.wire.http_messages import Headers
from tests.conformance.harness import unpack

pytestmark = pytest.mark.conformance


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = unpack("google-cloud-storage", tmp_path_factory.mktemp("sdk"))
    text = Path(root, "tests/unit/url_signer_v4_test_data.json").read_text("utf-8-sig")
    found: dict[str, Any] = json.loads(text)
    assert (len(found["signingV4Tests"]), len(found["postPolicyV4Tests"])) >= (20, 10)
    return found


def test_canonical_requests_are_those_of_the_vectors(vectors: dict[str, Any]) -> None:
    """Path, query, headers and payload of every published case come out as they were signed, in whatever order."""
    compared = 0
    for vector in vectors["signingV4Tests"]:
        expected = vector.get("expectedCanonicalRequest")
        if expected is None:
            continue
        query = expected.split("\n")[2]
        *_, signed_headers, _payload = expected.split("\n")
        place = urlsplit(vector["expectedUrl"])
        request = SignedRequest(
            method=vector["method"],
            path=place.path,
            query=[*reversed(read_query(query)), ("X-Goog-Signature", "00")],
            headers=Headers([*vector.get("headers", {}).items(), ("Host", place.netloc)]),
        )
        made = canonical_request(
            request, signed_headers=signed_headers.split(";"), signature="x-goog-signature", host=place.hostname or ""
        )
        assert made == expected, vector["description"]
        compared += 1
    assert compared >= 15


def test_policies_of_the_vectors_are_read_whole(vectors: dict[str, Any]) -> None:
    """Every condition of every published policy is understood."""
    for vector in vectors["postPolicyV4Tests"]:
        encoded = vector["policyOutput"]["fields"]["policy"]
        document = json.loads(base64.b64decode(encoded))
        policy = read_policy(encoded)
        ranges = [entry for entry in document["conditions"] if isinstance(entry, list) and "length" in entry[0]]
        assert len(policy.conditions) == len(document["conditions"]) - len(ranges), vector["description"]
        assert policy.size_range == (tuple(ranges[0][1:]) if ranges else None)
        assert policy.exact("key") == vector["policyInput"]["object"]
