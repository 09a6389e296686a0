"""What the server writes: one line an event, readable by programs, nothing of visitors."""

import json
import logging
import re
import threading
from collections.abc import Iterator

import pytest

from twolayer import Config
from twolayer.engine import logs
from twolayer.engine.job import Job
from twolayer.engine.run import Run
from twolayer.training.messages import Message


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What this test logs, as it is written: not what an engine of a test before still says of its runs."""
    written: list[str] = []
    handler = logging.Handler()
    own = threading.get_ident()
    handler.addFilter(lambda record: record.thread == own)
    handler.setFormatter(logs.Formatter())
    handler.emit = lambda record: written.append(handler.format(record))
    logger = logging.getLogger(logs.ROOT_NAME)
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    yield written
    logger.setLevel(level)
    logger.removeHandler(handler)


def parsed(line: str) -> dict[str, str]:
    """The values of a line of logfmt."""
    pairs = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line)
    return {key: json.loads(value) if value.startswith('"') else value for key, value in pairs}


def test_a_run_is_one_line_that_a_program_can_read(lines):
    run = Run("7-ab", Config(N=3, method="auto"), visitor="secret")
    run.begin()
    run.end("failed", Message.of("{name} is gone; try again", name="<typed>"))
    logging.getLogger("twolayer.engine.engine").info("run", run.log_fields())
    (line,) = lines
    values = parsed(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", values["time"])
    assert (values["level"], values["event"]) == ("info", "run")
    assert (values["name"], values["state"], values["done"]) == ("7-ab", "failed", "0")
    assert (values["N"], values["method"], values["method_used"]) == ("3", "auto", "gram")
    assert values["reason"] == "{name} is gone; try again"
    assert "secret" not in line
    assert "<typed>" not in line


def test_the_lines_of_other_threads_are_left_out(lines):
    logger = logging.getLogger("twolayer.engine.engine")
    other = threading.Thread(target=logger.info, args=("run",))
    other.start()
    other.join()
    assert lines == []


def test_a_job_is_one_line_too(lines):
    job = Job("job-1", 9, visitor="secret")
    job.begin()
    job.receive(0, 1)
    job.end("stopped")
    logging.getLogger("twolayer.engine.engine").info("job", job.log_fields())
    values = parsed(*lines)
    assert (values["event"], values["state"], values["tasks"], values["done"]) == ("job", "stopped", "9", "1")
    assert float(values["in_all"]) >= 0
    assert "secret" not in lines[0]


def test_an_error_with_its_traceback_stays_one_line(lines):
    try:
        raise OSError("a\nb")
    except OSError:
        logging.getLogger("twolayer.engine.engine").exception("%s failed", "7-ab")
    (line,) = lines
    assert "\n" not in line
    values = parsed(line)
    assert (values["level"], values["text"]) == ("error", "7-ab failed")
    assert "Traceback" in values["error"]
    assert "OSError: a\nb" in values["error"]


@pytest.mark.parametrize("text", ["", " ", "a=b", 'a"b', "a\nb", "한국어", "\x00"])
def test_any_text_comes_back(text):
    assert parsed(logs.logfmt({"before": 1, "text": text, "after": 2})) == {
        "before": "1",
        "text": text,
        "after": "2",
    }


def test_numbers_are_short_and_words_of_any_language_can_be_read():
    values = {"seconds": 0.123456789, "steps": 123456789, "reason": "대기 중"}
    assert logs.logfmt(values) == 'seconds=0.123457 steps=123456789 reason="대기 중"'


def test_the_handler_is_set_once(monkeypatch):
    monkeypatch.setattr(logs, "ROOT_NAME", "another_program")
    for _ in range(3):
        logs.to_standard_error()
    logger = logging.getLogger("another_program")
    (handler,) = logger.handlers
    assert isinstance(handler.formatter, logs.Formatter)
    assert logger.isEnabledFor(logging.INFO)
    logger.removeHandler(handler)
