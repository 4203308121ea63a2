"""The grammar of paths: whose a file is, what it belongs to, and where that which is derived from it lives."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage.paths import (
    Family,
    derived_folder,
    derived_path,
    is_document_id,
    object_id,
    parse_derived,
    place_of,
    record_path,
)

segments = st.text(min_size=1, max_size=12).filter(lambda text: "/" not in text)
wild_names = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(["users", "u", "ai_generated", "images", "audio", "stems", "media", "", "..", "v1", "a_b.png"]),
        max_size=6,
    ).map("/".join),
)

UNDERSTOOD = [
    ("users/u/ai_generated/images/card_portrait.webp", Family.AI_IMAGE, "u", "ai_outputs/u/images/card_portrait",
     {"card_id": "card", "image_type": "portrait"}),
    ("users/u/ai_generated/images/a_b_action.png", Family.AI_IMAGE, "u", "ai_outputs/u/images/a_b_action",
     {"card_id": "a_b", "image_type": "action"}),
    ("users/u/ai_generated/images/plain.png", Family.AI_IMAGE, "u", "ai_outputs/u/images/plain", {}),
    ("users/u/ai_generated/videos/scene.7.mp4", Family.AI_VIDEO, "u", "ai_outputs/u/videos/scene.7",
     {"scene_id": "scene.7"}),
    ("users/u/ai_generated/audio/stems/drums_s1.opus", Family.AI_AUDIO, "u", "ai_outputs/u/audio/drums_s1",
     {"stem_type": "drums", "stem_id": "s1"}),
    ("generating/u/image/f.png", Family.GENERATED_IMAGE, "u", "generations/u/files/f", {"file_uid": "f"}),
    ("generating/u/image/f_12.png", Family.GENERATED_IMAGE, "u", "generations/u/files/f",
     {"file_uid": "f", "index": "12"}),
    ("generating/u/video/f_x.mp4", Family.GENERATED_VIDEO, "u", "generations/u/files/f_x", {"file_uid": "f_x"}),
    ("media/asset/pic.jpg", Family.MEDIA, None, "mediaAssets/asset", {"asset_id": "asset"}),
    ("media/pic.jpg", Family.MEDIA, None, None, {}),
    ("artifacts/u/blobs/" + "0a" * 32, Family.ARTIFACT, "u", None, {"sha256": "0a" * 32}),
    ("projects/p/generations/g/v2.tar.gz", Family.PROJECT_ARCHIVE, None, None,
     {"project_id": "p", "generation_id": "g", "version": "2"}),
    ("users/ü/ai_generated/images/кот_portrait.webp", Family.AI_IMAGE, "ü", "ai_outputs/ü/images/кот_portrait",
     {"card_id": "кот", "image_type": "portrait"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "family", "owner", "document", "parts"), UNDERSTOOD)
def test_every_path_of_the_five_systems_is_understood(
    name: str, family: Family, owner: str | None, document: str | None, parts: dict[str, str]
) -> None:
    """Owner, family, and the output a file belongs to, follow from its name."""
    place = place_of(name)
    assert place is not None
    assert (place.family, place.owner, place.output.document, dict(place.output.parts)) == (
        family, owner, document, parts,
    )  # fmt: skip


OUTSIDE = [
    "", "/", "users", "users/", "users/u", "users/u/avatar.png", "users/u/ai_generated/images/",
    "users/u/ai_generated/images/deeper/x.png", "users//ai_generated/images/x.png", "/users/u/ai_generated/images/x",
    "users/../ai_generated/images/x.png", "users/__x__/ai_generated/images/x.png", "Users/u/ai_generated/images/x.png",
    "generating/u/audio/x.opus", "generating/u/image/", "media/", "media//x.png", "media/a/b/c.png", "media/a/",
    "artifacts/u/blobs/0a", "artifacts/u/blobs/" + "0A" * 32, "artifacts/u/uploads/x", "artifacts/u/file/v3/x",
    "projects/p/generations/g/v1.zip", "other/thing.png",
    "users/u/ai_generated/audio/drums.opus",
]  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
def test_anything_else_is_left_alone(name: str) -> None:
    """Folders, reserved ids, other places and near misses are outside the grammar."""
    assert place_of(name) is None


def test_metadata_settles_what_the_name_cannot() -> None:
    """`a_b` + `c` and `a` + `b_c` make the same file name; the ids a client states decide, if they spell that name."""
    name = "users/u/ai_generated/images/a_b_c.webp"
    stated = place_of(name, {"card_id": "a", "image_type": "b_c"})
    assert stated is not None
    assert stated.output.parts == {"card_id": "a", "image_type": "b_c"}
    lied = place_of(name, {"card_id": "somebody", "image_type": "else"})
    assert lied is not None
    assert lied.output.parts == {"card_id": "a_b", "image_type": "c"}


def test_a_generated_file_whose_id_ends_in_digits() -> None:
    """`x_0` without an index is told from `x` with index 0 by the worker's metadata."""
    name = "generating/u/image/x_0.png"
    without, stated = place_of(name), place_of(name, {"file_uid": "x_0"})
    assert without is not None
    assert stated is not None
    assert without.output.document == "generations/u/files/x"
    assert stated.output.document == "generations/u/files/x_0"


