"""The figures of a race whose times are known, each with its unit, as rows, as CSV and in the terminal.

At the tutorial's sizes a step of `tutorial` has 4NDH + 6NHD_out = 25,984,000 operations, one of `gram`
2N²H + 6NHD_out = 1,203,200.
"""

import csv
import io

import pytest

from tests.race.races import GRAM, TUTORIAL, race_of
from twolayer.cli import race as command_line
from twolayer.race.file import to_csv
from twolayer.race.verdict import microseconds
from twolayer.training.profiling import ALL

RACE = race_of({TUTORIAL: [100e-6, 400e-6, 200e-6, 300e-6], GRAM: [10e-6, 40e-6, 20e-6, 30e-6]})
EXPECTED = [
    {
        "contender": GRAM.name,
        "median_us": 25,
        "p95_us": 38.5,
        "spread": (32.5 - 17.5) / 25,
        "speed_up": 10,
        "gflops": 1_203_200 / 25e-6 / 1e9,
        "share_of_ceiling": 1_203_200 / 25e-6 / 1e9 / 100,
    },
    {
        "contender": TUTORIAL.name,
        "median_us": 250,
        "p95_us": 385,
        "spread": (325 - 175) / 250,
        "speed_up": 1,
        "gflops": 25_984_000 / 250e-6 / 1e9,
        "share_of_ceiling": 25_984_000 / 250e-6 / 1e9 / 100,
    },
]


def test_the_rows_are_what_is_worked_out_by_hand():
    for row, expected in zip(RACE.rows(), EXPECTED, strict=True):
        assert {name: row[name] for name in expected} == pytest.approx(expected)
        of_phases = [row[f"{phase}_us"] for phase in ALL]
        assert of_phases == pytest.approx([expected["median_us"] / len(ALL)] * len(ALL))
        errors = ["loss_error", "loss_error_allowed", "last_ratio", "weight_error", "weight_error_allowed"]
        assert row.keys() == expected.keys() | {
            *errors,
            "right",
            "compile_seconds",
            *(f"{phase}_us" for phase in ALL),
        }


def test_the_csv_has_the_same_figures():
    for row, expected in zip(csv.DictReader(io.StringIO(to_csv([RACE]))), EXPECTED, strict=True):
        assert row["contender"] == expected["contender"]
        for name in expected.keys() - {"contender"}:
            assert float(row[name]) == pytest.approx(expected[name]), name


def test_the_table_of_the_terminal_has_them_under_their_units():
    lines = command_line._table(RACE).splitlines()
    at = next(place for place, line in enumerate(lines) if line.startswith("implementation"))
    assert lines[at].split()[1:8] == ["µs/step", "p95", "spread", "×", "NumPy", "GFLOP/s", "of"]
    for line, expected in zip(lines[at + 1 : at + 3], EXPECTED, strict=True):
        assert line.startswith(expected["contender"])
        median, p95, spread, faster, gflops, share = line[18:].split()[:6]
        assert [float(median), float(p95)] == pytest.approx([expected["median_us"], expected["p95_us"]])
        assert float(spread.rstrip("%")) == pytest.approx(100 * expected["spread"], abs=0.5)
        assert float(faster) == pytest.approx(expected["speed_up"])
        assert float(gflops) == pytest.approx(expected["gflops"], abs=0.05)
        assert float(share.rstrip("%")) == pytest.approx(100 * expected["share_of_ceiling"], abs=0.5)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.98e-6, "1.98 µs"), (19.84e-6, "19.8 µs"), (345.2e-6, "345 µs"), (54.9e-3, "54,900 µs")],
)
def test_a_time_of_a_step_is_written_in_microseconds_with_three_digits(seconds, text):
    assert microseconds(seconds) == text
