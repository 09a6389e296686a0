"""What the server writes for whoever runs it: one line an event, in logfmt.

    time=2026-11-24T09:30:00Z level=info event=run name=7-3f2a state=finished done=500 in_steps=0.087 …

Of visitors it says nothing: no address, no session, no text that came from outside.
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict
from time import gmtime, monotonic
from typing import Any

from twolayer.engine.job import Job
from twolayer.engine.run import Run

ROOT_NAME = "twolayer"
PLAIN = re.compile(r"[\w.:/+-]+")


def logfmt(values: Mapping[str, Any]) -> str:
    """`key=value` pairs in one line; a text that is not one word is quoted as JSON does."""
    return " ".join(f"{key}={_value(value)}" for key, value in values.items())


def _value(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def of_run(run: Run) -> dict[str, Any]:
    """What is logged of a run that is over; times in seconds."""
    return {
        "name": run.name,
        "state": run.state,
        "done": run.step,
        "in_steps": run.seconds,
        "in_all": "" if run.began is None else monotonic() - run.began,
        "edits": len(run.edits),
        **_reason(run),
        "method_used": run.config.method_used,
        **asdict(run.config),
    }


def of_job(job: Job) -> dict[str, Any]:
    """What is logged of a job that is over; times in seconds."""
    return {
        "name": job.name,
        "state": job.state,
        "tasks": job.total,
        "done": job.done,
        "in_all": "" if job.seconds is None else job.seconds,
        **_reason(job),
    }


def _reason(one: Run | Job) -> dict[str, str]:
    # The template alone: the values can be what somebody typed
    return {} if one.message is None else {"reason": one.message.template}


class Formatter(logging.Formatter):
    """A record as one line of logfmt, whatever it holds."""

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
    """Write what the program logs, from `info` on, to standard error; once, however often it is called."""
    logger = logging.getLogger(ROOT_NAME)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(Formatter())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
