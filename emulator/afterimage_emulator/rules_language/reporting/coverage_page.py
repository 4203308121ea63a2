"""The coverage of rulesets as a web page: each line with its count, every expression coloured, its values on hover.

Notes can stand below lines, and a list above the text links to them: so surviving mutants are shown in their place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from afterimage_emulator.rules_language.reporting.coverage import Coverage, ExpressionCoverage

_STYLE = (
    "body{font:14px/1.5 ui-monospace,monospace;margin:2em}h2{font-size:1em}"
    ".line{white-space:pre-wrap;padding-left:11em;text-indent:-11em}.line:target{outline:2px solid #888}"
    ".line a,.line b{display:inline-block;width:5em;text-indent:0;color:#666;font-weight:normal;text-decoration:none}"
    ".never{background:#fdd;color:#111}.partly{background:#ffc;color:#111}.full{background:#dfd;color:#111}"
    ".note{margin-left:11em;border-left:3px solid #c33;padding-left:.5em}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#9cf}}"
)
_LEGEND = (
    'Each line: its number, how often it was evaluated, its text. <span class="never">Never evaluated</span>, '
    '<span class="partly">never true or never false</span>, <span class="full">covered</span>; values on hover.'
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LineNote:
    """A remark on one line of the rules."""

    line: int
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CoveredFile:
    """One file of rules on the page."""

    coverage: Coverage
    notes: Sequence[LineNote] = ()


def coverage_page(files: Sequence[CoveredFile]) -> str:
    """A whole HTML document."""
    body = "".join(_file(file, f"f{number}-L") for number, file in enumerate(files, start=1))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Rules coverage</title>'
        f"<style>{_STYLE}</style><body><p>{_LEGEND}</p>{body}</body></html>"
    )


def _file(file: CoveredFile, anchor: str) -> str:
    coverage = file.coverage
    counts = coverage.line_counts()
    figures = f"expressions {coverage.percent:.1f} %, branches {coverage.branch_percent:.1f} %"
    parts = [f"<h2>{escape(coverage.source.file_name)}: {figures}</h2>"]
    if file.notes:
        links = (f'<li><a href="#{anchor}{note.line}">line {note.line}</a>: {escape(note.text)}' for note in file.notes)
        parts.append(f"<ul>{''.join(links)}</ul>")
    for number, line in enumerate(_lines(coverage), start=1):
        count = f"{counts[number]}×" if number in counts else ""
        name = f"{anchor}{number}"
        parts.append(f'<div class="line" id="{name}"><a href="#{name}">{number}</a><b>{count}</b>{line}\n</div>')
        parts += [f'<div class="note">{escape(note.text)}</div>' for note in file.notes if note.line == number]
    return "".join(parts)


def _lines(coverage: Coverage) -> Iterator[str]:
    """The lines of the text as HTML; an expression over several lines is coloured on each of them."""
    text = coverage.source.text
    entries = coverage.expressions()
    edges = sorted({0, len(text), *(edge for entry in entries for edge in (entry.span.start, entry.span.end))})
    line: list[str] = []
    open_entries: list[ExpressionCoverage] = []
    waiting = iter(entries)
    following = next(waiting, None)
    for start, end in zip(edges, [*edges[1:], len(text)], strict=True):
        while open_entries and open_entries[-1].span.end <= start:
            open_entries.pop()
        while following is not None and following.span.start <= start:
            open_entries.append(following)
            following = next(waiting, None)
        for number, piece in enumerate(text[start:end].split("\n")):
            if number:
                yield "".join(line)
                line.clear()
            if piece:
                line.append(_coloured(piece, open_entries[-1] if open_entries else None))
    yield "".join(line)


def _coloured(piece: str, entry: ExpressionCoverage | None) -> str:
    """A piece of the text in the colour of the innermost expression that it belongs to."""
    if entry is None or not piece.strip():
        return escape(piece)
    return f'<span class="{_colour(entry)}" title="{escape(_values(entry), quote=True)}">{escape(piece)}</span>'


def _colour(entry: ExpressionCoverage) -> str:
    if not entry.count:
        return "never"
    return "partly" if entry.missing_branches else "full"


def _values(entry: ExpressionCoverage) -> str:
    if not entry.count:
        return "never evaluated"
    return "\n".join((entry.text[:200], *(f"{count} × {value}" for value, count in entry.values.items())))
