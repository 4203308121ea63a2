"""The rules about who may import whom: each a promise, a check over the graph, and a small tree that breaks it."""

from __future__ import annotations

import ast
import graphlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.structure.equal_lines import equal_blocks
from tests.structure.import_graph import Graph, Import, Module, is_within
from tests.structure.protocols import protocols

SUITE = "afterimage_emulator"
"""The package that the suite's modules live in."""

ROOMS: Mapping[str, str] = {
    "emulator": "emulator",
    "functions": "functions",
    "client": "client",
    "server": "server",
    "rules": ".",
    "demo": ".",
    "bench": ".",
    "tests": ".",
}
"""Each room, and the folder from which its modules are named."""

ROOT = Path(__file__).resolve().parents[2]


ROOM_OF_TOP: Mapping[str, str] = {
    "emulator": "emulator",
    "afterimage_emulator": "emulator",
    "afterimage": "functions",
    "main": "functions",
    "afterimage_client": "client",
    "client": "client",
    "afterimage_server": "server",
    "server": "server",
    "rules": "rules",
    "demo": "demo",
    "bench": "bench",
    "tests": "tests",
}
"""The room that a top-level name belongs to, also where that room is not built yet."""

MAY_IMPORT: Mapping[str, set[str]] = {
    "emulator": set(),
    "functions": set(),
    "client": set(),
    "server": {"client", "functions"},
    "rules": {"emulator"},
    "demo": set(),
    "bench": {"emulator", "functions", "client", "server", "rules", "tests"},
    "tests": {"emulator", "functions", "client", "server", "rules", "demo", "bench"},
}
NAMES_ARE_UNIQUE_IN = ("functions", "emulator", "client", "server", "rules")
"""Rooms in which no two modules define one public name."""
PROTOCOLS_OF_ONE: Mapping[str, str] = {
    "EventSubscriptions": "Pub/Sub fulfils it for the functions, and neither service may import the other",
    "FunctionTargets": "the functions fulfil it for Cloud Tasks, and neither service may import the other",
    "BlockingTargets": "the functions fulfil it for Auth, and neither service may import the other",
    "DeclaredQueue": "a function's trigger is one, and Cloud Tasks may not import it",
    "ConsoleView": "the suite makes its console: a console that imported the suite would close a circle",
    "SuiteView": "the suite makes its hub: a hub that imported the suite would close a circle",
    "Carrier": "a connection makes its calls: a call that imported the connection would close a circle",
    "Hearer": "listeners make the stream that they hear: a stream that imported them would close a circle",
}
"""Protocols that one class alone fulfils, each with what forbids to name that class instead."""
TOLD_APART: Mapping[frozenset[str], str] = {
    frozenset({"emulator/afterimage_emulator/protos/collect.py", "client/collect_descriptors.py"}): (
        "both read descriptors for a distribution of their own, and neither may import the other"
    ),
    frozenset({"client/afterimage_client/firestore/queries.py", "tests/emulator/firestore/naive_model.py"}): (
        "a model that took the wire's numbers from a client would take its mistakes along"
    ),
    frozenset({"client/afterimage_client/firestore/values.py", "tests/emulator/firestore/naive_model.py"}): (
        "a model that read the client's code of types would take its mistakes along"
    ),
}
"""Modules that say the same in equal lines, each pair with what keeps them from sharing it."""
PATHS = ("afterimage.paths", "afterimage.drive_paths")
_A_PATH = re.compile(
    r"(usage|_jobs|_events|ai_outputs|generations|generating|users|players|artifacts|media|mediaAssets|operations|campaigns)/"
    r"|(_jobs|_events|_drive\w+|ai_outputs|mediaObjects|mediaAssets|campaignOwners)($|/)"
)
SERVICES = {"firestore", "storage", "auth", "pubsub", "tasks", "eventarc", "functions", "hosting"}
COMPOSERS = (f"{SUITE}.suite", f"{SUITE}.composition")
FLOORS: Mapping[str, tuple[str, ...]] = {
    "firestore": (
        "documents",
        "exports",
        "queries",
        "indexes",
        "rules",
        "transactions",
        "listening",
        "operations",
        "adapters",
    ),
    "auth": (
        "errors",
        "identifiers",
        "settings",
        "accounts",
        "configuration",
        "requests",
        "tokens",
        "blocking",
        "operations",
        "api",
        "app_check",
    ),
    "pubsub": ("resource_names", "schemas", "topics", "delivery", "api"),
}
"""The rooms of services from the ground up: one imports of those below it; what stands beside them composes them."""
RULES_ROOMS = (
    f"{SUITE}.firestore.rules",
    f"{SUITE}.storage.rules",
    f"{SUITE}.front.rules_gate",
    f"{SUITE}.front.judged_requests",
)
FRONT_FOR_THE_WIRE = f"{SUITE}.front.error_body"
SHARED_BY_SERVICES = {f"{SUITE}.auth.app_check"}
HOST = f"{SUITE}.functions.host"
HOST_FINDS = {
    "firebase_admin",
    "firebase_functions",
    "functions_framework",
    "flask",
    "werkzeug",
    "uvicorn",
    "yaml",
    "debugpy",
}
"""What the host imports of the interpreter it runs in, which is the codebase's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One promise about the shape of the house."""

    promise: str
    broken_by: Callable[[Graph], Iterator[str]]
    example: Mapping[str, str]
    """Files that break the rule, and nothing else that it judges."""


