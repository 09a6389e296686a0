"""The pages of the app: their scripts, names and query parameters, declared here once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from twolayer.training.messages import N_

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Page:
    """A page of the app."""

    script: str
    label: str
    """Its name, in English."""
    icon: str
    parameters: tuple[str, ...] = ()
    """Its own query parameters, of those in `parameters.PARAMETERS`."""
    starts: bool = False
    """Whether `run=1` in its address starts something."""
    starts_again: bool = False
    """Whether that stays in the address: a reload starts again what does not survive it."""


PAGES: Mapping[str, Page] = {
    "train": Page("app.py", N_("Train"), ":material/play_arrow:", starts=True),
    "race": Page(
        "pages/race.py",
        N_("Race"),
        ":material/speed:",
        ("contenders", "rounds", "sweep", "sweep_from", "sweep_to", "sweep_points"),
        starts=True,
        starts_again=True,
    ),
    "gradients": Page(
        "pages/gradients.py",
        N_("Gradients"),
        ":material/fact_check:",
        ("at", "fault", "guess", "difference_step", "check_dtype"),
    ),
    "one_step": Page(
        "pages/one_step.py",
        N_("One step"),
        ":material/footprint:",
        ("at", "fault", "show", "sample", "input", "unit", "output"),
    ),
    "learning_rate": Page(
        "pages/learning_rate.py",
        N_("Learning rate"),
        ":material/tune:",
        ("rates", "seeds", "rate_from", "rate_to", "grid_x", "grid_y", "grid"),
        starts=True,
        starts_again=True,
    ),
    "write_it": Page(
        "pages/write_it.py",
        N_("Write it"),
        ":material/edit:",
        ("level", "dialect", "missing", "lines", "solved", "hints"),
    ),
}
"""The pages in the order of their links."""


@cache
def existing() -> list[Page]:
    """Return the pages whose script is there; the others have no link."""
    return [page for page in PAGES.values() if (ROOT / page.script).exists()]
