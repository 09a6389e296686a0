"""Who may import whom: the floors of the house, package by package."""

import ast
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "twolayer"
PROGRAMS = PACKAGE / "export" / "scripts"
"""Programs that are handed out: data of the package, not modules of it."""
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PROGRAMS)
FLOORS = (
    {"training"},
    {"backprop", "rates", "race", "engine"},
    {"export"},
    {"cli", "dashboard"},
)
"""From the ground up: a package imports only from floors below its own."""
PAGES = {"train", "race", "gradients", "one_step", "learning_rate", "write_it"}
"""The packages of `dashboard` that belong to one page each."""


def imports(source: str) -> set[str]:
    """The full names of all modules, and of names in them, that a source imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def package(path: Path, folder: Path = PACKAGE) -> str | None:
    """The package directly under `folder` that a file belongs to; None for a module of `folder` itself."""
    parts = path.relative_to(folder).parts
    return parts[0] if len(parts) > 1 else None


def packages_imported(path: Path, prefix: str) -> set[str]:
    """The names directly under the package `prefix` that a file imports from."""
    names = imports(path.read_text("utf-8"))
    return {name.removeprefix(prefix).split(".")[0] for name in names if name.startswith(prefix)}


def top_levels(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path.read_text("utf-8"))}


def test_the_finder_of_imports_finds_them():
    source = "import a.b\nfrom c import d\ndef f():\n    from e.g import h as i\n    import j as k\n"
    assert imports(source) == {"a.b", "c", "c.d", "e.g", "e.g.h", "j"}
    assert packages_imported(PACKAGE / "__init__.py", "twolayer.") == {"training"}
    assert package(PACKAGE / "training" / "kernels" / "dual.py") == "training"


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_a_package_imports_only_from_the_floors_below(floor):
    allowed = set().union(*FLOORS[:floor])
    for path in SOURCES:
        if (own := package(path)) in FLOORS[floor]:
            above = packages_imported(path, "twolayer.") & set().union(*FLOORS) - allowed - {own}
            assert not above, f"{path.relative_to(ROOT)} imports {above}"


def test_no_page_imports_another_pages_package():
    dashboard = PACKAGE / "dashboard"
    for path in dashboard.rglob("*.py"):
        own = package(path, dashboard)
        others = packages_imported(path, "twolayer.dashboard.") & PAGES - {own}
        assert not others, f"{path.relative_to(ROOT)} imports {others}"


def test_streamlit_stays_in_the_dashboard_and_plotly_there_and_in_notebooks():
    for path in SOURCES:
        if package(path) != "dashboard":
            allowed = {"plotly"} if path == PACKAGE / "training" / "jupyter.py" else set()
            assert not {"streamlit", "plotly"} & top_levels(path) - allowed, path.name


def test_only_kernels_and_the_probe_of_a_machine_know_pytorch():
    users = {path.relative_to(PACKAGE).as_posix() for path in SOURCES if "torch" in top_levels(path)}
    kernels = {f"training/kernels/{name}.py" for name in ("torch", "autograd", "cuda_graph")}
    assert users == {*kernels, "training/machine.py"}


def test_only_its_kernels_know_numba():
    users = {path.relative_to(PACKAGE).as_posix() for path in SOURCES if "numba" in top_levels(path)}
    assert users == {"training/kernels/numba_loops.py"}


def test_only_its_kernels_know_jax():
    users = {path.relative_to(PACKAGE).as_posix() for path in SOURCES if "jax" in top_levels(path)}
    assert users == {"training/kernels/jax.py"}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        (
            "from streamlit.testing.v1 import AppTest; AppTest.from_file('app.py', default_timeout=60).run()",
            ["torch", "pandas"],
        ),
        ("import twolayer", ["torch", "streamlit", "distributed", "dask", "plotly", "click"]),
        (
            "from twolayer import Config, fit; fit(Config(steps=1))._repr_html_()",
            ["torch", "streamlit", "distributed", "plotly", "IPython", "tqdm"],
        ),
        ("import twolayer.training.kernels", ["torch", "streamlit", "distributed"]),
        ("import twolayer.engine.engine", ["torch", "streamlit"]),
        ("import twolayer.__main__", ["torch", "streamlit", "distributed"]),
        (
            "import contextlib, io, sys; from twolayer.cli.app import run\n"
            "sys.argv[1:] = 'scan --N 4 --D_in 5 --H 3 --steps 5 --rates 3 --seeds 1'.split()\n"
            "with contextlib.redirect_stdout(io.StringIO()): assert run() == 0",
            ["torch", "streamlit", "pyarrow", "pandas"],
        ),
        (
            "import contextlib, io, sys; from twolayer.cli.app import run\n"
            "sys.argv[1:] = ['race', '--sweep', 'foo=3']\n"
            "with contextlib.redirect_stderr(io.StringIO()): assert run() == 2",
            ["torch", "streamlit"],
        ),
        ("import twolayer.engine.cluster", ["torch", "streamlit"]),
        ("import twolayer.backprop.check, twolayer.backprop.one_step", ["torch", "streamlit", "distributed"]),
        ("import twolayer.dashboard.gradients.view, twolayer.dashboard.one_step.view", ["torch"]),
        ("import twolayer.dashboard.write_it.view, twolayer.dashboard.write_it.training", ["torch"]),
        ("import twolayer.dashboard.train.diagnosis", ["torch", "scipy.linalg", "scipy.sparse"]),
    ],
)
def test_an_import_loads_no_more_than_it_needs(python, statement, absent):
    ran = python("-c", f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))")
    assert ran.returncode == 0, ran.stderr
    loaded = json.loads(ran.stdout)
    assert "numpy" in loaded or "cluster" in statement
    assert [name for name in (*absent, "numba", "jax") if name in loaded] == []


MOST_LINES, MOST_FUNCTION_LINES, MOST_PARAMETERS = 250, 60, 6
PRODUCT = [*SOURCES, ROOT / "app.py", *(ROOT / "pages").glob("*.py")]


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text("utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [argument.arg for argument in named if argument.arg not in ("self", "cls")]


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_modules_and_functions_stay_small(path):
    assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES
    for function in functions(path):
        assert function.end_lineno - function.lineno < MOST_FUNCTION_LINES, function.name
        assert len(parameters(function)) <= MOST_PARAMETERS, function.name


STATE = {"batched._Block", "memory.Lease", "run_loop._Chain", "shares.Turn"}
"""The data classes below the command line and the pages that hold what changes."""


def test_what_is_handed_around_cannot_be_changed():
    found = set()
    for path in SOURCES:
        if package(path) not in FLOORS[-1]:
            classes = [
                node
                for node in ast.walk(ast.parse(path.read_text("utf-8")))
                if isinstance(node, ast.ClassDef)
            ]
            for one in classes:
                marks = [ast.unparse(mark) for mark in one.decorator_list]
                if any(mark.startswith("dataclass") and "frozen=True" not in mark for mark in marks):
                    found.add(f"{path.stem}.{one.name}")
    assert found == STATE


def test_pages_are_left_by_links_alone():
    """After `st.switch_page` in a fragment 2 of 40 browsers showed an empty page (Streamlit 1.67)."""
    assert not [path for path in PRODUCT if "switch_page(" in path.read_text("utf-8")]


def test_every_package_says_in_a_sentence_why_it_exists():
    packages = {path.parent for path in SOURCES} - {PACKAGE}
    for folder in packages - {PACKAGE / "export" / "scripts"}:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))), folder
    assert {package(path) for path in SOURCES} - {None} == set().union(*FLOORS)
