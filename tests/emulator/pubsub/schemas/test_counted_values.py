"""Counting the values of a JSON text that nobody has read yet."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage_emulator.pubsub.schemas.message_json import has_more_values

JSON = st.recursive(
    st.one_of(st.none(), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)


def signs_of(value: object) -> int:
    """Commas between values, and what opens lists and objects."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else max(len(inner), 1) + sum(map(signs_of, inner))


@given(JSON)
def test_commas_within_texts_are_none_between_values(value: object) -> None:
    """Exactly as many as the text has, whatever its strings hold."""
    text, signs = json.dumps(value).encode(), signs_of(value)
    assert not has_more_values(text, signs)
    assert signs == 0 or has_more_values(text, signs - 1)


@pytest.mark.parametrize(
    ("data", "more"),
    [
        (b"[" * 31_000_000, True),
        (b'["' + b"," * 31_000_000 + b'"]', False),
        (b'["' + b'\\",' * 10_000_000, False),
        (b'","' + b'"a"' * 10_000_000 + b"," * 101, True),
        (b'"' + b"," * 101 + b'"' * 40 + b'"' + b'\\"' * 10_000_000, False),
    ],
)
def test_no_text_takes_more_than_one_look(data: bytes, more: bool) -> None:
    """Texts without an end, with quotes in them, or without number: each byte is looked at once, most of them never."""
    assert has_more_values(data, 100) is more
