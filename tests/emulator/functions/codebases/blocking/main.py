"""Functions that Auth asks: each address says what is wanted of the function, and what it was told is noted."""

import json
import os
from pathlib import Path

from firebase_admin import auth
from firebase_functions import https_fn, identity_fn


def note(event: identity_fn.AuthBlockingEvent) -> None:
    """What the SDK made of the request, in a line of JSON."""
    info, credential = event.additional_user_info, event.credential
    told = {
        "event": event.event_type,
        "uid": event.data.uid,
        "email": event.data.email,
        "phone": event.data.phone_number,
        "providers": [one.provider_id for one in event.data.provider_data],
        "method": credential.sign_in_method if credential else None,
        "provider": info.provider_id if info else None,
        "profile": info.profile if info else None,
        "new": info.is_new_user if info else None,
        "id_token": credential.id_token if credential else None,
        "access_token": credential.access_token if credential else None,
        "attributes": credential.claims if credential else None,
        "tenant": event.data.tenant_id,
    }
    with Path(os.environ["NOTES_FILE"]).open("a") as notes:
        notes.write(json.dumps(told) + "\n")


@identity_fn.before_user_created(id_token=True)
def welcome(event: identity_fn.AuthBlockingEvent) -> identity_fn.BeforeCreateResponse | None:
    """Refuses strangers, names everybody else."""
    note(event)
    email = event.data.email or ""
    if email.startswith("stranger"):
        raise https_fn.HttpsError(https_fn.FunctionsErrorCode.PERMISSION_DENIED, "members only")
    if email.startswith("broken"):
        raise ValueError("a mistake of the function")
    if email.startswith("disabled"):
        return identity_fn.BeforeCreateResponse(disabled=True)
    return identity_fn.BeforeCreateResponse(
        display_name="Welcome", photo_url="https://example.com/w.png", custom_claims={"member": True}
    )


@identity_fn.before_user_signed_in(access_token=True)
def check(event: identity_fn.AuthBlockingEvent) -> identity_fn.BeforeSignInResponse | None:
    """Gives each session a claim; shuts whoever calls itself shut."""
    note(event)
    if event.data.display_name == "Shut":
        raise https_fn.HttpsError(https_fn.FunctionsErrorCode.UNAUTHENTICATED, "shut out")
    if event.data.display_name == "Busy":  # what an administrator does while this function is at work
        auth.update_user(event.data.uid, disabled=True, phone_number="+15550009")
    return identity_fn.BeforeSignInResponse(session_claims={"from": event.ip_address})
