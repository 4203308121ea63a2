r"""Makes the descriptions in `published/` from those that Google publishes: structure alone, and what is output only.

curl https://www.googleapis.com/discovery/v1/apis/drive/v3/rest | python -m tests.functions.drive.reduce_description
curl 'https://cloudkms.googleapis.com/$discovery/rest?version=v1' | python -m tests.functions.drive.reduce_description \
    cloudkms.projects.locations.keyRings.cryptoKeys.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).with_name("published")
_PROSE: Final = frozenset({"description", "enumDescriptions", "title", "annotations", "icons", "documentationLink"})
_KEPT: Final = ("id", "revision", "parameters", "resources", "schemas")


def reduced(described: Mapping[str, Any], beginning: str = "") -> dict[str, Any]:
    """Without prose; with only the methods whose ids begin so, and the schemas that they reach."""
    found: dict[str, Any] = {name: _bare(described[name]) for name in _KEPT}
    found["resources"] = {"all": {"methods": {}}}
    for method in _methods(described["resources"]):
        if method["id"].startswith(beginning):
            found["resources"]["all"]["methods"][method["id"]] = _bare(method)
    reached: set[str] = set()
    waiting = set(_references(found["resources"]))
    while waiting:
        reached |= waiting
        waiting = {name for each in waiting for name in _references(found["schemas"][each])} - reached
    found["schemas"] = {name: schema for name, schema in found["schemas"].items() if name in reached}
    return found


def _methods(resources: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for resource in resources.values():
        yield from resource.get("methods", {}).values()
        yield from _methods(resource.get("resources", {}))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _bare(value: Any) -> Any:
    if isinstance(value, list):
        return [_bare(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    # A field may be called like a word of prose: then it is described by an object.
    kept = {name: _bare(inner) for name, inner in value.items() if name not in _PROSE or isinstance(inner, dict)}
    if str(value.get("description", "")).startswith("Output only"):
        kept["isOutputOnly"] = True
    return kept


if __name__ == "__main__":
    read = json.load(sys.stdin)
    kept = reduced(read, sys.argv[1] if len(sys.argv) > 1 else "")
    name = read["id"].replace(":", ".")
    FOLDER.joinpath(f"{name}.json").write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
