"""The end of a run is drawn whole: what the chart shows when the state has changed."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from twolayer import Config, fit

Visit = Callable[..., Page]

WATCH = """() => {
    const value = '.st-key-metric_state [data-testid=stMetricValue]';
    const state = () => document.querySelector(value)?.innerText.trim();
    const watch = () => {
        if (!['finished', 'diverged'].includes(state())) return requestAnimationFrame(watch);
        setTimeout(() => {
            const plot = document.querySelector('.st-key-loss_chart .js-plotly-plot');
            const last = plot?.calcdata?.[0]?.at(-1);
            window.atTheEnd = last ? [last.x, last.y] : [];
        }, 300);
    };
    watch();
}"""
"""Read the last point of the chart 0.3 s after the state has changed."""


def last_point(visit: Visit, config: Config) -> list[float]:
    """Train, and return the last point of the loss chart 0.3 s after the run's end was shown."""
    page = visit("/?" + "&".join(f"{name}={value}" for name, value in config.to_query().items()))
    page.wait_for_function("document.querySelector('.st-key-loss_chart .js-plotly-plot')?.calcdata")
    page.evaluate(WATCH)
    page.click(".st-key-train button")
    page.wait_for_function("window.atTheEnd !== undefined")
    point: list[float] = page.evaluate("window.atTheEnd")
    page.context.close()
    return point


@pytest.mark.parametrize("steps", [500, 1500, 4000])
@pytest.mark.parametrize("seed", range(3))
def test_the_chart_ends_where_the_run_ends_when_the_state_says_so(
    visit: Visit, steps: int, seed: int
) -> None:
    config = Config(steps=steps, seed=seed)
    losses = fit(config).losses
    assert last_point(visit, config) == pytest.approx([steps - 1, losses[-1]], rel=1e-5)
