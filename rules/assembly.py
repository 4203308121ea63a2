"""Assembly: one ruleset per service from one version of each of its areas; pure, and the same text every time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from afterimage_emulator.rules_language import Ruleset, RulesetRejected, compile_ruleset
from afterimage_emulator.rules_language.syntax.syntax_tree import Match, Segment
from rules.areas import SERVICES, AreaError, AreaVersion

ROOT_MATCHES: Final = {"firestore": "/databases/{database}/documents", "storage": "/b/{bucket}/o"}
_INDENT: Final = "    "


@dataclass(frozen=True, kw_only=True, slots=True)
class Assembled:
    """The text of one root file, and where each of its lines comes from."""

    service: str
    text: str
    digest: str
    origins: tuple[tuple[AreaVersion, int] | None, ...]
    """By line of the text, from 0: the area's version and its line, from 1."""

    @property
    def file_name(self) -> str:
        return f"{self.service}.rules"

    def origin(self, line: int) -> str:
        """Where a line (from 1) was written: the area's file and line."""
        found = self.origins[line - 1] if 0 < line <= len(self.origins) else None
        return f"{found[0].rules_path}:{found[1]}" if found else f"{self.file_name}:{line}"

    def compiled(self) -> Ruleset:
        """Raises `AreaError` with the place in the areas of everything the compiler refuses or warns of."""
        try:
            ruleset = compile_ruleset(self.text, file_name=self.file_name)
            issues = ruleset.issues
        except RulesetRejected as rejected:
            issues = rejected.issues
        if issues:
            raise AreaError([f"{self.origin(issue.line)}: {issue.description}" for issue in issues])
        return ruleset


def assemble(service: str, versions: Sequence[AreaVersion], *, release: int) -> Assembled:
    """The root file of a service. Areas of functions alone come first, then the others by name."""
    body: list[str] = []
    origins: list[tuple[AreaVersion, int] | None] = []
    for version in sorted(versions, key=lambda version: (version.allows, version.area)):
        body += ["", f"{_INDENT}// --- {version.area} v{version.number}", ""]
        origins += [None, None, None]
        for number, line in enumerate(version.text.rstrip("\n").split("\n"), 1):
            body.append(f"{_INDENT}{line}".rstrip())
            origins.append((version, number))
    opening = ["rules_version = '2';", "", f"service {SERVICES[service]} {{", f"  match {ROOT_MATCHES[service]} {{"]
    lines = [*opening, *body[1:], "  }", "}", ""]
    places = [*([None] * len(opening)), *origins[1:], None, None, None]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    state = f"release {release}" if release else "not released"
    header = [
        "// Assembled by `python -m rules assemble` from rules/: edit there, never here.",
        f"// {state}, sha256 {digest} of what follows this header",
        "",
    ]
    return Assembled(
        service=service,
        text="\n".join([*header, *lines]),
        digest=digest,
        origins=(*([None] * len(header)), *places),
    )


def overlap_problems(assembled: Assembled, ruleset: Ruleset) -> list[str]:
    """Paths that two areas claim without either saying so: then neither could be read alone."""
    claims = list(_claims(assembled, ruleset))
    problems: list[str] = []
    for index, (area, pattern, line) in enumerate(claims):
        for other, other_pattern, other_line in claims[:index]:
            declared = area.declared_overlaps | other.declared_overlaps
            if area.area == other.area or {area.area, other.area} & declared:
                continue
            if overlap(pattern, other_pattern):
                problems.append(
                    f"{assembled.origin(line)}: `{shown(pattern)}` is claimed by {assembled.origin(other_line)} too, "
                    f"as `{shown(other_pattern)}`; keep it in one area, or say `// overlaps: {other.area}`"
                )
    return problems


def stray_problems(assembled: Assembled, ruleset: Ruleset) -> list[str]:
    """A brace too many closes what all areas share: then what follows would stand outside."""
    (service,) = ruleset.rules.services
    starts = [match.span.start for match in service.matches[1:]]
    starts += [function.span.start for function in (*ruleset.rules.functions, *service.functions)]
    return [
        f"{assembled.origin(ruleset.source.position(start).line)}: stands outside the root match; "
        "a brace above it is one too many"
        for start in sorted(starts)
    ]


def _claims(assembled: Assembled, ruleset: Ruleset) -> list[tuple[AreaVersion, tuple[Segment, ...], int]]:
    found: list[tuple[AreaVersion, tuple[Segment, ...], int]] = []
    waiting: list[tuple[Match, tuple[Segment, ...]]] = [(ruleset.rules.services[0].matches[0], ())]
    while waiting:
        match, around = waiting.pop()
        pattern = (*around, *match.segments)
        line = ruleset.source.position(match.span.start).line
        place = assembled.origins[line - 1]
        if match.allows and place is not None:
            found.append((place[0], pattern, line))
        waiting += [(inner, pattern) for inner in match.matches]
    return sorted(found, key=lambda claim: claim[2])


def overlap(left: Sequence[Segment], right: Sequence[Segment]) -> bool:
    """Whether some path matches both patterns."""
    if not left or not right:
        return all(segment.is_glob for segment in (*left, *right))
    if left[0].is_glob:
        return overlap(left[1:], right) or overlap(left, right[1:])
    if right[0].is_glob:
        return overlap(right, left)
    if not left[0].is_capture and not right[0].is_capture and left[0].text != right[0].text:
        return False
    return overlap(left[1:], right[1:])


def shown(pattern: Sequence[Segment]) -> str:
    parts = [
        f"{{{segment.text}{'=**' if segment.is_glob else ''}}}"
        if segment.is_capture or segment.is_glob
        else segment.text
        for segment in pattern
    ]
    return "/" + "/".join(parts)
