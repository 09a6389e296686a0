"""The race: who takes part, what is measured, how it is cut into tasks and put together again."""

import csv
import io
import json
import pickle
import random
import subprocess
import sys
import tracemalloc
from collections import namedtuple
from dataclasses import replace

import numpy as np
import psutil
import pytest

from tests.race.races import GRAM, TUTORIAL, race_of
from twolayer import Config
from twolayer.cli import race as command_line
from twolayer.race import roofline, timing
from twolayer.race.contenders import BASELINE, Contender, contenders
from twolayer.race.file import from_json
from twolayer.race.plan import (
    MOST_SIZES,
    PART_SECONDS,
    Plan,
    PlanError,
    Sweep,
    logarithmic,
    parse_sweep,
    perform,
    race,
)
from twolayer.race.roofline import measure
from twolayer.race.timing import Load, Part, Round, part_of_round
from twolayer.race.verdict import compiling, judge, sentences
from twolayer.training.capabilities import probe
from twolayer.training.config import BACKENDS
from twolayer.training.fields import ConfigError
from twolayer.training.kernels.numpy import Tutorial
from twolayer.training.methods import METHODS, run_bytes
from twolayer.training.problem import make_problem
from twolayer.training.profiling import ALL

SMALL = Config(N=7, D_in=30, H=5, D_out=3, learning_rate=1e-4, steps=60)
ALL_HERE = tuple(contenders(probe(load_torch=True).machine.devices, SMALL))


@pytest.fixture(scope="module")
def result():
    (one,) = race(Plan(SMALL, ALL_HERE, rounds=3))
    return one


def test_everyone_here_takes_part_and_autograd_and_jax_as_peers(result):
    names = {standing.contender.name for standing in result.standings}
    peers = {"torch autograd", "jax tutorial", "jax gram"}
    assert names == {*(f"{b} {m}" for b in BACKENDS for m in METHODS), *peers}


def test_each_contender_has_a_time_for_each_round_and_each_phase(result):
    for standing in result.standings:
        assert len(standing.seconds) == 3
        assert 0 < standing.median <= standing.p95 < 1
        assert standing.gflops > 0
        assert set(standing.phases) == set(ALL)
        assert standing.phases["forward"] > 0


def test_everyone_is_compared_with_the_reference_and_right(result):
    for standing in result.standings:
        assert standing.agreement.right, standing.contender.name
        assert standing.agreement.steps == 60


def test_a_contender_made_wrong_is_flagged_and_does_not_win():
    class Wrong(Tutorial):
        """Does hardly anything, and that at once."""

        def step(self) -> None:
            # Forward pass
            # Loss
            self._keep(1.0)
            # Backward pass
            # Weight update

    class Cheat(Contender):
        def kernel(self) -> type:
            return Wrong

    cheat = Cheat("numpy", "cpu", "gram")
    (one,) = race(Plan(SMALL, (TUTORIAL, cheat), rounds=8))
    assert one.ranked[0].contender == cheat
    assert [s.contender for s in one.ranked if s.wrong] == [cheat]
    assert any(str(line).endswith("are incorrect: numpy gram.") for line in sentences(one))
    assert judge(one).winner is None
    assert [row["right"] for row in one.rows()] == [False, True]


def test_rows_are_sorted_and_relative_to_the_tutorials_loop(result):
    rows = result.rows()
    assert [row["median_us"] for row in rows] == sorted(row["median_us"] for row in rows)
    assert next(row["speed_up"] for row in rows if row["contender"] == BASELINE.name) == 1
    assert "speed_up" in rows[0]
    assert race_of({GRAM: [1e-5] * 3}).rows()[0]["speed_up"] is None


def test_progress_reaches_the_end():
    shares = []
    race(Plan(SMALL, (TUTORIAL,), rounds=4), shares.append)
    assert shares == pytest.approx(
        [i / 8 for i in range(1, 9)]
    )  # machine, roofline, rounds, roofline, agreement


def test_a_config_that_diverges_is_raced_all_the_same():
    (one,) = race(Plan(replace(SMALL, H=20, learning_rate=10.0), (TUTORIAL, GRAM), rounds=3))
    assert np.isfinite(one.standings[0].median)
    assert one.standings[0].agreement.right


