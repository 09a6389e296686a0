"""Freed memory is kept for the next step."""

import platform

COUNT = """
import resource, sys
import numpy as np
from twolayer.training.machine import keep_freed_memory
if "keep" in sys.argv:
    keep_freed_memory()
def step():
    a, b = (np.empty((1000, 100)) for _ in range(2))
    a[:] = 1
    b[:] = 1
for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_a_step_faults_no_pages_in(python):
    faults = int(python("-c", COUNT, "keep").stdout)
    if platform.libc_ver()[0] == "glibc":
        assert faults < 50  # it would be 400 pages in each of 50 steps
