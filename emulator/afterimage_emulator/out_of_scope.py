"""What the suite does not serve at all, said in the same words wherever it is asked for."""

from __future__ import annotations

from typing import Final

NO_DATABASE: Final = (
    "Realtime Database is out of the suite's scope; use Firestore, or the Firebase CLI's emulator for it"
)
