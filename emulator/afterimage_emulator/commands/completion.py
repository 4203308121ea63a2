"""Completion for bash and zsh, made from the command line's own parsers, so that it never knows less than they do."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Level:
    """What may follow one chain of commands."""

    path: str
    commands: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    values: dict[str, list[str]] = field(default_factory=dict)
    """What an option takes, or (under the name "") what stands in its own place, where that is one of a few words."""


def run_completion(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """`parser` reads the whole command line, but for `rules`, which has one of its own."""
    from afterimage_emulator.rules_testing.command_line import rules_parser

    levels = list(_levels(parser, ""))
    levels = [level for level in levels if level.path != "/rules"] + list(_levels(rules_parser(), "/rules"))
    sys.stdout.write(_bash(levels) if options.shell == "bash" else _zsh(levels))
    return 0


def _levels(parser: argparse.ArgumentParser, path: str) -> Iterator[Level]:
    level = Level(path)
    below: list[Level] = []
    for action in parser._actions:  # argparse has no public way to list them
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, child in action.choices.items():
                level.commands[name] = helps.get(name, "")
                below += _levels(child, f"{path}/{name}")
            continue
        for name in action.option_strings:
            if name.startswith("--"):
                level.options[name] = action.help or ""
                if action.choices:
                    level.values[name] = [str(choice) for choice in action.choices]
        if not action.option_strings and action.choices:
            level.values[""] = [str(choice) for choice in action.choices]
    yield level
    yield from below


def _words(level: Level) -> str:
    return " ".join([*level.commands, *level.values.get("", []), *level.options])


def _advances(levels: list[Level]) -> str:
    return "|".join(level.path for level in levels if level.path)


def _values(levels: list[Level]) -> Iterator[tuple[str, str]]:
    for level in levels:
        for option, values in level.values.items():
            if option:
                yield f'"{level.path} {option}"', " ".join(values)


def _bash(levels: list[Level]) -> str:
    by_level = "\n".join(f'    "{level.path}") words={shlex.quote(_words(level))} ;;' for level in levels)
    by_option = "\n".join(f"    {place}) words={shlex.quote(values)} ;;" for place, values in _values(levels))
    return f"""\
_afterimage_emulator() {{
  local at= word words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${{COMP_WORDS[i]}}
    case "$at/$word" in {_advances(levels)}) at="$at/$word" ;; esac
  done
  case "$at" in
{by_level}
  esac
  case "$at ${{COMP_WORDS[COMP_CWORD - 1]}}" in
{by_option}
  esac
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o bashdefault -o default -F _afterimage_emulator afterimage-emulator
"""


def _zsh(levels: list[Level]) -> str:
    def described(names: dict[str, str]) -> str:
        return " ".join(shlex.quote(f"{name}:{help_text}") for name, help_text in names.items())

    by_level = "\n".join(
        f'    "{level.path}") commands=({described(level.commands | dict.fromkeys(level.values.get("", []), ""))}) '
        f"options=({described(level.options)}) ;;"
        for level in levels
    )
    by_option = "\n".join(f"    {place}) compadd {values}; return ;;" for place, values in _values(levels))
    return f"""\
#compdef afterimage-emulator
_afterimage_emulator() {{
  local at= word
  local -a commands options
  for word in ${{words[2,CURRENT-1]}}; do
    case "$at/$word" in {_advances(levels)}) at="$at/$word" ;; esac
  done
  case "$at ${{words[CURRENT-1]}}" in
{by_option}
  esac
  case "$at" in
{by_level}
  esac
  if [[ ${{words[CURRENT]}} == -* ]]; then _describe -o option options
  elif (( ${{#commands}} )); then _describe command commands
  else _files; fi
}}
compdef _afterimage_emulator afterimage-emulator
"""