def test_what_is_compiled_says_for_how_long_and_it_is_not_in_its_timings(result):
    times = {s.contender.backend: s.compile_seconds for s in result.standings}
    assert times["jax"] > 100 * max(s.median for s in result.standings if s.contender.backend == "jax")
    assert times["numba"] > 0
    assert times["numpy"] == times["torch"] == 0
    (said,) = map(str, compiling(result))
    assert "jax tutorial" in said
    assert "numpy" not in said
    assert "Compile time (or loading" in command_line._table(result)
    assert compiling(race_of({GRAM: [1e-5] * 3})) == []


def test_the_processor_time_of_jax_is_that_of_its_own_threads(monkeypatch):
    monkeypatch.setattr(timing, "thread_time", lambda: pytest.fail("the thread that calls only waits"))
    entry = timing.Entry(Contender("jax", "cpu", "gram"), SMALL, make_problem(SMALL))
    assert 0 <= entry.block()[1] < 1


def test_a_large_product_is_not_slower_than_a_tiny_one():
    roof = measure(Config(N=2, D_in=2, H=2))
    assert roof.gflops_large > roof.gflops_here > 0
    assert roof.at(1e9) == roof.peak == roof.gflops_large
    assert roof.at(roof.ridge / 2) == pytest.approx(roof.peak / 2)


def test_a_product_and_a_copy_that_take_a_second_are_told_in_gflops_and_gbytes(monkeypatch):
    monkeypatch.setattr(roofline, "_best", lambda _work: 1.0)
    tracemalloc.start()
    try:
        found = measure(Config(N=200, D_in=300, H=400))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.gflops_here == 2 * 200 * 300 * 400 / 1e9
    assert found.gflops_large == 2 * roofline.LARGE**3 / 1e9
    assert found.gbytes == 2 * roofline.COPY_BYTES / 1e9
    assert peak < 3 * roofline.COPY_BYTES, "two arrays are what a copy takes"


# -- rounds ---------------------------------------------------------------------------------------


def test_a_block_of_steps_grows_until_it_can_be_timed_and_no_further(monkeypatch):
    seen = []
    monkeypatch.setattr(timing.Entry, "block", lambda self: (seen.append(self.steps), (1e-4, 0.0))[1])
    entry = timing.Entry(GRAM, replace(SMALL, steps=5000), make_problem(SMALL))
    *grown, last = seen
    assert entry.steps == last == timing.BLOCK_SECONDS / 1e-4
    assert max(grown) * 1e-4 <= timing.GROWTH * timing.BLOCK_SECONDS / 4


def test_a_round_is_in_the_order_of_the_contenders_whatever_order_they_ran_in():
    slow, both = replace(SMALL, N=64, D_in=1000, H=100), (BASELINE, GRAM)
    for those in ([(0, 1)], [(1, 0)], [(0,), (1,)], [(1,), (0,)]):
        one = Round.of([part_of_round(slow, both, 0, part) for part in those])
        assert one.seconds[0] > one.seconds[1]


def test_a_round_is_as_busy_as_its_busiest_part():
    calm, busy = Load(0.01, 0.9, 2), Load(0.2, 0.1, 2)
    one = Round.of([Part({1: 2.0}, {1: {}}, calm, False), Part({0: 1.0}, {0: {}}, busy, True)])
    assert one == Round((1.0, 2.0), ({}, {}), Load(0.2, 0.9, 2), True)


def test_each_round_times_everyone_once_in_an_order_of_its_own():
    for config in (SMALL, replace(SMALL, N=1000, D_in=1000, H=1000)):
        plan = Plan(config, ALL_HERE, rounds=6)
        rounds = [[t for t in plan.tasks if (t.kind, t.number) == ("round", n)] for n in range(6)]
        orders = [tuple(i for task in parts for i in task.those) for parts in rounds]
        assert all(sorted(order) == list(range(len(ALL_HERE))) for order in orders)
        assert len(set(orders)) > 3


def test_the_parts_of_a_round_are_short_or_a_single_implementation():
    def parts(config, contenders=ALL_HERE):
        return [len(task.those) for task in Plan(config, contenders, 3).tasks if task.kind == "round"]

    assert parts(SMALL, (TUTORIAL, GRAM)) == [2, 2, 2], "a short round is one task"
    assert len(parts(SMALL)) > 3
    assert max(parts(SMALL)) < len(ALL_HERE)
    assert parts(Config(N=2000, D_in=2000, H=1000)) == [1] * 3 * len(ALL_HERE)