def _met(graph: Graph, module: Module, found: Import) -> str:
    return f"{graph.where(module)}:{found.line} imports {found.name}"


def rooms_import_what_they_may(graph: Graph) -> Iterator[str]:
    for module in graph.in_room(*MAY_IMPORT):
        for found in module.imports:
            room = ROOM_OF_TOP.get(found.name.partition(".")[0])
            if room is not None and room != module.room and room not in MAY_IMPORT[module.room]:
                yield _met(graph, module, found)


def the_suite_names_no_path_of_the_product(graph: Graph) -> Iterator[str]:
    for module in graph.within(SUITE):
        if "ai_outputs" in module.text:
            yield f"{graph.where(module)} names a path of Afterimage's own"


def services_stand_alone(graph: Graph) -> Iterator[str]:
    for module in graph.within(*(f"{SUITE}.{service}" for service in SERVICES)):
        own = module.name.split(".")[1]
        for found in module.imports:
            parts = found.name.split(".")
            foreign = parts[0] == SUITE and len(parts) > 1 and parts[1] in SERVICES - {own}
            if foreign and not any(is_within(found.name, shared) for shared in SHARED_BY_SERVICES):
                yield _met(graph, module, found)


def only_composers_know_several_services(graph: Graph) -> Iterator[str]:
    for module in graph.within(SUITE):
        if any(is_within(module.name, one) for one in COMPOSERS) or SERVICES & set(module.name.split(".")[1:2]):
            continue
        services = {
            parts[1]
            for found in module.imports
            if (parts := found.name.split("."))[0] == SUITE and len(parts) > 1 and parts[1] in SERVICES
            if not any(is_within(found.name, shared) for shared in SHARED_BY_SERVICES)
        }
        if len(services) > 1:
            yield f"{graph.where(module)} imports of several services: {', '.join(sorted(services))}"


def the_rules_language_stands_alone(graph: Graph) -> Iterator[str]:
    own = f"{SUITE}.rules_language"
    for module in graph.within(own):
        for found in module.imports:
            top = found.name.partition(".")[0]
            if not is_within(found.name, own) and top not in sys.stdlib_module_names and top != "re2":
                yield _met(graph, module, found)


def only_rules_rooms_reach_the_rules_language(graph: Graph) -> Iterator[str]:
    for module in graph.within(f"{SUITE}.firestore", f"{SUITE}.storage", f"{SUITE}.front"):
        if any(is_within(module.name, room) for room in RULES_ROOMS):
            continue
        for found in module.imports:
            if is_within(found.name, f"{SUITE}.rules_language"):
                yield _met(graph, module, found)


def users_objects_are_reached_through_the_rules(graph: Graph) -> Iterator[str]:
    for module in graph.within(f"{SUITE}.storage.firebase"):
        for found in module.imports:
            if is_within(found.name, f"{SUITE}.storage.objects.store"):
                yield _met(graph, module, found)


def rooms_of_a_service_import_downwards(graph: Graph) -> Iterator[str]:
    for service, rooms in FLOORS.items():
        for height, room in enumerate(rooms):
            for module in graph.within(f"{SUITE}.{service}.{room}"):
                for found in module.imports:
                    parts = found.name.split(".")
                    if parts[:2] == [SUITE, service] and len(parts) > 2 and parts[2] not in rooms[: height + 1]:
                        yield _met(graph, module, found)


def adapters_know_operations_and_not_each_other(graph: Graph) -> Iterator[str]:
    adapters = f"{SUITE}.firestore.adapters"
    parts = [f"{adapters}.web_channel_session", f"{adapters}.web_channel_crowd"]
    for module in graph.within(*(f"{adapters}.{wire}" for wire in ("grpc", "rest", "web_channel")), *parts):
        for found in module.imports:
            allowed = (
                f"{SUITE}.firestore.operations.operations",
                f"{SUITE}.firestore.documents.resource_paths",
                f"{adapters}.json_messages",
                *(parts if module.name.startswith(f"{adapters}.web_channel") else []),
            )
            if is_within(found.name, f"{SUITE}.firestore") and not any(is_within(found.name, one) for one in allowed):
                yield _met(graph, module, found)


