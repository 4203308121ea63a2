"""Logs as lines of JSON, as the API writes them: to the terminal, or to a file that is begun anew as it grows."""

from __future__ import annotations

import json
import logging
import logging.handlers
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

FILE: Final = "afterimage.log"
_MOST_BYTES: Final = 20 * 1024 * 1024
_KEPT: Final = 5


class JsonLines(logging.Formatter):
    """One line of JSON for each record."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["stack"] = self.formatException(record.exc_info)[-8000:]
        return json.dumps(entry, ensure_ascii=False)


def set_up_logs(folder: Path | None, *, is_debug: bool) -> None:
    """Has every logger of this process write lines of JSON, and the API's own lines go the same way."""
    handler: logging.Handler
    if folder is None:
        handler = logging.StreamHandler(sys.stdout)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            folder / FILE, maxBytes=_MOST_BYTES, backupCount=_KEPT, encoding="utf-8"
        )
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if is_debug else logging.INFO)
    for noisy in ("httpx", "httpx2", "httpcore", "urllib3", "asyncio", "waitress.queue"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
