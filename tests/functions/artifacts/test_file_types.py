"""Which files are kept: judged by name before any byte travels, by the bytes when they have; never by a claim alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage.artifacts.file_types import JSON, TEXT, TextReader, kept_type, refuse_by_name
from afterimage.artifacts.refusals import RefusalKind, RefusedError

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


def kept(name: str, data: bytes, declared: str = "") -> str:
    reader = TextReader()
    reader.take(data, is_last=True)
    return kept_type(name, declared, data, is_text=reader.is_text)


@pytest.mark.parametrize(
    ("name", "data", "declared", "content_type"),
    [
        ("a.png", PNG, "image/png", "image/png"),
        ("a.PNG", PNG, "", "image/png"),
        ("photo", PNG, "application/octet-stream", "image/png"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "image/jpg", "image/jpeg"),
        ("a.mp4", b"\0\0\0\x18ftypisom", "video/mp4", "video/mp4"),
        ("a.opus", b"OggS" + bytes(22) + b"\1\x13OpusHead", "audio/opus", "audio/opus"),
        ("a.pdf", b"%PDF-1.7", "", "application/pdf"),
        (
            "a.docx",
            b"PK\3\4",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/zip",
        ),
        ("a.json", b'{"a": 1}', "application/json", JSON),
        ("a.py", b"#!/usr/bin/env python\n", "text/x-python", TEXT),
        ("a.html", b"<html></html>", "text/html", TEXT),
        ("a.svg", SVG, "image/svg+xml", TEXT),
        ("Makefile", b"all:\n", "", TEXT),
        ("a.txt", "é\ud7ff\U0001f600".encode(), "text/plain; charset=utf-8", TEXT),
        ("a.txt", b"", "", TEXT),
        ("a.txt", b"curl sends this", "application/x-www-form-urlencoded", TEXT),
    ],
)
def test_what_is_kept_is_kept_under_the_type_of_its_bytes(
    name: str, data: bytes, declared: str, content_type: str
) -> None:
    """Markup as the text that it is; nothing is served as something that a browser would run."""
    refuse_by_name(name, declared)
    assert kept(name, data, declared) == content_type


@pytest.mark.parametrize(
    ("name", "data", "declared"),
    [
        ("a.png", b"text", ""), ("a.png", SVG, "image/svg+xml"), ("a.png", b"GIF89a", "image/png"),
        ("a.txt", PNG, ""), ("a.txt", b"\x7fELF", ""), ("a", b"MZ", ""), ("a.json", b"\0", ""),
        ("a.txt", b"text\0", ""), ("a.txt", b"\xff\xfe", ""), ("a.html", b"<html>\xff", ""), ("a.mp3", b"%PDF-", ""),
        ("a.pdf", b"PK\3\4", ""), ("a.zip", b"%PDF-", ""), ("a.dat", bytes(range(256)), ""),
        ("photo", b"text", "image/png"), ("a.txt", b"RIFF\0\0\0\0WEBP", "text/plain"),
    ],
)  # fmt: skip
def test_what_is_not_what_it_claims_is_refused(name: str, data: bytes, declared: str) -> None:
    """Programs under any name, pictures that are text, texts that are pictures, and bytes that nobody knows."""
    with pytest.raises(RefusedError) as refused:
        kept(name, data, declared)
    assert refused.value.kind is RefusalKind.INVALID_FILE_TYPE


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("run.exe", ""), ("lib.SO", "text/plain"), ("a.jar", ""), ("a.png", "video/mp4"), ("a.mp3", "image/png"),
        ("a.txt", "application/x-msdownload"), ("a.txt", "multipart/form-data; boundary=x"), ("a.png", "image/svg+xml"),
        ("a.txt", "x" * 5000),
    ],
)  # fmt: skip
def test_some_files_are_refused_by_what_is_said_of_them(name: str, declared: str) -> None:
    """Before any byte travels; the refusal is short however long the claim."""
    with pytest.raises(RefusedError) as refused:
        refuse_by_name(name, declared)
    assert refused.value.kind is RefusalKind.INVALID_FILE_TYPE
    assert len(str(refused.value)) < 300


@given(data=st.binary(max_size=200) | st.text(max_size=80).map(str.encode), seed=st.integers(0, 99))
def test_text_is_text_however_it_is_cut(data: bytes, seed: int) -> None:
    """Pieces may part a character anywhere."""
    whole, pieces, dice = TextReader(), TextReader(), random.Random(seed)
    whole.take(data, is_last=True)
    left = data
    while left:
        count = dice.randint(1, 5)
        pieces.take(left[:count])
        left = left[count:]
    pieces.take(b"", is_last=True)
    try:
        is_text = "\0" not in data.decode()
    except UnicodeDecodeError:
        is_text = False
    assert whole.is_text == pieces.is_text == is_text


@given(name=st.text(max_size=40), declared=st.text(max_size=40), data=st.binary(max_size=100))
def test_every_name_and_every_claim_gets_an_answer(name: str, declared: str, data: bytes) -> None:
    """Kept under a type, or refused with the one kind; nothing else ever happens."""
    try:
        refuse_by_name(name, declared)
        found = kept(name, data, declared)
    except RefusedError as refused:
        found = str(refused.kind)
    assert found not in {"text/html", "image/svg+xml", "application/x-executable"}
