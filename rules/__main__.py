"""The command line of the law's source: assemble, release, diff, status."""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from afterimage_emulator.rules_language import compile_ruleset
from afterimage_emulator.rules_testing.comparing.comparison import compare
from rules.areas import AreaError, read_areas
from rules.law import RELEASES_FILE, out_of_date, prove, read_law
from rules.releases import History, Release, Shipped, read_history, write_history

RULES_FOLDER: Final = Path(__file__).resolve().parent
SUCCESS, FAILURE, UNUSABLE = 0, 1, 2


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        return command(options)
    except AreaError as error:
        sys.stderr.write(f"{error}\nnothing was written\n")
        return UNUSABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rules", description="Puts the security rules together. To check, test, explain, measure or "
        "compare them: afterimage-emulator rules --help"
    )  # fmt: skip
    parser.add_argument("--rules", type=Path, default=RULES_FOLDER, metavar="DIR", help="the areas (default: here)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    assembling = commands.add_parser("assemble", help="write firestore.rules and storage.rules")
    assembling.add_argument("--check", action="store_true", help="write nothing; fail if they are out of date")
    assembling.add_argument("--newest", action="store_true", help="versions that have not shipped, too")
    assembling.add_argument("--to", type=Path, metavar="DIR", help="where (default: beside the areas' folder)")
    assembling.set_defaults(run=_assemble)
    releasing = commands.add_parser("release", help="ship the newest version of every area, if all cases pass")
    releasing.add_argument("note", help="what a user of the rules would notice, in a line")
    releasing.add_argument("--date", default=datetime.datetime.now(datetime.UTC).date().isoformat())
    releasing.set_defaults(run=_release)
    differing = commands.add_parser("diff", help="what the assembled rules decide differently from those of a commit")
    differing.add_argument("commit", nargs="?", default="HEAD", help="of git (default: HEAD)")
    differing.set_defaults(run=_diff)
    commands.add_parser("status", help="which area stands at which version").set_defaults(run=_status)
    return parser


def _assemble(options: argparse.Namespace) -> int:
    law = read_law(options.rules, newest=options.newest)
    folder = options.to or options.rules.parent
    if options.check:
        problems = out_of_date(law, folder)
        for problem in problems:
            sys.stderr.write(f"{problem}\n")
        return FAILURE if problems else SUCCESS
    for assembled in law.files:
        (folder / assembled.file_name).write_text(assembled.text, encoding="utf-8")
        sys.stdout.write(f"{folder / assembled.file_name}: {assembled.digest[:12]}\n")
    return SUCCESS


def _release(options: argparse.Namespace) -> int:
    number = read_history(options.rules / RELEASES_FILE).number + 1
    law = read_law(options.rules, newest=True, release=number)
    shipped = tuple(
        Shipped(area=version.name, version=version.number, digest=version.digest()) for version in law.versions
    )
    if law.history.releases and shipped == law.history.releases[-1].areas:
        sys.stderr.write(f"nothing is new since release {law.history.number}\n")
        return FAILURE
    proof = prove(law)
    if proof.failures or proof.coverage_percent < 100.0:
        sys.stderr.write("\n".join([*proof.failures, proof.uncovered, "nothing was released", ""]))
        return FAILURE
    release = Release(
        number=number,
        date=options.date,
        note=options.note,
        firestore=law.files[0].digest,
        storage=law.files[1].digest,
        cases=proof.cases,
        coverage_percent=proof.coverage_percent,
        areas=shipped,
    )
    write_history(options.rules / RELEASES_FILE, History(releases=(*law.history.releases, release)))
    _add_to_changelog(options.rules / "CHANGELOG.md", release, law.history.shipped)
    for assembled in law.files:
        (options.rules.parent / assembled.file_name).write_text(assembled.text, encoding="utf-8")
    sys.stdout.write(f"release {number}: {proof.cases} cases passed; deploy it as docs/rules.md says\n")
    return SUCCESS


def _add_to_changelog(path: Path, release: Release, before: dict[str, Shipped]) -> None:
    changed = [
        f"- {item.area} v{item.version}"
        for item in release.areas
        if item.area not in before or before[item.area].version != item.version
    ]
    gone = [f"- {name} is gone" for name in before if name not in {item.area for item in release.areas}]
    title = "# What each release of the rules changed\n"
    old = path.read_text(encoding="utf-8").removeprefix(title) if path.exists() else ""
    entry = [
        "", f"## {release.number} ({release.date})", "", release.note, "",
        f"{release.cases} cases, firestore {release.firestore[:12]}, storage {release.storage[:12]}", "",
        *changed, *gone,
    ]  # fmt: skip
    path.write_text(title + "\n".join(entry) + "\n" + old, encoding="utf-8")


def _diff(options: argparse.Namespace) -> int:
    """For people to read in CI: it finds differences, and leaves it to them whether they are meant."""
    law = read_law(options.rules, newest=True)
    for assembled, ruleset in zip(law.files, law.rulesets, strict=True):
        name = f"{options.commit}:{assembled.file_name}"
        command = ["git", "-C", str(options.rules.parent), "show", f"{options.commit}:./{assembled.file_name}"]
        found = subprocess.run(command, capture_output=True, check=False)
        if found.returncode:
            sys.stdout.write(f"{assembled.file_name}: nothing to compare with, `{name}` is not there\n")
            continue
        old = compile_ruleset(found.stdout, file_name=name)
        comparison = compare(old, ruleset, law.cases(assembled.service))
        sys.stdout.write(f"{assembled.file_name}, from {options.commit} to what rules/ says: {comparison.to_text()}\n")
    return SUCCESS


def _status(options: argparse.Namespace) -> int:
    areas = read_areas(options.rules)
    history = read_history(options.rules / RELEASES_FILE)
    shipped = history.shipped
    width = max(len(f"{area.service}/{area.name}") for area in areas)
    for area in areas:
        name = f"{area.service}/{area.name}"
        state = f"shipped v{shipped[name].version}" if name in shipped else "never shipped"
        waiting = (
            "" if name in shipped and shipped[name].version == area.newest.number else f", v{area.newest.number} waits"
        )
        sys.stdout.write(f"{name:<{width}}  {state}{waiting}\n")
    sys.stdout.write(f"release {history.number}\n" if history.number else "nothing has been released\n")
    return SUCCESS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