def test_a_part_times_its_contenders_in_its_order(monkeypatch):
    seen = []
    monkeypatch.setattr(timing.Entry, "block", lambda self: (seen.append(self.contender), (1e-3, 0.0))[1])
    monkeypatch.setattr(timing.Entry, "phases", lambda _: {})
    part = timing._time(timing._Field(SMALL, ALL_HERE), 0, (4, 1), repeated=False)
    assert list(dict.fromkeys(seen)) == [ALL_HERE[4], ALL_HERE[1]]
    assert set(part.seconds) == {4, 1}


def test_a_busy_round_is_repeated_once_and_the_quieter_counts(monkeypatch):
    tried = []

    def time_with(*loads):
        waiting = list(loads)
        tried.clear()

        def once(_field, _number, _those, *, repeated):
            tried.append(repeated)
            return Part({0: float(len(tried))}, {0: {}}, waiting.pop(0), repeated)

        monkeypatch.setattr(timing, "_time", once)
        return Round.of([part_of_round(SMALL, (TUTORIAL,), 0, (0,))])

    quiet, busy, busier = Load(0, 0, 2), Load(0.1, 1, 2), Load(0.3, 1, 2)
    one = time_with(quiet)
    assert (one.seconds, one.repeated, tried) == ((1.0,), False, [False])
    one = time_with(busy, quiet)
    assert (one.seconds, one.repeated, one.load.busy, tried) == ((2.0,), True, False, [False, True])
    one = time_with(busy, busier)
    assert (one.seconds, one.repeated, one.load.busy, tried) == ((1.0,), True, True, [False, True])


@pytest.mark.parametrize(
    ("load", "busy"),
    [
        (Load(0.0, 0.0, 2), False),
        (Load(0.05, 0.5, 2), False),
        (Load(0.051, 0.0, 2), True),
        (Load(0.0, 0.51, 2), True),
        (Load(0.0, 0.6, 16), False),
    ],
)
def test_when_a_machine_counts_as_busy(load, busy):
    assert load.busy is busy


