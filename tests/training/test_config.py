"""Config: names, defaults, ranges, refusals."""

import pickle
from dataclasses import FrozenInstanceError, asdict, fields

import numpy as np
import pytest

from twolayer import Config, ConfigError
from twolayer.training.config import DEFAULTS, FIELDS
from twolayer.training.fields import Choice, Real, Whole
from twolayer.training.methods import METHODS, flops_per_step

WHOLE = [name for name, kind in FIELDS.items() if isinstance(kind, Whole)]
REAL = [name for name, kind in FIELDS.items() if isinstance(kind, Real)]
NUMBERS = WHOLE + REAL
NAMES = [name for name in FIELDS if name not in (*NUMBERS, "table")]


def refusal(**values: object) -> ConfigError:
    """The error of a Config with these values."""
    with pytest.raises(ConfigError) as caught:
        Config(**values)
    return caught.value


def test_fields_and_defaults_are_those_of_the_contract():
    assert asdict(Config()) == DEFAULTS
    assert DEFAULTS == {
        "data": "random",
        "table": "",
        "init": "tutorial",
        "backend": "numpy",
        "device": "cpu",
        "method": "tutorial",
        "dtype": "float32",
        "N": 64,
        "D_in": 1000,
        "H": 100,
        "D_out": 10,
        "learning_rate": 1e-6,
        "steps": 500,
        "seed": 0,
        "threads": 1,
    }
    assert list(FIELDS) == list(DEFAULTS) == [f.name for f in fields(Config)]


def test_a_config_is_a_value():
    config = Config(N=3)
    assert config == Config(N=3)
    assert hash(config) == hash(Config(N=3))
    assert pickle.loads(pickle.dumps(config)) == config
    with pytest.raises(FrozenInstanceError):
        config.N = 4


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("end", ["low", "high"])
def test_both_ends_of_a_range_are_taken(name, end):
    value = getattr(FIELDS[name], end)
    assert getattr(Config(**{name: value}), name) == value


@pytest.mark.parametrize("name", WHOLE)
def test_one_beyond_a_whole_range_is_refused(name):
    for value in (FIELDS[name].low - 1, FIELDS[name].high + 1):
        error = refusal(**{name: value})
        assert (error.field, error.got) == (name, value)
        for word in (name, str(value), str(FIELDS[name].low), str(FIELDS[name].high)):
            assert word in str(error)


@pytest.mark.parametrize("name", REAL)
def test_the_next_float_beyond_a_real_range_is_refused(name):
    for value in (np.nextafter(FIELDS[name].low, -1), np.nextafter(FIELDS[name].high, np.inf)):
        error = refusal(**{name: float(value)})
        assert (error.field, error.got) == (name, value)
        assert f"{FIELDS[name].low:g}" in str(error)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_taken_and_any_other_name_refused(name):
    options = FIELDS[name].options if isinstance(FIELDS[name], Choice) else ("cpu", "cuda:0", "mps")
    backend = {"backend": "torch"} if name == "device" else {}
    for option in options:
        assert getattr(Config(**{**backend, name: option}), name) == option
        assert option.partition(":")[0] in str(refusal(**{name: "other"}))
    for other in ("", "other", options[0].upper(), options[0] + "\n", " " + options[0]):
        assert refusal(**{name: other}).field == name


def test_the_methods_are_those_of_the_one_table():
    assert FIELDS["method"].options == (*METHODS, "auto")


BAD_NUMBERS = [
    *(True, False, None, "5", b"5", bytearray(b"5"), [], (1,), {}, 1j, object()),
    *(float("nan"), float("inf"), -float("inf"), -1, 10**400),
    *(np.True_, np.array([1, 2]), np.float64("nan"), np.datetime64("2020-01-01")),
]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", BAD_NUMBERS, ids=lambda value: type(value).__name__)
def test_what_is_not_a_number_of_the_range_is_refused(name, value):
    error = refusal(**{name: value})
    assert error.field == name
    assert error.got is value
    assert str(error).startswith(f"{name}: invalid value ")
    assert "; expected a " in str(error)


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_number_is_not_a_float(name):
    assert refusal(**{name: 2.0}).got == 2.0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "value", [True, None, 0, 1.5, b"cpu", ["numpy"], {}, float("nan"), object()], ids=type
)
def test_what_is_not_a_name_is_refused(name, value):
    error = refusal(**{name: value})
    assert (error.field, error.got) == (name, value)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_too_long_to_print_is_refused_like_any_other(name):
    assert refusal(**{name: 10**5000}).field == name


def test_numpy_scalars_become_plain_numbers():
    config = Config(N=np.int64(5), learning_rate=np.float32(0.5), threads=np.uint8(2))
    assert (type(config.N), type(config.threads), type(config.learning_rate)) == (int, int, float)
    assert Config(learning_rate=1).learning_rate == 1.0


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("device", ["cuda:0", "cuda:12", "mps"])
def test_only_pytorch_has_other_devices_than_the_cpu(backend, device):
    error = refusal(backend=backend, device=device)
    assert (error.field, error.got) == ("device", device)
    assert f"the only device of the {backend} backend" in str(error)
    assert Config(backend="torch", device=device).device == device


@pytest.mark.parametrize("device", ["cuda:", "cuda:-1", "cuda:123", "cuda:٣", "CPU", "cpu:0", "mps:0"])
def test_other_forms_of_a_device_are_refused(device):
    assert refusal(backend="torch", device=device).field == "device"


def test_cuda_without_a_number_is_the_first_one():
    assert Config(backend="torch", device="cuda") == Config(backend="torch", device="cuda:0")
    assert Config(backend="torch", device="cuda").to_query()["device"] == "cuda:0"


def test_mps_goes_with_float32_only():
    assert refusal(backend="torch", device="mps", dtype="float64").field == "dtype"
    assert Config(backend="torch", device="mps", dtype="float32").dtype == "float32"


def test_numba_goes_with_one_thread_only():
    error = refusal(backend="numba", threads=2)
    assert (error.field, error.got) == ("threads", 2)
    assert Config(backend="numba", threads=1).threads == 1
    assert Config.from_query({"backend": "numba", "threads": "2"})[0] == Config(backend="numba")


def test_a_size_that_the_data_set_has_is_refused_with_it():
    with pytest.raises(ConfigError, match="5, the size of the data set"):
        Config(data="iris", D_in=7)


def test_an_error_is_a_value_error_that_pickles():
    error = refusal(N=-1)
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(error, ValueError)
    assert type(again) is ConfigError
    assert (again.field, again.got, str(again)) == ("N", -1, str(error))


@pytest.mark.parametrize("value", ["x" * 100_000, b"\xff" * 100_000, "\n" * 5000, ["x"] * 5000], ids=len)
def test_long_garbage_is_echoed_shortened_and_in_one_line(value):
    error = refusal(backend=value)
    assert error.got is value
    assert len(str(error)) < 300
    assert "\n" not in str(error)


def test_the_flops_of_a_step_are_those_of_its_five_products():
    N, D_in, H, D_out = 3, 5, 7, 11
    products = [(N, D_in, H), (N, H, D_out), (H, N, D_out), (N, D_out, H), (D_in, N, H)]
    config = Config(N=N, D_in=D_in, H=H, D_out=D_out)
    assert flops_per_step(config) == sum(2 * a * b * c for a, b, c in products)
