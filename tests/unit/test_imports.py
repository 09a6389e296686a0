"""Who may import whom."""

import ast
import json
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "twolayer"
SOURCES = sorted(PACKAGE.rglob("*.py"))
LAYERS = ("messages", "config", "problem", "kernels", "capabilities", "training", "engine", "dashboard")
"""From the ground up: none imports what stands after it."""


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


def part(path: Path) -> str:
    """The module or package directly under `twolayer` that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def graph() -> dict[str, set[str]]:
    """Which part of the package imports which."""
    parts = {part(path) for path in SOURCES}
    edges: dict[str, set[str]] = {name: set() for name in parts}
    for path in SOURCES:
        for name in imports(path.read_text("utf-8")):
            pieces = name.split(".")
            if pieces[0] == "twolayer" and len(pieces) > 1 and pieces[1] in parts:
                edges[part(path)].add(pieces[1])
    return edges


def reached(start: str) -> set[str]:
    """All parts that `start` imports, by itself or by way of others."""
    edges, found, todo = graph(), set(), [start]
    while todo:
        new = edges[todo.pop()] - found
        found |= new
        todo.extend(new)
    return found


def top_levels(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path.read_text("utf-8"))}


def test_the_finder_of_imports_finds_them():
    source = "import a.b\nfrom c import d\ndef f():\n    from e.g import h as i\n    import j as k\n"
    assert imports(source) == {"a.b", "c", "c.d", "e.g", "e.g.h", "j"}
    assert {"config", "engine", "training"} <= set(graph())


def test_streamlit_stays_in_the_dashboard():
    for path in SOURCES:
        if part(path) != "dashboard":
            assert not {"streamlit", "plotly"} & top_levels(path), path.name


def test_only_kernels_and_the_probe_of_a_machine_know_pytorch():
    users = {path.relative_to(PACKAGE).as_posix() for path in SOURCES if "torch" in top_levels(path)}
    assert users == {"kernels/torch.py", "kernels/autograd.py", "capabilities.py"}


@pytest.mark.parametrize("layer", LAYERS)
def test_no_layer_imports_one_above_it(layer):
    above = set(LAYERS[LAYERS.index(layer) + 1 :])
    assert reached(layer) & above == set()


def test_the_dashboard_is_imported_by_nothing_in_the_library():
    assert [name for name, others in graph().items() if "dashboard" in others and name != "dashboard"] == []


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import twolayer", ["torch", "streamlit", "distributed", "dask", "plotly", "click"]),
        ("from twolayer import Config, fit; fit(Config(steps=1))", ["torch", "streamlit", "distributed"]),
        ("import twolayer.kernels", ["torch", "streamlit", "distributed"]),
        ("import twolayer.engine", ["torch", "streamlit"]),
        ("import twolayer.__main__", ["torch", "streamlit", "distributed"]),
        ("import twolayer.cluster", ["torch", "streamlit"]),
        ("import twolayer.gradient_check, twolayer.one_step", ["torch", "streamlit", "distributed"]),
        ("import twolayer.dashboard.gradients_view, twolayer.dashboard.one_step_view", ["torch"]),
    ],
)
def test_an_import_loads_no_more_than_it_needs(python, statement, absent):
    ran = python("-c", f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))")
    assert ran.returncode == 0, ran.stderr
    loaded = json.loads(ran.stdout)
    assert "numpy" in loaded or "cluster" in statement
    assert [name for name in absent if name in loaded] == []
