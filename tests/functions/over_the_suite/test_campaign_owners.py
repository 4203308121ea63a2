"""Whose a campaign is, is kept: in any order of events, whoever deletes it, and as the rules will compare it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from afterimage.campaign_owners import keep_owners
from afterimage.delivery.document_changes import DocumentChange
from afterimage.store.firestore_documents import FirestoreDocuments
from tests.functions.over_the_suite.conftest import Cloud

ALICES = {"rev": 0, "ownerId": "alice", "members": ["alice", "bob"]}
BOBS = {"rev": 1, "ownerId": "bob", "members": ["bob"]}
NOBODYS = {"rev": 2}


class Campaign:
    """A campaign in Firestore, and the events that its writes raise."""

    def __init__(self, cloud: Cloud) -> None:
        self.document = cloud.firestore.document("campaigns/c")
        self.owners = cloud.firestore.document("campaignOwners/c")
        self.documents = FirestoreDocuments(cloud.firestore)
        self.events: list[DocumentChange] = []

    def write(self, fields: dict[str, Any] | None) -> None:
        before = self.document.get()
        if fields is None:
            self.document.delete()
        else:
            self.document.set(fields)
        after = self.document.get()
        present = [found for found in (before, after) if found.exists]
        self.events.append(
            DocumentChange(
                project="p",
                database="(default)",
                path="campaigns/c",
                before=before.to_dict(),
                after=after.to_dict(),
                version=max(found.update_time.timestamp_pb().ToNanoseconds() for found in present),
                created=0,
            )
        )

    def kept(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.owners.get().to_dict()
        return found and {name: value for name, value in found.items() if name != "version"}


@pytest.fixture
def campaign(cloud: Cloud) -> Campaign:
    return Campaign(cloud)


@pytest.mark.parametrize(
    ("writes", "kept"),
    [
        ([ALICES], ALICES),
        ([ALICES, None], ALICES),
        ([ALICES, BOBS, None], BOBS),
        ([ALICES, None, BOBS, None], BOBS),
        ([ALICES, None, BOBS], BOBS),
        ([ALICES, NOBODYS], NOBODYS),
        ([NOBODYS, ALICES, NOBODYS, None], NOBODYS),
    ],
)
def test_what_is_kept_is_the_last_of_it_in_any_order(
    campaign: Campaign, writes: list[dict[str, Any] | None], kept: dict[str, Any]
) -> None:
    """Every order of the events, each delivered twice, after all is over: also where a server deleted the campaign."""
    for fields in writes:
        campaign.write(fields)
    expected = {name: value for name, value in kept.items() if name != "rev"}
    for order in itertools.permutations(campaign.events):
        campaign.owners.delete()
        for change in (*order, *order):
            keep_owners(campaign.documents, change)
        assert campaign.kept() == expected, [change.after for change in order]


def test_each_event_as_it_comes_keeps_what_the_campaign_says(campaign: Campaign) -> None:
    """Deletion is allowed as soon as the last write's event is handled."""
    for fields in (ALICES, BOBS, ALICES):
        campaign.write(fields)
        keep_owners(campaign.documents, campaign.events[-1])
        assert campaign.kept() == {name: value for name, value in fields.items() if name != "rev"}


def test_what_a_client_kept_with_the_deletion_stands(campaign: Campaign) -> None:
    """It is later than every write of the campaign; events that come in after it change nothing."""
    campaign.write(ALICES)
    campaign.write(BOBS)
    campaign.write(None)
    campaign.owners.set({"ownerId": "bob", "members": ["bob"]})
    for change in (*campaign.events, campaign.events[0]):
        assert not keep_owners(campaign.documents, change)
    assert campaign.owners.get().to_dict() == {"ownerId": "bob", "members": ["bob"]}
    campaign.write(ALICES)
    assert keep_owners(campaign.documents, campaign.events[-1])
    assert campaign.kept() == {"ownerId": "alice", "members": ["alice", "bob"]}


def test_a_campaign_that_names_nobody_costs_nothing(campaign: Campaign, cloud: Cloud) -> None:
    """Clients without membership name nobody: nothing is read or written for them."""
    campaign.write({"rev": 0})
    campaign.write({"rev": 1})
    campaign.write(None)
    for change in campaign.events:
        assert not keep_owners(campaign.documents, change)
    assert not campaign.owners.get().exists


def test_names_that_are_no_texts_are_nobody(campaign: Campaign) -> None:
    """A campaign may say nonsense; what is kept of it is what could be somebody."""
    campaign.write({"rev": 0, "ownerId": 7, "members": ["alice", 7, {"a": 1}, None]})
    assert keep_owners(campaign.documents, campaign.events[-1])
    assert campaign.kept() == {"members": ["alice"]}
