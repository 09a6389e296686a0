"""Steps that are recorded as a CUDA graph, on the CPU, where CUDA is replaced by noting operations."""

import logging
from contextlib import nullcontext

import pytest
import torch
from numpy.testing import assert_array_equal
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.training.test_training import SHAPE, ToHost, cut, diverging
from twolayer import Config, Edit, fit
from twolayer.race.contenders import Contender
from twolayer.race.timing import Entry
from twolayer.training import kernels, training
from twolayer.training.kernels import cuda_graph
from twolayer.training.kernels.cuda_graph import FEWEST_STEPS, WARM_UP
from twolayer.training.problem import make_problem

METHODS = ("tutorial", "fused", "gram")


class Graph:
    """Stands for `torch.cuda.CUDAGraph`: repeats operations on the tensors of their recording."""

    made: list["Graph"]

    def __init__(self) -> None:
        self.calls, self.replays = [], 0
        self.made.append(self)

    def replay(self) -> None:
        self.replays += 1
        for func, args, kwargs, results in self.calls:
            for old, new in zip(tree_leaves(results), tree_leaves(func(*args, **kwargs)), strict=True):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class Recording(TorchDispatchMode):
    """Stands for `torch.cuda.graph`: nothing is computed while operations are recorded."""

    def __init__(self, graph: Graph, stream: object) -> None:
        super().__init__()
        self.graph, self.before = graph, {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, torch.Tensor):
                memory = tensor.untyped_storage()
                self.before.setdefault(memory.data_ptr(), (memory, memory.clone()))
        results = func(*args, **(kwargs or {}))
        self.graph.calls.append((func, args, kwargs or {}, results))
        return results

    def __exit__(self, *error) -> None:
        super().__exit__(*error)
        for memory, values in self.before.values():
            memory.copy_(values)


class Refused(Recording):
    """A recording that CUDA ends with an error."""

    def __exit__(self, *error) -> None:
        super().__exit__(*error)
        raise RuntimeError("operation not permitted when stream is capturing\nCompile with …")


class Stream:
    def __init__(self, device: torch.device) -> None:
        pass

    def wait_stream(self, other: "Stream") -> None:
        assert isinstance(other, Stream)


@pytest.fixture
def graphs(monkeypatch) -> list[Graph]:
    """The graphs that are made from here on."""
    monkeypatch.setattr(cuda_graph, "DEVICES", ("cpu",))
    monkeypatch.setattr(Graph, "made", [], raising=False)
    stand_ins = {"Stream": Stream, "current_stream": Stream, "CUDAGraph": Graph, "graph": Recording}
    for name, stand_in in {**stand_ins, "device": nullcontext, "stream": nullcontext}.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    cuda_graph._stream.cache_clear()
    cuda_graph._say_once.cache_clear()
    yield Graph.made
    cuda_graph._stream.cache_clear()


def assert_same(one, other) -> None:
    assert one.diverged_at == other.diverged_at
    for name in ("losses", "dead", "w1", "w2"):
        assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("method", METHODS)
def test_replayed_steps_give_the_bits_of_launched_ones(request, method, dtype):
    """Also after an edit of the learning rate, which a graph has as a constant."""
    config = Config(backend="torch", method=method, **SHAPE, dtype=dtype, learning_rate=1e-4, steps=90)
    edits = [Edit(40, "learning_rate", 3e-4)]
    launched = fit(config, edits)
    graphs = request.getfixturevalue("graphs")
    replayed = fit(config, edits)
    assert_same(replayed, launched)
    assert sum(graph.replays for graph in graphs) == 90
    assert len(graphs) == 2


@pytest.mark.parametrize("method", METHODS)
def test_replayed_runs_diverge_where_launched_ones_do(request, method, dtype):
    config = diverging(backend="torch", method=method, dtype=dtype)
    launched = fit(config)
    graphs = request.getfixturevalue("graphs")
    assert_same(fit(config), launched)
    assert any(graph.replays for graph in graphs)


@pytest.mark.parametrize("steps", [1, FEWEST_STEPS - 1, FEWEST_STEPS, 77])
def test_the_cut_of_a_run_does_not_change_replayed_losses(graphs, steps):
    config = Config(backend="torch", method="gram", **SHAPE, learning_rate=1e-4, steps=200)
    whole, parts = cut(config, 200), cut(config, steps)
    assert_array_equal([loss for part in parts for loss in part.losses], whole[-1].losses)
    assert len(graphs) == 1 + sum(len(part.losses) >= FEWEST_STEPS for part in parts)


@pytest.mark.parametrize("method", METHODS)
def test_a_step_is_computed_for_the_recording_and_then_only_replayed(graphs, monkeypatch, method):
    config = Config(backend="torch", method=method, **SHAPE, learning_rate=1e-4)
    problem, kernel_type = training.prepare(config), kernels.load("torch", method)
    called, step = [], kernel_type.step
    monkeypatch.setattr(kernel_type, "step", lambda self: (called.append(1), step(self)))
    kernel = kernel_type(config, problem, kernel_type.start(problem), 60)
    with ToHost() as to_host:
        kernel.steps(20)
        kernel.steps(40)
        kernel.dead()
    assert to_host.seen == []
    assert len(called) == WARM_UP + 1
    assert [graph.replays for graph in graphs] == [60]
    assert kernel.losses().shape == (60,)


def test_steps_are_launched_where_recording_is_refused_and_the_log_says_so_once(request, monkeypatch, caplog):
    config = Config(backend="torch", method="gram", **SHAPE, learning_rate=1e-4, steps=200)
    launched = fit(config)
    graphs = request.getfixturevalue("graphs")
    monkeypatch.setattr(torch.cuda, "graph", Refused)
    with caplog.at_level(logging.WARNING, "twolayer"):
        assert_same(fit(config), launched)
        assert_same(fit(config), launched)
    assert graphs
    assert not any(graph.replays for graph in graphs)
    (line,) = caplog.records
    assert line.args["state"] == "refused"
    assert line.args["why"] == "RuntimeError: operation not permitted when stream is capturing"


def test_a_race_times_replayed_steps(graphs):
    config = Config(**SHAPE, learning_rate=1e-4, steps=100)
    entry = Entry(Contender("torch", "cpu", "gram"), config, make_problem(config))
    entry.steps = 50
    graphs.clear()
    entry.block()
    assert [graph.replays for graph in graphs] == [50]


def test_the_loop_with_autograd_is_not_recorded(graphs):
    config = Config(**SHAPE, learning_rate=1e-4, steps=100)
    entry = Entry(Contender("torch", "cpu", "autograd"), config, make_problem(config))
    entry.steps = 50
    entry.block()
    assert graphs == []


def test_nothing_is_recorded_on_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "CUDAGraph", None)
    step = torch.zeros(1).add_
    assert cuda_graph.recorded(lambda: step(1), [], torch.device("cpu")) is None
