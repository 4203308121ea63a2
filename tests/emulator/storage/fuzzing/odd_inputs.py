"""Makes odd inputs of good ones, from a seed: bytes, texts and JSON that a parser has to take or to refuse."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

_PIECES: Final = (
    b"", b"\x00", b"\r\n", b"\n", b"--", b"\xff\xfe", b"%", b"&", b"<", b">", b'"', b"'", b"{", b"]", b"=", b";", b":",
    b"-1", b"0", b"18446744073709551616", b"9" * 400, b"1e400", b"*", b"**", b"[", b"\\", b"..", b"/", b"//",
    b"a" * 2000, "\u20ac\U0001f600".encode(), b"\xed\xa0\x80", b"null", b"true", b"&a;", b"bytes=", b"@writer",
    b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"filename*=utf-8''%ff", b"boundary=", b"Content-Type: ", b"${filename}",
)  # fmt: skip
_NUMBERS: Final = ("0", "1", "-1", "007", "+1", "1.0", "x", "", " 1", "\u0663", "9" * 19, "9" * 30, "1e3", "0x1")
_VALUES: Final[Sequence[Any]] = (
    None, True, False, 0, -1, 1.5, 2**63, 10**30, "", "x", "x" * 3000, "\x00", "\ud800", "\u20ac", "a/../b", "//x",
    [], {}, [[]], [{}], [None], {"": None}, {"x": {"x": {"x": []}}}, "true", "1", "2030-01-01", "2030-02-30T00:00:00Z",
)  # fmt: skip


class OddInputs:
    """One seed, one sequence: what fails is made again by the number that the failure names."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def number(self) -> str:
        """What stands where a number is expected."""
        return self.chance.choice(
            ("0", "1", "-1", "007", "+1", "1.0", "x", "", " 1", "٣", "9" * 19, "9" * 30, "1e3", "0x1")
        )

    def altered(self, good: bytes) -> bytes:
        """Cut, doubled, moved, overwritten, or with something put in; now and then as good as it was."""
        for _ in range(self.chance.choice((0, 1, 1, 1, 2, 5))):
            at, other = sorted((self.chance.randrange(len(good) + 1), self.chance.randrange(len(good) + 1)))
            piece = self.chance.choice(_PIECES)
            good = self.chance.choice(
                (
                    good[:at] + good[other:],
                    good[:other] + good[at:],
                    good[:at] + piece + good[at:],
                    good[:at] + piece + good[other:],
                    good[other:] + good[:at],
                    good[:at] + bytes([self.chance.randrange(256)]) + good[at + 1 :],
                )
            )[:200_000]
        return good

    def text(self, good: str) -> str:
        """For a header or a query: no line ends, which HTTP itself would refuse."""
        odd = self.altered(good.encode("utf-8", "surrogatepass")).decode("latin-1")
        return odd.replace("\r", "").replace("\n", "").replace("\x00", "")[:4000]

    def json(self, good: Any) -> Any:
        """A copy in which one to three places hold something else, or are gone, or there is one more."""
        odd = copy.deepcopy(good)
        for _ in range(self.chance.choice((0, 1, 1, 1, 2, 3))):
            odd = self._odd_within(odd)
        return odd

    def json_bytes(self, good: Any) -> bytes:
        """Mostly JSON with an odd value in it, now and then none."""
        written = json.dumps(self.json(good)).encode()
        return self.altered(written) if self.chance.random() < 0.2 else written

    def _odd_within(self, value: Any) -> Any:
        if isinstance(value, dict) and value and self.chance.random() < 0.85:
            key = self.chance.choice(sorted(value))
            return self._odd_key(value, key)
        if isinstance(value, list) and value and self.chance.random() < 0.85:
            at = self.chance.randrange(len(value))
            return [*value[:at], self._odd_within(value[at]), *value[at + 1 :]]
        return copy.deepcopy(self.chance.choice(_VALUES))

    def _odd_key(self, value: dict[str, Any], key: str) -> dict[str, Any]:
        changes: Sequence[Callable[[], Mapping[str, Any]]] = (
            lambda: {**value, key: self._odd_within(value[key])},
            lambda: {**value, key: self._odd_within(value[key])},
            lambda: {name: one for name, one in value.items() if name != key},
            lambda: {**value, self.chance.choice(("", "x", "X" * 300, key.upper())): value[key]},
        )
        return dict(self.chance.choice(changes)())
