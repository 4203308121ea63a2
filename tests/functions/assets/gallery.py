"""Owns a gallery: a file in every state of visibility that there is, each with bytes of its own, and its addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from PIL import Image

from afterimage.edges.assets.origin import Origin
from afterimage.edges.assets.signing import AssetSigner
from afterimage.edges.cdn.cloudflare import Cloudflare
from afterimage.edges.cdn.cloudfront import CloudFront
from afterimage.edges.cdn.port import CdnProvider
from afterimage.edges.cdn.signature_v4 import AwsKeys
from afterimage.edges.cdn.vercel import Vercel
from afterimage.paths import object_id, public_id, published_mark_path
from afterimage.store.documents import Expect
from afterimage.store.files import FileAbout
from tests.functions.media.pictures import encoded
from tests.functions.publishing import NOW, Stage

BASE: Final = "https://cdn.example.com"
KEY: Final = "k" * 32
SVG: Final = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML: Final = b"<!doctype html><html><body><script>alert(1)</script></body></html>"

NETWORKS: Final[Mapping[str, CdnProvider | None]] = {
    "none": None,
    "cloudflare": Cloudflare(zone="z", token="t", base_url=BASE),
    "cloudfront": CloudFront(distribution="E", keys=AwsKeys(identifier="a", secret="s"), base_url=BASE),
    "vercel": Vercel(project="p", token="t", base_url=BASE),
    "one that varies": Cloudflare(zone="z", token="t", base_url=BASE, varies=True),
}

PUBLIC: Final = "public"
PUBLIC_WITH_ORIGINAL: Final = "public with its original"
VISIBILITIES: Final = (
    PUBLIC, PUBLIC_WITH_ORIGINAL, "private", "marked by somebody else", "marked in another generation",
    "marked and not settled yet", "taken back", "deleted", "stored anew", "quarantined", "failed", "processing",
    "media without an owner", "media of another's mark", "erased",
)  # fmt: skip


def picture(number: int) -> bytes:
    """A picture that no other number has, large enough for a thumbnail."""
    image = Image.new("RGB", (40, 30), (number * 16 % 256, number * 37 % 256, number * 91 % 256))
    for x in range(40):
        image.putpixel((x, number % 30), (x * 6, 255 - number, 128))
    return encoded(image, "PNG")


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """One file: where it is, and which of its bytes the world may have."""

    visibility: str
    name: str
    generation: int
    plan: str
    original: bytes
    derived: Mapping[str, bytes]

    @property
    def public(self) -> str:
        return public_id("uploads", self.name, self.generation)

    @property
    def shows_variants(self) -> bool:
        return self.visibility in {PUBLIC, PUBLIC_WITH_ORIGINAL}

    @property
    def shows_original(self) -> bool:
        return self.visibility == PUBLIC_WITH_ORIGINAL


@dataclass
class Gallery:
    """All of them, in one world."""

    stage: Stage = field(default_factory=Stage)
    exhibits: dict[str, Exhibit] = field(default_factory=dict)

    @classmethod
    def opened(cls) -> Gallery:
        gallery = cls()
        for number, visibility in enumerate(VISIBILITIES):
            gallery._hang(number, visibility)
        return gallery

    def origin(self, network: str = "none", **options: Any) -> Origin:
        stores = self.stage.world.stores()
        return Origin(
            documents=self.stage.world.store, files=BothFiles(self.stage), derived_bucket=stores.derived.bucket,
            network=NETWORKS[network], signer=AssetSigner(key=KEY), now=lambda: NOW, **options,
        )  # fmt: skip

    def signed(self, exhibit: Exhibit, tail: str, lifetime: timedelta = timedelta(hours=1), key: str = KEY) -> str:
        path = f"/s/{object_id('uploads', exhibit.name)}/{exhibit.generation}/{tail}"
        if lifetime <= timedelta():
            return AssetSigner(key=key).signed(path, NOW - timedelta(seconds=1), now=NOW - timedelta(days=1))
        return AssetSigner(key=key).signed(path, NOW + lifetime, now=NOW)

    def _hang(self, number: int, visibility: str) -> None:
        stage, data = self.stage, picture(number)
        is_media = visibility.startswith("media")
        name = f"media/a{number}/map.png" if is_media else f"users/alice/ai_generated/images/card{number}_portrait.png"
        owner = {"owner": "bob"} if visibility == "media of another's mark" else {}
        generation = stage.store(name, data, **owner)
        path = f"mediaObjects/{object_id('uploads', name)}" if is_media else stage.record_path(name)
        record = stage.world.documents[path][0]
        derived = {v["name"]: stage.world.derived[v["path"]][0] for v in record["variants"]}
        assert derived
        self.exhibits[visibility] = Exhibit(
            visibility=visibility, name=name, generation=generation, plan=record["plan"], original=data, derived=derived
        )
        self._arrange(visibility, name, generation, path)

    def _arrange(self, visibility: str, name: str, generation: int, path: str) -> None:
        stage = self.stage
        if visibility == "private":
            return
        if visibility == "marked by somebody else":
            stage.world.store.put(published_mark_path("bob", object_id("uploads", name)), {"generation": generation})
            stage.publications.settle("bob", object_id("uploads", name))
            return
        stage.mark(
            generation + (visibility == "marked in another generation"),
            name,
            original=visibility == PUBLIC_WITH_ORIGINAL,
        )
        if visibility == "marked and not settled yet":
            return
        if visibility in {"quarantined", "failed", "processing"}:
            stage.world.documents[path][0]["status"] = visibility
        stage.settle(name)
        if visibility == "taken back":
            stage.unmark(name)
            stage.settle(name)
        if visibility == "deleted":
            stage.world.remove(name)
            stage.pipeline.deleted("uploads", name, generation)
        if visibility == "stored anew":
            stage.store(name, picture(99))
            stage.pipeline.deleted("uploads", name, generation)
        if visibility == "erased":
            publication = stage.world.store.read(f"publications/{public_id('uploads', name, generation)}")
            assert publication is not None
            stage.publications.withdraw(publication, "erased")


@dataclass
class BothFiles:
    """The two buckets of a stage behind one port, as Cloud Storage has them."""

    stage: Stage

    def _of(self, bucket: str) -> Any:
        return self.stage.world.uploads if bucket == "uploads" else self.stage.world.made

    def find(self, bucket: str, name: str) -> Any:
        return self._of(bucket).find(bucket, name)

    def read(self, file: Any, start: int = 0, end: int | None = None) -> Any:
        return self._of(file.bucket).read(file, start, end)

    def write(self, bucket: str, name: str, data: bytes, about: FileAbout, *, expected: Expect | int) -> Any:
        return self._of(bucket).write(bucket, name, data, about, expected=expected)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        raise AssertionError(f"the origin does not `{name}`")


def addresses_of(gallery: Gallery, exhibit: Exhibit) -> Iterator[tuple[str, str]]:
    """Every address at which somebody may try to get a file, by what it is."""
    variant = next(iter(exhibit.derived))
    stem = variant.partition(".")[0]
    yield "variant", f"/a/{exhibit.public}/{exhibit.plan}/{variant}"
    yield "as JPEG", f"/a/{exhibit.public}/{exhibit.plan}/{stem}.jpg"
    yield "negotiated", f"/a/{exhibit.public}/{exhibit.plan}/{stem}"
    yield "original", f"/a/{exhibit.public}/original.png"
    yield "of another plan", f"/a/{exhibit.public}/0123456789ab/{variant}"
    yield "with a query", f"/a/{exhibit.public}/{exhibit.plan}/{variant}?expires=9999999999&signature={'0' * 64}"
    yield "signed", gallery.signed(exhibit, f"{exhibit.plan}/{variant}")
    yield "signed original", gallery.signed(exhibit, "original.png")
    yield "signed by nobody", gallery.signed(exhibit, f"{exhibit.plan}/{variant}", key="x" * 32)
    yield "expired", gallery.signed(exhibit, f"{exhibit.plan}/{variant}", lifetime=timedelta(0))
    yield "unsigned", f"/s/{object_id('uploads', exhibit.name)}/{exhibit.generation}/{exhibit.plan}/{variant}"
    yield "by its object", f"/a/{object_id('uploads', exhibit.name)}/{exhibit.plan}/{variant}"
    yield "by its path", f"/{exhibit.name}"
    yield "as the app's", f"/app/{exhibit.public[:16]}/{variant}"


HEADERS: Final[Mapping[str, Mapping[str, str]]] = {
    "nothing said": {},
    "signed in": {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."},
    "a part": {"Range": "bytes=0-9"},
    "the end": {"Range": "bytes=-5"},
    "behind the end": {"Range": "bytes=999999-"},
    "several parts": {"Range": "bytes=0-1,3-4"},
    "any tag": {"If-None-Match": "*"},
    "AVIF": {"Accept": "image/avif,image/webp,*/*"},
    "WebP": {"Accept": "image/webp,*/*;q=0.8"},
    "JPEG": {"Accept": "image/jpeg"},
    "HTML": {"Accept": "text/html"},
    "no cache": {"Cache-Control": "no-cache", "Pragma": "no-cache"},
    "a cookie": {"Cookie": "session=1"},
    "another host": {"X-Forwarded-Host": "evil.example", "X-Original-URL": "/a/x", "X-HTTP-Method-Override": "PUT"},
}
