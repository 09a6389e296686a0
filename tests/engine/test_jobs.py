"""Jobs: every result once, whatever dies; alone on the cluster where that is asked for."""

import gc
import itertools
import os
import sys
import time
import warnings

import numpy as np
import psutil
import pytest
from dask._task_spec import Task
from distributed.scheduler import TaskGroup

from tests.engine.conftest import TINY, cluster_of, on_scheduler, tasks_on_scheduler, workers_of
from twolayer import Config
from twolayer.engine.engine import LimitError
from twolayer.training.messages import Message, MessageError


def square(n, seconds=0.0):
    time.sleep(seconds)
    return n * n


def process():
    time.sleep(0.01)
    return os.getpid()


def refuse(n):
    raise MessageError(Message.of("not {n}", n=n))


def fail(n):
    return 1 // (n - n)


def span(seconds=0.05):
    begin = time.time()
    time.sleep(seconds)
    return begin, time.time()


def test_each_result_comes_once_with_its_index(engine, wait_until):
    job = engine.map(square, [(n,) for n in range(100)])
    assert job.wait(600)
    assert (job.state, job.total, job.done) == ("finished", 100, 100)
    assert sorted(job.results()) == [(n, n * n) for n in range(100)]
    assert job.results(since=98) == job.results()[98:]
    wait_until(lambda: tasks_on_scheduler(engine) == 0)
    assert job.name not in engine.live


def has_loaded(library: str) -> bool:
    return library in sys.modules


def test_workers_load_pytorch_before_it_is_needed_unless_they_are_not_to(new_engine, wait_until):
    usual, plain = new_engine(preload=True), new_engine(preload=False)
    wait_until(lambda: usual.capabilities.complete)
    jobs = [one.map(has_loaded, [("torch",)]) for one in (usual, plain)]
    wait_until(lambda: all(job.over for job in jobs))
    assert [job.results() for job in jobs] == [[(0, True)], [(0, False)]]


def test_an_empty_job_is_finished(engine):
    job = engine.map(square, [])
    assert job.wait(600)
    assert (job.state, job.results()) == ("finished", [])


def test_what_is_sent_with_a_task_may_be_large(engine):
    with warnings.catch_warnings(record=True) as caught:
        job = engine.map(np.size, [(np.ones(12 << 17),)])
        assert job.wait(600)
    assert job.results() == [(0, 12 << 17)]
    assert not caught


def test_what_was_sent_with_tasks_is_not_kept(engine, wait_until):
    def kept(dask_scheduler):  # noqa: ARG001  (distributed gives it to what takes it)
        gc.collect()
        return sum(isinstance(one, Task) for one in gc.get_objects())

    before = on_scheduler(engine, kept)
    job = engine.map(np.size, [(np.ones(100 + k),) for k in range(40)])
    assert job.wait(600)
    wait_until(lambda: tasks_on_scheduler(engine) == 0)
    assert on_scheduler(engine, kept) <= before + 5


def test_the_scheduler_forgets_jobs_that_came_one_after_the_other(engine, wait_until):
    """Dask keeps the history of each time in which it had work, as a span with its groups of tasks."""

    def kept(dask_scheduler):  # noqa: ARG001  (distributed gives it to what takes it)
        gc.collect()
        return sum(isinstance(one, TaskGroup) for one in gc.get_objects())

    def jobs(count):
        for n in range(count):
            job = engine.map(square, [(n,)])
            assert job.wait(600)
            wait_until(lambda: tasks_on_scheduler(engine) == 0)
        return on_scheduler(engine, kept)

    before = jobs(2)
    assert jobs(20) <= before + 5


def test_a_message_fails_the_job_and_another_error_is_named_without_details(engine):
    refused, failed = engine.map(refuse, [(3,)]), engine.map(fail, [(3,)])
    assert refused.wait(600)
    assert failed.wait(600)
    assert (refused.state, str(refused.message)) == ("failed", "not 3")
    assert (failed.state, str(failed.message)) == ("failed", "The run failed: ZeroDivisionError")