def the_front_knows_no_service(graph: Graph) -> Iterator[str]:
    for module in graph.within(f"{SUITE}.front"):
        for found in module.imports:
            if any(is_within(found.name, f"{SUITE}.{service}") for service in (*SERVICES, "hub")):
                yield _met(graph, module, found)


def the_wire_takes_of_the_front_how_errors_look(graph: Graph) -> Iterator[str]:
    for module in graph.within(f"{SUITE}.wire"):
        for found in module.imports:
            if is_within(found.name, f"{SUITE}.front") and not is_within(found.name, FRONT_FOR_THE_WIRE):
                yield _met(graph, module, found)


def cloud_clients_stay_out_of_the_suite(graph: Graph) -> Iterator[str]:
    for module in graph.within(SUITE):
        if is_within(module.name, HOST) or module.name == f"{SUITE}.protos.collect":
            continue
        if is_within(module.name, f"{SUITE}.functions"):  # functions in process import what the codebase imports
            continue
        for found in module.imports:
            if found.name.startswith(("google.cloud", "firebase_", "grpc")):
                yield _met(graph, module, found)


def the_host_imports_what_any_codebase_has(graph: Graph) -> Iterator[str]:
    for module in graph.within(HOST):
        for found in module.imports:
            top = found.name.partition(".")[0]
            if not is_within(found.name, HOST) and top not in sys.stdlib_module_names and top not in HOST_FINDS:
                yield _met(graph, module, found)


def imports_run_in_no_circles(graph: Graph) -> Iterator[str]:
    edges: dict[str, set[str]] = {}
    for module in graph.in_room("emulator", "functions", "client", "server", "rules"):
        # In the suite a circle counts also where only types or functions that run later close it.
        met = {graph.target(found.name) for found in module.imports if found.at_once or module.room == "emulator"}
        # A package's own modules may be imported by its `__init__`, and know that they stand in it.
        edges[module.name] = {name for name in met if name and name != module.name and not is_within(module.name, name)}
    try:
        list(graphlib.TopologicalSorter(edges).static_order())
    except graphlib.CycleError as error:
        yield " imports ".join(reversed(error.args[1]))


def public_names_mean_one_thing(graph: Graph) -> Iterator[str]:
    places: dict[tuple[str, str], list[str]] = {}
    for module in graph.in_room(*NAMES_ARE_UNIQUE_IN):
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
                places.setdefault((module.room, node.name), []).append(f"{graph.where(module)}:{node.lineno}")
    for (_, name), found in sorted(places.items()):
        if len(found) > 1:
            yield f"`{name}` means {len(found)} things: {', '.join(found)}"


def one_module_spells_paths(graph: Graph) -> Iterator[str]:
    for module in graph.in_room("functions"):
        if any(is_within(module.name, one) for one in PATHS):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _A_PATH.match(node.value):
                yield f"{graph.where(module)}:{node.lineno} spells the path `{node.value}`"


def protocols_have_two_users(graph: Graph) -> Iterator[str]:
    for protocol, fulfilled_by in protocols(graph, ("emulator", "functions", "client", "server", "rules")):
        if len(fulfilled_by) < 2 and protocol.name not in PROTOCOLS_OF_ONE:
            names = ", ".join(one.name for one in fulfilled_by) or "nothing"
            yield f"{protocol.where} `{protocol.name}` is fulfilled by {names} alone: name the class instead"


def nothing_is_written_twice(graph: Graph) -> Iterator[str]:
    modules = graph.in_room(*ROOMS)
    for block in equal_blocks((graph.where(module), module.text) for module in modules):
        if frozenset({block.first[0], block.second[0]}) not in TOLD_APART:
            yield str(block)


