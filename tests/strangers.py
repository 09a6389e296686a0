"""What strangers send: Hypothesis strategies for query strings, command lines and widgets.

Two amounts, as profiles of Hypothesis: `short`, the same inputs in every run, for everyday tests; and `long`,
10,000 inputs in all, new ones in each run, each answered within two seconds:

    python -m pytest --hypothesis-profile=long -k strangers
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st

from twolayer.training.config import FIELDS
from twolayer.training.fields import Choice, Whole

LONG_SECONDS = 2.0
settings.register_profile("short", max_examples=200, deadline=None, derandomize=True, database=None)
settings.register_profile("long", max_examples=2000, deadline=1000 * LONG_SECONDS)


def a_share(divisor: int) -> settings:
    """For inputs that take longer: this part of the profile's amount, and a failure is not made simpler,
    which would take many minutes. What has to come in time is within `in_time`; the rest waits for workers.
    """
    return settings(
        max_examples=max(10, settings().max_examples // divisor),
        phases=(Phase.explicit, Phase.generate),
        deadline=None,
    )


@contextmanager
def in_time() -> Iterator[None]:
    """Assert that what is within takes no longer than the profile allows."""
    began = time.monotonic()
    yield
    if settings.get_current_profile_name() == "long":
        assert time.monotonic() - began <= LONG_SECONDS


MARKUP = st.sampled_from(
    [
        *("<script>alert(1)</script>", "<b>x</b>", "[a](javascript:x)", "![a](http://b/c.png)", "**x**"),
        *(":red[x]", "$x^2$", "`x`", "# x", "- x", "|a|b|", ":material/home:", "&lt;", "\\*x\\*"),
        *("{0.__class__}", "%s%n", "../../etc/passwd", "file:///etc/passwd", "'; DROP TABLE x; --"),
        *("\x00", "\u0085", "\u202e", "a\r\nb: c"),
    ]
)
NUMBERS = st.one_of(
    st.integers().map(str),
    st.integers(-2, 100_001).map(str),
    st.floats().map(repr),
    st.floats().map("{:e}".format),
    st.sampled_from(
        ["1e999", "-0", "0x10", "1_000", "٣", "9" * 400, "1" * 5000, "+1", " 7 ", "1e-6", "١e-٦"]
    ),
)
ANYTHING = st.one_of(st.text(max_size=200), MARKUP, NUMBERS)
NAMES = st.one_of(
    st.sampled_from([*FIELDS, "lang", "run"]), st.sampled_from([name.lower() for name in FIELDS]), ANYTHING
)


def good(name: str) -> st.SearchStrategy[str]:
    """Texts that the field `name` takes, or would together with others."""
    kind = FIELDS[name]
    if isinstance(kind, Choice):
        return st.sampled_from(kind.options)
    if isinstance(kind, Whole):
        return st.integers(kind.low, kind.high).map(str)
    if name == "learning_rate":
        return st.floats(1e-30, 1e6).map(repr)
    if name == "table":
        return st.sampled_from(["", "0123456789abcdef.5.1-4.classes.150x5x3"])
    return st.sampled_from(["cpu", "mps", "cuda:0", "cuda:99"])


GOOD = st.fixed_dictionaries({}, optional={name: good(name) for name in FIELDS})
QUERIES: st.SearchStrategy[dict[str, str]] = st.one_of(
    st.dictionaries(NAMES, ANYTHING, max_size=12),
    GOOD,
    st.tuples(GOOD, st.dictionaries(NAMES, ANYTHING, max_size=3)).map(lambda pair: pair[0] | pair[1]),
)


def _option(pair: tuple[str, str]) -> list[str]:
    return [f"--{pair[0]}", pair[1]]


def _flat(lists: list[list[str]]) -> list[str]:
    return list(chain.from_iterable(lists))


ARGUMENTS: st.SearchStrategy[list[str]] = st.one_of(
    GOOD.map(lambda query: _flat([_option(pair) for pair in query.items()])),
    st.lists(st.tuples(NAMES, ANYTHING).map(_option), max_size=6).map(_flat),
    st.lists(
        st.one_of(ANYTHING, st.sampled_from(["--json", "--csv", "-h", "--sweep", "--rounds"])), max_size=6
    ),
)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bool_value": st.booleans(),
    "trigger_value": st.booleans(),
    "int_value": st.integers(-(2**63), 2**63 - 1),
    "double_value": st.floats(),
    "string_value": ANYTHING,
    "json_value": ANYTHING,
    "bytes_value": st.binary(max_size=50),
    "string_array_value": st.lists(ANYTHING, max_size=3),
    "int_array_value": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
    "double_array_value": st.lists(st.floats(), max_size=3),
}
"""By field of a widget's state in Streamlit's protocol: what a browser could send in it."""
