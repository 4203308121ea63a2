"""Hostile rules and requests: a clear issue list or a denial, in bounded steps, whatever is sent."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from afterimage_emulator.rules_language import Issue, RulesetRejected, compile_ruleset
from afterimage_emulator.rules_language.syntax.diagnostics import MAXIMUM_ISSUES
from afterimage_emulator.rules_language.syntax.lexer import tokenize
from afterimage_emulator.rules_language.syntax.parser import MAXIMUM_MATCH_DEPTH
from tests.emulator.rules_language.rules_world import ALICE, ask, ask_storage, firestore_rules, storage_rules

CORPUS = Path(__file__).parents[2] / "rules_corpus"
HEAD = "service cloud.firestore { match /a/{id} { allow read: if "
SIZE = 48_000
"""Far deeper than any stack; one bomb is as large as a file of rules may be."""
LARGEST = 256_000
BOMBS = (
    "(",
    "[",
    "{",
    "!",
    "-",
    "f(",
    "a[",
    "{'a':",
    "/$(",
    "a?",
    "a&&(",
    "match /a {",
    "function f() {",
    "1+",
    "a.",
    "((1)+",
)


def issues(source: str | bytes) -> list[str]:
    with pytest.raises(RulesetRejected) as caught:
        compile_ruleset(source, file_name="x")
    return [issue.description for issue in caught.value.issues]


def outcome(source: str) -> tuple[bool, tuple[Issue, ...]]:
    """Whether a source compiles, and what is said about it."""
    try:
        return True, compile_ruleset(source, file_name="fuzz").issues
    except RulesetRejected as rejected:
        return False, rejected.issues


@pytest.mark.parametrize("bomb", [(LARGEST, "("), *((SIZE, bomb) for bomb in BOMBS)], ids=lambda bomb: bomb[1])
def test_nesting_without_end_is_refused(bomb: tuple[int, str]) -> None:
    """However deep the brackets go, the answer is a list of issues and the stack is never exhausted."""
    size, text = bomb
    filled = (text * (size // len(text)))[: size - len(HEAD)]
    assert 0 < len(issues(HEAD + filled)) <= MAXIMUM_ISSUES


@pytest.mark.parametrize("bomb", ["{", "}", "match /a {", "service a {", "function f("])
def test_nothing_but_brackets_is_refused(bomb: str) -> None:
    """The same without any rules around it."""
    assert 0 < len(issues(bomb * (SIZE // len(bomb)))) <= MAXIMUM_ISSUES


def test_well_formed_nests_are_refused_by_their_depth() -> None:
    """Balanced nests beyond the limit name the limit; those within it compile and are decided."""
    for opening, closing in (("(", ")"), ("[", "]"), ("!", ""), ("-", "")):
        text = opening * 5000 + "1" + closing * 5000
        assert any("nested too deep" in description for description in issues(f"{HEAD}{text} == 1; }} }}"))
    deep = "(true && " * 70 + "true" + ")" * 70
    assert ask(firestore_rules(f"match /a/{{id}} {{ allow get: if {deep}; }}"), "get", "a/b").allowed


def test_long_chains_compile_and_are_bounded_when_they_run() -> None:
    """Thousands of `||` need no stack; what is evaluated is limited to 1,000 expressions, with the official text."""
    chain = " || ".join(["id == 'x'"] * 5000)
    decision = ask(firestore_rules(f"match /a/{{id}} {{ allow get: if {chain}; }}"), "get", "a/b")
    assert decision.reasons == (
        "Unable to evaluate the expression as the maximum of 1000 expressions to evaluate has been reached.",
    )
    short = " || ".join(["id == 'x'"] * 900)
    assert ask(firestore_rules(f"match /a/{{id}} {{ allow get: if {short}; }}"), "get", "a/b").reasons == ("false",)
    ended = firestore_rules(f"match /a/{{id}} {{ allow get: if ({chain}) || true; }}")
    assert not ask(ended, "get", "a/b").allowed


def test_the_expression_limit_is_one_for_all_allows_of_a_request() -> None:
    """What one allow has spent is gone for the next."""
    half = " || ".join(["id == 'x'"] * 600)
    ruleset = firestore_rules(f"match /a/{{id}} {{ allow get: if {half}; allow get: if {half}; }}")
    reasons = ask(ruleset, "get", "a/b").reasons
    assert reasons[0] == "false"
    assert reasons[1].startswith("Unable to evaluate")


def test_calls_may_be_twenty_deep() -> None:
    """A chain of 21 functions compiles and runs, one of 22 is refused with the chain in the text."""

    def chain(count: int) -> str:
        functions = [f"function f{n}() {{ return f{n + 1}(); }}" for n in range(count - 1)]
        return " ".join(
            [*functions, f"function f{count - 1}() {{ return true; }} match /a/{{id}} {{ allow get: if f0(); }}"]
        )

    assert ask(firestore_rules(chain(21)), "get", "a/b").allowed
    with pytest.raises(RulesetRejected) as caught:
        firestore_rules(chain(22))
    stack = "->".join(f"f{n}" for n in range(21))
    assert caught.value.issues[0].description == (
        f"Maximum allowed call depth of 20 is reached for [{stack}] call stack."
    )


def test_deep_functions_calling_deep_functions_are_refused() -> None:
    """Each may be deep and the chain long; both together would exhaust the stack, so the compiler says no.

    What it lets through runs, with a trace as well as without.
    """
    nest = "{}".join(["(1 + " * 60, ") " * 60])

    def nested(count: int) -> str:
        functions = [f"function f{n}() {{ return {nest.format(f'f{n + 1}()')}; }}" for n in range(count)]
        end = f"function f{count}() {{ let a = 1; let b = a; let c = b; return c; }}"
        return " ".join([*functions, end, "match /a/{id} { allow get: if f0() > 1; }"])

    with pytest.raises(RulesetRejected) as caught:
        firestore_rules(nested(5))
    assert "nests too deep when it is evaluated" in caught.value.issues[0].description
    allowed = ask(firestore_rules(nested(4)), "get", "a/b")
    assert allowed.allowed
    assert allowed.explain().tried[0].outcome == "true"
    # A condition around functions that are all just allowed may be the one that is too much.
    around = nested(4).replace("if f0()", f"if {nest.format('f0()')}")
    with pytest.raises(RulesetRejected) as caught:
        firestore_rules(around)
    (issue,) = caught.value.issues
    assert issue.description.startswith("The condition nests too deep when it is evaluated")


def test_sources_beyond_the_limit_are_refused() -> None:
    """256 KB is the end; production took 256,001 bytes."""
    valid = "service cloud.firestore { }"
    assert compile_ruleset(valid + " " * (256_001 - len(valid)), file_name="x")
    assert "at most" in issues(valid + " " * 262_143)[0]


def test_bytes_that_are_not_text_are_refused() -> None:
    """Rules are UTF-8; a byte order mark does no harm."""
    assert issues(b"service cloud.firestore { \xff }") == ["The source is not valid UTF-8 at byte 26."]
    assert issues("service cloud.firestore { } // \ud800")
    assert compile_ruleset(b"\xef\xbb\xbfservice cloud.firestore { }", file_name="x")


def test_all_problems_of_a_file_are_reported_in_one_go() -> None:
    """The parser goes on behind each broken statement and finds the next, without inventing more."""
    source = (
        "rules_version = '2';\nservice cloud.firestore {\n match /a/{id} {\n  allow read: if ;\n"
        "  allow write: if true;\n  allow reed: if true;\n  function f() { retrun true; }\n  match b { allow read; }\n"
        "  match /c { allow read: if x +; allow write: if f(; }\n }\n match /d { allow get: iff true; }\n}\n"
    )
    with pytest.raises(RulesetRejected) as caught:
        compile_ruleset(source, file_name="x")
    assert [issue.line for issue in caught.value.issues] == [4, 6, 7, 8, 9, 9, 11]


def test_issues_point_with_an_excerpt_and_a_caret() -> None:
    """An issue shows its line and underlines the spot; the JSON has the official fields."""
    with pytest.raises(RulesetRejected) as caught:
        compile_ruleset("service cloud.firestore {\n\tmatch /a { allow read: if tru e; }\n}", file_name="my.rules")
    issue = caught.value.issues[0]
    assert issue.render() == (
        "my.rules:2:32: error: Unexpected 'e'.\n   match /a { allow read: if tru e; }\n" + " " * 33 + "^"
    )
    assert issue.to_json() == {
        "sourcePosition": {"fileName": "my.rules", "line": 2, "column": 32},
        "description": "Unexpected 'e'.",
        "severity": "ERROR",
    }


def test_broken_rules_never_crash_the_compiler() -> None:
    """Valid rules with tokens dropped, doubled, swapped or replaced compile or raise issues, and nothing else."""
    chance = random.Random(7)
    frame = "rules_version = '2'; service cloud.firestore {{ match /a/{{id}} {{ {} }} }}".format
    bodies = [
        line.partition(": ")[2].rpartition(" => ")[0].replace("¶", "\n")
        for line in (CORPUS / "accepted.txt").read_text(encoding="utf-8").splitlines()
        if line.startswith("body: ")
    ]
    words = [
        "(",
        ")",
        "{",
        "}",
        "if",
        "allow",
        "match",
        "/",
        "'",
        "=",
        "&&",
        "..",
        "return",
        "**",
        "$(",
        "\\",
        "9" * 30,
    ]
    for _ in range(400):
        text = frame(chance.choice(bodies))
        tokens = [token.text for token in tokenize(text)]
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(tokens))
            tokens[place] = chance.choice(["", tokens[place] * 2, chance.choice(words), chance.choice(tokens)])
        compiled, found = outcome(" ".join(tokens))
        assert compiled or found


def test_catastrophic_regular_expressions_are_harmless() -> None:
    """RE2 matches in linear time and refuses what it cannot; both end in an answer."""
    ruleset = firestore_rules("match /a/{id} { allow get: if id.matches('(a|aa)+(a|aa)+(a|aa)+b'); }")
    assert not ask(ruleset, "get", "a/" + "a" * 5000).allowed
    huge = firestore_rules("match /a/{id} { allow get: if id.matches('((a{1000}){1000}' + '){1000}'); }")
    assert ask(huge, "get", "a/b").reasons[0].startswith("Regular expression error.")


def test_values_cannot_be_blown_up() -> None:
    """Doubling strings, lists and nests of lists ends in an error, not in gigabytes or hours."""

    def doubling(first: str, double: str, last: str) -> str:
        lets = "".join(f"let {b} = {double.format(a)};" for a, b in zip("abcdefghi", "bcdefghij", strict=True))
        steps = [f"function g{n}(a) {{ {lets} return {f'g{n + 1}(j)' if n < 3 else 'j'}; }}" for n in range(4)]
        return f"{' '.join(steps)} function s() {{ return g0({first}); }} match /a/{{id}} {{ allow get: if {last}; }}"

    for body in (
        doubling("'xxxxxxxx'", "{0} + {0}", "s() == ''"),
        doubling("['x']", "{0}.concat({0})", "s() == []"),
        doubling("[1]", "[{0}, {0}]", "s() == s()"),
        doubling("[1]", "[{0}, {0}]", "[s()].toSet().size() == 1"),
        doubling("'x'", "{0}.replace('x', 'xxxx')", "s() == ''"),
    ):
        assert "error" in ask(firestore_rules(body), "get", "a/b").reasons[0].lower()


def test_globs_that_cover_a_path_in_too_many_ways_deny() -> None:
    """Nested recursive wildcards multiply; the search is bounded and its end is a denial that says so."""
    nested = "match /{a=**} { match /{b=**} { match /{c=**} { match /{d=**} { match /{e=**} { allow get; } } } } }"
    decision = ask(firestore_rules(nested), "get", "/".join(["x"] * 100))
    assert not decision.allowed
    assert "too many ways" in decision.denial_message


@pytest.mark.parametrize(
    "value", [object(), {1: 2}, {"a": object()}, [object()], 1j, {"a": {"b": {1, 2}}}, "\ud800", float("nan"), 2**70]
)
def test_strange_values_end_in_a_denial(value: Any) -> None:
    """Values that no store should pass are errors of the expressions that meet them."""
    ruleset = firestore_rules(
        "match /a/{id} { allow get: if resource.data.v == 1 || resource.data.v.matches('a') || 'zz' in resource.data.v"
        " || resource.data.v.keys().hasAll(['x']) || resource.data.v < 1 || resource.data.v.a.b == {} }"
    )
    decision = ask(ruleset, "get", "a/b", resource={"v": value})
    assert not decision.allowed
    assert decision.denial_message
    assert str(decision.explain())


def test_data_of_any_depth_is_decided() -> None:
    """Values nested far beyond what a store takes exhaust no stack: they are compared, or an error, or cut in texts."""
    deep: Any = {"x": 1}
    other: Any = {"x": 1}
    for _ in range(50_000):
        deep, other = [deep], [other]
    for condition in (
        "resource.data.v == request.resource.data.v && false",
        "[resource.data.v].toSet().size() == 1",
        "[resource.data.v].hasAny([request.resource.data.v])",
        "request.resource.data.diff(resource.data).changedKeys().size() == 1",
        "resource.data.v",
    ):
        ruleset = firestore_rules(f"match /a/{{id}} {{ allow update: if {condition}; }}")
        decision = ask(ruleset, "update", "a/b", resource={"v": deep}, request_resource={"v": other})
        assert not decision.allowed
        assert len(str(decision.explain())) < 3000


def test_strange_paths_are_denied_or_matched() -> None:
    """Empty, absolute and endless paths are decided like any other."""
    ruleset = firestore_rules("match /a/{id} { allow get; }")
    for path in ("", "/", "a", "/a/b", "a//b", "a/b/", "a/" * 5000, "\x00/\x00", "a/../a/b"):
        assert not ask(ruleset, "get", path, auth=ALICE).allowed
    everything = storage_rules("match /{all=**} { allow read; }")
    for path in ("", "/", "a//b", "a/" * 500, "\ud800"):
        assert ask_storage(everything, "get", path).allowed


def test_match_blocks_may_be_ten_deep() -> None:
    """Ten nested blocks are allowed, one more is refused."""

    def nested(depth: int) -> str:
        return "".join(f"match /m{n} {{ " for n in range(depth)) + "allow read; " + "} " * depth

    assert MAXIMUM_MATCH_DEPTH == 10
    assert compile_ruleset(f"service cloud.firestore {{ {nested(10)} }}", file_name="x")
    assert issues(f"service cloud.firestore {{ {nested(11)} }}") == [
        "Match blocks are nested more than 10 levels deep."
    ]


def test_path_and_capture_limits() -> None:
    """A path may have 100 segments and bind 20 captures along its blocks."""
    plain = "service cloud.firestore {{ match {} {{ allow read; }} }}".format
    assert compile_ruleset(plain("/a" * 100), file_name="x")
    assert issues(plain("/a" * 101)) == ["A match path has more than 100 segments."]
    assert compile_ruleset(plain("".join(f"/{{c{n}}}" for n in range(20))), file_name="x")
    assert issues(plain("".join(f"/{{c{n}}}" for n in range(21)))) == ["Match paths capture more than 20 segments."]
