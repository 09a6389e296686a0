"""A table of one's own on the workers: it comes with a task, survives a lost worker, and stays nowhere."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from tests.engine.conftest import cluster_of, is_gone, workers_of
from twolayer import Config, fit, own_table
from twolayer.engine.run import Run
from twolayer.training.data import DataError, own
from twolayer.training.problem import make_problem


@pytest.fixture(scope="module")
def table():
    """A table of 40 rows."""
    g = np.random.default_rng(2)
    return own_table((g.standard_normal((40, 3)), g.standard_normal(40)))


def config_of(table, **fields) -> Config:
    return Config(data="csv", table=table.name, H=5, learning_rate=1e-3, init="he", **fields)


def started(engine, config: Config, table) -> Run:
    """A run that has been submitted with a table in use."""
    with own.in_use(table):
        return engine.submit(config)


def first_row(config: Config) -> np.ndarray:
    """What a task finds of the data."""
    return make_problem(config).x[0]


def what_is_here() -> bool:
    """Whether a table is in use where no task has brought one."""
    return own.current() is not None


def test_a_run_and_a_job_have_the_table_that_came_with_them(engine, table, wait_until):
    config = config_of(table, steps=100)
    run = started(engine, config, table)
    wait_until(lambda: run.over)
    assert (run.state, run.message) == ("finished", None)
    assert_array_equal(run.losses, fit(config, table=table).losses)
    assert len(run.pictures)
    with own.in_use(table):
        job = engine.map(first_row, [(config,)] * 4)
    wait_until(lambda: job.over)
    with own.in_use(table):
        for _, row in job.results():
            assert_array_equal(row, first_row(config))


def test_a_task_without_the_table_cannot_find_it_where_it_has_been(engine, table, wait_until):
    config = config_of(table, steps=10)
    with pytest.raises(DataError):
        engine.submit(config)
    with pytest.raises(DataError):
        started(engine, config, own_table((np.eye(4), np.arange(4))))
    with own.in_use(table):
        known = engine.map(first_row, [(config,)])
    stranger = engine.map(first_row, [(config,)])
    looks = engine.map(what_is_here, [()])
    wait_until(lambda: known.over and stranger.over and looks.over)
    assert (known.state, stranger.state) == ("finished", "failed")
    assert "which is not here" in str(stranger.message)
    assert looks.results() == [(0, False)]


def test_a_killed_worker_changes_nothing_in_the_losses(new_engine, table, wait_until):
    engine = new_engine()
    config = config_of(table, steps=60_000)
    run = started(engine, config, table)
    wait_until(lambda: run.step > config.steps // 4)
    workers = workers_of(cluster_of(engine))
    for worker in workers:
        worker.kill()
    wait_until(lambda: all(is_gone(worker) for worker in workers))
    assert not run.over
    wait_until(lambda: run.over)
    assert (run.state, run.message) == ("finished", None)
    assert_array_equal(run.losses, fit(config, table=table).losses)


def test_the_log_names_no_column_and_no_digest(engine, table, wait_until):
    run = started(engine, config_of(table, steps=3), table)
    wait_until(lambda: run.over)
    assert table.shape.digest not in str(run.log_fields())
