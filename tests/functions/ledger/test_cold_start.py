"""What the first event of a cold function pays for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"
HEAVY = ("grpc", "google.cloud.firestore_v1", "google.cloud.storage", "genai_prices", "pydantic", "PIL")


def test_importing_the_handlers_loads_no_client_and_no_price_library() -> None:
    """Neither may exist before a process forks, and a cold start pays only for what its event needs."""
    program = (
        f"import sys; sys.path.insert(0, {str(FUNCTIONS)!r}); import afterimage.ledger.events;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.strip() == "[]"
