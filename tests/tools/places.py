"""All pages as people use them: what load, soak and hosting open beside the Train page's runs."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from tests.tools.benchmarks.visits import STATE_KEY
from tests.tools.benchmarks.websocket_client import Page
from twolayer.backprop.packed import pack

TINY = "N=8&D_in=20&H=10&D_out=2&learning_rate=1e-4&lang=en"
PATIENCE_SECONDS = 60.0
TABLE = b"a,b,c\n" + b"".join(b"%d,%d,%d\n" % (row, row * row % 7, row % 3) for row in range(200))


@dataclass(frozen=True)
class Place:
    """An address, and what is done there once it is drawn."""

    path: str
    query: str
    folds: tuple[str, ...] = ()
    """Opened one after the other, by their keys."""
    button: str = ""
    """Pressed at the end."""
    uploads: bool = False
    """Whether a file is uploaded first."""


PLACES: Mapping[str, Place] = {
    "digits": Place("", "data=digits&init=he&steps=200&learning_rate=1e-5&run=1&lang=en"),
    "own file": Place("", "data=csv&init=he&steps=100&learning_rate=1e-6&lang=en", (), "train", uploads=True),
    "code": Place("", f"{TINY}&run=1", ("code",)),
    "race": Place("race", f"{TINY}&contenders=numpy.tutorial,numpy.gram&rounds=3&run=1"),
    "gradients": Place("gradients", f"{TINY}&fault=no_mask", ("tables", "step_size", "help")),
    "one step": Place("one_step", f"{TINY}&show=grad_w1", ("whole", "chain", "help")),
    "learning rate": Place("learning_rate", f"{TINY}&rates=20&seeds=2&steps=200&run=1", ("reasons", "why")),
    "grid": Place("learning_rate", f"{TINY}&grid=H=5,10;learning_rate=1e-5:1e-2:6", ("sizes",), "start_grid"),
    "write it": Place("write_it", f"{TINY}&lines={pack({'grad_h': 'grad_h_relu'})}", (), "check"),
}


async def use(address: str, place: Place) -> list[str]:
    """Open a page, do what is done there, and wait until it is at rest. Returns the exceptions shown."""
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        Page.open(address, place.query, STATE_KEY, place.path) as page,
    ):
        await page.until(lambda: page.full_runs > 0)
        await page.until(lambda: page.at_rest)
        if place.uploads:
            await page.upload("own_file", "own.csv", TABLE)
            await page.until(lambda: page.at_rest)
        for fold in place.folds:
            await page.unfold(fold)
        if place.button:
            await page.press(place.button)
        await page.until(lambda: page.at_rest)
        return page.exceptions
