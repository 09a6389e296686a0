"""A task that hangs ends its worker: another one takes its place, and computes the task again."""

import faulthandler
from collections.abc import Callable
from typing import Any


def within(seconds: float, function: Callable[..., Any], *values: Any) -> Any:
    """`function(*values)`, by a worker that ends itself if that takes longer than `seconds`.

    The clock runs while the task is computed, not while it waits for its turn. It is watched by a thread
    that needs no interpreter: it ends a product that never returns, too. One task at a time in a process.
    """
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        return function(*values)
    finally:
        faulthandler.cancel_dump_traceback_later()
