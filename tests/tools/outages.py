"""What breaks, how long until it works again, and what a visitor is told meanwhile.

    python -m tests.tools.outages

Breaks one part after the other of engines of this process, in the middle of a run, and prints for each: the
seconds until the next losses of the run that was broken, and until a new run has come to its end; what became
of the broken run; and the sentence that its page shows, in both languages. Its losses are compared with those
of `fit`, bit for bit. What a job or a server does when its processes are killed is in `tests/engine`.

Exit status 1 if anything took longer than 10 s (where workers hang: than the deadline of a chunk and
10 s), or if a loss was lost.
"""

import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from playwright.sync_api import sync_playwright

from tests.browser.conftest import ARGUMENTS, ROOT, serving, state_is
from tests.engine.conftest import TINY, cluster_elsewhere, cluster_of, kill, settings, workers_of
from tests.engine.test_outages import free_port, grow
from twolayer import Config, fit
from twolayer.dashboard.i18n import say, translator
from twolayer.engine.engine import Engine
from twolayer.engine.run import Run
from twolayer.engine.run_loop import DEADLINE_SECONDS
from twolayer.training.messages import Message

SHORT = Config(**TINY, steps=300)
LONG = Config(**TINY, steps=1_500_000)
MOST_SECONDS = 10.0
PATIENCE_SECONDS = 90.0
POLL_SECONDS = 0.005
AWAY_SECONDS = 120.0


def until(condition: Callable[[], bool]) -> float:
    """Seconds until a condition holds."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise SystemExit("it did not work again")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - began


@cache
def expected() -> NDArray[np.float64]:
    """The losses of the run that is broken."""
    return fit(LONG).losses


@dataclass
class Report:
    """What one fault did."""

    name: str
    bound: float = MOST_SECONDS
    goes_on: float = 0.0
    """Seconds until the broken run had more losses."""
    works: float = 0.0
    """Seconds until a new run had ended."""
    state: str = ""
    told: list[Message] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """What a page was seen to say."""

    def listen(self, engine: Engine, run: Run) -> None:
        """Take down what the page of a run says."""
        for message in (engine.trouble, run.message):
            if message is not None and message not in self.told:
                self.told.append(message)

    @property
    def well(self) -> bool:
        """Whether it worked again in time."""
        return max(self.goes_on, self.works) <= self.bound

    def __str__(self) -> str:
        lines = [f"{self.name:<52}{self.goes_on:>8.1f}{self.works:>8.1f}{self.bound:>7.0f}  {self.state}"]
        lines += [f"    {say(m, translator(language))}" for m in self.told for language in ("en", "ko")]
        lines += [f"    {text}" for text in self.texts]
        return "\n".join(lines)


@contextlib.contextmanager
def running(engine: Engine) -> Iterator[Run]:
    """A run in its middle; at the end, when it has come to its own, its losses are compared."""
    until(lambda: engine.capabilities is not None)
    run = engine.submit(LONG)
    until(lambda: run.step > LONG.steps // 20)
    yield run
    losses = run.losses  # it may go on while the right ones are computed
    assert_array_equal(losses, expected()[: len(losses)])
    engine.stop(run)


def watched(report: Report, engine: Engine, run: Run) -> None:
    """Measure from now on until the run goes on, and until a new run has ended."""
    began, step = time.monotonic(), run.step

    def goes_on() -> bool:
        report.listen(engine, run)
        return run.step > step or run.over

    until(goes_on)
    report.goes_on = time.monotonic() - began
    new = engine.submit(SHORT)
    until(lambda: new.over)
    report.works = time.monotonic() - began
    assert_array_equal(new.losses, fit(SHORT).losses)
    report.state = run.state


def broken(name: str, what: Callable[[Engine], None], bound: float = MOST_SECONDS) -> Report:
    """Break an embedded cluster in the middle of a run."""
    report, engine = Report(name, bound), Engine(settings(workers=2))
    try:
        with running(engine) as run:
            what(engine)
            watched(report, engine, run)
    finally:
        engine.close()
    return report


def kill_busy_worker(engine: Engine) -> None:
    """The worker that computes is gone."""
    max(workers_of(cluster_of(engine)), key=lambda process: sum(process.cpu_times()[:2])).kill()


def kill_workers(engine: Engine) -> None:
    """All workers are gone."""
    for worker in workers_of(cluster_of(engine)):
        worker.kill()


def hang_workers(engine: Engine) -> None:
    """All workers stand still."""
    for worker in workers_of(cluster_of(engine)):
        worker.send_signal(signal.SIGSTOP)


def too_much_memory() -> Report:
    """A task takes more memory than its worker may."""
    report, engine = (
        Report("a task beyond its worker's memory, given up"),
        Engine(settings(workers=2, memory_mb=64)),
    )
    try:
        with running(engine) as run:
            began = time.monotonic()
            job = engine.map(grow, [(1500,)])
            until(lambda: job.over)
            report.goes_on = time.monotonic() - began
            if job.message is not None:
                report.told.append(job.message)
            new = engine.submit(SHORT)
            until(lambda: new.over)
            report.works = time.monotonic() - began
            report.state = f"{job.state}; the run beside it: {run.state}"
    finally:
        engine.close()
    return report


def scheduler_elsewhere() -> Iterator[Report]:
    """A scheduler of one's own is late, and goes and comes back."""
    port = free_port()
    report, engine = (
        Report("no scheduler at the start, then there"),
        Engine(settings(scheduler=f"tcp://127.0.0.1:{port}")),
    )
    try:
        refused = engine.submit(SHORT)
        until(lambda: refused.over)
        report.listen(engine, refused)
        with cluster_elsewhere(port) as (_address, process):
            began = time.monotonic()
            new = engine.submit(SHORT)
            until(lambda: new.over)
            report.goes_on = report.works = time.monotonic() - began
            report.state = f"{refused.state}, then {new.state}"
            yield report
            report = Report("the scheduler gone in mid-run, then back")
            with running(engine) as run:
                kill(process)
                until(lambda: engine.trouble is not None)
                report.listen(engine, run)
                with cluster_elsewhere(port):
                    watched(report, engine, run)
        yield report
    finally:
        engine.close()


