"""The message descriptions that the suite speaks by."""

from __future__ import annotations

from itertools import groupby

import pytest

from afterimage_emulator.protos import message_class


@pytest.mark.parametrize("name", ["Write", "ListenRequest", "TargetChange", "Value", "Precondition"])
def test_the_fields_of_a_choice_stand_together(name: str) -> None:
    """A compiler of proto files takes a oneof only as one run of fields; what is added to it has to keep to that."""
    fields = message_class(f"google.firestore.v1.{name}").DESCRIPTOR.fields
    runs = [choice for choice, _ in groupby(field.containing_oneof and field.containing_oneof.name for field in fields)]
    choices = [choice for choice in runs if choice is not None]
    assert len(choices) == len(set(choices))
