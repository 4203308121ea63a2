"""Which rules guard which bucket: compiled on first need, compiled anew when their file or a tool changes them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterimage_emulator.configuration import StorageTarget
from afterimage_emulator.durable.entries import Touch, touch_nothing
from afterimage_emulator.front.rules_gate import Closed, Rules
from afterimage_emulator.rules_files import RulesNotice, WatchedRulesFile, rules_notices
from afterimage_emulator.storage.errors import invalid

_log = logging.getLogger("afterimage_emulator.storage")
_NO_RULESET = Closed("Permission denied. Storage Emulator has no loaded ruleset.")


@dataclass(frozen=True, kw_only=True, slots=True)
class RulesUpdate:
    """What came of new rules; rejected ones change nothing."""

    rejected: bool = False
    errors: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[Mapping[str, object]] = ()


@dataclass(slots=True)
class _Guard:
    """The rules of one bucket, or of all that have none of their own."""

    file: WatchedRulesFile | None = None
    rules: Rules | None = None


class BucketRules:
    """Rules by the bucket that they guard. Without any target everything is allowed."""

    def __init__(self, targets: Sequence[StorageTarget], *, touch: Touch = touch_nothing) -> None:
        self._touch = touch
        self._guards: dict[str | None, _Guard] = {}
        self._files: Sequence[Path] = ()
        self._set_by_tool: dict[str, Any] | None = None
        self.use(targets)

    def use(self, targets: Sequence[StorageTarget]) -> None:
        """The rules files that firebase.json names, each for its bucket."""
        self._guards = {
            target.bucket: _Guard(file=WatchedRulesFile(target.rules, _log, open_while_missing=False))
            for target in targets
            if target.rules is not None
        }
        self._files = [target.rules for target in targets if target.rules is not None]

    def load_changed(self) -> None:
        """Loads every file that is not what it was, so that a broken edit is reported when it is made."""
        for guard in self._guards.values():
            self._current(guard)

    def notices(self) -> list[RulesNotice]:
        """What is to be said of the files at the start."""
        files = {
            "storage" if bucket is None else f"the bucket `{bucket}`": guard.file
            for bucket, guard in self._guards.items()
        }
        return rules_notices("storage", files or {"storage": None})

    def in_force(self, bucket: str) -> Rules | Closed | None:
        """What guards the bucket: as the gate asks."""
        if not self._guards:
            return None
        guard = self._guards.get(bucket) or self._guards.get(None)
        rules = None if guard is None else self._current(guard)
        return _NO_RULESET if rules is None else rules

    def covered(self) -> list[dict[str, object]]:
        """All rules in force, with what each expression came to."""
        found: list[dict[str, object]] = []
        for bucket, guard in self._guards.items():
            rules = self._current(guard)
            if rules is not None and rules.coverage is not None:
                found.append({"place": bucket or "every bucket", **rules.coverage.heat()})
        return found

    def set_rules(self, sources: Mapping[str | None, tuple[str, str]]) -> RulesUpdate:
        """Replaces all rules by (file name, source) for each bucket; None guards the buckets not named."""
        compiled: dict[str | None, _Guard] = {}
        errors: list[Mapping[str, Any]] = []
        warnings: list[Mapping[str, object]] = []
        for bucket, (file_name, source) in sources.items():
            rules, issues = _compile(source, file_name)
            for issue in issues:
                (errors if issue["severity"] == "ERROR" else warnings).append(issue)
            compiled[bucket] = _Guard(rules=rules)
        if errors:
            return RulesUpdate(rejected=True, errors=errors, warnings=warnings)
        self._guards = compiled
        self._set_by_tool = {"sources": [[bucket, *one] for bucket, one in sources.items()], "files": self._digest()}
        self._touch("rules/")
        return RulesUpdate(warnings=warnings)

    def set_rules_from_json(self, body: object) -> RulesUpdate:
        """The body of PUT /internal/setRules: one file for every bucket, or several that name theirs in `resource`."""
        files = body.get("rules", {}).get("files") if isinstance(body, dict) and _is_object(body.get("rules")) else None
        if not isinstance(files, list) or not files or not all(_is_object(file) for file in files):
            raise invalid("Request body must include 'rules.files' array")
        sources: dict[str | None, tuple[str, str]] = {}
        for file in files:
            content, resource = file.get("content"), file.get("resource")
            if not isinstance(content, str) or not (resource is None or isinstance(resource, str)):
                raise invalid("Each member of 'rules.files' array must contain 'name' and 'content'")
            if resource is None and len(files) > 1:
                raise invalid("Each member of 'rules.files' array must contain 'resource' if there are several")
            sources[resource] = (str(file.get("name", "storage.rules")), content)
        return self.set_rules(sources)

    def set_by_tool(self) -> dict[str, Any] | None:
        """What `restore` takes; None where firebase.json says which rules there are."""
        return self._set_by_tool

    def restore(self, said: Mapping[str, Any]) -> None:
        """Rules that a tool set in an earlier run; they give way once somebody has edited those of firebase.json."""
        if said["files"] != self._digest():
            _log.info("the rules of firebase.json are in force, which were edited after a tool had set others")
            self._touch("rules/")
            return
        _log.warning("rules that a tool had set are in force again; edit those of firebase.json to have these")
        self.set_rules({bucket: (file_name, source) for bucket, file_name, source in said["sources"]})

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for file in self._files:
            digest.update(file.read_bytes() if file.is_file() else b"\0")
        return digest.hexdigest()

    def _current(self, guard: _Guard) -> Rules | None:
        """Reads the file again when it has changed; rules that do not compile leave the last good ones in force."""
        source = None if guard.file is None else guard.file.changed_source()
        if guard.file is not None and source is not None:
            rules, issues = _compile(source, guard.file.path.name)
            guard.file.report(issues)
            guard.rules = rules or guard.rules
        return guard.rules


def _compile(source: str, file_name: str) -> tuple[Rules | None, list[Mapping[str, object]]]:
    # Imported on first need: a suite without storage rules starts without the compiler.
    from afterimage_emulator.rules_language import Coverage, RulesetRejected, compile_ruleset

    try:
        ruleset = compile_ruleset(source, file_name=file_name)
    except RulesetRejected as rejected:
        return None, [issue.to_json() for issue in rejected.issues]
    return Rules(ruleset, Coverage(ruleset)), [issue.to_json() for issue in ruleset.issues]


def _is_object(value: object) -> bool:
    return isinstance(value, dict)
