"""What firebase.json and .firebaserc say, read once into plain values, with every mistake named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from afterimage_emulator.configuration.commented_json import parse_commented_json
from afterimage_emulator.configuration.firebase_json_keys import unknown_keys

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORTS: Final[Mapping[str, int]] = {
    "ui": 4000,
    "hub": 4400,
    "hosting": 5000,
    "functions": 5001,
    "firestore": 8080,
    "pubsub": 8085,
    "auth": 9099,
    "storage": 9199,
    "eventarc": 9299,
    "tasks": 9499,
}
"""What our suite serves, and where the official one serves it."""
_SERVED_ELSEWHERE: Final = ("apphosting", "database", "dataconnect", "extensions")
"""What firebase.json may configure, at its top or in `emulators`, that only the official suite serves."""


class ConfigurationError(Exception):
    """A configuration the suite cannot start with: which file, where in it, and what to write instead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Codebase:
    """One folder of functions."""

    name: str
    source: Path
    runtime: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FirestoreTarget:
    """One database and the rules that guard it; no rules file means that everything is allowed.

    Files that firebase.json names may be missing: `firebase init` and clones leave such projects.
    """

    database: str = "(default)"
    rules: Path | None = None
    indexes: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageTarget:
    """One bucket (None: the project's default bucket) and the rules that guard it."""

    bucket: str | None = None
    rules: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class HostingSection:
    """What firebase.json says of one site; Hosting itself reads it."""

    place: str
    content: Mapping[str, object]

    @property
    def name(self) -> str | None:
        """The deploy target or the site, where one is named."""
        named = self.content.get("target") or self.content.get("site")
        return named if isinstance(named, str) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where a service listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """Everything the suite is told before it starts."""

    root: Path
    project_id: str
    codebases: tuple[Codebase, ...] = ()
    firestore: tuple[FirestoreTarget, ...] = ()
    storage: tuple[StorageTarget, ...] = ()
    hosting: tuple[HostingSection, ...] = ()
    file: Path | None = None
    """The firebase.json that all this was read from."""
    addresses: Mapping[str, Address] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    wants_console: bool = True
    """Whether `emulators.ui` leaves it on."""
    official_sockets: Mapping[str, Address] = field(default_factory=dict)
    """`logging` and `requests`, which only the official console's page reads: where firebase.json names their ports."""
    not_emulated: tuple[str, ...] = ()
    """What firebase.json configures and the suite does not serve."""

    def at_host(self, host: str) -> Configuration:
        """The same, with every service on this address, whatever firebase.json says."""
        ports = {name: self.address(name).port for name in DEFAULT_PORTS}
        return replace(self, addresses={name: Address(host=host, port=port) for name, port in ports.items()})

    @property
    def default_bucket(self) -> str:
        return f"{self.project_id}.firebasestorage.app"

    def address(self, service: str) -> Address:
        return self.addresses.get(service) or Address(host=DEFAULT_HOST, port=DEFAULT_PORTS[service])


def find_configuration(start: Path) -> Path:
    """The nearest firebase.json at or above a folder, as the Firebase CLI looks for it."""
    for folder in (start, *start.parents):
        if (folder / "firebase.json").is_file():
            return folder / "firebase.json"
    raise ConfigurationError(
        f"no firebase.json in `{start}` or any folder above it; run this in your project's folder, "
        "or name the file with --config"
    )


def load_configuration(file: Path, *, project_id: str | None = None) -> Configuration:
    """Reads firebase.json and the .firebaserc beside it."""
    if not file.is_file():
        raise ConfigurationError(f"`{file}` does not exist; name your firebase.json with --config")
    root = file.resolve().parent
    body = _read_json(file)
    reader = _Reader(file, root)
    runcom = _read_json(root / ".firebaserc") if (root / ".firebaserc").is_file() else {}
    project = _project_named(runcom, project_id) or "demo-no-project"
    if not re.fullmatch(r"[a-z0-9][a-z0-9:.-]{0,99}", project):
        raise ConfigurationError(f"`{project}` is not a project id; use lower-case letters, digits and dashes")
    emulators = reader.mapping(body.get("emulators", {}), "emulators")
    return Configuration(
        root=root,
        project_id=project,
        codebases=tuple(reader.codebases(body.get("functions", []))),
        firestore=tuple(reader.firestore(body.get("firestore", []))),
        storage=tuple(reader.storage(body.get("storage", []), _storage_targets(runcom, project))),
        hosting=tuple(reader.hosting(body.get("hosting", []))),
        file=file.resolve(),
        addresses=dict(reader.addresses(emulators)),
        wants_console=reader.wants_console(emulators),
        official_sockets=dict(reader.official_sockets(emulators)),
        warnings=tuple(unknown_keys(body, file.name)),
        not_emulated=tuple(name for name in _SERVED_ELSEWHERE if name in body or name in emulators),
    )


