"""Data sets to train on: what each is, its sizes, and where its rows come from, one row each.

Nothing is read or computed before a set is loaded. A set is one fixed table; which of its rows train is
drawn from a run's seed (see `problem`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from twolayer.training.data import own
from twolayer.training.data.own import CSV
from twolayer.training.messages import N_, Message, MessageError

Table = tuple[NDArray[np.float64], NDArray[np.float64]]
Picture = Literal["curve", "map", "digits", "table", "confusion"]


class DataError(MessageError, RuntimeError):
    """A data set that this machine does not have."""


@dataclass(frozen=True)
class DataSet:
    """A table of `rows` rows with `D_in` inputs and `D_out` outputs."""

    title: str
    words: str
    """What it is, in a sentence."""
    inputs: str
    """What the inputs are, and how they are scaled."""
    source: str
    licence: str
    rows: int
    N: int
    """Rows that train unless a run says otherwise; the others are held out."""
    D_in: int
    D_out: int
    load: str
    """The function that returns the table, as module:name."""
    picture: Picture
    """How to show what a network has learned of it."""
    classes: tuple[str, ...] = ()
    """What each output stands for, where a row belongs to one of them; its target is then 1, the others 0."""
    package: str = ""
    """The package whose data file it is."""

    @property
    def kind(self) -> str:
        """Whether it is a regression or has classes."""
        return "classes" if self.classes else "regression"


MADE = N_("Computed by this project.")
MADE_LICENCE = "MIT"
ONES = N_("The last input is always 1: a column of ones gives the network the bias that it does not have.")
PLANE = N_("The two coordinates, from −1 to 1.")
OF_THE_PLANE = {"rows": 500, "N": 400, "D_in": 3, "D_out": 2, "picture": "map", "inputs": PLANE}
IN_THE_PLANE: dict[str, Any] = OF_THE_PLANE | {
    "source": MADE,
    "licence": MADE_LICENCE,
    "classes": ("0", "1"),
}

DATA_SETS: Mapping[str, DataSet] = MappingProxyType(
    {
        "teacher": DataSet(
            N_("Teacher"),
            N_(
                "The outputs of another network with 8 hidden units: a loss of 0 can be reached, and more "
                "hidden units than the teacher's reach it faster."
            ),
            N_("Standard normal numbers."),
            MADE,
            MADE_LICENCE,
            rows=600,
            N=500,
            D_in=20,
            D_out=3,
            load="made:teacher",
            picture="table",
        ),
        "sine": DataSet(
            N_("Sine"),
            N_("One period of a sine: a ReLU network can only bend its curve at kinks, one for each unit."),
            N_("The angle, from −π to π, divided by its standard deviation."),
            MADE,
            MADE_LICENCE,
            rows=250,
            N=200,
            D_in=2,
            D_out=1,
            load="made:sine",
            picture="curve",
        ),
        "step": DataSet(
            N_("Step function"),
            N_("A jump from 0 to 1: two kinks close together make it steep, but never a jump."),
            N_("A number from −1 to 1."),
            MADE,
            MADE_LICENCE,
            rows=250,
            N=200,
            D_in=2,
            D_out=1,
            load="made:step",
            picture="curve",
        ),
        "xor": DataSet(
            N_("XOR"),
            N_("Class 1 where both coordinates have the same sign: no straight line separates the classes."),
            load="made:xor",
            **IN_THE_PLANE,
        ),
        "circles": DataSet(
            N_("Circles"),
            N_("A disc inside a ring: the network must close a line around the disc."),
            load="made:circles",
            **IN_THE_PLANE,
        ),
        "moons": DataSet(
            N_("Moons"),
            N_("Two half circles, one hooked into the other."),
            load="made:moons",
            **IN_THE_PLANE,
        ),
        "spiral": DataSet(
            N_("Spiral"),
            N_("Two arms that wind around each other: it takes many units and many steps."),
            load="made:spiral",
            **IN_THE_PLANE,
        ),
        "iris": DataSet(
            N_("Iris"),
            N_("Fisher's flowers: which of three species of iris has these sepals and petals?"),
            N_(
                "Length and width of sepal and petal, each minus its mean, divided by its standard deviation."
            ),
            "R. A. Fisher, 1936; Plotly, package_data/datasets/iris.csv.gz",
            "MIT (Plotly)",
            rows=150,
            N=120,
            D_in=5,
            D_out=3,
            load="files:iris",
            picture="table",
            classes=("setosa", "versicolor", "virginica"),
            package="plotly",
        ),
        "digits": DataSet(
            N_("Digits"),
            N_("Handwritten digits, images of 8 × 8 pixels: which of the ten digits is it?"),
            N_("The 64 pixels, from 0 to 16, divided by 16."),
            "E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998; scikit-learn, digits.csv.gz",
            "CC BY 4.0",
            rows=1797,
            N=1500,
            D_in=65,
            D_out=10,
            load="files:digits",
            picture="digits",
            classes=tuple("0123456789"),
            package="sklearn",
        ),
    }
)
"""All data sets but `random`, the tutorial's, which is drawn anew from each seed, and `csv`, one's own."""

NOT_YET: dict[str, Any] = {"rows": 0, "N": 0, "D_in": 0, "D_out": 0, "load": "", "picture": "table"}
OWN = DataSet(
    N_("Your own file (CSV)"),
    N_("A table of your own: a CSV or TSV file whose first line names its columns."),
    N_(
        "Columns of numbers, each minus its mean, divided by its standard deviation; a category has a column "
        "for each of its values."
    ),
    source="",
    licence="",
    **NOT_YET,
)
"""What is known of a table of one's own before it is there."""


