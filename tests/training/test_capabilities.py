"""What a machine has, and what it refuses."""

import dataclasses
import json
import pickle
from importlib.metadata import version

import pytest

from twolayer import Config, ConfigError
from twolayer.training import capabilities, methods
from twolayer.training.capabilities import Capabilities, probe
from twolayer.training.kernels import UnavailableError
from twolayer.training.machine import Machine
from twolayer.training.messages import Message

MB = 1 << 20
LIBRARIES = ("numpy", "torch", "numba", "jax")


@pytest.fixture
def machine() -> Capabilities:
    """A machine with 4 cores, 70 MB and one graphics card."""
    hardware = Machine(
        processor="some",
        cores=4,
        all_cores=4,
        memory_bytes=70 * MB,
        blas="openblas",
        versions=(),
        devices=(("numpy", ("cpu",)), ("torch", ("cpu", "cuda:0")), ("numba", ("cpu",))),
        gpus=("some",),
        virtual=False,
    )
    return Capabilities(
        machine=hardware,
        missing=(),
        complete=True,
        code="0",
    )


def refusal(machine: Capabilities, **values: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        machine.require(Config(**values))
    return caught.value


def test_what_is_there_is_allowed(machine, kernel):
    machine.require(Config(**kernel, threads=1 if kernel["backend"] == "numba" else 4))
    machine.require(Config(backend="torch", device="cuda:0"))


@pytest.mark.parametrize("device", ["cuda:1", "mps"])
def test_an_absent_device_is_refused_with_those_there_are(machine, device):
    error = refusal(machine, backend="torch", device=device)
    assert (error.field, error.got) == ("device", device)
    assert "cpu, cuda:0" in str(error)


def test_more_threads_than_cores_are_refused(machine):
    error = refusal(machine, threads=5)
    assert (error.field, error.got) == ("threads", 5)
    assert "at most 4" in str(error)


@pytest.mark.parametrize("name", ["N", "D_in", "H", "D_out", "steps"])
def test_too_much_memory_is_refused_at_the_largest_field(machine, name):
    others = {"N": 64, "D_in": 64, "H": 64, "D_out": 64, "steps": 64}
    value = 5_000_000 if name == "steps" else 100_000
    error = refusal(machine, **{**others, name: value})
    assert (error.field, error.got) == (name, value)
    needed = methods.run_bytes(Config(**{**others, name: value})) // MB
    assert f"needs {needed} MB of memory, and this machine has 70 MB" in str(error)


def test_a_missing_backend_is_refused_with_the_reason(machine):
    why = Message.of("torch is not here")
    without = dataclasses.replace(machine.machine, devices=(("numpy", ("cpu",)),))
    lacking = dataclasses.replace(machine, machine=without, missing=(("torch", why),))
    with pytest.raises(UnavailableError, match="torch is not here"):
        lacking.require(Config(backend="torch"))
    lacking.require(Config(backend="numpy"))


def test_this_process_knows_its_own_machine():
    here = probe(load_torch=True)
    assert here.machine.cores >= 1
    assert here.machine.memory_bytes > 100 * MB
    assert here.machine.blas
    assert here.machine.processor
    assert dict(here.machine.devices)["numpy"] == ("cpu",)
    assert dict(here.machine.devices)["torch"][0] == "cpu"
    assert {name: dict(here.machine.versions)[name] for name in LIBRARIES} == {
        name: version(name) for name in LIBRARIES
    }
    assert here.missing == ()
    assert here.complete
    assert here.code == capabilities.code_digest()
    assert pickle.loads(pickle.dumps(here)) == here


def test_a_probe_does_not_load_pytorch_unless_asked(python):
    code = (
        "import json, sys; from twolayer.training.capabilities import probe; p = probe();"
        "print(json.dumps([p.complete, dict(p.machine.devices)['torch'], 'torch' in sys.modules]))"
    )
    assert json.loads(python("-c", code).stdout) == [False, ["cpu"], False]


def lack(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    """Make the library of `backend` appear as not installed."""
    why = Message.of(f"pip install {backend}")
    monkeypatch.setattr(capabilities, "why_missing", lambda name: why if name == backend else None)


def test_without_pytorch_it_is_missing_and_all_is_known(monkeypatch):
    lack(monkeypatch, "torch")
    here = probe()
    assert dict(here.missing) == {"torch": Message.of("pip install torch")}
    assert set(dict(here.machine.devices)) == {"numpy", "numba", "jax"}
    assert here.complete


@pytest.mark.parametrize(("library", "other"), [("numba", "jax"), ("jax", "numba")])
def test_without_numba_or_jax_it_is_missing(monkeypatch, library, other):
    lack(monkeypatch, library)
    here = probe()
    assert dict(here.missing) == {library: Message.of(f"pip install {library}")}
    assert set(dict(here.machine.devices)) == {"numpy", "torch", other}


@pytest.mark.parametrize("error", [ImportError, OSError])
def test_pytorch_that_does_not_load_is_missing(monkeypatch, error):
    def broken() -> tuple[str, ...]:
        raise error("libsomething.so")

    monkeypatch.setattr(capabilities, "torch_devices", broken)
    here = probe(load_torch=True)
    assert "torch is installed but fails to load" in str(dict(here.missing)["torch"])
    assert "torch" not in dict(here.machine.devices)


def test_a_small_run_asks_nothing(monkeypatch, kernel):
    monkeypatch.setattr(capabilities, "probe", lambda **_: pytest.fail("asked"))
    capabilities.require(Config(**kernel))


def test_the_digest_changes_with_the_library_and_not_with_the_dashboard(tmp_path, monkeypatch):
    monkeypatch.setattr(capabilities, "PACKAGE", tmp_path)
    (tmp_path / "dashboard").mkdir()
    digests = []
    for name, text in [("a.py", "1"), ("a.py", "2"), ("dashboard/b.py", "3"), ("c.txt", "4"), ("c.py", "5")]:
        (tmp_path / name).write_text(text)
        digests.append(capabilities.code_digest.__wrapped__())
    assert digests[0] != digests[1] == digests[2] == digests[3] != digests[4]
