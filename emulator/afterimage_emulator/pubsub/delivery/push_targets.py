"""Where pushes may go: endpoints checked as production does, kept to this machine; functions by their addresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from afterimage_emulator.front.local_hosts import is_this_machine
from afterimage_emulator.protos import pubsub_v1
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http_client import split_address

_VERSION: Final = "x-goog-version"
_VERSIONS: Final = ("v1", "v1beta2")
"""Both write the body that is sent here; v1beta1 wrote another one."""


def _nothing_deployed(url: str) -> str:
    return ""


class PushTargets:
    """`may_call` says of a host's name whether pushes may go there; `deployed` where the function of an address is."""

    def __init__(
        self,
        *,
        may_call: Callable[[str], bool] = is_this_machine,
        deployed: Callable[[str], str] = _nothing_deployed,
    ) -> None:
        self._may_call = may_call
        self._deployed = deployed

    def check(self, config: pubsub_v1.PushConfig) -> None:
        """Raises what whoever sets such an endpoint is told; without an endpoint nothing is pushed."""
        endpoint = config.push_endpoint
        if endpoint:
            try:
                split_address(endpoint)
            except ValueError:
                raise StatusError(
                    Code.INVALID_ARGUMENT,
                    f"Invalid push endpoint given (endpoint={endpoint[:500]}). Refer to "
                    "https://cloud.google.com/pubsub/docs/subscriber#create for more information.",
                ) from None
            reason = self._beyond_reach(endpoint)
            if reason:
                raise StatusError(Code.FAILED_PRECONDITION, reason)
        if config.HasField("oidc_token") and not config.oidc_token.service_account_email:
            raise StatusError(
                Code.INVALID_ARGUMENT,
                "`push_config.oidc_token` must have a `service_account_email`",
            )
        version = config.attributes.get(_VERSION, _VERSIONS[0])
        if version not in _VERSIONS:
            raise StatusError(
                Code.INVALID_ARGUMENT, f"`push_config.attributes` has the `{_VERSION}` `{version[:60]}`; take `v1`"
            )

    def address(self, endpoint: str) -> str:
        """Where a push goes. Raises `ValueError` where it may not go any more."""
        reason = self._beyond_reach(endpoint)
        if reason:
            raise ValueError(reason)
        return self._deployed(endpoint) or endpoint

    def _beyond_reach(self, endpoint: str) -> str:
        host = split_address(endpoint).hostname or ""
        if self._may_call(host) or self._deployed(endpoint):
            return ""
        return (
            f"`{host}` is not on this machine, and the suite pushes to nothing else; use an address of this machine, "
            f"or start the suite with `--allow-host {host}`"
        )
