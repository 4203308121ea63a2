"""`signBlob`, as IAM's credentials API has it: the suite signs for whichever account is asked for, with its own key."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from afterimage_emulator.credentials.local_signer import KEY_ID, LocalSigner
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response

_EMAIL: Final = re.compile(r"[A-Za-z0-9._%+-]{1,100}@[A-Za-z0-9.-]{1,150}")


class IamCredentials:
    """Handlers for `/v1/projects/{project}/serviceAccounts/{email}:…`."""

    def __init__(self, signer: LocalSigner) -> None:
        self._signer = signer

    async def sign_blob(self, request: HttpRequest) -> HttpResponse:
        email = request.params["email"]
        if _EMAIL.fullmatch(email) is None:
            raise StatusError(Code.INVALID_ARGUMENT, f"`{email[:100]}` is no service account's address")
        body = await request.json()
        payload = body.get("payload") if isinstance(body, dict) else None
        try:
            if not isinstance(payload, str):
                raise ValueError("it is missing")
            message = base64.b64decode(payload, validate=True)
        except (ValueError, binascii.Error) as error:
            raise StatusError(Code.INVALID_ARGUMENT, f"`payload` must be base64 of what to sign: {error}") from error
        signed = base64.b64encode(self._signer.sign(email, message)).decode()
        return json_response({"keyId": KEY_ID, "signedBlob": signed})