def test_a_stopped_job_keeps_what_has_arrived_and_leaves_no_task(engine, wait_until):
    job = engine.map(square, [(n, 0.01) for n in range(1000)])
    wait_until(lambda: job.done > 3)
    engine.stop(job)
    done = job.done
    assert job.state == "stopped"
    wait_until(lambda: tasks_on_scheduler(engine) == 0)
    assert job.done == done < 1000


@pytest.fixture(scope="module")
def two(new_engine):
    """An engine with two workers, which may be killed."""
    return new_engine(workers=2)


def test_killed_workers_cost_no_result_of_an_exclusive_job(two, wait_until):
    job = two.map(square, [(n, 0.005) for n in range(120)], manner="exclusive")
    for _ in range(2):
        before = job.done
        wait_until(lambda before=before: job.done > before + 20)
        for worker in workers_of(cluster_of(two)):
            worker.kill()
    assert job.wait(600)
    assert (job.state, str(job.message)) == ("finished", "None")
    assert sorted(job.results()) == [(n, n * n) for n in range(120)]


def test_a_job_beyond_the_memory_limit_is_refused(engine):
    with pytest.raises(LimitError, match="256 MB"):
        engine.map(square, [(1,)], memory_bytes=1 << 30)


def test_nothing_runs_beside_a_task_that_is_alone(two, wait_until):
    run = two.submit(Config(**TINY, steps=5_000_000))
    wait_until(lambda: run.step > 0)
    others = two.map(span, [()] * 40)
    alone = two.map(span, [(0.2,)] * 3, manner="exclusive")
    steps = []
    while not alone.wait(0.05):
        steps.append(run.step)
    assert others.wait(600)
    spans = [times for _, times in alone.results()]
    assert len(spans) == 3
    for begin, end in spans:
        for _, (other_begin, other_end) in others.results():
            assert other_end <= begin or other_begin >= end
    assert steps[-1] > steps[0], "runs go on between the tasks"
    two.stop(run)


def test_a_short_run_ends_while_a_long_job_goes_on(engine, finished):
    job = engine.map(square, [(n, 0.05) for n in range(400)])
    run = finished(engine, Config(**TINY, steps=20))
    assert run.state == "finished"
    assert not job.over
    engine.stop(job)


def test_a_single_task_takes_its_turn_with_the_chunks_of_long_runs(engine):
    runs = [engine.submit(Config(**TINY, steps=1_000_000)) for _ in range(4)]
    assert all(run.wait_for_losses(600) for run in runs)
    assert engine.map(square, [(3,)]).wait(600)
    assert all(run.live for run in runs)
    for run in runs:
        engine.stop(run)


def test_an_exclusive_job_stays_on_one_worker_and_goes_on_elsewhere_if_that_is_lost(two, wait_until):
    job = two.map(process, [()] * 60, manner="exclusive")
    wait_until(lambda: job.done >= 20)
    psutil.Process(job.results()[0][1]).kill()
    assert job.wait(600)
    order = [found for found, _ in itertools.groupby(result for _, result in job.results())]
    assert len(order) == 2


@pytest.mark.parametrize("manner", ["shared", "exclusive"])
def test_a_run_begins_and_ends_beside_long_tasks_of_others(new_engine, wait_until, manner):
    engine = new_engine(workers=2)
    long = [engine.map(span, [(200.0,)] * 3, visitor, task_seconds=20.0, manner=manner) for visitor in "abc"]
    wait_until(lambda: any(job.state == "running" for job in long))
    for seed in range(3):
        run = engine.submit(Config(seed=seed), f"bystander {seed}")
        wait_until(lambda run=run: run.over)
        assert run.state == "finished"
    assert not any(job.done for job in long)
    engine.close()
