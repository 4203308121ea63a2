"""Policies of resources, as `google.iam.v1` has them: kept and answered for set-up code, and asked by nobody."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from afterimage_emulator.durable.entries import Touch, touch_nothing
from afterimage_emulator.protos import iam_v1
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.grpc_methods import Call

NO_POLICY: Final = b"\x00\x20\x01"
"""The etag of what nobody has set yet, as production has it."""


class IamPolicies:
    """`check` raises NOT_FOUND for a resource that is not there; the three methods are handlers of gRPC and REST."""

    def __init__(
        self, check: Callable[[str], object], *, tests_what_is_missing: bool = False, touch: Touch = touch_nothing
    ) -> None:
        self._touch = touch
        self._check = check
        self._tests_what_is_missing = tests_what_is_missing
        self._policies: dict[str, iam_v1.Policy] = {}

    def get_iam_policy(self, request: iam_v1.GetIamPolicyRequest, call: Call) -> iam_v1.Policy:
        self._check(request.resource)
        return self._policies.get(request.resource) or iam_v1.Policy(etag=NO_POLICY)

    def set_iam_policy(self, request: iam_v1.SetIamPolicyRequest, call: Call) -> iam_v1.Policy:
        """With the etag of another state it is refused, so that no change is lost between reading and writing."""
        current = self.get_iam_policy(iam_v1.GetIamPolicyRequest(resource=request.resource), call)
        if request.policy.etag and request.policy.etag != current.etag:
            raise StatusError(
                Code.ABORTED, f"the policy of `{request.resource}` has changed since it was read; read it and set again"
            )
        kept = iam_v1.Policy()
        kept.CopyFrom(request.policy)
        kept.etag = secrets.token_bytes(8)  # no state of before, of this run or another, has it
        self.adopt(request.resource, kept)
        return kept

    def test_iam_permissions(
        self, request: iam_v1.TestIamPermissionsRequest, call: Call
    ) -> iam_v1.TestIamPermissionsResponse:
        """Whoever may ask here may do everything."""
        try:
            self._check(request.resource)
        except StatusError as error:
            if self._tests_what_is_missing and error.code == Code.NOT_FOUND:
                return iam_v1.TestIamPermissionsResponse()
            raise
        return iam_v1.TestIamPermissionsResponse(permissions=request.permissions)

    def forget(self, resource: str) -> None:
        """It is deleted: another one of its name begins without a policy."""
        if self._policies.pop(resource, None) is not None:
            self._touch(policy_key(resource))

    def clear(self) -> None:
        self._policies.clear()

    def all(self) -> dict[str, iam_v1.Policy]:
        return dict(self._policies)

    def adopt(self, resource: str, policy: iam_v1.Policy) -> None:
        self._policies[resource] = policy
        self._touch(policy_key(resource))

    def find(self, resource: str) -> iam_v1.Policy | None:
        return self._policies.get(resource)


def policy_key(resource: str) -> str:
    """Under which its policy is kept."""
    return f"policy/{resource}"
