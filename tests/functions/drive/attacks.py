"""Who tries to link a Drive to the wrong user, as data: what everybody does, and what each is answered.

One line a step. `begin USER`; `consent LINK EMAIL`, somebody with that Google account says yes at the address of that
link; `deny LINK`; `return LINK`, the browser comes back with Google's answer; `return LINK with CODE of LINK`, with a
code from elsewhere; `complete LINK as USER`, `… with TICKET of LINK`, `… without a ticket`, `… with a guess`; `wait
MINUTES`; `tell Google REDIRECT`, the address asks for another redirect. What follows `=>` is the status.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Attack(NamedTuple):
    """What is tried, and whose Drive is linked to whom in the end."""

    steps: str
    linked: dict[str, str]


ATTACKS: Final[dict[str, Attack]] = {
    "nobody attacks": Attack(
        """
        begin ana => 200
        consent ana ana@example.com
        return ana => 200
        complete ana as ana => 200
        """,
        {"ana": "ana@example.com"},
    ),
    "fixation: eve sends ana the address of her own link, ana consents, eve completes": Attack(
        """
        begin eve => 200
        consent eve ana@example.com
        return eve => 200
        complete eve as eve without a ticket => 400
        complete eve as eve with a guess => 404
        """,
        {},
    ),
    "fixation: and ana's own page completes it, as ana": Attack(
        """
        begin eve => 200
        consent eve ana@example.com
        return eve => 200
        complete eve as ana => 404
        """,
        {},
    ),
    "forgery: eve consents to her own Drive and makes ana's page complete it": Attack(
        """
        begin eve => 200
        consent eve eve@example.com
        return eve => 200
        complete eve as ana => 404
        """,
        {},
    ),
    "mixed users: ana's state with eve's ticket, and the other way round": Attack(
        """
        begin ana => 200
        begin eve => 200
        consent ana ana@example.com
        consent eve eve@example.com
        return ana => 200
        return eve => 200
        complete ana as ana with ticket of eve => 404
        complete ana as eve with ticket of eve => 404
        complete eve as eve with ticket of ana => 404
        complete ana as ana => 200
        complete eve as eve => 200
        """,
        {"ana": "ana@example.com", "eve": "eve@example.com"},
    ),
    "injection: eve's code comes back under ana's state": Attack(
        """
        begin ana => 200
        begin eve => 200
        consent ana ana@example.com
        consent eve eve@example.com
        return ana with code of eve => 200
        complete ana as ana => 502
        """,
        {},
    ),
    "replay: Google's answer comes twice": Attack(
        """
        begin ana => 200
        consent ana ana@example.com
        return ana => 200
        return ana => 404
        complete ana as ana => 200
        """,
        {"ana": "ana@example.com"},
    ),
    "replay: a link is completed twice, and its answer comes once more": Attack(
        """
        begin ana => 200
        consent ana ana@example.com
        return ana => 200
        complete ana as ana => 200
        complete ana as ana => 404
        return ana => 404
        """,
        {"ana": "ana@example.com"},
    ),
    "a state that nobody began": Attack(
        """
        return nobody => 404
        complete nobody as eve with a guess => 404
        """,
        {},
    ),
    "too early: before Google has answered": Attack(
        """
        begin ana => 200
        complete ana as ana with a guess => 409
        complete ana as eve with a guess => 404
        """,
        {},
    ),
    "too late to come back": Attack(
        """
        begin ana => 200
        consent ana ana@example.com
        wait 10
        return ana => 404
        """,
        {},
    ),
    "too late to complete": Attack(
        """
        begin ana => 200
        consent ana ana@example.com
        return ana => 200
        wait 10
        complete ana as ana => 404
        """,
        {},
    ),
    "ana says no": Attack(
        """
        begin ana => 200
        deny ana
        return ana => 200
        complete ana as ana => 502
        complete ana as ana => 404
        """,
        {},
    ),
    "a foreign redirect: Google knows one address alone": Attack(
        """
        begin ana => 200
        tell Google https://evil.example.com/api/phase5/auth/callback => refused
        tell Google https://api.example.com/api/phase5/auth/callback/ => refused
        tell Google https://api.example.com/api/phase5/auth/callback?next=https://evil.example.com => refused
        tell Google http://api.example.com/api/phase5/auth/callback => refused
        """,
        {},
    ),
    "half a consent: ana unticks the box for files": Attack(
        """
        begin ana => 200
        consent ana ana@example.com without files
        return ana => 200
        complete ana as ana => 502
        """,
        {},
    ),
}
