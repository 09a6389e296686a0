"""Whatever strangers send to the library and the command line: an answer, in one short line, at once."""

import contextlib
import io
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests import strangers
from twolayer import Config, ConfigError, fit
from twolayer.cli import app, race, sweep, train
from twolayer.training import capabilities, methods
from twolayer.training.config import FIELDS
from twolayer.training.fields import parse_fields

MOST_BYTES = 20 << 20
SMALL = {"N": 2, "D_in": 2, "H": 2, "D_out": 2, "steps": 2}


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """What is done within allocates little, whatever it was given."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    """The libraries are there before memory is counted."""
    capabilities.probe(load_torch=True)


def check(errors: list[ConfigError]) -> None:
    """Each error is one short line."""
    for error in errors:
        assert len(str(error)) < 500
        assert "\n" not in str(error)


@given(
    st.one_of(strangers.QUERIES, st.dictionaries(strangers.NAMES, st.lists(strangers.ANYTHING, max_size=3)))
)
def test_any_query_gives_a_config_and_an_error_for_each_field_that_cannot_be(query):
    with bounded():
        config, errors = Config.from_query(query)
    check(errors)
    assert Config.from_query(config.to_query()) == (config, [])
    assert methods.run_bytes(config) > 0
    assert methods.flops_per_step(config) > 0 or (config.data, config.table) == ("csv", "")


@given(strangers.GOOD)
def test_a_query_of_good_fields_is_taken_or_one_of_two_that_clash_is_named(query):
    config, errors = Config.from_query(query)
    check(errors)
    assert {error.field for error in errors} <= {"device", "dtype", "threads", "N", "D_in", "D_out", "table"}
    for name, text in query.items():
        if name not in {error.field for error in errors}:
            assert getattr(config, name) == FIELDS[name].parse(text)


@given(st.dictionaries(strangers.NAMES, st.one_of(strangers.ANYTHING, st.none(), st.binary(), st.floats())))
def test_any_values_make_a_config_or_a_config_error(values):
    values = {name: value for name, value in values.items() if name in FIELDS}
    try:
        with bounded():
            Config(**values)
    except ConfigError as error:
        check([error])


def tiny_fit(config, **_):
    """`fit` for a command line that was accepted: what it asks of the machine, and a run of no length."""
    capabilities.require(config)
    return fit(replace(config, **SMALL, method="tutorial", backend="numpy", device="cpu", threads=1))


def no_race(plan, **_):
    """`race`: what it asks of the machine, and a message."""
    capabilities.require(plan.config)
    raise ConfigError("race", "", FIELDS["N"].takes)


def no_sweep(*_):
    """What computes a sweep: a message."""
    raise ConfigError("scan", "", FIELDS["N"].takes)


@given(st.sampled_from(["train", "code", "race", "sweep", "scan", "info", "", "-h"]), strangers.ARGUMENTS)
def test_any_command_line_ends_with_a_result_or_one_line(command, arguments):
    assume(command not in ("sweep", "scan") or "--csv" not in arguments)  # it would write to what comes next
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "fit", tiny_fit)
        patch.setattr(race, "race", no_race)
        patch.setattr(sweep, "compute", no_sweep)
        patch.setattr(sys, "argv", ["twolayer", command, *(text.replace("\x00", "") for text in arguments)])
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), bounded():
            status = app.run()
    assert status in (0, 2)
    if status:
        assert out.getvalue() == ""
        assert err.getvalue().startswith("twolayer: ")
        assert err.getvalue().count("\n") == 1
        assert len(err.getvalue()) < 4100
    assert "Traceback" not in out.getvalue() + err.getvalue()


@given(strangers.ARGUMENTS)
def test_arguments_are_read_as_a_query_is(arguments):
    texts = dict(zip(arguments[::2], arguments[1::2], strict=False))
    values, errors = parse_fields(FIELDS, {name.removeprefix("--"): text for name, text in texts.items()})
    check(errors)
    assert set(values) <= FIELDS.keys()
