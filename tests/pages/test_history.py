"""What the server keeps of its visitors, and for whom."""

from types import SimpleNamespace

import numpy as np
import pytest

from twolayer import Config
from twolayer.dashboard.common import history, visitors
from twolayer.dashboard.common.browser import TOKEN
from twolayer.dashboard.common.headers import BROWSER
from twolayer.dashboard.common.history import Histories, name_of
from twolayer.engine.run import Run
from twolayer.training import methods
from twolayer.training.data.reading import own_table


def run(name: str, steps: int = 10, *, over: bool = True) -> Run:
    made = Run(name, Config(steps=steps))
    made._losses.extend(np.zeros(steps))
    if over:
        made.end("finished")
    return made


def test_numbers_and_names_stay_when_runs_are_deleted():
    kept = Histories().of("a")
    entries = [kept.add(run(str(n))) for n in range(3)]
    kept.remove(entries[1])
    after = kept.add(run("new"))
    assert [e.number for e in kept.entries] == [1, 3, 4]
    assert [e.name for e in kept.entries] == [f"NumPy, steps = 10{again}" for again in ("", " (3)", " (2)")]
    assert kept.entry(4) is after
    assert kept.entry(2) is None
    assert [e.number for e in kept.shown] == [1, 3, 4]


def test_a_run_from_another_history_gets_a_name_that_is_not_taken():
    kept, other = Histories().of("a"), Histories().of("b")
    kept.add(run("first"))
    plain, renamed = other.add(run("second")), other.add(run("third"))
    renamed.name = "mine"
    for entry in (plain, renamed):
        kept.adopt(entry)
    names = ["NumPy, steps = 10", "NumPy, steps = 10 (2)", "mine"]
    assert [(e.number, e.name) for e in kept.entries] == list(enumerate(names, 1))


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (Config(), "NumPy"),
        (Config(backend="torch", H=200), "PyTorch, H = 200"),
        (Config(method="gram", dtype="float64", learning_rate=5e-7), "NumPy, gram, float64, η = 5e-07"),
    ],
)
def test_a_run_is_named_by_what_differs_from_the_tutorial(config, name):
    assert name_of(config) == name


def test_a_history_is_free_only_when_nobody_looks_at_it():
    histories = Histories()
    assert not histories.is_free("a")
    histories.connected("a")
    histories.of("a").add(run("1"))
    assert not histories.is_free("a")
    histories.connected("a")
    histories.disconnected("a")
    assert not histories.is_free("a")
    histories.disconnected("a")
    assert histories.is_free("a")
    assert not histories.is_free("b")


def test_the_oldest_runs_go_first_and_live_ones_stay(monkeypatch):
    monkeypatch.setattr(history, "MOST_RUNS", 3)
    histories = Histories()
    histories.connected("a")
    kept = histories.of("a")
    for number in range(5):
        kept.add(run(str(number), over=number != 0))
    gone = histories.trim("a")
    assert [one.name for one in gone] == ["1", "2"]
    assert [entry.run.name for entry in kept.entries] == ["0", "3", "4"]
    assert kept.let_go == 2


def test_those_who_left_take_a_part_of_the_memory_alone(monkeypatch):
    histories = Histories()
    for token in ("first", "second", "third", "here"):
        histories.connected(token)
        histories.of(token).add(run(token, 1000))
    for token in ("first", "second", "third"):
        histories.disconnected(token)
    a_run = histories.of("here").nbytes_with_states
    assert a_run > histories.of("here").nbytes + methods.state_bytes(Config())
    monkeypatch.setattr(history, "MOST_BYTES_OF_ABSENT", 3 * a_run)
    assert histories.trim("here") == []
    monkeypatch.setattr(history, "MOST_BYTES_OF_ABSENT", 2 * a_run - 1)
    assert [one.name for one in histories.trim("here")] == ["first", "second"]
    assert histories.is_free("third")
    assert len(histories.of("here").entries) == 1


def test_those_who_left_go_before_those_who_are_here(monkeypatch):
    histories = Histories()
    for token in ("left", "here"):
        histories.connected(token)
        histories.of(token).add(run(token, 1000))
    histories.disconnected("left")
    size = histories.of("here").nbytes
    monkeypatch.setattr(history, "MOST_BYTES", size)
    assert [one.name for one in histories.trim("here")] == ["left"]
    assert len(histories.of("here").entries) == 1
    monkeypatch.setattr(history, "MOST_BYTES", size - 1)
    assert [one.name for one in histories.trim("here")] == ["here"]


def test_of_those_who_are_here_only_as_many_runs_go_as_must(monkeypatch):
    histories = Histories()
    histories.connected("here")
    for number in range(4):
        histories.of("here").add(run(str(number), 1000))
    monkeypatch.setattr(history, "MOST_BYTES", histories.of("here").nbytes - 1)
    assert [one.name for one in histories.trim("here")] == ["0"]
    assert [entry.run.name for entry in histories.of("here").entries] == ["1", "2", "3"]


def test_a_table_of_several_runs_counts_once_until_the_last_of_them_goes(monkeypatch):
    histories, table = Histories(), own_table((np.eye(300), np.arange(300)))
    histories.connected("here")
    past = histories.of("here")
    for _ in range(3):
        past.add(run("a"))
    curves = past.nbytes
    for entry in past.entries:
        entry.run.table = table
    assert past.nbytes == curves + table.nbytes
    monkeypatch.setattr(history, "MOST_BYTES", curves + table.nbytes - 1)
    assert len(histories.trim("here")) == 1
    monkeypatch.setattr(history, "MOST_BYTES", curves)
    assert len(histories.trim("here")) == 2


@pytest.mark.parametrize("cookie", ["", "a" * 31, "a" * 33, "A" * 32, "../" * 11, "a" * 10_000_000])
def test_a_cookie_that_is_no_name_of_a_browser_is_ignored(monkeypatch, cookie):
    def token_of(cookies):
        monkeypatch.setattr(visitors, "st", SimpleNamespace(context=SimpleNamespace(cookies=cookies)))
        return visitors._new_token()

    assert token_of({BROWSER: "a" * 32})[:32] == "a" * 32
    token = token_of({BROWSER: cookie})
    assert TOKEN.fullmatch(token)
    assert token[:32] == token[32:] != token_of({BROWSER: cookie})[:32]
