"""The server's log: one line of logfmt per event.

    time=2026-11-24T09:30:00Z level=info event=run name=7-3f2a state=finished done=500 in_all=0.31 …

It holds nothing about visitors: no address, no session, no text that came from outside.
"""

import json
import logging
import re
from collections.abc import Mapping
from time import gmtime
from typing import Any

ROOT_NAME = "twolayer"
PLAIN = re.compile(r"[\w.:/+-]+")


def logfmt(values: Mapping[str, Any]) -> str:
    """Return `key=value` pairs in one line. A text that is not a single word is quoted as in JSON."""
    return " ".join(f"{key}={_value(value)}" for key, value in values.items())


def _value(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


class Formatter(logging.Formatter):
    """Formats any record as one line of logfmt."""

    converter = staticmethod(gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%SZ"
    default_msec_format = None

    def format(self, record: logging.LogRecord) -> str:
        values: dict[str, Any] = {"time": self.formatTime(record), "level": record.levelname.lower()}
        if isinstance(record.args, Mapping):
            values |= {"event": record.msg, **record.args}
        else:
            values |= {"event": "note", "text": record.getMessage()}
        if record.exc_info:
            values["error"] = self.formatException(record.exc_info)
        return logfmt(values)


def to_standard_error() -> None:
    """Write the program's log, from level `info` on, to standard error. Further calls have no effect."""
    logger = logging.getLogger(ROOT_NAME)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(Formatter())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
