"""Rules as they were read: the tree, and the text that its places lead into."""

from __future__ import annotations

from afterimage_emulator.rules_language.syntax.source_span import SourceText
from afterimage_emulator.rules_language.syntax.syntax_tree import RulesFile


class ParsedRules:
    """What reports need of a ruleset; decisions are made by those that compile it."""

    def __init__(self, rules: RulesFile, source: SourceText) -> None:
        self.rules = rules
        self.source = source