class _Reader:
    """Takes values out of firebase.json, naming the place of whatever does not fit."""

    def __init__(self, file: Path, root: Path) -> None:
        self._file = file
        self._root = root

    def wrong(self, place: str, problem: str) -> ConfigurationError:
        return ConfigurationError(f"{self._file}: `{place}` {problem}")

    def mapping(self, value: object, place: str) -> Mapping[str, object]:
        if not isinstance(value, dict):
            raise self.wrong(place, f"must be an object, not {json.dumps(value)[:60]}")
        return value

    def each(self, value: object, place: str) -> Iterator[tuple[str, Mapping[str, object]]]:
        """One object or a list of them: firebase.json allows both nearly everywhere."""
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield f"{place}[{index}]", self.mapping(item, f"{place}[{index}]")
        else:
            yield place, self.mapping(value, place)

    def text(self, section: Mapping[str, Any], key: str, place: str) -> str | None:
        value = section.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(f"{place}.{key}", f"must be a string, not {json.dumps(value)[:60]}")
        return value

    def file(self, section: Mapping[str, object], key: str, place: str) -> Path | None:
        """A file that need not be there yet: whoever reads it says what its absence means."""
        value = self.text(section, key, place)
        if value is not None and "\0" in value:
            raise self.wrong(f"{place}.{key}", "is no path: it holds a NUL character")
        return None if value is None else self._root / value

    def folder(self, section: Mapping[str, Any], key: str, place: str) -> Path | None:
        value = self.text(section, key, place)
        path = self.file(section, key, place)
        if path is not None and not path.exists():
            raise self.wrong(f"{place}.{key}", f"names `{value}`, which does not exist in `{self._root}`")
        return path

    def codebases(self, value: Any) -> Iterator[Codebase]:
        seen: set[str] = set()
        for place, section in self.each(value, "functions"):
            name = self.text(section, "codebase", place) or "default"
            if name in seen:
                raise self.wrong(f"{place}.codebase", f"`{name}` is used twice; codebase names must differ")
            seen.add(name)
            source = self.folder({"source": "functions", **section}, "source", place)
            if source is not None:
                yield Codebase(name=name, source=source, runtime=self.text(section, "runtime", place))

    def firestore(self, value: Any) -> Iterator[FirestoreTarget]:
        for place, section in self.each(value, "firestore"):
            yield FirestoreTarget(
                database=self.text(section, "database", place) or "(default)",
                rules=self.file(section, "rules", place),
                indexes=self.file(section, "indexes", place),
            )

    def storage(self, value: object, targets: Mapping[str, list[str]]) -> Iterator[StorageTarget]:
        for place, section in self.each(value, "storage"):
            rules = self.file(section, "rules", place)
            target = self.text(section, "target", place)
            if target is None:
                yield StorageTarget(bucket=self.text(section, "bucket", place), rules=rules)
                continue
            if target not in targets:
                raise self.wrong(
                    f"{place}.target",
                    f"`{target}` has no bucket; run `firebase target:apply storage {target} BUCKET`",
                )
            for bucket in targets[target]:
                yield StorageTarget(bucket=bucket, rules=rules)

    def hosting(self, value: object) -> Iterator[HostingSection]:
        seen: set[str | None] = set()
        for place, section in self.each(value, "hosting"):
            if all([self.text(section, "target", place), self.text(section, "site", place)]):
                raise self.wrong(place, "names a `target` and a `site`; the Firebase CLI takes one of them")
            one = HostingSection(place=place, content=section)
            if one.name in seen:
                known = f"the site `{one.name}` is described twice" if one.name else "two sites have no name"
                raise self.wrong(place, f"cannot be told from another: {known}; give each its own `target` or `site`")
            seen.add(one.name)
            yield one

    def wants_console(self, emulators: Mapping[str, object]) -> bool:
        enabled = self.mapping(emulators.get("ui", {}), "emulators.ui").get("enabled", True)
        if not isinstance(enabled, bool):
            raise self.wrong("emulators.ui.enabled", f"must be true or false, not {json.dumps(enabled)[:60]}")
        return enabled

    def addresses(self, emulators: Mapping[str, object]) -> Iterator[tuple[str, Address]]:
        for name in DEFAULT_PORTS:
            place = f"emulators.{name}"
            section = self.mapping(emulators.get(name, {}), place)
            yield name, self._address(section, place, "port", DEFAULT_PORTS[name])

    def official_sockets(self, emulators: Mapping[str, object]) -> Iterator[tuple[str, Address]]:
        for name, section_name, key in (("logging", "logging", "port"), ("requests", "firestore", "websocketPort")):
            place = f"emulators.{section_name}"
            section = self.mapping(emulators.get(section_name, {}), place)
            if key in section:
                yield name, self._address(section, place, key, 0)

    def _address(self, section: Mapping[str, object], place: str, key: str, default: int) -> Address:
        port = section.get(key, default)
        if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65_535:
            raise self.wrong(f"{place}.{key}", f"must be a number from 0 to 65535, not {json.dumps(port)[:60]}")
        return Address(host=self.text(section, "host", place) or DEFAULT_HOST, port=port)


def _read_json(file: Path) -> Mapping[str, Any]:
    try:
        body = parse_commented_json(file.read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{file}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{file}: not JSON: {error}") from None
    if not isinstance(body, dict):
        raise ConfigurationError(f"{file}: must hold a JSON object, not {json.dumps(body)[:60]}")
    return body


def _project_named(runcom: Mapping[str, object], name: str | None) -> str | None:
    """The project behind an alias of .firebaserc, or the name itself; without one, that of the alias `default`."""
    projects = runcom.get("projects", {})
    found = projects.get(name or "default") if isinstance(projects, dict) else None
    return found if isinstance(found, str) else name


def _storage_targets(runcom: Mapping[str, Any], project: str) -> Mapping[str, list[str]]:
    """`.firebaserc` maps the names used as `target` to buckets, per project."""
    node: Any = runcom.get("targets", {})
    for key in (project, "storage"):
        node = node.get(key, {}) if isinstance(node, dict) else {}
    return {name: list(map(str, buckets)) for name, buckets in node.items() if isinstance(buckets, list)}