@given(name=wild_names, metadata=st.dictionaries(st.sampled_from(["card_id", "image_type", "file_uid"]), segments))
def test_the_grammar_is_total(name: str, metadata: dict[str, str]) -> None:
    """Any name and any metadata get an answer, and every document path in it is one that Firestore takes."""
    place = place_of(name, metadata)
    if place is None:
        return
    paths = [path for path in (place.output.document, place.records) if path]
    assert all(is_document_id(segment) for path in paths for segment in path.split("/"))
    if place.owner is not None:
        assert place.records == f"users/{place.owner}/objects"


@given(bucket=st.from_regex(r"[a-z0-9][a-z0-9.-]{1,40}", fullmatch=True), name=st.text(min_size=1, max_size=60))
def test_an_object_id_says_bucket_and_path_and_nothing_else(bucket: str, name: str) -> None:
    """A record's id can be computed, and read back, by any client: base64url without padding."""
    identifier = object_id(bucket, name)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", identifier)
    assert urlsafe_b64decode(identifier + "=" * (-len(identifier) % 4)).decode() == f"{bucket}/{name}"
    assert is_document_id(identifier)


@given(
    bucket=st.from_regex(r"[a-z0-9][a-z0-9.-]{1,40}", fullmatch=True),
    name=st.one_of(st.text(min_size=1, max_size=60), wild_names.filter(bool), st.just("media/7/abc/thumb_1.webp")),
    generation=st.integers(1, 2**63 - 1),
    plan=st.from_regex(r"[0-9a-f]{12}", fullmatch=True),
    variant=st.sampled_from(["thumb_200.webp", "full.avif"]),
)
def test_a_derived_path_is_read_back_exactly(bucket: str, name: str, generation: int, plan: str, variant: str) -> None:
    """No two originals, generations, plans or variants share a derived path: the path gives all of them back."""
    path = derived_path(bucket, name, generation, plan, variant)
    assert parse_derived(str(path)) == path
    assert str(path).startswith(derived_folder(bucket, name, generation))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "b/name/1/xyz/v",
        "b/name/one/abc/v",
        "b/1/abc/v",
        "/n/1/abc/v",
        f"b/n/{'1' * 5000}/abc/v",
        "b/n/١/abc/v",
    ],
)
def test_what_is_not_a_derived_path_is_not_taken_for_one(path: str) -> None:
    """The sweep deletes by parsed paths, so anything else in the bucket must not parse."""
    assert parse_derived(path) is None


@pytest.mark.parametrize(("stated", "owner"), [({"owner": "ann"}, "ann"), ({"owner": "a/b"}, None), ({}, None)])
def test_a_shared_file_is_its_uploader_s_where_it_says_so(stated: dict[str, str], owner: str | None) -> None:
    """No path under media/ names anybody; a file under a user's folder stays theirs whatever its metadata says."""
    shared, own = place_of("media/a/x.png", stated), place_of("users/eve/ai_generated/images/a_b.png", stated)
    assert shared is not None
    assert own is not None
    assert (shared.owner, own.owner) == (owner, "eve")


def test_a_name_whose_record_could_not_exist_has_no_record_path() -> None:
    """Document ids end at 1,500 bytes; a longer one is reported, not truncated into a collision."""
    place = place_of("media/x")
    assert place is not None
    assert record_path(place, "b", "media/" + "x" * 900) is not None
    assert record_path(place, "b" * 222, "media/" + "x" * 1018) is None
