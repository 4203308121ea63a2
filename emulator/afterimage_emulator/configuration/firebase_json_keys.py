"""The keys that the published schema of firebase.json allows where the suite reads, and what a misspelt one meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

_HOOKS: Final = frozenset({"predeploy", "postdeploy"})
_ADDRESS: Final = frozenset({"host", "port"})
_TOP: Final = frozenset(
    {"$schema", "ailogic", "apphosting", "auth", "database", "dataconnect", "emulators", "extensions", "firestore",
     "functions", "hosting", "remoteconfig", "run", "storage"}
)  # fmt: skip
_SECTIONS: Final[Mapping[str, frozenset[str]]] = {
    "firestore": _HOOKS
    | {"dataAccessMode", "database", "edition", "indexes", "location", "rules", "target"},
    "storage": _HOOKS | {"bucket", "rules", "target"},
    "hosting": _HOOKS
    | {"appAssociation", "cleanUrls", "frameworksBackend", "headers", "i18n", "ignore", "public", "redirects",
       "rewrites", "site", "source", "target", "trailingSlash"},
    "functions": _HOOKS
    | {"codebase", "configDir", "disallowLegacyRuntimeConfig", "ignore", "instances", "kit", "prefix", "remoteSource",
       "runtime", "source", "sourcePackage"},
}  # fmt: skip
_EMULATORS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("auth", "database", "eventarc", "functions", "hosting", "hub", "logging", "pubsub", "storage",
                     "tasks"), _ADDRESS),
    "apphosting": _ADDRESS | {"rootDirectory", "startCommand", "startCommandOverride"},
    "dataconnect": _ADDRESS | {"dataDir", "postgresHost", "postgresPort"},
    "firestore": _ADDRESS | {"edition", "websocketPort"},
    "ui": _ADDRESS | {"enabled"},
}  # fmt: skip
_WITHOUT_KEYS: Final = frozenset({"extensions", "singleProjectMode"})


def unknown_keys(body: Mapping[str, object], file_name: str) -> Iterator[str]:
    """One warning for each key that the schema does not have: a key of a later Firebase CLI must not stop the suite."""
    yield from _unknown(body, _TOP, "", file_name)
    for section, known in _SECTIONS.items():
        value = body.get(section)
        items = enumerate(value) if isinstance(value, list) else ((None, value),)
        for index, item in items:
            yield from _unknown(item, known, section if index is None else f"{section}[{index}]", file_name)
    emulators = body.get("emulators")
    if isinstance(emulators, dict):
        yield from _unknown(emulators, frozenset(_EMULATORS) | _WITHOUT_KEYS, "emulators", file_name)
        for name, known in _EMULATORS.items():
            yield from _unknown(emulators.get(name), known, f"emulators.{name}", file_name)


def _unknown(section: object, known: frozenset[str], place: str, file_name: str) -> Iterator[str]:
    if not isinstance(section, dict):
        return
    for key in section:
        if key in known:
            continue
        named = f"`{place}.{key}`" if place else f"`{key}`"
        nearest = _nearest(key, known)
        meant = f"did you mean `{nearest}`?" if nearest else f"known there: {', '.join(sorted(known))}"
        yield f"{named} in {file_name} is unknown and does nothing; {meant}"


def _nearest(key: str, known: frozenset[str]) -> str | None:
    import difflib  # a file without mistakes is not kept waiting for it

    by_lower = {name.lower(): name for name in sorted(known)}
    found = difflib.get_close_matches(key.lower()[:100], by_lower, n=1)
    return by_lower[found[0]] if found else None
