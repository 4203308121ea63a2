"""In what the API's methods are not production's: told by the tables of what is served."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from afterimage_emulator.wire.grpc_methods import GrpcMethod

_SUBSCRIPTIONS: Final = "exports to BigQuery and Bigtable, and message transforms, are refused"
_TOPICS: Final = "ingestion and message transforms are refused; keys of Cloud KMS are kept and not used"
_POLICIES: Final = "kept and answered; nobody is refused by them"
DIFFERENT: Final[Mapping[str, str]] = {
    "create_topic": _TOPICS,
    "update_topic": _TOPICS,
    "create_subscription": _SUBSCRIPTIONS,
    "update_subscription": _SUBSCRIPTIONS,
    "set_iam_policy": _POLICIES,
    "test_iam_permissions": "every permission is granted",
}
"""By the name of the handler."""


def with_difference(method: GrpcMethod) -> GrpcMethod:
    """The method as the table of what is served tells it."""
    return dataclasses.replace(method, differs=DIFFERENT.get(getattr(method.unary, "__name__", ""), ""))
