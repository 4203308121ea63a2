"""Access control lists: entities and roles read and checked, predefined names, owners' entries, defaults (pure).

A list names whoever writes and the project's teams by placeholders: who they are is said when the list is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from afterimage_emulator.storage.errors import Reason, StorageError, invalid

AclEntry = Mapping[str, str]
"""`entity` and `role`."""
AccessList = tuple[AclEntry, ...]

WRITER: Final = "@writer"
PROJECT_NUMBER: Final = "1"
FIREBASE_AGENT: Final = f"service-{PROJECT_NUMBER}@gcp-sa-firebasestorage.iam.gserviceaccount.com"
"""The account by which Firebase writes what its users upload."""
PUBLIC_ENTITIES: Final = frozenset({"allUsers", "allAuthenticatedUsers"})
_OWNERS: Final = f"project-owners-{PROJECT_NUMBER}"
_EDITORS: Final = f"project-editors-{PROJECT_NUMBER}"
_VIEWERS: Final = f"project-viewers-{PROJECT_NUMBER}"
_ENTRIES: Final = 100
OBJECT_ROLES: Final = ("READER", "OWNER")
BUCKET_ROLES: Final = ("READER", "WRITER", "OWNER")
_TEAM: Final = re.compile(r"project-(owners|editors|viewers)-[A-Za-z0-9_-]{1,100}")
_NAMED: Final = re.compile(r"(user|group|domain)-[^\s/]{1,300}")


def _entry(entity: str, role: str) -> AclEntry:
    return {"entity": entity, "role": role}


PROJECT_PRIVATE: Final[AccessList] = (
    _entry(_OWNERS, "OWNER"),
    _entry(_EDITORS, "OWNER"),
    _entry(_VIEWERS, "READER"),
)
"""The default of buckets, and of the objects in them."""
_FURTHER: Final[Mapping[str, AccessList]] = {
    "private": (),
    "projectPrivate": PROJECT_PRIVATE,
    "bucketOwnerRead": (_entry(_OWNERS, "READER"),),
    "bucketOwnerFullControl": (_entry(_OWNERS, "OWNER"),),
    "publicRead": (_entry("allUsers", "READER"),),
    "publicReadWrite": (_entry("allUsers", "WRITER"),),
    "authenticatedRead": (_entry("allAuthenticatedUsers", "READER"),),
}
_OF_BUCKETS: Final = ("private", "projectPrivate", "publicRead", "publicReadWrite", "authenticatedRead")
_OF_OBJECTS: Final = tuple(name for name in _FURTHER if name != "publicReadWrite")


def predefined_list(name: str, parameter: str, *, of_bucket: bool = False) -> AccessList:
    """What a name stands for, with its owner's entry first; lists for objects to come have no owner yet."""
    known = _OF_BUCKETS if of_bucket else _OF_OBJECTS
    if name not in known:
        raise invalid(f"Invalid value for `{parameter}`: `{name[:100]}`; choose one of {', '.join(known)}")
    if of_bucket:
        return _FURTHER[name] if name == "projectPrivate" else (_entry(_OWNERS, "OWNER"), *_FURTHER[name])
    if parameter == "predefinedDefaultObjectAcl":
        return _FURTHER[name]
    return (_entry(WRITER, "OWNER"), *_FURTHER[name])


def dashed_predefined_list(name: str) -> AccessList:
    """As the XML API spells them: `public-read`."""
    spelt = {"".join(f"-{one.lower()}" if one.isupper() else one for one in known): known for known in _OF_OBJECTS}
    if name not in spelt:
        raise invalid(f"Invalid value for `x-goog-acl`: `{name[:100]}`; choose one of {', '.join(spelt)}")
    return predefined_list(spelt[name], "x-goog-acl")


def read_list(said: object, roles: Sequence[str], field: str = "acl") -> AccessList:
    """From a body; what resources tell beside entity and role is the server's."""
    if not isinstance(said, list) or not all(isinstance(one, Mapping) for one in said):
        raise invalid(f"Invalid value for `{field}`: it must be a list of objects")
    found: dict[str, AclEntry] = {}
    for one in said:
        entry = read_entry(one.get("entity"), one.get("role"), roles)
        found[entry["entity"]] = entry
    check_count(tuple(found.values()))
    return tuple(found.values())


def read_entry(entity: object, role: object, roles: Sequence[str]) -> AclEntry:
    if not isinstance(entity, str) or not isinstance(role, str):
        raise StorageError(Reason.REQUIRED, "Required parameters: entity and role")
    if role not in roles:
        raise invalid(f"Invalid value for `role`: `{role[:60]}`; use {', '.join(roles)}")
    return _entry(normal_entity(entity), role)


def normal_entity(entity: str) -> str:
    """Addresses and domains are told in small letters."""
    if entity in PUBLIC_ENTITIES or entity == WRITER or _TEAM.fullmatch(entity):
        return entity
    found = _NAMED.fullmatch(entity)
    if found is None or (found[1] != "domain" and "@" not in entity):
        raise invalid(f"Invalid value for `entity`: `{entity[:100]}`; write user-ann@example.com or allUsers")
    return entity.lower()


def refuse_placeholder(said: object) -> None:
    """Clients name accounts; the writer's placeholder is the suite's own."""
    for one in said if isinstance(said, list) else [said]:
        if isinstance(one, Mapping) and one.get("entity") == WRITER:
            raise invalid(f"Invalid value for `entity`: `{WRITER}`; write user-ann@example.com or allUsers")


def check_count(entries: AccessList) -> None:
    if len(entries) > _ENTRIES:
        raise StorageError(Reason.TOO_MANY_ENTRIES, f"an access list has at most {_ENTRIES} entries")


def told(entries: Sequence[AclEntry], *, owner: str) -> AccessList:
    """With names for placeholders, each entity once; the owner has OWNER, whatever was written."""
    found: dict[str, AclEntry] = {}
    for one in entries:
        entity = owner if one["entity"] == WRITER else one["entity"]
        found[entity] = _entry(entity, "OWNER" if entity == owner else one["role"])
    found.setdefault(owner, _entry(owner, "OWNER"))
    return tuple(found.values())


def project_owner() -> str:
    return _OWNERS
