"""`google.iam.v1.IAMPolicy` on Pub/Sub's own port, as Google's clients ask it beside Publisher and Subscriber."""

from __future__ import annotations

from typing import Final

from afterimage_emulator.front.iam_policies import IamPolicies
from afterimage_emulator.protos import iam_v1
from afterimage_emulator.wire.grpc_methods import GrpcMethod

_PREFIX: Final = "/google.iam.v1.IAMPolicy/"


def iam_methods(policies: IamPolicies) -> list[GrpcMethod]:
    return [
        GrpcMethod(path=_PREFIX + name, request_class=request_class, unary=handler)
        for name, request_class, handler in (
            ("GetIamPolicy", iam_v1.GetIamPolicyRequest, policies.get_iam_policy),
            ("SetIamPolicy", iam_v1.SetIamPolicyRequest, policies.set_iam_policy),
            ("TestIamPermissions", iam_v1.TestIamPermissionsRequest, policies.test_iam_permissions),
        )
    ]
