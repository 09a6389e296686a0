"""Who may take part in a race, and under which names."""

import pytest

from twolayer import Config
from twolayer.race.contenders import Contender, ContenderError, by_default, chosen, contenders
from twolayer.training.messages import Message

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


def test_jax_has_one_thread_and_the_gpu_too() -> None:
    keys = {contender.key for contender in contenders(HERE, Config(threads=2))}
    assert not any(key.startswith("jax") for key in keys)
    assert "torch.fused" in keys


def test_those_that_are_chosen_come_in_the_order_of_the_machine() -> None:
    here = contenders(HERE, Config())
    assert [one.key for one in chosen("torch.gram,numpy.gram", here)] == ["numpy.gram", "torch.gram"]
    with pytest.raises(ContenderError, match="invalid value 'numpy'; expected comma-separated names from"):
        chosen("numpy", here)
    with pytest.raises(ContenderError, match="not here"):
        chosen("numpy.gram,numba.gram", here, {"numba": Message.of("It is not here.")})


def test_the_memory_of_jax_is_a_multiple_of_that_of_torch() -> None:
    config = Config(N=500)
    ratio = Contender("jax", "cpu", "gram").run_bytes(config) / Contender("torch", "cpu", "gram").run_bytes(
        config
    )
    assert ratio > 1
    assert Contender("torch", "cpu", "autograd").run_bytes(config) == Contender(
        "torch", "cpu", "tutorial"
    ).run_bytes(config)
