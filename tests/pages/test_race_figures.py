"""The figures of the Race page against a race whose times are known, with their units."""

from typing import Any

import pytest
from numpy.testing import assert_allclose

from tests.race.races import GRAM, TUTORIAL, race_of
from twolayer import Config
from twolayer.dashboard.plot import plot
from twolayer.dashboard.race import charts
from twolayer.race.plan import Sweep
from twolayer.training.profiling import ALL

RACE = race_of({TUTORIAL: [100e-6, 400e-6, 200e-6, 300e-6], GRAM: [10e-6, 40e-6, 20e-6, 30e-6]})
OPERATIONS = {GRAM: 2 * 64**2 * 100 + 6 * 64 * 100 * 10, TUTORIAL: 4 * 64 * 1000 * 100 + 6 * 64 * 100 * 10}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What charts are given, by their keys."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(
        plot, "draw", lambda traces, layout, key, **rest: given.update({key: (traces, layout, rest["alt"])})
    )
    return given


def test_the_bars_have_microseconds_and_the_speedup(drawn: dict[str, Any]) -> None:
    charts.bars({s.contender: s.median for s in RACE.standings}, key="bars")
    ((bars,), _, alt) = drawn["bars"]
    assert bars["y"] == [GRAM.name, TUTORIAL.name]
    assert bars["text"] == ["25.0 µs · 10.0×", "250 µs · 1.00×"]
    assert_allclose(bars["x"], [25e-6, 250e-6])  # an axis that is not shown
    assert "25.0 µs" in alt


@pytest.mark.parametrize(("as_shares", "unit", "of_all"), [(False, "µs", (25, 250)), (True, "%", (100, 100))])
def test_the_phases_are_microseconds_or_shares(
    drawn: dict[str, Any], as_shares: bool, unit: str, of_all: tuple[float, float]
) -> None:
    charts.phases(RACE, as_shares=as_shares)
    (traces, layout, _) = drawn["phases_chart"]
    *phases, total = traces
    assert len(phases) == len(ALL)
    for trace in phases:
        assert_allclose(trace["x"], [one / len(ALL) for one in of_all])
    assert_allclose(total["x"], of_all)
    assert all(trace["hovertemplate"].endswith(f" {unit}") for trace in traces)
    assert f"({unit})" in layout["xaxis"]["title"]["text"]


def test_the_roofline_has_gflops_over_operations_per_byte(drawn: dict[str, Any]) -> None:
    charts.roofline(RACE)
    (_roof, *points), layout, _alt = drawn["roofline_chart"]
    for point, s in zip(points, RACE.standings, strict=True):
        assert_allclose(point["y"], [OPERATIONS[s.contender] / s.median / 1e9])
        assert_allclose(point["x"], [OPERATIONS[s.contender] / s.moved])
        assert "GFLOP/s" in point["hovertemplate"]
    assert layout["yaxis"]["title"]["text"] == "GFLOP/s"
    assert layout["xaxis"]["title"]["text"] == "arithmetic intensity (FLOP/byte)"


def test_a_sweep_has_microseconds_over_the_sizes(drawn: dict[str, Any]) -> None:
    races = [
        race_of({TUTORIAL: [time] * 3, GRAM: [time / 4] * 3}, H=H) for H, time in ((10, 1e-5), (20, 3e-5))
    ]
    assert [race.config for race in races] == [Config(H=10), Config(H=20)]
    charts.sweep(Sweep("H", (10, 20)), races)
    ((tutorial, gram), layout, _alt) = drawn["sweep_chart"]
    assert_allclose(tutorial["x"], [10, 20])
    assert_allclose(tutorial["y"], [10, 30])
    assert_allclose(gram["y"], [2.5, 7.5])
    assert tutorial["hovertemplate"].endswith(" µs")
    assert layout["yaxis"]["title"]["text"] == "time per step (µs)"
