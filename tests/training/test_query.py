"""A Config to and from a query string."""

from urllib.parse import parse_qs, urlencode

import numpy as np
import pytest

from twolayer import Config
from twolayer.training.config import DEFAULTS, FIELDS, field_of
from twolayer.training.fields import Choice, Whole


def random_config(g: np.random.Generator) -> Config:
    """A Config anywhere in its ranges."""
    values = {"device": "cpu"}
    for name in FIELDS:
        kind = field_of(values.get("data", "random"), name)
        if isinstance(kind, Choice):
            values[name] = kind.options[g.integers(len(kind.options))]
        elif isinstance(kind, Whole):
            values[name] = int(np.exp(g.uniform(np.log(max(kind.low, 1)), np.log(kind.high))) + 0.5)
    values["learning_rate"] = float(10 ** g.uniform(-30, 6))
    if values["backend"] == "numba":
        values["threads"] = 1
    if values["backend"] == "torch":
        values["device"] = ["cpu", "cuda:3", "mps"][g.integers(3)]
    if values["device"] == "mps":
        values["dtype"] = "float32"
    return Config(**values)


def test_the_default_is_the_empty_query():
    assert Config().to_query() == {}
    assert Config.from_query({}) == (Config(), [])


def test_a_query_holds_what_differs_from_the_defaults():
    assert Config(N=33, learning_rate=2e-7, backend="torch").to_query() == {
        "backend": "torch",
        "N": "33",
        "learning_rate": "2e-07",
    }


def test_random_configs_come_back_from_their_query():
    g = np.random.default_rng(1)
    for _ in range(200):
        config = random_config(g)
        assert Config.from_query(config.to_query()) == (config, [])
        assert Config.from_query(parse_qs(urlencode(config.to_query()))) == (config, [])


@pytest.mark.parametrize("name", FIELDS)
def test_a_default_may_be_spelt_out(name):
    assert Config.from_query({name: str(DEFAULTS[name])}) == (Config(), [])


@pytest.mark.parametrize("text", ["1e-6", "1E-6", "0.000001", "+1e-06", ".000001", "  1e-6 ", "1e-0006"])
def test_a_rate_may_be_written_in_any_usual_way(text):
    assert Config.from_query({"learning_rate": text}) == (Config(), [])


BAD_TEXTS = [
    *("", " ", "abc", "nan", "NaN", "inf", "-inf", "-1", "1e999", "9" * 30, "9" * 5000, "1_0", "0x10"),
    *("٣", "３", "1e-٣", "²", "1,5", "1 0", "None", "True", "\x00", "\ud800", "1\n2", "<b>1</b>", "--1"),
]


@pytest.mark.parametrize("name", [n for n, kind in FIELDS.items() if not isinstance(kind, Choice)])
@pytest.mark.parametrize("text", BAD_TEXTS, ids=ascii)
def test_a_bad_value_is_reported_and_the_rest_is_used(name, text):
    if name == "table" and not text.strip():
        pytest.skip("no table is a name too")
    other = "steps" if name == "H" else "H"
    config, errors = Config.from_query({name: text, other: "77"})
    assert config == Config(**{other: 77})
    assert [error.field for error in errors] == [name]
    assert errors[0].got == text
    assert len(str(errors[0])) < 300


def test_every_bad_field_is_reported():
    query = {"N": "0", "backend": "foo", "steps": "1.5", "learning_rate": "nan", "D_in": "12", "method": ""}
    config, errors = Config.from_query(query)
    assert config == Config(D_in=12)
    assert [error.field for error in errors] == ["N", "backend", "steps", "learning_rate", "method"]


@pytest.mark.parametrize("name", ["n", "foo", "", "__init__", "lr\n", "N ", "학습률"], ids=ascii)
def test_an_unknown_name_is_reported_with_those_there_are(name):
    config, errors = Config.from_query({name: "5", "H": "6"})
    assert config == Config(H=6)
    assert len(errors) == 1
    assert all(known in str(errors[0]) for known in FIELDS)
    assert "\n" not in str(errors[0])
    assert errors[0].field == name or not name.isidentifier() or not name.isascii()


def test_a_long_unknown_name_is_shortened():
    (error,) = Config.from_query({"x" * 10_000: "y" * 10_000})[1]
    assert len(str(error)) < 400


def test_parameters_of_the_page_are_not_the_configs():
    assert Config.from_query({"lang": "ko", "run": "1"}) == (Config(), [])


def test_of_a_repeated_parameter_the_last_counts():
    assert Config.from_query({"N": ["3", "4"], "H": ("5",)}) == (Config(N=4, H=5), [])
    config, errors = Config.from_query({"N": ["3", "bad"], "H": []})
    assert config == Config()
    assert [(error.field, error.got) for error in errors] == [("N", "bad"), ("H", "")]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"device": "cuda:0"}, "device"),
        ({"backend": "numpy", "device": "mps", "dtype": "float64"}, "device"),
        ({"backend": "torch", "device": "mps", "dtype": "float64"}, "dtype"),
        ({"backend": "foo", "device": "mps"}, "device"),
    ],
)
def test_of_two_fields_that_do_not_go_together_one_is_dropped(query, field):
    config, errors = Config.from_query({**query, "N": "9"})
    assert errors[-1].field == field
    assert getattr(config, field) == DEFAULTS[field]
    assert config.N == 9
