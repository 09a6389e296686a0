"""Who may take part in a race, and under which names."""

import pytest

from tests.race.races import GRAM, TUTORIAL
from twolayer import Config
from twolayer.race.contenders import Contender, ContenderError, by_default, chosen, contenders
from twolayer.training.messages import Message
from twolayer.training.methods import flops_per_step

HERE = (("torch", ("cpu", "cuda")), ("jax", ("cpu",)), ("numpy", ("cpu",)))


@pytest.mark.parametrize(
    ("contender", "name", "library", "key"),
    [
        (("numpy", "cpu", "gram"), "numpy gram", "NumPy", "numpy.gram"),
        (("torch", "cuda", "fused"), "torch fused on cuda", "PyTorch on cuda", "torch.fused.cuda"),
        (("torch", "mps", "autograd"), "torch autograd on mps", "PyTorch on mps", "torch.autograd.mps"),
        # Before and after "cpu" in the alphabet
        (("torch", "a", "gram"), "torch gram on a", "PyTorch on a", "torch.gram.a"),
    ],
)
def test_the_names_of_a_contender(contender: tuple[str, str, str], name: str, library: str, key: str) -> None:
    one = Contender(*contender)
    assert (one.name, one.library, one.key) == (name, library, key)


def test_the_contenders_of_a_machine_in_order() -> None:
    keys = [contender.key for contender in contenders(HERE, Config())]
    assert keys[:3] == ["numpy.tutorial", "numpy.fused", "numpy.gram"]
    assert keys[3:11] == [
        *(f"torch.{method}" for method in ("tutorial", "fused", "gram", "autograd")),
        *(f"torch.{method}.cuda" for method in ("tutorial", "fused", "gram", "autograd")),
    ]
    assert {key.partition(".")[0] for key in keys[11:]} == {"jax"}
    assert [one.key for one in by_default(contenders(HERE, Config()))] == keys[:11]


def test_mps_takes_no_part_in_float64() -> None:
    devices = (("torch", ("cpu", "mps")),)
    assert {c.device for c in contenders(devices, Config(dtype="float64"))} == {"cpu"}
    assert {c.device for c in contenders(devices, Config())} == {"cpu", "mps"}


def test_numba_takes_no_part_with_two_threads() -> None:
    devices = (("numpy", ("cpu",)), ("numba", ("cpu",)))
    assert {c.backend for c in contenders(devices, Config(threads=2))} == {"numpy"}
    assert {c.backend for c in contenders(devices, Config())} == {"numpy", "numba"}


def test_jax_takes_part_if_it_is_picked_and_with_one_thread() -> None:
    devices = (("jax", ("cpu",)), ("numpy", ("cpu",)))
    here = contenders(devices, Config())
    assert [c.name for c in here][-2:] == ["jax tutorial", "jax gram"]
    assert [c.library for c in here][-2:] == ["JAX", "JAX"]
    assert {c.backend for c in by_default(here)} == {"numpy"}
    assert chosen("jax.gram", here) == [Contender("jax", "cpu", "gram")]
    assert {c.backend for c in contenders(devices, Config(threads=2))} == {"numpy"}


def test_a_peer_counts_the_operations_of_its_method() -> None:
    for method in ("tutorial", "gram"):
        ours, theirs = (Contender(backend, "cpu", method).config(Config()) for backend in ("numpy", "jax"))
        assert flops_per_step(ours) == flops_per_step(theirs)


def test_contenders_are_chosen_by_their_keys_in_the_order_of_those_here() -> None:
    here = [TUTORIAL, GRAM, Contender("torch", "cuda:0", "gram")]
    assert chosen("torch.gram.cuda:0,numpy.tutorial", here) == [here[0], here[2]]
    with pytest.raises(ContenderError, match=r"'x'.*numpy\.gram"):
        chosen("numpy.gram,x", here)


def test_a_contender_without_its_library_is_refused_with_the_reason() -> None:
    with pytest.raises(ContenderError, match=r"^pip install jax$"):
        chosen("numpy.gram,jax.gram", [GRAM], {"jax": Message.of("pip install jax")})


def test_a_part_of_a_key_is_none() -> None:
    with pytest.raises(ContenderError, match="invalid value 'numpy'; expected comma-separated names from"):
        chosen("numpy", contenders(HERE, Config()))


def test_the_memory_of_jax_is_a_multiple_of_that_of_torch() -> None:
    config = Config(N=500)
    jax, torch = (Contender(library, "cpu", "gram").run_bytes(config) for library in ("jax", "torch"))
    assert jax > torch
    by_hand, by_autograd = (Contender("torch", "cpu", m).run_bytes(config) for m in ("tutorial", "autograd"))
    assert by_hand == by_autograd
