"""Config: one frozen value that fully determines a run.

Names, defaults and ranges are declared once, on the fields of `Config`; pages, command line and
checks read them from `FIELDS`. Whether this machine has a device is not checked here (see
`capabilities`), nor what a run costs (see `methods`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from twolayer.training.fields import (
    Choice,
    ConfigError,
    Field,
    Name,
    Real,
    Whole,
    declared,
    declared_fields,
    parse_fields,
)
from twolayer.training.messages import N_, Message

PAGE_PARAMETERS = ("lang", "run")
"""Query parameters that belong to a page, not to a run."""

METHODS: Mapping[str, str] = {
    "tutorial": "the formulas as the tutorial writes them, a new array each line",
    "fused": "the same arithmetic in arrays that are kept, changed in place",
    "gram": "the same iterates from x·xᵀ: far fewer operations while N is below 2·D_in",
    "auto": "the cheapest of these for the sizes",
}
"""How the same iteration can be computed: the one table of method names."""

LARGEST = 100_000
RATE = Real(1e-30, 1e6, default=1e-6)
STEPS = Whole(1, 5_000_000, default=500)
SEED = Whole(0, 2**32 - 1, default=0)


@dataclass(frozen=True)
class Config:
    """Everything that decides a run: the same Config gives the same losses.

    Raises `ConfigError` when a field is out of its range, or when two do not go together.
    """

    data: str = declared(Choice(("random",), default="random"))
    backend: str = declared(Choice(("numpy", "torch"), default="numpy"))
    device: str = declared(
        Name(r"cpu|mps|cuda:\d{1,2}", N_("cpu, mps, or cuda: with a number, as in cuda:0"), default="cpu")
    )
    method: str = declared(Choice(tuple(METHODS), default="tutorial"))
    dtype: str = declared(Choice(("float32", "float64"), default="float32"))
    N: int = declared(Whole(1, LARGEST, default=64))
    D_in: int = declared(Whole(1, LARGEST, default=1000))
    H: int = declared(Whole(1, LARGEST, default=100))
    D_out: int = declared(Whole(1, LARGEST, default=10))
    learning_rate: float = declared(RATE)
    steps: int = declared(STEPS)
    seed: int = declared(SEED)
    threads: int = declared(Whole(1, 256, default=1))

    def __post_init__(self) -> None:
        for name, field in FIELDS.items():
            object.__setattr__(self, name, field.checked(name, getattr(self, name)))
        if self.backend == "numpy" and self.device != "cpu":
            raise ConfigError("device", self.device, Message.of("cpu with the numpy backend"))
        if self.device == "mps" and self.dtype == "float64":
            raise ConfigError("dtype", self.dtype, Message.of("float32 on the device mps"))

    def to_query(self) -> dict[str, str]:
        """Return the fields that differ from their defaults, as query parameters."""
        return {name: str(value) for name, value in asdict(self).items() if value != DEFAULTS[name]}

    @classmethod
    def from_query(cls, query: Mapping[str, str | Iterable[str]]) -> tuple["Config", list[ConfigError]]:
        """Read a query: return the Config of its sound fields, and an error for each of the others.

        The last value of a repeated parameter counts, as in a form.
        """
        texts = {k: v if isinstance(v, str) else (list(v) or [""])[-1] for k, v in query.items()}
        values, errors = parse_fields(FIELDS, {k: v for k, v in texts.items() if k not in PAGE_PARAMETERS})
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


FIELDS: Mapping[str, Field] = declared_fields(Config)
"""What each field takes, in the order of the contract."""

DEFAULTS: Mapping[str, Any] = {name: field.default for name, field in FIELDS.items()}
"""The tutorial's own values. They never change: old links rely on them."""