RULES = (
    Rule(
        promise="What is written once is mended once: no six equal lines stand in two places",
        broken_by=nothing_is_written_twice,
        example={
            f"functions/afterimage/{name}.py": "\n".join(f"a{number} = {number}" for number in range(6))
            for name in ("media", "ledger")
        },
    ),
    Rule(
        promise="A Protocol stands where two things are exchanged; with one alone it would hide what runs",
        broken_by=protocols_have_two_users,
        example={
            "functions/afterimage/store.py": (
                "from typing import Protocol\n\n\nclass Store(Protocol):\n    def get(self) -> str: ...\n\n\n"
                "class Files:\n    def get(self) -> str:\n        return ''\n"
            ),
        },
    ),
    Rule(
        promise="A public name means one thing in a room: who reads it in one module knows it in all",
        broken_by=public_names_mean_one_thing,
        example={
            "functions/afterimage/media.py": "class Record:\n    pass\n",
            "functions/afterimage/ledger.py": "class Record:\n    pass\n",
        },
    ),
    Rule(
        promise="The grammar of paths is one module: no other of the functions spells a path of a document or file",
        broken_by=one_module_spells_paths,
        example={"functions/afterimage/ledger.py": "def books(user: str) -> str:\n    return f'usage/{user}'\n"},
    ),
    Rule(
        promise="Rooms meet over the wire: functions, client and emulator import nothing of each other",
        broken_by=rooms_import_what_they_may,
        example={"functions/afterimage/media.py": "def late():\n    from afterimage_emulator import suite\n"},
    ),
    Rule(
        promise="The suite would serve any project as well: it names no path of this one",
        broken_by=the_suite_names_no_path_of_the_product,
        example={"{suite}/clock.py": "PATH = 'ai_outputs/one'\n"},
    ),
    Rule(
        promise="A service can be read, tested and started alone; what services share lies beside them",
        broken_by=services_stand_alone,
        example={"{suite}/auth/tokens.py": "from ..storage import names\n", "{suite}/storage/names.py": ""},
    ),
    Rule(
        promise="Only the composition root knows more than one service",
        broken_by=only_composers_know_several_services,
        example={
            "{suite}/exports.py": "from {package} import storage\nfrom {package} import auth\n",
            "{suite}/auth/__init__.py": "",
            "{suite}/storage/__init__.py": "",
        },
    ),
    Rule(
        promise="The rules language imports the standard library, RE2 and itself: anybody can use it alone",
        broken_by=the_rules_language_stands_alone,
        example={"{suite}/rules_language/lexer.py": "from .. import clock\n", "{suite}/clock.py": ""},
    ),
    Rule(
        promise="Stores decide nothing about permission: one room of a service asks the rules engine",
        broken_by=only_rules_rooms_reach_the_rules_language,
        example={
            "{suite}/firestore/operations/commits.py": "from {package} import rules_language\n",
            "{suite}/rules_language/__init__.py": "",
        },
    ),
    Rule(
        promise="No handler of the Firebase dialect can forget the rules: it has no other way to the objects",
        broken_by=users_objects_are_reached_through_the_rules,
        example={
            "{suite}/storage/firebase/objects.py": "from ..objects import store\n",
            "{suite}/storage/objects/store.py": "",
        },
    ),
    Rule(
        promise="A change in a service's lower rooms is understood without reading what stands above them",
        broken_by=rooms_of_a_service_import_downwards,
        example={
            **{f"{{suite}}/{service}/{room}/__init__.py": "" for service, rooms in FLOORS.items() for room in rooms},
            "{suite}/firestore/documents/values.py": "from {package}.firestore import operations\n",
        },
    ),
    Rule(
        promise="A wire more is an adapter more: none needs another, and all ask the same operations",
        broken_by=adapters_know_operations_and_not_each_other,
        example={
            "{suite}/firestore/adapters/grpc.py": "",
            "{suite}/firestore/adapters/rest.py": "from . import grpc\n",
        },
    ),
    Rule(
        promise="What stands in front of every service knows none of them",
        broken_by=the_front_knows_no_service,
        example={"{suite}/front/callers.py": "from ..auth import tokens\n", "{suite}/auth/tokens.py": ""},
    ),
    Rule(
        promise="The wire carries requests of anybody: of the front it knows how errors look, and no more",
        broken_by=the_wire_takes_of_the_front_how_errors_look,
        example={"{suite}/wire/http1.py": "from ..front import callers\n", "{suite}/front/callers.py": ""},
    ),
    Rule(
        promise="Cloud client packages stay out of the suite: importing them costs half its start",
        broken_by=cloud_clients_stay_out_of_the_suite,
        example={
            "{suite}/clock.py": "import importlib\nfirestore = importlib.import_module('google.cloud.firestore')\n"
        },
    ),
    Rule(
        promise="The host runs in the codebase's own interpreter and needs nothing that it may lack",
        broken_by=the_host_imports_what_any_codebase_has,
        example={"{suite}/functions/host/loading.py": "from ... import clock\n", "{suite}/clock.py": ""},
    ),
    Rule(
        promise="Any module can be read after those it imports, and never needs one that needs it",
        broken_by=imports_run_in_no_circles,
        example={
            "{suite}/clock.py": "from . import faults\n",
            "{suite}/faults.py": "def late() -> None:\n    from {package} import clock\n",
            "{suite}/__init__.py": "",
        },
    ),
)
