"""README.md and docs/: short, up to date, and true of the code."""

import contextlib
import doctest
import io
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qsl

import click
import pytest
from threadpoolctl import threadpool_limits

from tests.test_layers import ROOT
from tests.tools import reference
from twolayer.cli.app import main as command_line
from twolayer.dashboard.common.pages import PAGES
from twolayer.dashboard.common.parameters import PARAMETERS
from twolayer.dashboard.common.presets import PRESETS
from twolayer.training.config import Config

README = ROOT / "README.md"
DEVELOPMENT = ROOT / "docs" / "development.md"
DOCUMENTS = [README, *sorted(reference.DOCS.glob("*.md"))]
MOST_LINES = 120
A_PATH = re.compile(r"(?<![\w./-])(?:twolayer|tests|docs|pages|static|\.streamlit|\.ci)/[\w./-]*(?<!\.)")
A_FILE = re.compile(r"`([\w./-]+\.(?:py|md|toml|txt|js|css))`")

documents = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


def paths_in(text: str) -> set[str]:
    """The files and folders of the project that a text names."""
    return {*A_PATH.findall(text), *A_FILE.findall(text)}


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_the_readme_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("page", DOCUMENTS[1:], ids=lambda page: page.name)
def test_the_tables_are_those_of_the_code(page: Path) -> None:
    assert page.read_text("utf-8") == dict(reference.written())[page], (
        "outdated: run `.venv/bin/python -m tests.tools.reference`"
    )


def test_every_table_has_its_place() -> None:
    text = "".join(path.read_text("utf-8") for path in DOCUMENTS[1:])
    assert sorted(name for name, _ in reference.MARKED.findall(text)) == sorted(reference.TABLES)


def test_every_document_is_linked_from_the_readme() -> None:
    linked = re.findall(r"\(docs/(\S+\.md)\)", README.read_text("utf-8"))
    assert set(linked) == {path.name for path in DOCUMENTS[1:]}


@documents
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        if "://" not in target:
            name, _, anchor = target.partition("#")
            file = path.parent / name if name else path
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), target


@documents
def test_files_and_modules_that_are_named_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    missing = {name for name in paths_in(text) if not (ROOT / name).exists()}
    missing |= {name for name in re.findall(r"python3? -m ([\w.]+\w)", text) if find_spec(name) is None}
    assert not missing


@documents
def test_commands_that_are_shown_exist(path: Path) -> None:
    for line in re.findall(r"(?:\$|-m) twolayer ([^`\n]*)", path.read_text("utf-8")):
        name, *words = line.split()
        context = click.Context(command_line)
        command = command_line.get_command(context, name)
        assert command is not None, line
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


@documents
def test_addresses_that_are_shown_are_read_without_an_error(path: Path) -> None:
    by_path = {"" if name == "train" else name: page for name, page in PAGES.items()}
    for name, query in re.findall(r"`/(\w*)\?([^`]+)`", path.read_text("utf-8")):
        values = dict(parse_qsl(query))
        for parameter in by_path[name].parameters:
            if parameter in values:
                PARAMETERS[parameter].read(parameter, values.pop(parameter))
        assert values.pop("preset", "tutorial") in PRESETS
        assert Config.from_query(values)[1] == []


@documents
@threadpool_limits.wrap(limits=1)  # threads of a BLAS wait for each other when other tests run
def test_examples_print_what_is_shown(path: Path) -> None:
    """A block with `>>>` is a doctest; any other prints what the comments behind its `print` say."""
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", path.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        if ">>>" in block:
            test = doctest.DocTestParser().get_doctest(block, names, path.name, None, None)
            runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
            failures = io.StringIO()
            runner.run(test, out=failures.write, clear_globs=False)
            assert not failures.getvalue(), failures.getvalue()
        else:
            shown = re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE)
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(block, names)
            assert printed.getvalue().splitlines() == shown


def test_what_is_to_be_touched_is_in_the_files_that_are_named() -> None:
    section = DEVELOPMENT.read_text("utf-8").split("## How to add")[1].split("\n## ")[0]
    for item in re.split(r"^(?:\d\.|-) |\n\n", section, flags=re.MULTILINE):
        named = [ROOT / name for name in paths_in(item)]
        files = [file for path in named for file in ([path] if path.is_file() else path.rglob("*.py"))]
        source = "".join(file.read_text("utf-8") for file in files)
        identifiers = re.findall(r"`(?:[A-Z]\w*\.)?(\w+)`", item)
        assert not [name for name in identifiers if files and not re.search(rf"\b{name}\b", source)], item
