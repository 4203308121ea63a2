"""What other rules than the repository's allow and limit: groups of collections, and look-ups of a batch."""

from __future__ import annotations

from dataclasses import replace

import httpx2
import pytest

from afterimage_client import FirebaseApp, FirestoreError
from tests.client.conftest import Apps

_BEFORE = "rules_version = '2'; service cloud.firestore { match /databases/{database}/documents {"
GROUPS = """
match /{above=**}/posts/{id} {
  allow read: if request.auth != null && resource.data.owner == request.auth.uid;
  allow create: if request.auth != null && request.resource.data.owner == request.auth.uid;
}"""
LOOK_UPS = """
match /gates/{id} { allow write: if true; }
match /guarded/{id} { allow write: if exists(/databases/$(database)/documents/gates/$(id)); }"""


async def app_under(rules: str, apps: Apps, project_id: str) -> FirebaseApp:
    """An app of a project of its own, with these rules."""
    source = f"{_BEFORE}{rules} }} }}"
    url = f"http://{apps.endpoints.firestore}/emulator/v1/projects/{project_id}:securityRules"
    async with httpx2.AsyncClient() as http:
        answer = await http.put(url, json={"rules": {"files": [{"name": "r", "content": source}]}})
    assert answer.status_code == 200, answer.text
    apps.options = replace(apps.options, project_id=project_id)
    app = await apps.open()
    await app.auth.sign_in_anonymously()
    return app


async def test_a_group_of_collections_is_queried_counted_and_listened_to(apps: Apps, project_id: str) -> None:
    """Wherever they lie, as far as the query proves that the rules allow it."""
    app = await app_under(GROUPS, apps, project_id)
    user = app.auth.current_user
    assert user is not None
    for above in ("a/1", "b/2/c/3"):
        await app.firestore.document(f"{above}/posts/p").set({"owner": user.uid})
    group = app.firestore.collection_group("posts")
    with pytest.raises(FirestoreError, match="permission-denied"):
        await group.get()
    own = group.where("owner", "==", user.uid)
    assert [post.path for post in await own.get()] == ["a/1/posts/p", "b/2/c/3/posts/p"]
    assert await own.count() == 2
    async with own.listen() as snapshots:
        assert [post.path for post in await anext(snapshots)] == ["a/1/posts/p", "b/2/c/3/posts/p"]


async def test_a_batch_has_twenty_look_ups_in_all(apps: Apps, project_id: str) -> None:
    """The twenty-first document that the rules look up refuses the whole batch: it is to be split."""
    app = await app_under(LOOK_UPS, apps, project_id)
    gates = app.firestore.batch()
    for number in range(21):
        gates.set(app.firestore.document(f"gates/{number}"), {})
    await gates.commit()
    for count, is_allowed in ((20, True), (21, False)):
        batch = app.firestore.batch()
        for number in range(count):
            batch.set(app.firestore.document(f"guarded/{number}"), {"n": count})
        if is_allowed:
            assert len(await batch.commit()) == count
        else:
            with pytest.raises(FirestoreError, match="permission-denied"):
                await batch.commit()
