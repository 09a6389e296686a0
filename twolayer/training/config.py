"""Config: one frozen value that fully determines a run.

Names, defaults and ranges are declared once, on the fields of `Config`; pages, command line and
checks read them from `FIELDS`. Whether this machine has a device is not checked here (see
`capabilities`), nor what a run costs (see `methods`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from twolayer.training.data import DATA_SETS, DataSet, data_set, own
from twolayer.training.data.own import CSV
from twolayer.training.fields import (
    OF_THE_DATA,
    Choice,
    ConfigError,
    Field,
    Name,
    Real,
    Whole,
    declared,
    fields_of,
    parse_fields,
)
from twolayer.training.messages import Message

PAGE_PARAMETERS = ("lang", "run")
"""Query parameters that belong to a page, not to a run."""

RANDOM = "random"
"""The tutorial's data: random numbers of any size, drawn from the seed."""
BACKENDS = {"numpy": "NumPy", "torch": "PyTorch", "numba": "Numba"}
LARGEST = 100_000
RATE = Real(1e-30, 1e6, default=1e-6, words="Step size of gradient descent")
STEPS = Whole(1, 5_000_000, default=500, words="Number of weight updates")
SEED = Whole(0, 2**32 - 1, default=0, words="Seed of the data and the initial weights")


class TableName(Name):
    """The name of a table of one's own, or none."""

    def check(self, value: Any) -> str:
        name = super().check(value)
        if name and own.shape_of(name) is None:
            raise ValueError
        return name


@dataclass(frozen=True)
class Config:
    """All settings of a run: equal configs give identical losses on the same kind of machine.

    The network has `D_in` inputs, `H` hidden units and `D_out` outputs; it is trained on `N` samples, all of
    them in each of the `steps`, at `learning_rate`. `seed` gives the data and the initial weights. `backend`,
    `device`, `method`, `dtype` and `threads` are how it is computed: `FIELDS[name].words` says what each is.
    A data set other than `random` has its own `D_in` and `D_out`, which need not be given, and only so many
    rows: `field_of` says what these fields take then. For `csv` they follow from the `table`; they may be 0
    while that is not known.

    Raises `ConfigError` for a field out of its range or an incompatible combination.
    """

    data: str = declared(Choice((RANDOM, *DATA_SETS, CSV), default=RANDOM, words="Training data"))
    table: str = declared(
        TableName(own.NAME, own.FORM, default="", words="Name of a table of one's own: what `csv` stands for")
    )
    init: str = declared(
        Choice(
            ("tutorial", "he"),
            default="tutorial",
            words="Initial weights: standard normal as in the tutorial, or those times √(2 / fan-in)",
        )
    )
    backend: str = declared(Choice(tuple(BACKENDS), default="numpy", words="Array library"))
    device: str = declared(
        Name(
            r"cpu|mps|cuda(:\d{1,2})?",
            Message.of("cpu, mps, cuda (that is cuda:0) or cuda with a number, such as cuda:1"),
            default="cpu",
            words="Device that computes",
        )
    )
    method: str = declared(
        Choice(
            ("tutorial", "fused", "gram", "auto"),
            default="tutorial",
            words="How an iteration is computed; all give the same losses up to rounding",
        )
    )
    dtype: str = declared(Choice(("float32", "float64"), default="float32", words="Precision"))
    N: int = declared(Whole(1, LARGEST, default=64, words="Number of samples"), default=OF_THE_DATA)
    D_in: int = declared(Whole(1, LARGEST, default=1000, words="Number of inputs"), default=OF_THE_DATA)
    H: int = declared(Whole(1, LARGEST, default=100, words="Number of hidden units"))
    D_out: int = declared(Whole(1, LARGEST, default=10, words="Number of outputs"), default=OF_THE_DATA)
    learning_rate: float = declared(RATE)
    steps: int = declared(STEPS)
    seed: int = declared(SEED)
    threads: int = declared(Whole(1, 256, default=1, words="Threads of a matrix product"))

    def __post_init__(self) -> None:
        for name in FIELDS:  # the data set comes first
            object.__setattr__(self, name, self._checked(name, getattr(self, name)))
        if self.table and self.data != CSV:
            raise ConfigError("table", self.table, Message.of("none, since the data are not csv"))
        if self.device == "cuda":  # as in PyTorch, the first one
            object.__setattr__(self, "device", "cuda:0")
        if self.backend != "torch" and self.device != "cpu":
            only = Message.of("cpu, the only device of the {backend} backend", backend=self.backend)
            raise ConfigError("device", self.device, only)
        if self.backend == "numba" and self.threads != 1:
            one = Message.of("1, since the loops of the numba backend use one thread")
            raise ConfigError("threads", self.threads, one)
        if self.device == "mps" and self.dtype == "float64":
            raise ConfigError(
                "dtype", self.dtype, Message.of("float32, the only precision that mps supports")
            )

    def _checked(self, name: str, value: Any) -> Any:
        """Return the value of a field as the data set takes it. Raises `ConfigError`."""
        if name == "data":
            return FIELDS[name].checked(name, value)
        field = field_of(self.data, name, self.table)
        if value is OF_THE_DATA:
            return field.default
        unknown = self.data == CSV and not self.table
        value = (field if unknown else FIELDS[name]).checked(name, value)
        if isinstance(field, Whole) and not field.low <= value <= field.high:
            takes = field.takes
            if field.low == field.high:
                takes = Message.of("{size}, the size of the data set", size=field.low)
            raise ConfigError(name, value, takes)
        return value

    def to_query(self) -> dict[str, str]:
        """Return the fields that differ from their defaults for these data, as query parameters."""
        return {
            name: str(value)
            for name, value in asdict(self).items()
            if value != field_of(self.data, name, self.table).default
        }

    @property
    def data_set(self) -> DataSet:
        """What the data are; not for `random`."""
        return data_set(self.data, self.table)

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


FIELDS = fields_of(Config)
"""What each field takes, in the order of the contract."""

DEFAULTS: Mapping[str, Any] = {name: field.default for name, field in FIELDS.items()}
"""The tutorial's own values. They never change: old links rely on them."""


def field_of(data: str, name: str, table: str = "") -> Field:
    """Return what a field takes with the data set `data`, or with a `table` of one's own: D_in and D_out are
    the set's own, and one row at least is held out of its N."""
    field = FIELDS[name]
    if data == RANDOM or name not in ("N", "D_in", "D_out"):
        return field
    found = data_set(data, table)
    assert isinstance(field, Whole)
    if not found.rows:  # a table that is not known yet
        return replace(field, low=0, default=0)
    if name == "N":
        return replace(field, high=found.rows - 1, default=found.N)
    size = found.D_in if name == "D_in" else found.D_out
    return replace(field, low=size, high=size, default=size)


def with_table(config: Config, name: str) -> Config:
    """Return a Config of `csv` with the sizes of the table of this name. Raises `ConfigError`."""
    sizes = {size: getattr(config, size) or OF_THE_DATA for size in ("N", "D_in", "D_out")}
    if config.table != name:
        sizes |= {"D_in": OF_THE_DATA, "D_out": OF_THE_DATA} if config.table else {}
    return replace(config, table=name, **sizes)
