"""Config: one frozen value that fully determines a run.

Names, defaults and ranges are declared here, once, on the fields of `Config`; pages, command line
and checks read them from `FIELDS`. Whether this machine has a device is not asked here (see
`capabilities`).
"""

import math
import numbers
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from operator import index
from typing import Any, Protocol

from twolayer.training.messages import N_, Message, MessageError, shown

PAGE_PARAMETERS = ("lang", "run")
"""Query parameters that belong to a page, not to a run."""


class ConfigError(MessageError, ValueError):
    """A field that a Config cannot have: names the field, what it got and what it takes."""

    def __init__(self, field: str, got: object, takes: Message) -> None:
        self.field, self.got, self.takes = field, got, takes
        super().__init__(
            Message.of("{field}: got {got}; takes {takes}", field=field, got=shown(got), takes=takes)
        )

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.field, self.got, self.takes)


class Kind(Protocol):
    """What a field takes: checks a value, reads one from text, says it in words."""

    def check(self, value: Any) -> Any: ...
    def parse(self, text: str) -> Any: ...
    @property
    def takes(self) -> Message: ...


@dataclass(frozen=True)
class Choice:
    """One of a few names."""

    options: tuple[str, ...]

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.options:
            raise ValueError
        return value

    parse = check

    @property
    def takes(self) -> Message:
        return Message.of("one of {options}", options=", ".join(self.options))


@dataclass(frozen=True)
class Name:
    """A name of a given form."""

    pattern: str
    words: str

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(self.pattern, value, re.ASCII):
            raise ValueError
        return value

    parse = check

    @property
    def takes(self) -> Message:
        return Message.of(self.words)


@dataclass(frozen=True)
class Whole:
    """A whole number within a range, both ends included."""

    low: int
    high: int

    def check(self, value: Any) -> int:
        if isinstance(value, bool):
            raise ValueError
        try:
            whole = index(value)
        except TypeError:
            raise ValueError from None
        if not self.low <= whole <= self.high:
            raise ValueError
        return whole

    def parse(self, text: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,20}", text, re.ASCII):
            raise ValueError
        return self.check(int(text))

    @property
    def takes(self) -> Message:
        return Message.of("a whole number from {low} to {high}", low=self.low, high=self.high)


