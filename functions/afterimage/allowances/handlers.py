"""The allowances of this deployment: what the settings say, over the project's documents and accounts."""

from __future__ import annotations

import logging

from afterimage.allowances.bookings import BookingAllowance
from afterimage.allowances.day_allowances import DayAllowances
from afterimage.faults import is_transient
from afterimage.made_once import made_once
from afterimage.store import clients

logger = logging.getLogger("afterimage.allowances")


@made_once
def day_allowances() -> DayAllowances:
    settings = clients.settings()
    return DayAllowances(
        documents=clients.documents(),
        limits=settings.day_limits,
        anonymous_accounts=settings.anonymous_accounts,
        is_anonymous=is_anonymous,
    )


@made_once
def booking_allowance() -> BookingAllowance:
    return BookingAllowance(allowances=day_allowances(), documents=clients.documents())


def is_anonymous(account: str) -> bool | None:
    """Whether an account has no name: no address, number or provider. One that is not there has none, either.

    None where nobody answers: whoever stores files does not wait for that.
    """
    from firebase_admin import auth

    try:
        user = auth.get_user(account, clients.firebase_app())
    except Exception as error:
        # Every kind: an account may be gone, its id may be none, or nobody has allowed this function to look.
        if is_transient(error):
            logger.warning("whether `%s` has a name cannot be told now: %s", account, type(error).__name__)
            return None
        if not isinstance(error, auth.UserNotFoundError):
            logger.error("whether `%s` has a name cannot be seen: %s: %s", account, type(error).__name__, error)
        return True
    return not (user.email or user.phone_number or user.provider_data or user.custom_claims)
