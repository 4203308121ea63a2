"""The coverage of a ruleset as a web page: the rules with every expression coloured, and its values on hover."""

from __future__ import annotations

from html import escape

from afterimage_emulator.rules_language.reporting.coverage import Coverage, ExpressionCoverage

_STYLE = (
    "body{font:14px/1.5 ui-monospace,monospace;margin:2em;white-space:pre-wrap}"
    ".never{background:#fdd}.partly{background:#ffc}.full{background:#dfd}"
)


def coverage_page(coverage: Coverage) -> str:
    """A whole HTML document. Red never ran, yellow was never true or never false, green was both or is no condition."""
    text = coverage.source.text
    pieces: list[str] = []
    open_until: list[int] = []
    at = 0
    for entry in coverage.expressions():
        while open_until and open_until[-1] <= entry.span.start:
            at = _close(pieces, text, at, open_until)
        pieces.append(escape(text[at : entry.span.start]))
        pieces.append(f'<span class="{_colour(entry)}" title="{escape(_values(entry), quote=True)}">')
        at = entry.span.start
        open_until.append(entry.span.end)
    while open_until:
        at = _close(pieces, text, at, open_until)
    pieces.append(escape(text[at:]))
    figures = f"expressions {coverage.percent:.1f} %, branches {coverage.branch_percent:.1f} %"
    return (
        f"<!doctype html><meta charset=utf-8><title>Rules coverage</title><style>{_STYLE}</style>"
        f"<body>{figures}\n\n{''.join(pieces)}</body>"
    )


def _close(pieces: list[str], text: str, at: int, open_until: list[int]) -> int:
    end = open_until.pop()
    pieces.append(escape(text[at:end]) + "</span>")
    return end


def _colour(entry: ExpressionCoverage) -> str:
    if not entry.count:
        return "never"
    return "partly" if entry.missing_branches else "full"


def _values(entry: ExpressionCoverage) -> str:
    if not entry.count:
        return "never evaluated"
    return "\n".join(f"{count} × {value}" for value, count in entry.values.items())
