"""Owns patterns over text that anybody may send: RE2's, whose time grows with the text alone, whatever the pattern."""

from __future__ import annotations

from collections.abc import Mapping

import re2


class PatternError(Exception):
    """The pattern cannot be compiled; the message says why."""


class LinearPattern:
    """One compiled pattern. A dot is any character, line breaks too."""

    __slots__ = ("_compiled",)

    def __init__(self, pattern: str, *, ignore_case: bool = False) -> None:
        options = re2.Options()
        options.log_errors = False
        options.dot_nl = True
        options.case_sensitive = not ignore_case
        try:
            self._compiled = re2.compile(pattern, options=options)
        except UnicodeEncodeError:
            raise PatternError("it is not valid Unicode") from None
        except re2.error as error:
            raise PatternError(error.args[0].decode(errors="replace")) from None

    def covers(self, text: str) -> bool:
        """Whether the pattern matches the whole text. Text that is not valid Unicode matches nothing."""
        try:
            return self._compiled.fullmatch(text) is not None
        except UnicodeEncodeError:
            return False

    def captures(self, text: str, *, anywhere: bool = False) -> Mapping[str, str | None] | None:
        """The groups of a match of the whole text, or of a part of it, by number (`0` is all of it) and by name."""
        try:
            found = self._compiled.search(text) if anywhere else self._compiled.fullmatch(text)
        except UnicodeEncodeError:
            return None
        if found is None:
            return None
        numbered = {str(number): found.group(number) for number in range(len(found.groups()) + 1)}
        return {**numbered, **found.groupdict()}