@dataclass(frozen=True)
class Real:
    """A finite number within a range, both ends included."""

    low: float
    high: float

    def check(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise ValueError
        try:
            real = float(value)
        except OverflowError:
            raise ValueError from None
        if not (math.isfinite(real) and self.low <= real <= self.high):
            raise ValueError
        return real

    def parse(self, text: str) -> float:
        if not re.fullmatch(r"[+-]?(\d{1,40}\.?\d{0,40}|\.\d{1,40})(e[+-]?\d{1,4})?", text.lower(), re.ASCII):
            raise ValueError
        return self.check(float(text))

    @property
    def takes(self) -> Message:
        return Message.of("a number from {low:g} to {high:g}", low=self.low, high=self.high)


METHODS: Mapping[str, str] = {
    "tutorial": "the formulas as the tutorial writes them, a new array each line",
    "fused": "the same arithmetic in arrays that are kept, changed in place",
    "gram": "the same iterates from x·xᵀ: far fewer operations while N is below 2·D_in",
    "auto": "the cheapest of these for the sizes",
}
"""How the same iteration can be computed: the one table of method names."""

LARGEST = 100_000


@dataclass(frozen=True)
class Config:
    """Everything that decides a run: the same Config gives the same losses.

    Raises `ConfigError` when a field is out of its range, or when two do not go together.
    """

    data: str = field(default="random", metadata={"kind": Choice(("random",))})
    backend: str = field(default="numpy", metadata={"kind": Choice(("numpy", "torch"))})
    device: str = field(
        default="cpu",
        metadata={
            "kind": Name(r"cpu|mps|cuda:\d{1,2}", N_("cpu, mps, or cuda: with a number, as in cuda:0"))
        },
    )
    method: str = field(default="tutorial", metadata={"kind": Choice(tuple(METHODS))})
    dtype: str = field(default="float32", metadata={"kind": Choice(("float32", "float64"))})
    N: int = field(default=64, metadata={"kind": Whole(1, LARGEST)})
    D_in: int = field(default=1000, metadata={"kind": Whole(1, LARGEST)})
    H: int = field(default=100, metadata={"kind": Whole(1, LARGEST)})
    D_out: int = field(default=10, metadata={"kind": Whole(1, LARGEST)})
    learning_rate: float = field(default=1e-6, metadata={"kind": Real(1e-30, 1e6)})
    steps: int = field(default=500, metadata={"kind": Whole(1, 5_000_000)})
    seed: int = field(default=0, metadata={"kind": Whole(0, 2**32 - 1)})
    threads: int = field(default=1, metadata={"kind": Whole(1, 256)})

    def __post_init__(self) -> None:
        for name, kind in FIELDS.items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, kind.check(value))
            except ValueError:
                raise ConfigError(name, value, kind.takes) from None
        if self.backend == "numpy" and self.device != "cpu":
            raise ConfigError("device", self.device, Message.of("cpu with the numpy backend"))
        if self.device == "mps" and self.dtype == "float64":
            raise ConfigError("dtype", self.dtype, Message.of("float32 on the device mps"))

    # -- to and from a query string ---------------------------------------------------------

    def to_query(self) -> dict[str, str]:
        """The fields that differ from their defaults, as query parameters."""
        return {name: str(value) for name, value in asdict(self).items() if value != DEFAULTS[name]}

    @classmethod
    def from_query(cls, query: Mapping[str, str | Iterable[str]]) -> tuple["Config", list[ConfigError]]:
        """Read a query: the Config of all that could be used, and an error for each field that could not.

        Of a parameter that occurs several times the last counts, as in a form.
        """
        texts = {k: v if isinstance(v, str) else (list(v) or [""])[-1] for k, v in query.items()}
        values, errors = parse_fields({k: v for k, v in texts.items() if k not in PAGE_PARAMETERS})
        while True:
            try:
                return cls(**values), errors
            except ConfigError as error:  # two fields that do not go together
                errors.append(error)
                del values[error.field]

    # -- estimates, before anything is allocated ----------------------------------------------

    @property
    def method_used(self) -> str:
        """The method that computes the run: `auto` is the one with the fewest operations.

        The dual form has fewer while N < 2·D_in, unless the steps are too few to pay for x·xᵀ.
        """
        if self.method != "auto":
            return self.method
        passes = 3 * self.N * self.H  # h_start is copied, S is summed up
        once = 2 * self.N * self.D_in * (self.N + self.H)
        gram = (self._flops("gram") + passes) * self.steps + once
        return "gram" if gram < self._flops("fused") * self.steps else "fused"

    @property
    def flops_per_step(self) -> int:
        """Floating-point operations of the matrix products in one step (a multiply-add is two)."""
        return self._flops(self.method_used)

    def _flops(self, method: str) -> int:
        hidden = 2 * self.N if method == "gram" else 4 * self.D_in
        return hidden * self.N * self.H + 6 * self.N * self.H * self.D_out

    @property
    def state_bytes(self) -> int:
        """Size of what a run carries from chunk to chunk: the weights, or for `gram` S and w2."""
        first = self.N if self.method_used == "gram" else self.D_in
        return (first + self.D_out) * self.H * (4 if self.dtype == "float32" else 8)

    @property
    def run_bytes(self) -> int:
        """Estimated peak of a run's memory in bytes: data, weights and their copies, the arrays of a
        step, what is drawn or multiplied in float64 first, a checkpoint, and two copies of the losses."""
        item = 4 if self.dtype == "float32" else 8
        method = self.method_used
        hidden, out = self.N * self.H, self.N * self.D_out
        weights = self.D_in * self.H + self.H * self.D_out
        problem = self.N * self.D_in + out + weights
        single = self.dtype == "float32"
        in_float64 = max(self.N * self.D_in, self.D_in * self.H) if single else 0  # drawn, then cast
        if method == "gram":
            constants = self.N * self.N + hidden
            problem += constants
            in_float64 += (self.N * self.D_in + constants) if single else constants
            # the step; or, at the end, w1 and what is subtracted from it
            state, step = hidden + self.H * self.D_out, max(5 * hidden + 2 * out, 2 * weights)
        elif method == "fused":
            # Fortran's order wants a copy of x
            state, step = weights, self.N * self.D_in + 5 * hidden + 2 * out
        else:
            # h, h_relu, grad_h_relu, grad_h; the outputs; the gradients and what is subtracted
            state, step = weights, 4 * hidden + 4 * out + 2 * weights
        if self.backend == "torch":
            step += constants if method == "gram" else self.N * self.D_in + out  # tensors are copies
        working = max(8 * in_float64, (step + 2 * state) * item + hidden)
        return problem * item + working + state * item + 2 * 16 * self.steps


FIELDS: Mapping[str, Kind] = {f.name: f.metadata["kind"] for f in fields(Config)}
"""What each field takes, in the order of the contract."""

DEFAULTS: Mapping[str, Any] = {f.name: f.default for f in fields(Config)}
"""The tutorial's own values. They never change: old links rely on them."""


def parse_fields(texts: Mapping[str, str]) -> tuple[dict[str, Any], list[ConfigError]]:
    """Read fields from text: the values that are sound, and an error for each that is not."""
    values: dict[str, Any] = {}
    errors: list[ConfigError] = []
    for name, text in texts.items():
        if name not in FIELDS:
            known = Message.of("one of the fields {names}", names=", ".join(FIELDS))
            errors.append(ConfigError(shown(name)[1:-1], text, known))
            continue
        try:
            values[name] = FIELDS[name].parse(text.strip())
        except ValueError:
            errors.append(ConfigError(name, text, FIELDS[name].takes))
    return values, errors