def browser_away() -> Report:
    """A browser sleeps in the middle of a run, and comes back when Streamlit has forgotten its session."""
    report = Report("a browser away for two minutes")
    with serving(ROOT) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-US")
        page.goto(f"{address}/?steps=300&run=1")
        state_is(page, "finished")
        page.goto(f"{address}/?steps=5000000&run=1")
        state_is(page, "running")
        page.goto("about:blank")
        time.sleep(AWAY_SECONDS)
        began = time.monotonic()
        page.goto(f"{address}/?steps=300")
        page.wait_for_selector(".st-key-runs_table")
        state_is(page, "stopped")
        report.goes_on = time.monotonic() - began
        report.state = "stopped; both runs are in the table"
        report.texts.append(page.inner_text(".st-key-verdict").strip())
        page.click("text=한국어")
        state_is(page, "정지됨")
        report.texts.append(page.inner_text(".st-key-verdict").strip())
        began = time.monotonic()
        page.click(".st-key-train button")
        state_is(page, "완료")
        report.works = time.monotonic() - began
        browser.close()
    return report


def reports() -> Iterator[Report]:
    """All faults, one after the other."""
    yield broken("the busy worker killed", kill_busy_worker)
    yield broken("all workers killed", kill_workers)
    yield broken("the scheduler's process killed", lambda engine: cluster_of(engine).kill())
    yield broken("all workers hang", hang_workers, DEADLINE_SECONDS + MOST_SECONDS)
    yield too_much_memory()
    yield from scheduler_elsewhere()
    yield browser_away()


def main() -> int:
    """Break, measure, print, and say by the exit status whether all worked again in time."""
    print(f"{'seconds until':<52}{'goes on':>8}{'works':>8}{'bound':>7}  the broken run", flush=True)
    well = True
    for report in reports():
        print(report, flush=True)
        well &= report.well
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
