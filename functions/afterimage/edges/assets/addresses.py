"""The addresses of assets: what a path asks for. Pure, and strict: whatever is not in this grammar is not there.

/a/{publicId}/{plan}/thumb_400.webp     a derived file of a published one; .jpg is made of it on the way
/a/{publicId}/{plan}/thumb_400          the format that the client takes best
/a/{publicId}/original.mp4              a published original
/s/{objectId}/{generation}/{tail}       any of them, published or not, for whoever holds a signed address
/app/{digest}/{name}                    the app's own files
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from afterimage.paths import parse_object_id

_ENDING: Final = r"\.[a-z0-9]{1,5}"
_TAIL: Final = rf"(?P<tail>original{_ENDING}|[0-9a-f]{{6,64}}/[a-z0-9_]{{1,64}}(?:{_ENDING})?)"
_PUBLIC: Final = re.compile(rf"/a/(?P<public>[0-9a-f]{{40}})/{_TAIL}")
_SIGNED: Final = re.compile(rf"/s/(?P<object>[A-Za-z0-9_-]{{1,1500}})/(?P<generation>[0-9]{{1,19}})/{_TAIL}")
_APP: Final = re.compile(r"/app/(?P<digest>[0-9a-f]{16})/(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,127})")


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicAddress:
    """A file of a publication; without an ending, whichever format is taken best."""

    public: str
    tail: str

    @property
    def is_negotiated(self) -> bool:
        return "." not in self.tail


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedAddress:
    """A file by the object that it was made of."""

    bucket: str
    name: str
    generation: int
    tail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AppAddress:
    """One of the app's own files."""

    digest: str
    name: str


AssetAddress = PublicAddress | SignedAddress | AppAddress


def address_of(path: str) -> AssetAddress | None:
    """What a path asks for; None for nothing."""
    if len(path) > 3000:
        return None
    if found := _PUBLIC.fullmatch(path):
        return PublicAddress(public=found["public"], tail=found["tail"])
    if found := _APP.fullmatch(path):
        return AppAddress(digest=found["digest"], name=found["name"])
    if found := _SIGNED.fullmatch(path):
        place = parse_object_id(found["object"])
        if place is not None:
            bucket, name = place
            return SignedAddress(bucket=bucket, name=name, generation=int(found["generation"]), tail=found["tail"])
    return None