@lru_cache(maxsize=128)
def data_set(data: str, table: str = "") -> DataSet:
    """Return what a Config's data set is, but for `random`; a table of one's own by its name."""
    if data != CSV:
        return DATA_SETS[data]
    shape = own.shape_of(table)
    if shape is None:
        return OWN
    classes = tuple(map(str, range(shape.D_out))) if shape.choices.kind == "classes" else ()
    sizes: dict[str, Any] = {"rows": shape.rows, "N": max(1, shape.rows * 4 // 5)}
    sizes |= {"D_in": shape.D_in, "D_out": shape.D_out}
    return replace(OWN, **sizes, picture="confusion" if classes else "table", classes=classes)


MISSING_TABLE = Message.of(
    "These data are a file of your own, which is not here. Upload it; in Python, pass it as table=…, on the "
    "command line as --table FILE."
)

INSTALLED_AS = {"sklearn": "scikit-learn"}


def loader(name: str) -> Callable[[], Table]:
    """Return the function that makes the table of the data set `name`."""
    module, function = DATA_SETS[name].load.split(":")
    return cast(Callable[[], Table], getattr(import_module(f"{__name__}.{module}"), function))


def table(name: str, own_table: str = "") -> Table:
    """Return x (rows, D_in) and y (rows, D_out) of the data set `name`, read-only, or of the table of one's
    own that has the name `own_table`. Raises `DataError`."""
    missing = why_missing(name, own_table)
    if missing is not None:
        raise DataError(missing)
    here = own.find(own_table) if name == CSV else None
    return (here.x, here.y) if here is not None else _loaded(name)


@cache
def _loaded(name: str) -> Table:
    x, y = loader(name)()
    for array in (x, y):
        array.setflags(write=False)
    return x, y


def why_missing(name: str, own_table: str = "") -> Message | None:
    """Return why the data set `name`, or a table of one's own, cannot be used here, or None. Imports no
    package."""
    if name == CSV:
        return None if own.find(own_table) is not None else MISSING_TABLE
    package = DATA_SETS[name].package if name in DATA_SETS else ""
    if package and find_spec(package) is None:
        library = INSTALLED_AS.get(package, package)
        return Message.of(
            "{library} is not installed. Install it with: pip install {library}", library=library
        )
    return None
