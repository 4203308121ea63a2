"""A provider's credential that could not sign in yet, kept as a token in the client's hands until it can link."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import replace
from urllib.parse import parse_qs

from afterimage_emulator.auth.errors import refused
from afterimage_emulator.auth.requests.requests import SignInWithIdp
from afterimage_emulator.front.json_reading import UnreadableJsonError, read_json_object

_MARK = "localPendingCredential"


class PendingCredentials:
    """SDKs show the token again as `pendingToken`, once the owner of the account has signed in another way."""

    def keep(self, request: SignInWithIdp) -> str:
        record = {_MARK: 1, "requestUri": request.request_uri, "postBody": request.post_body}
        return base64.urlsafe_b64encode(json.dumps(record, separators=(",", ":")).encode()).decode()

    def redeemed(self, request: SignInWithIdp) -> SignInWithIdp:
        """The request that the token stands for, in the place of one that only shows the token."""
        shown = parse_qs(request.post_body or "", max_num_fields=200).get("pendingToken", [])
        token = request.pending_token or (shown[0] if shown else None)
        if not token:
            return request
        try:
            record = read_json_object(base64.urlsafe_b64decode(token))
        except (UnreadableJsonError, ValueError, binascii.Error):
            record = {}
        uri, body = record.get("requestUri"), record.get("postBody")
        if _MARK not in record or not isinstance(uri, str) or not (body is None or isinstance(body, str)):
            raise refused("INVALID_PENDING_TOKEN")
        return replace(request, request_uri=uri, post_body=body, pending_token=None)
