"""A table of one's own in the library: from arrays, frames and files; its name, and a run of it."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from twolayer import Config, ConfigError, fit, own_table
from twolayer.training import data, methods
from twolayer.training.config import field_of
from twolayer.training.data import DataError, own
from twolayer.training.data.cells import TableError
from twolayer.training.data.files import lines_of
from twolayer.training.data.own import LARGEST_ARRAYS, Choices, shape_of
from twolayer.training.problem import make_held_out, make_problem

RUN = {"init": "he", "learning_rate": 1e-4, "steps": 30, "H": 9}


class Frame:
    """What of a data frame is used, as pandas and Polars have it."""

    def __init__(self, **columns):
        self.columns = list(columns)
        self._columns = columns

    def __getitem__(self, name):
        return self._columns[name]


@pytest.fixture
def flowers(tmp_path):
    """The file of the data set `iris`, whose fifth column is the species and whose sixth its number."""
    path = tmp_path / "iris.csv"
    path.write_text("\n".join(lines_of("plotly", "package_data/datasets/iris.csv.gz")), "utf-8")
    return path


def test_a_file_of_the_flowers_trains_to_the_last_bit_as_the_data_set_does(flowers, kernel, dtype):
    table = own_table(flowers, target="species", inputs=[1, 2, 3, 4])
    assert_allclose(table.x, data.table("iris")[0], rtol=1e-14, atol=1e-14)
    own_run = fit(Config(data="csv", **RUN, **kernel, dtype=dtype), table=table)
    known = fit(Config(data="iris", **RUN, **kernel, dtype=dtype))
    assert_allclose(own_run.losses, known.losses, rtol={"float64": 1e-11, "float32": 1e-5}[dtype])
    assert_allclose(own_run.held_out, known.held_out, rtol={"float64": 1e-11, "float32": 1e-4}[dtype])


def test_arrays_are_standardised_and_have_a_column_of_ones():
    g = np.random.default_rng(3)
    x, y = 5 + 3 * g.standard_normal((40, 3)), g.standard_normal((40, 2)) * 100
    table = own_table((x, y))
    assert_allclose(table.x[:, :3], (x - x.mean(axis=0)) / x.std(axis=0), rtol=1e-12, atol=1e-12)
    assert_array_equal(table.x[:, 3], np.ones(40))
    assert_allclose(table.y, (y - y.mean(axis=0)) / y.std(axis=0), rtol=1e-12, atol=1e-12)
    assert (table.shape.choices, table.classes) == (Choices((4, 5), (1, 2, 3), "regression"), ())
    assert table.outputs == ("y1", "y2")
    config = Config(data="csv", N=30, seed=4)
    result = fit(config, table=(x, y))
    with own.in_use(table):
        problem = make_problem(Config(data="csv", N=30, seed=4, table=table.name))
    order = np.random.default_rng(4).permutation(40)[:30]
    assert_array_equal(problem.x, table.x[order].astype(np.float32))
    h_relu = np.maximum(problem.x @ problem.w1, 0)
    assert_allclose(result.losses[0], np.square(h_relu @ problem.w2 - problem.y).sum(), rtol=1e-5)


def test_classes_are_those_of_a_text_or_chosen_of_a_number():
    x = np.arange(12.0)
    table = own_table((x, np.array(["no", "yes", "no"] * 4)))
    assert (table.classes, table.shape.choices.kind) == (("no", "yes"), "classes")
    assert_array_equal(table.y[:3], [[1, 0], [0, 1], [1, 0]])
    numbers = np.array([10, 2, -0.0, 0.0] * 3)
    assert own_table((x, numbers)).classes == ()
    assert own_table((x, numbers), kind="classes").classes == ("0", "2", "10")


def test_a_frame_s_last_column_is_the_target_and_missing_rows_are_left_out():
    frame = Frame(a=[1.0, 2.0, None, 4.0, 5.0], b=["u", "v", "u", float("nan"), "v"], c=[3, 1, 4, 1, 6])
    table = own_table(frame)
    assert (table.outputs, table.shape.rows, table.shape.D_in) == (("c",), 3, 4)
    assert_array_equal(table.x[:, 1:3], [[1, 0], [0, 1], [0, 1]])
    assert own_table(frame, target="b", inputs="a,c").classes == ("u", "v")
    assert own_table(frame, target=1, inputs=["c"]).shape.choices == Choices((1,), (3,), "regression")


def test_a_column_with_more_than_half_of_its_cells_missing_is_no_input_unless_it_is_named():
    half, more = ([None] * missing + list(range(10 - missing)) for missing in (5, 6))
    frame = Frame(half=half, more=more, c=[3, 1, 4, 1, 5, 9, 2, 6, 5, 3])
    assert own_table(frame).shape.choices.inputs == (1,)
    assert own_table(frame, inputs="half,more").shape.choices.inputs == (1, 2)


def test_a_constant_input_is_left_out_and_the_rows_without_it_come_back():
    frame = Frame(a=[1, 2, 3, 4], same=[7, None, 7, 7], c=[1, 2, 4, 8])
    table = own_table(frame, target="c", inputs="a,same")
    assert (table.shape.choices.inputs, table.shape.rows) == ((1,), 4)


@pytest.mark.parametrize(
    ("table", "options", "field"),
    [
        ((np.ones((3, 2)), np.ones(4)), {}, "table"),
        ((np.ones((0, 2)), np.ones(0)), {}, "table"),
        (5, {}, "table"),
        ((np.eye(3), np.arange(3)), {"target": "z"}, "target"),
        ((np.eye(3), np.arange(3)), {"inputs": "x1,x9"}, "inputs"),
        ((np.eye(3), np.arange(3)), {"inputs": [0]}, "inputs"),
        ((np.eye(3), np.arange(3)), {"kind": "both"}, "kind"),
    ],
)
def test_what_is_no_table_or_column_is_refused(table, options, field):
    with pytest.raises(ConfigError) as raised:
        own_table(table, **options)
    assert raised.value.field == field


def test_values_that_are_too_large_are_refused_with_their_place():
    with pytest.raises(TableError, match=r"Line 2, column 1 \(x1\): 1e\+200 is too large"):
        own_table((np.array([1.0, 1e200, 3.0]), np.arange(3)))


def test_a_run_needs_its_table_and_says_so():
    with pytest.raises(DataError, match="table=…"):
        fit(Config(data="csv"))
    for name in ("random", "circles", "iris"):
        with pytest.raises(ConfigError, match="since a table is given"):
            fit(Config(data=name), table=(np.eye(3), np.arange(3)))
    one, other = own_table((np.eye(3), np.arange(3))), own_table((np.eye(4), np.arange(4)))
    config = Config(data="csv", table=one.name)
    with own.in_use(other), pytest.raises(DataError):
        make_problem(config)
    with own.in_use(one):
        assert len(make_problem(config).x) + len(make_held_out(config).x) == 3
    with pytest.raises(DataError):
        make_problem(config)


def test_the_name_has_the_sizes_and_the_choices():
    table = own_table((np.eye(7)[:, :5], np.arange(7)), inputs=[1, 2, 3, 5])
    assert table.name == f"{table.shape.digest}.6.1-3,5.regression.7x5x1"
    assert shape_of(table.name) == table.shape
    assert own_table((np.eye(7)[:, :5], np.arange(7)), inputs="x1, x2,x3, 5").name == table.name
    config = Config(data="csv", table=table.name)
    assert (config.N, config.D_in, config.D_out) == (5, 5, 1)
    assert field_of("csv", "N", table.name).high == 6
    assert config.to_query() == {"data": "csv", "table": table.name}
    assert Config.from_query(config.to_query()) == (config, [])
    assert table.name != own_table((np.eye(7)[:, :5] * 2, np.arange(7)), inputs=[1, 2, 3, 5]).name


def test_every_other_column_of_the_widest_arrays_has_a_name():
    x = np.random.default_rng(1).standard_normal((3, LARGEST_ARRAYS - 1))
    x[:, ::2] = 1
    table = own_table((x, np.arange(3)))
    assert Config(data="csv", table=table.name).D_in == LARGEST_ARRAYS // 2 + 1
    assert shape_of(table.name) == table.shape


@pytest.mark.parametrize(
    "name",
    ["x", "0123456789abcdef", "0123456789abcdef.5.1-4.classes.1x5x3", "0123456789abcdef.0.1.classes.9x2x2",
     "0123456789ABCDEF.5.1.classes.9x2x2", "0123456789abcdef.5.1.both.9x2x2",
     "0123456789abcdef.5..classes.9x2x2",
     "0123456789abcdef.5.1.classes.9x1x2", "0123456789abcdef.5.1.classes.9999999x2x2", None, 5,
     "0123456789abcdef.5.1-4.classes.150x5x51", "0123456789abcdef.5.1-4,5-9999.classes.150x5x3",
     f"0123456789abcdef.5.{','.join(['1-9999'] * 200)}.classes.150x5x3"],
)  # fmt: skip
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ConfigError) as raised:
        Config(data="csv", table=name)
    assert raised.value.field == "table"


def test_a_name_without_csv_is_refused_and_so_are_sizes_that_are_not_the_table_s():
    name = "0123456789abcdef.5.1-4.classes.150x5x3"
    with pytest.raises(ConfigError, match="none, since the data are not csv"):
        Config(table=name)
    config, errors = Config.from_query({"data": "csv", "table": name, "N": "150", "D_in": "6", "D_out": "3"})
    assert [error.field for error in errors] == ["N", "D_in"]
    assert (config.N, config.D_in) == (120, 5)


def test_a_table_stays_read_only_and_counts_in_the_memory():
    table = own_table((np.eye(7), np.arange(7)))
    travelled = pickle.loads(pickle.dumps(table))
    for array in (table.x, table.y, travelled.x, travelled.y):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1
    assert travelled.name == table.name
    config = Config(data="csv", table=table.name)
    assert methods.own_table_bytes(config) == 2 * table.nbytes
    assert methods.own_table_bytes(Config()) == 0


def test_a_config_that_names_a_table_is_trained_on_that_table_or_not_at_all(tmp_path):
    path = tmp_path / "flowers.csv"
    path.write_text("a,b,kind,c\n" + "\n".join(f"{k},{k * k},{'xy'[k % 2]},{k % 5}" for k in range(20)))
    chosen = own_table(path, target="kind", inputs="a,c")
    config = Config(data="csv", table=chosen.name, steps=3)
    assert_array_equal(fit(config, table=path).losses, fit(config, table=chosen).losses)
    other = own_table(path, target="c")
    with pytest.raises(ConfigError, match=rf"table: invalid value '{chosen.name}'; expected {other.name}"):
        fit(config, table=other)
    path.write_text(path.read_text() + "\n21,441,x,1")
    with pytest.raises(ConfigError, match="the table given"):
        fit(config, table=path)
