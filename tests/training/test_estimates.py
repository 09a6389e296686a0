"""What a run takes, told before anything is allocated, against what it takes."""

import json
from functools import cache

import pytest

from twolayer import Config
from twolayer.training.config import FIELDS
from twolayer.training.methods import flops_per_step, run_bytes

# The peak is read in a grandchild: a child begins with the peak of the process that starts it.
MEASURE = """
import resource, subprocess, sys
if sys.argv[-1] != "grandchild":
    sys.exit(subprocess.run([sys.executable, *sys.orig_argv[1:], "grandchild"]).returncode)
import json
from twolayer import Config, fit
fit(Config(**json.loads(sys.argv[2])))
unit = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""

SIZE = {"N": 500, "D_in": 5000, "H": 800, "D_out": 10, "steps": 3, "dtype": "float64", "learning_rate": 1e-12}


@pytest.fixture(scope="module")
def peak(python):
    """A function that measures the peak memory of a process that does nothing but one `fit`."""

    @cache
    def measure(text: str) -> int:
        ran = python("-c", MEASURE, "measure", text, OPENBLAS_NUM_THREADS="1")
        assert ran.returncode == 0, ran.stderr
        return int(ran.stdout)

    return lambda **values: measure(json.dumps(values))


def test_the_estimated_memory_is_near_the_measured_peak(peak, kernel):
    baseline = peak(backend=kernel["backend"], N=1, D_in=1, H=1, D_out=1, steps=1)
    measured = peak(**kernel, **SIZE) - baseline
    assert 0.7 * measured < run_bytes(Config(**kernel, **SIZE)) < 2.5 * measured


def test_memory_grows_with_every_dimension_and_with_the_dtype(kernel):
    config = Config(**kernel)
    for name in ("N", "D_in", "H", "D_out", "steps"):
        assert run_bytes(Config(**kernel, **{name: getattr(config, name) * 10})) > run_bytes(config)
    assert run_bytes(Config(**kernel, dtype="float64")) > run_bytes(config)


def test_estimates_of_the_largest_config_are_plain_numbers():
    largest = {name: FIELDS[name].high for name in ("N", "D_in", "H", "D_out", "steps")}
    assert run_bytes(Config(**largest)) > 10**11
    assert flops_per_step(Config(**largest)) == 10**16