def test_the_work_of_others_is_seen(wait_until):
    """Other processes that compute all the time make a round busy."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        wait_until(lambda: all(psutil.Process(other.pid).cpu_times().user > 0.05 for other in others))
        larger = replace(SMALL, N=64, D_in=1000, steps=500)
        one = part_of_round(larger, (TUTORIAL, GRAM), 0, (0, 1))
    finally:
        for other in others:
            other.kill()
            other.wait()
    assert one.load.others > 0.5 or one.load.away > 0.05
    assert one.repeated


def test_the_time_of_the_whole_machine_is_all_but_its_idle_time(monkeypatch):
    names = "user nice system idle iowait irq softirq steal guest guest_nice"
    times = namedtuple("times", names.split())(1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    monkeypatch.setattr(timing.psutil, "cpu_times", lambda: times)
    assert timing._busy_seconds() == 1 + 2 + 4 + 32 + 64 + 128  # that of guests is in that of users


@pytest.mark.parametrize(("threads", "away"), [(1, 0.25), (2, 0.0)])
def test_a_block_is_timed_by_the_step_and_what_its_thread_lacked_was_stolen(monkeypatch, threads, away):
    entry = timing.Entry(TUTORIAL, SMALL, make_problem(SMALL))
    entry.steps, entry.config = 3, replace(entry.config, threads=threads)
    monkeypatch.setattr(timing, "perf_counter", iter((10.0, 16.0)).__next__)
    monkeypatch.setattr(timing, "thread_time", iter((1.0, 5.5)).__next__)
    assert entry.block() == (2.0, away)


@pytest.mark.parametrize("number", range(4))
def test_in_every_other_round_the_phases_come_first(monkeypatch, number):
    seen = []
    field = timing._Field(SMALL, (TUTORIAL,))
    field.entry(0)
    monkeypatch.setattr(timing.Entry, "block", lambda _: (seen.append("block"), (1e-3, 0.0))[1])
    monkeypatch.setattr(timing.Entry, "phases", lambda _: seen.append("phases") or {})
    timing._time(field, number, (0,), repeated=False)
    assert seen == (["phases", "block"] if number in (1, 3) else ["block", "phases"])


@pytest.mark.parametrize(("own", "others"), [(1.5, 1.25), (4.0, 0.0), (4.5, 0.0)])
def test_what_this_process_takes_is_no_other_load(monkeypatch, own, others):
    field = timing._Field(SMALL, (TUTORIAL,))
    field.entry(0)
    monkeypatch.setattr(timing.Entry, "block", lambda _: (1e-3, 0.0))
    monkeypatch.setattr(timing.Entry, "phases", lambda _: {})
    monkeypatch.setattr(timing, "_busy_seconds", iter((10.0, 14.0)).__next__)
    monkeypatch.setattr(timing, "process_time", iter((5.0, 5.0 + own)).__next__)
    monkeypatch.setattr(timing, "perf_counter", iter((7.0, 9.0)).__next__)
    assert timing._time(field, 0, (0,), repeated=False).load.others == others


def test_a_race_that_is_too_large_is_not_kept_between_rounds():
    large = Config(N=1000, D_in=1000, H=1000)
    assert timing.is_small(Config(), ALL_HERE)
    assert not timing.is_small(large, ALL_HERE)
    assert not timing._Field(replace(large, steps=1), (GRAM,)).entries


# -- plans ----------------------------------------------------------------------------------------


def test_tasks_travel_and_their_results_come_together_in_any_order():
    plan = pickle.loads(pickle.dumps(Plan(SMALL, (TUTORIAL, GRAM), 3, Sweep("H", (4, 8)))))
    results = [(i, pickle.loads(pickle.dumps(perform(task)))) for i, task in enumerate(plan.tasks)]
    random.Random(0).shuffle(results)
    races = plan.collect(dict(results))
    assert [one.config.H for one in races] == [4, 8]
    for one in races:
        assert one.rounds == 3
        assert one.roofline is not None
        assert all(s.agreement is not None for s in one.standings)


def test_what_has_arrived_is_a_race_already():
    plan = Plan(SMALL, (TUTORIAL, GRAM), 3, Sweep("H", (4, 8)))
    kinds = [task.kind for task in plan.tasks]
    until = kinds.index("round") + 2
    results = {i: perform(task) for i, task in enumerate(plan.tasks[:until])}
    (one,) = plan.collect(results)
    assert one.rounds == 2
    cut = Plan(SMALL, ALL_HERE, 3)
    until = [task.number for task in cut.tasks].index(1) + 1
    results = {i: perform(task) for i, task in enumerate(cut.tasks[:until])}
    assert [one.rounds for one in cut.collect(results)] == [1], "a round without all its parts is not one"
    assert one.standings[0].agreement is None
    assert plan.collect({}) == []


def test_the_estimate_grows_with_rounds_sizes_and_contenders():
    plan = Plan(Config(), ALL_HERE)
    assert 3 < plan.seconds < 20
    for larger in (
        replace(plan, rounds=60),
        replace(plan, sweep=Sweep("H", (64, 128))),
        replace(plan, config=Config(N=2000)),
    ):
        assert larger.seconds > plan.seconds
    assert replace(plan, contenders=(TUTORIAL,)).seconds < plan.seconds


@pytest.mark.parametrize(("config", "rounds_prepared"), [(SMALL, 1), (Config(N=1000, D_in=2000, H=3000), 4)])
def test_a_race_takes_what_its_parts_take(config, rounds_prepared):
    plan = Plan(config, (TUTORIAL, GRAM), rounds=4)
    assert timing.is_small(config, plan.contenders) == (rounds_prepared == 1)
    N, D_in, H, D_out, steps = config.N, config.D_in, config.H, config.D_out, config.steps
    of_outputs = 6 * N * H * D_out
    tutorial, gram = (of_outputs + each for each in (4 * N * D_in * H, 2 * N * N * H))
    step = [operations / 40e9 + 100e-6 for operations in (tutorial, gram)]
    blocks = sum(max(0.02, one) for one in step)
    once = (N + H) * (D_in + D_out) / 1e8 + 2 * N * D_in * (N + H) / 40e9
    compared = min(steps, 1000, max(10, int(30e9 / tutorial)))
    expected = 3 * roofline.TRY_SECONDS + rounds_prepared * (once + 3 * blocks) + 4 * 2 * blocks
    expected += 2 * compared * 4 * tutorial / 40e9 + compared * sum(step)
    assert plan.seconds == pytest.approx(expected, rel=1e-9)
    assert replace(plan, sweep=Sweep("N", (N, 2 * N))).seconds == pytest.approx(
        expected + replace(plan, config=replace(config, N=2 * N)).seconds
    )


def test_two_seconds_of_compiling_are_estimated_for_each_that_is_compiled():
    jax = [one for one in contenders([("jax", ("cpu",))], SMALL) if one.method == "tutorial"]
    both = Plan(SMALL, (TUTORIAL, *jax), 3).seconds - Plan(SMALL, (TUTORIAL, TUTORIAL), 3).seconds
    assert both == pytest.approx(2.0, abs=1e-3)


def test_a_race_needs_the_memory_of_the_largest_of_its_tasks():
    assert Plan(SMALL, (TUTORIAL,)).run_bytes == (40 << 20) + 2 * roofline.COPY_BYTES
    large = Config(N=1000, D_in=2000, H=3000)
    reference = 2 * run_bytes(replace(large, dtype="float64"))
    assert Plan(large, (TUTORIAL, GRAM)).run_bytes == (40 << 20) + reference
    sweep = Sweep("N", (500, 1000))
    assert Plan(large, (GRAM,), sweep=sweep).run_bytes == (40 << 20) + reference


def test_a_part_of_a_round_is_of_three_short_blocks():
    plan = Plan(
        SMALL, (TUTORIAL, GRAM) * 4, rounds=1
    )  # each 0.02 s and as much for its phases: 0.12 of 0.15 s
    assert [len(task.those) for task in plan.tasks if task.kind == "round"] == [3, 3, 2]


def test_blocks_that_just_fit_are_of_one_part(monkeypatch):
    monkeypatch.setattr(Plan, "_step", lambda *_: PART_SECONDS / 4)
    plan = Plan(SMALL, (TUTORIAL, GRAM) * 2, rounds=1)
    assert [len(task.those) for task in plan.tasks if task.kind == "round"] == [2, 2]


def test_the_method_and_device_of_the_config_do_not_matter():
    assert Plan(Config(backend="torch", method="gram"), (TUTORIAL,)) == Plan(Config(), (TUTORIAL,))


def test_a_sweep_is_even_on_a_log_scale():
    assert logarithmic("H", 10, 1000, 3) == Sweep("H", (10, 100, 1000))
    assert logarithmic("H", 1, 4, 9).values == (1, 2, 3, 4)
    assert parse_sweep("N=64,16,16") == Sweep("N", (16, 64))
    assert len(parse_sweep("H=" + ",".join(map(str, range(1, 33)))).values) == MOST_SIZES == 32


@pytest.mark.parametrize(("low", "high"), [(5, 5), (6, 5)])
def test_a_sweep_that_does_not_grow_is_refused(low, high):
    with pytest.raises(PlanError, match="must be larger than its start"):
        logarithmic("H", low, high, 3)


def test_a_plan_without_contenders_is_refused():
    with pytest.raises(PlanError, match="No implementation selected"):
        Plan(SMALL, ())


def test_a_sweep_of_the_command_line_has_its_limits():
    with pytest.raises(ConfigError, match="H"):
        parse_sweep("H=0")
    with pytest.raises(PlanError, match="at most"):
        parse_sweep("H=" + ",".join(map(str, range(1, MOST_SIZES + 2))))


# -- the command line -------------------------------------------------------------------------------


def test_the_command_prints_a_table_csv_and_json(twolayer):
    few = ["--N", "5", "--D_in", "9", "--H", "4", "--steps", "20", "--rounds", "3"]
    table = twolayer("race", *few)
    assert table.returncode == 0, table.stderr
    for words in ("numpy gram", "Timings cover", "3 rounds are too few", "torch gram"):
        assert words in table.stdout
    assert "jax gram" not in table.stdout, "it has to be picked"
    few += ["--contenders", "numpy.gram,numpy.fused"]
    rows = list(csv.DictReader(io.StringIO(twolayer("race", *few, "--sweep", "H=4,6", "--csv").stdout)))
    assert {row["H"] for row in rows} == {"4", "6"}
    as_json = twolayer("race", *few, "--json").stdout
    (one,) = json.loads(as_json)
    assert one["config"]["steps"] == 20
    (read,) = from_json(as_json.encode())
    assert {s.contender.name for s in read.standings} == {"numpy gram", "numpy fused"}


@pytest.mark.parametrize(
    "bad",
    [
        ["--sweep", "foo=3"],
        ["--sweep", "H=0"],
        ["--sweep", "H"],
        ["--rounds", "1"],
        ["--contenders", "numpy.foo"],
        ["--threads", "200"],
    ],
)
def test_a_bad_option_of_the_race_is_one_line_with_status_2(twolayer, bad):
    done = twolayer("race", *bad)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
