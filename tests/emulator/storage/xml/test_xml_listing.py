"""Listings of the XML API, page by page, as S3 clients read them."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
import requests
from google.cloud import storage

from tests.emulator.storage.conftest import RunningStorage

NAMES = ["a", "b/1", "b/2", "b/ü", "c & d", "e/1", "z"]


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_pages_together_name_everything_once(
    running: RunningStorage, bucket: storage.Bucket, version: str, size: int, delimiter: str
) -> None:
    """Whatever the size of a page, no name is left out and none comes twice."""
    for name in NAMES:
        bucket.blob(name).upload_from_string("x")
    found: list[str] = []
    further = ""
    for _ in range(20):
        query = f"list-type={version}&max-keys={size}&delimiter={delimiter}{further}"
        text = requests.get(f"{running.origin}/{bucket.name}?{query}", timeout=30).text
        found += re.findall("<(?:Key|CommonPrefixes><Prefix)>(.*?)<", text)
        if "<IsTruncated>false<" in text:
            break
        [token] = re.findall("<Next(?:Marker|ContinuationToken)>(.*?)<", text)
        token = quote(token.replace("&amp;", "&"), safe="")
        further = f"&marker={token}" if version == "1" else f"&continuation-token={token}"
    expected = ["a", "b/", "c &amp; d", "e/", "z"] if delimiter else [name.replace("&", "&amp;") for name in NAMES]
    assert sorted(found) == sorted(expected)


def test_a_bucket_that_does_not_exist_is_named_so(running: RunningStorage, bucket_name: str) -> None:
    """404 NoSuchBucket, not an empty listing."""
    answer = requests.get(f"{running.origin}/{bucket_name}", timeout=30)
    assert (answer.status_code, "<Code>NoSuchBucket</Code>" in answer.text) == (404, True)
