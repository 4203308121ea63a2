"""The Firebase Security Rules language for Cloud Firestore and Cloud Storage: compiled, decided, explained.

Usable on its own, with the standard library and `google-re2`; it knows no wire, no store and no clock.

    ruleset = compile_ruleset(source, file_name="firestore.rules")       # RulesetRejected carries every issue
    request = FirestoreRequest(method="get", path="users/alice", time=Timestamp.from_seconds(0),
                               auth={"uid": "alice", "token": {}}, resource={"name": "Alice"})
    decision = ruleset.decide(request, MemoryLookup({"users/alice": {"name": "Alice"}}))
    decision.allowed            # True or False; an error never grants
    decision.allow              # the allow statement that granted, with its span; None for a denial
    decision.denial_message     # the official text, as clients receive it
    decision.explain()          # the why, for people: `str()` renders it

Values are plain: None, bool, int, float, str, bytes, list, any Mapping (so documents may convert lazily), and the
classes `Timestamp`, `Duration`, `LatLng`, `Path`, `RuleSet`. Stored documents reach the engine through a
`DocumentLookup`; the writes of one batch or transaction share one `CommitLookups`, which counts and caches for all.
"""

from afterimage_emulator.rules_language.authorizer import Allow, Decision, Ruleset, compile_ruleset
from afterimage_emulator.rules_language.evaluation.lookups import CommitLookups, DocumentLookup, MemoryLookup
from afterimage_emulator.rules_language.evaluation.rule_values import Duration, LatLng, Path, RuleSet, Timestamp
from afterimage_emulator.rules_language.reporting.coverage import Coverage
from afterimage_emulator.rules_language.reporting.explanation import Explanation
from afterimage_emulator.rules_language.requests import (
    Both,
    Either,
    FieldFilter,
    FirestoreRequest,
    ListedQuery,
    StorageRequest,
)
from afterimage_emulator.rules_language.syntax.diagnostics import Issue, RulesetRejected, Severity

__all__ = [
    "Allow",
    "Both",
    "CommitLookups",
    "Coverage",
    "Decision",
    "DocumentLookup",
    "Duration",
    "Either",
    "Explanation",
    "FieldFilter",
    "FirestoreRequest",
    "Issue",
    "LatLng",
    "ListedQuery",
    "MemoryLookup",
    "Path",
    "RuleSet",
    "Ruleset",
    "RulesetRejected",
    "Severity",
    "StorageRequest",
    "Timestamp",
    "compile_ruleset",
]
