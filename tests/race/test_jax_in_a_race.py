"""JAX as a contender: right wherever the others are, in workers only, in the memory that was estimated."""

import json

import pytest

from tests.race.test_agreement import random_shapes
from twolayer import Config
from twolayer.race.agreement import agreement
from twolayer.race.contenders import Contender

JAX = [Contender("jax", "cpu", method) for method in ("tutorial", "gram")]


@pytest.mark.parametrize("contender", JAX, ids=lambda contender: contender.key)
def test_jax_is_not_found_wrong(contender, dtype):
    data_set = Config(data="digits", init="he", N=50, H=9, learning_rate=1e-4, steps=100)
    for config in (*random_shapes(3), data_set, *(Config(learning_rate=r, steps=150) for r in (1e-6, 5e-6))):
        found = agreement(Config(**{**vars(config), "dtype": dtype}), contender)
        assert found.right, (config, found)


# The peak is read in a grandchild: a child begins with the peak of the process that starts it.
PEAK = """
import resource, subprocess, sys
if sys.argv[-1] != "grandchild":
    sys.exit(subprocess.run([sys.executable, *sys.orig_argv[1:], "grandchild"]).returncode)
import json
from twolayer import Config
from twolayer.race.contenders import Contender
from twolayer.race.timing import part_of_round
config = Config(**json.loads(sys.argv[3]))
part_of_round(config, (Contender("jax", "cpu", sys.argv[2]),), 0, (0,))
unit = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""
WIDE = {"N": 500, "D_in": 5000, "H": 800, "dtype": "float64"}
TALL = {"N": 3000, "D_in": 300, "H": 800}


@pytest.mark.parametrize("contender", JAX, ids=lambda contender: contender.key)
def test_the_estimated_memory_is_near_the_measured_peak(python, contender):
    def peak(**fields):
        ran = python("-c", PEAK, "measure", contender.method, json.dumps(fields))
        assert ran.returncode == 0, ran.stderr
        return int(ran.stdout)

    baseline = peak(N=1, D_in=1, H=1, D_out=1, steps=1)
    for sizes in (WIDE, TALL):
        config = {"learning_rate": 1e-12, "steps": 3, **sizes}
        measured = peak(**config) - baseline
        assert 0.7 * measured < contender.run_bytes(Config(**config)) < 2.5 * measured


WEB_PROCESS = """
import json, sys
from twolayer import Config
from twolayer.engine.engine import Engine
from twolayer.engine.settings import Settings
from twolayer.race.contenders import Contender
from twolayer.race.plan import Plan, perform
engine = Engine(Settings(scheduler=None, workers=1, memory_mb=512, max_seconds=600))
sizes = {"N": 7, "D_in": 30, "H": 5, "D_out": 3, "learning_rate": 1e-4, "steps": 60}
plan = Plan(Config(**sizes), (Contender("jax", "cpu", "tutorial"), Contender("jax", "cpu", "gram")), 3)
job = engine.map(perform, [(task,) for task in plan.tasks], manner="exclusive")
assert job.wait(600)
(race,) = plan.collect(dict(job.results()))
engine.close()
print(json.dumps([[s.agreement.right for s in race.standings], "jax" in sys.modules]))
"""


def test_a_web_process_whose_workers_race_jax_never_loads_it(python):
    ran = python("-c", WEB_PROCESS)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [[True, True], False]


def test_the_command_races_jax_that_is_picked(twolayer):
    few = ["--N", "5", "--D_in", "9", "--H", "4", "--steps", "20", "--rounds", "3"]
    ran = twolayer("race", *few, "--contenders", "numpy.tutorial,jax.gram")
    assert "\njax gram " in ran.stdout, ran.stderr
    assert "INCORRECT" not in ran.stdout
    assert "not included in the timings: jax gram " in ran.stdout
