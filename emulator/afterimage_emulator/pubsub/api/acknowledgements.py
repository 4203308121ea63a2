"""Acknowledgements and deadlines as requests name them, with the errors that clients of exactly-once delivery read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from afterimage_emulator.protos import rpc, well_known
from afterimage_emulator.pubsub.topics.exactly_once import INVALID, TRY_AGAIN, Outcome
from afterimage_emulator.pubsub.topics.subscriptions import Subscription
from afterimage_emulator.status import Code, StatusError

_FAILED: Final = (
    "Some acknowledgement ids in the request were invalid. This could be because the acknowledgement ids have expired "
    "or the acknowledgement ids were malformed."
)
_DETAILS_BYTES: Final = 5_000
"""Clients take 8 KB of trailers, in which these bytes are a third larger."""
_ENTRY_BYTES: Final = 8
"""What protobuf puts around the two texts of one id."""


def acknowledge(subscription: Subscription, ack_ids: Sequence[str]) -> None:
    subscription.idleness.touch()
    if not subscription.is_exactly_once:
        check_ids(ack_ids)
        subscription.backlog.acknowledge(ack_ids)
        return
    named = _nameable(subscription, ack_ids)
    _confirm(subscription, subscription.confirmations.acknowledge(named), everything=len(named) == len(ack_ids))


def modify_deadline(subscription: Subscription, ack_ids: Sequence[str], seconds: int) -> None:
    subscription.idleness.touch()
    if not subscription.is_exactly_once:
        check_ids(ack_ids)
        subscription.backlog.modify(ack_ids, seconds)
        return
    named = _nameable(subscription, ack_ids)
    _confirm(subscription, subscription.confirmations.modify(named, seconds), everything=len(named) == len(ack_ids))


def check_ids(ack_ids: Sequence[str]) -> None:
    for ack_id in ack_ids:
        if not ack_id.startswith("ack-"):
            raise StatusError(
                Code.INVALID_ARGUMENT, f"You have passed an invalid ack ID to the service (ack_id={ack_id[:100]})."
            )


def _nameable(subscription: Subscription, ack_ids: Sequence[str]) -> Sequence[str]:
    """All, where all are known; otherwise as many as the answer has room to name.

    What an answer does not name has failed for the client, and so it has to fail here.
    """
    backlog = subscription.backlog
    if all(backlog.is_out(ack_id) for ack_id in ack_ids):
        return ack_ids
    room = _DETAILS_BYTES
    for count, ack_id in enumerate(ack_ids):
        room -= len(ack_id.encode()) + len(INVALID) + _ENTRY_BYTES
        if room < 0:
            return ack_ids[:count]
    return ack_ids


def _confirm(subscription: Subscription, outcome: Outcome, *, everything: bool) -> None:
    if everything and not outcome.failed:
        return
    subscription.confirmations.remember(outcome.done)
    info = rpc.ErrorInfo(reason="EXACTLY_ONCE_ACKID_FAILURE", domain="pubsub.googleapis.com")
    info.metadata.update(dict.fromkeys(outcome.invalid, INVALID))
    info.metadata.update(dict.fromkeys([*outcome.lost, *outcome.done], TRY_AGAIN))
    detail = well_known.Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=info.SerializeToString())
    raise StatusError(Code.INVALID_ARGUMENT, _FAILED, details=(detail.SerializeToString(),))
