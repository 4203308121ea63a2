"""How the suite speaks: calm lines for people, one line a request with `--debug`, JSON lines for machines."""

from __future__ import annotations

import json
import logging
import sys
import time

from afterimage_emulator.front.explanation import DENIALS

_DIM, _RED, _YELLOW, _PLAIN = "\x1b[2m", "\x1b[31m", "\x1b[33m", "\x1b[0m"


class PeopleFormatter(logging.Formatter):
    """Time, where it is from, what is said; colour only on a terminal."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        source = record.name.removeprefix("afterimage_emulator").removesuffix(f".{DENIALS}").lstrip(".") or "suite"
        text = f"{clock} {source:<12} {record.getMessage()}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        if not self._colour:
            return text
        if record.levelno >= logging.ERROR:
            return f"{_RED}{text}{_PLAIN}"
        if record.levelno >= logging.WARNING:
            return f"{_YELLOW}{text}{_PLAIN}"
        return f"{_DIM}{clock} {source:<12}{_PLAIN} {text[len(clock) + 14 :]}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the names Cloud Logging uses."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "severity": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


class DenialCount(logging.Filter):
    """Keeps out why rules denied requests, which tests of rules ask for by the thousand, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def filter(self, record: logging.LogRecord) -> bool:
        is_denial = record.name.endswith(f".{DENIALS}")
        self.count += is_denial
        return not is_denial


def set_up_logging(*, debug: bool, as_json: bool, quiet: DenialCount | None = None) -> None:
    """For the command line only: a program that embeds the suite has logging of its own."""
    handler = logging.StreamHandler(sys.stderr)
    if quiet is not None:
        handler.addFilter(quiet)
    handler.setFormatter(JsonFormatter() if as_json else PeopleFormatter(colour=sys.stderr.isatty()))
    logger = logging.getLogger("afterimage_emulator")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
