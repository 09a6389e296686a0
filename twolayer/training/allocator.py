"""The memory allocator of a process whose loops are timed."""

import contextlib
import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 1 << 26
LARGEST_BYTES = 1 << 25


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for the next step. Does nothing with another C library.

    By default, whether glibc returns two arrays of 800 kB to the system in each step depends on the
    process's history: the tutorial's loop takes 1.1 ms or 0.43 ms a step.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_BYTES)
