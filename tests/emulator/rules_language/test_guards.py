"""The engine's own guards are needed: with any one of them changed, some test of this folder fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ENGINE = "emulator/afterimage_emulator/rules_language"

TESTS = ("decisions", "queries", "storage_rules", "expression_corpus", "ruleset_corpus", "bad_input", "properties")

# (module, what stands there, what stands there instead); guards of memory and time are left alone: a machine could not
# bear to be without them
CHANGES = [
    ("authorizer.py", "if value is True or value is False:", "if True:"),
    ("authorizer.py", "            granted = None\n            coverage", "            coverage"),
    ("authorizer.py", "if method in plan.methods and", "if"),
    ("authorizer.py", "(case.needs_version_2 and self.ruleset.version < 2)", "False"),
    ("authorizer.py", "len(raw) > MAXIMUM_SOURCE_BYTES", "False"),
    ("authorizer.py", "ExpressionLimitError, RecursionError) as error", "RecursionError) as error"),
    ("evaluator.py", "if value is decisive:", "if value == decisive:"),
    ("evaluator.py", "raise error\n            return otherwise", "pass\n            return otherwise"),
    ("evaluator.py", "if value is not True and value is not False and error is None:", "if False:"),
    ("evaluator.py", "if c.spent > MAXIMUM_EXPRESSIONS:", "if False:"),
    ("evaluator.py", "if operand_cost and c.spent > MAXIMUM_EXPRESSIONS:", "if False:"),
    ("evaluator.py", "if body_cost and c.spent > MAXIMUM_EXPRESSIONS:", "if False:"),
    ("shortcuts.py", "return not same if one.__class__ in _NEVER_NULL else operate(one, None)", "return not same"),
    ("shortcuts.py", "is same if one.__class__ is cls else operate(one, constant)", "is same"),
    ("shortcuts.py", " if found.__class__ is dict else operate(name, found)", ""),
    ("shortcuts.py", "return test(value.identities())", "return test(value)"),
    ("shortcuts.py", '        "hasOnly": wanted.issuperset,', '        "hasOnly": wanted.issubset,'),
    ("shortcuts.py", "key = receiver.__class__, given.__class__", "key = receiver.__class__"),
    ("shortcuts.py", 'if value.__class__ is dict or kind_of(value) == "map":', "if True:"),
    ("evaluator.py", "            raise not_boolean(chosen)", "            return otherwise(c, values)"),
    ("evaluator.py", "raise not_boolean(value)\n\n        return neg", "return True\n\n        return neg"),
    ("evaluator.py", "= value\n        if value.__class__ is _Failed:", "= value\n        if False:"),
    ("evaluator.py", "            values[slot] = value\n", ""),
    ("context.py", 'segments[0] != "databases"', "False"),
    ("context.py", "segments[1] != self.database", "False"),
    ("context.py", "or len(segments) % 2 == 0", ""),
    ("context.py", "if self.withheld:", "if False:"),
    ("context.py", "class ExpressionLimitError(Exception)", "class ExpressionLimitError(EvaluationError)"),
    ("lookups.py", "if len(self._seen) >= self._limit:", "if False:"),
    ("lookups.py", "len(self._shared) >= self._shared_limit", "False"),
    ("lookups.py", "        if key in self._seen:\n            return self._documents[key]\n", ""),
    ("matching.py", "        elif given is ANY_PARENT:\n            return None\n", ""),
    ("matching.py", "self._minimum = 1 if version == 1 else 0", "self._minimum = 0"),
    ("matching.py", "if end == len(path) and block.allows:", "if block.allows:"),
    ("constraints.py", 'strict=operator == ">" and filter_operator == ">="', "strict=False"),
    ("constraints.py", 'return filter_operator == "!=" and equals(value, bound)', "return equals(value, bound)"),
    ("constraints.py", 'return filter_operator == "array-contains" and equals(value, bound)', "return True"),
    ("constraints.py", "raise EvaluationError(f\"Query error. The", "return False\n        raise EvaluationError(f\""),
    ("list_queries.py", "if depth > MAXIMUM_FILTER_DEPTH:", "if False:"),
    ("list_queries.py", "if not isinstance(inner, _Partial):", "if False:"),
    ("rule_values.py", 'if kind == "constraint" or other == "constraint":', "if False:"),
    ("operators.py", "if SMALLEST_INT <= value <= LARGEST_INT:", "if True:"),
    ("operators.py", "if not 0 <= start < size:", "if False:"),
    ("operators.py", "if not start <= end or not 0 <= end - 1 < size:", "if False:"),
    ("builtin_methods.py", ".fullmatch(text)", ".match(text)"),
    ("checker.py", "if len(chain) > MAXIMUM_CALL_DEPTH + 1:", "if False:"),
    ("checker.py", "if self._frames(condition, {}) > MAXIMUM_FRAMES:", "if False:"),
    ("checker.py", "if name in NAMESPACES:", "if False:"),
    ("expression_parser.py", "if self._nesting > MAXIMUM_NESTING:", "if False:"),
    ("expression_parser.py", "if is_too_deep(expression):", "if False:"),
    ("checker.py", "and not is_pattern(pattern.value)", "and False"),
    ("checker.py", "if kind is not None and kind not in METHODS.named(call.name):", "if False:"),
    ("rule_values.py", '        if kind != "map":\n            raise EvaluationError(UNSURE)\n', ""),
    ("rule_values.py", "if self._numbers and _blurred(key) in self._numbers:", "if False:"),
    ("rule_values.py", "if blurred != key and self._numbers", "if False and self._numbers"),
    ("rule_values.py", "if self._numbers and other._numbers and", "if False and"),
    ("rule_values.py", "if not self._numbers.keys().isdisjoint(", "if False and self._numbers.keys().isdisjoint("),
    ("operators.py", "if None in answers and True not in answers:", "if False:"),
    ("operators.py", 'if type_name == "set":', "if False:"),
    ("operators.py", "and not has_one_order(left, right)", "and False"),
    ("texts.py", "if found != text.strip():", "if False:"),
    ("builtin_methods.py", "if found.group(1) is None or int(found.group(1)) > groups:", "if found.group(1) is None:"),
    ("builtin_methods.py", "        if found.end() == found.start():", "        if False:"),
    ("builtin_methods.py", "if parts and end == len(text):", "if False:"),
    ("builtin_methods.py", "if not names or not set(values) <= set(names.values()):", "if False:"),
    ("builtin_methods.py", 'if not value or "/" in value:', "if False:"),
    ("bindings.py", 'elif request.method == "delete":\n', 'else:\n'),
]  # fmt: skip


@pytest.mark.soak
@pytest.mark.parametrize("change", CHANGES, ids=[f"{name}: {old.strip()[:50]}" for name, old, _ in CHANGES])
def test_a_changed_guard_is_noticed(tmp_path: Path, change: tuple[str, str, str]) -> None:
    """A copy of the engine with one guard changed fails the tests of this folder."""
    module, old, new = change
    for folder in (ENGINE, "tests/emulator/rules_language", "tests/rules_corpus"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "test_guards.py")
        )
    shutil.copy(ROOT / "tests/thoroughness.py", tmp_path / "tests")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    package = tmp_path / "emulator/afterimage_emulator"
    shutil.copy(ROOT / "emulator/afterimage_emulator/__init__.py", package)
    (changed,) = (tmp_path / ENGINE).rglob(module)
    text = changed.read_text()
    assert text.count(old) == 1, "the guard has moved: bring this list up to date"
    changed.write_text(text.replace(old, new))
    chosen = [f"tests/emulator/rules_language/test_{name}.py" for name in TESTS]
    # The copy holds the engine alone, without the plugins that the installed package brings.
    without = [
        part for name in ("pytest_plugin", "pytest_rules_plugin") for part in ("-p", f"no:afterimage_emulator.{name}")
    ]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        *without,
        "-k",
        "not without_end",
        *chosen,
    ]
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    try:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180)
    except subprocess.TimeoutExpired:
        return  # it hangs without the guard: noticed
    assert done.returncode == 1, f"no test noticed\n{done.stdout[-2000:]}"
