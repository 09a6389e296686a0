"""Freed memory is kept for the next step of a worker, and returned by the web process."""

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


HELD = """
import sys
import psutil
from twolayer.training.machine import return_freed_memory
if "return" in sys.argv:
    return_freed_memory()
large = 20 << 20
b"x" * large  # from here on, glibc takes such blocks from its heap
before = psutil.Process().memory_info().rss
block, above = b"x" * large, b"x" * 100_000
del block
print(psutil.Process().memory_info().rss - before)
"""


def test_a_large_block_is_returned_at_once(python):
    held = int(python("-c", HELD, "return").stdout)
    if platform.libc_ver()[0] == "glibc":
        assert held < 10 << 20  # it would be the whole block of 20 MB
