"""Write the reference tables of `docs/` from the code: `.venv/bin/python -m tests.tools.reference`.

A page marks the place of a table with `<!-- table: name -->` and `<!-- end -->`. What lies between them is
replaced by the table of that name in `TABLES`.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click

from tests.test_layers import FLOORS, PACKAGE, ROOT, SOURCES
from twolayer.backprop.bugs import BUGS
from twolayer.cli.app import main as command_line
from twolayer.cli.options import OF_TABLE
from twolayer.dashboard.common.pages import PAGES
from twolayer.dashboard.common.parameters import PARAMETERS
from twolayer.dashboard.common.presets import PRESETS
from twolayer.engine.settings import SETTINGS
from twolayer.export.rungs import rungs as programs
from twolayer.training.config import FIELDS, Config
from twolayer.training.data import DATA_SETS
from twolayer.training.fields import Choice, Field
from twolayer.training.methods import METHODS

DOCS = ROOT / "docs"
MARKED = re.compile(r"(?<=<!-- table: )([\w ]+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


def table(*rows: Iterable[str]) -> str:
    """Return a Markdown table; the first row is its head."""
    lines = ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * lines[0].count(" | ") + "|---|", *lines[1:]]) + "\n"


def code(text: object) -> str:
    """Return a value as code; nothing for a value that is empty or follows from others."""
    return f"`{text}`" if text not in (None, "") else ""


def takes(field: Field) -> str:
    """Return what a field takes: its choices, or words."""
    return ", ".join(map(code, field.options)) if isinstance(field, Choice) else str(field.takes)


def fields(kind: str, declared: Mapping[str, Field]) -> str:
    """Return declared fields, each of which is a `kind`."""
    rows = [[code(name), code(field.default), takes(field), field.words] for name, field in declared.items()]
    head = [kind, "default", "takes", "meaning"]
    width = 4 if all(row[3] for row in rows) else 3
    return table(head[:width], *(row[:width] for row in rows))


def parameters(page: str) -> str:
    """Return a page's own parameters."""
    return fields("parameter", {name: PARAMETERS[name] for name in PAGES[page].parameters})


def presets() -> str:
    """Return the presets with their settings."""
    queries = {
        name: "&".join(f"{k}={v}" for k, v in preset.config.to_query().items())
        for name, preset in PRESETS.items()
    }
    rows = ((code(name), code(queries[name]), preset.look) for name, preset in PRESETS.items())
    return table(("preset", "short for", "what to look at"), *rows)


def methods() -> str:
    """Return the methods."""
    return table(("method", "computes"), *((code(name), method.words) for name, method in METHODS.items()))


def data_sets() -> str:
    """Return the data sets, and where they come from."""
    rows = (
        (
            code(name),
            one.words,
            one.inputs,
            f"{one.D_in} → {one.D_out}",
            f"{one.N} of {one.rows}",
            one.source,
            one.licence,
        )
        for name, one in DATA_SETS.items()
    )
    head = ("`data`", "what it is", "inputs", "sizes", "rows that train", "source", "licence")
    return table(head, *rows)


def rungs() -> str:
    """Return the rungs, and how closely each agrees with the run."""
    rows = (
        (
            code(name),
            rung.label,
            code(rung.replaces) or "by hand",
            ", ".join(f"{share:.0e} in {dtype}" for dtype, share in rung.agrees.items()) or "the same bits",
        )
        for name, rung in programs(Config()).items()
    )
    return table(("`--as`", "written with", "backward pass", "losses differ by at most"), *rows)


def bugs() -> str:
    """Return the planted bugs, and which gradients become wrong."""
    rows = (
        (code(name), bug.label, code(bug.line), ", ".join(f"`grad_{tensor}`" for tensor in bug.tensors))
        for name, bug in BUGS.items()
    )
    return table(("`fault`", "bug", "the line", "wrong gradients"), *rows)


def settings() -> str:
    """Return the server's environment variables."""
    rows = ((code(name), field.default_text, field.words) for name, field in SETTINGS.items())
    return table(("variable", "default", "effect"), *rows)


def options(command: str) -> str:
    """Return the options of a command other than the fields of a Config."""
    context = click.Context(command_line)
    found = command_line.get_command(context, command)
    assert found is not None
    records = (one.get_help_record(context) for one in found.params if one.name not in {*FIELDS, *OF_TABLE})
    return table(("option", "effect"), *((code(names), words) for names, words in filter(None, records)))


def modules() -> str:
    """Return all modules with their summaries, package by package from the lowest floor up."""
    order = [name for floor in FLOORS for name in sorted(floor)]
    folders = {path.parent for path in SOURCES} - {PACKAGE}
    by_floor = sorted(folders, key=lambda folder: (order.index(folder.relative_to(PACKAGE).parts[0]), folder))
    return "\n".join(map(package, by_floor))


def package(folder: Path) -> str:
    """Return the modules of a package under its own summary."""
    title = f"**`{folder.relative_to(ROOT)}/`**: {summary(folder / '__init__.py')}\n"
    rows = [(code(path.stem), summary(path)) for path in sorted(folder.glob("[!_]*.py"))]
    return "\n".join([title, table(("module", "contents"), *rows)] if rows else [title])


def summary(path: Path) -> str:
    """Return the first paragraph of a module's docstring."""
    return " ".join((ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n\n")[0].split())


TABLES: Mapping[str, str] = {
    "fields": fields("field", FIELDS),
    "presets": presets(),
    **{page: parameters(page) for page in PAGES if PAGES[page].parameters},
    "data sets": data_sets(),
    "methods": methods(),
    "bugs": bugs(),
    "rungs": rungs(),
    "settings": settings(),
    "race options": options("race"),
    "sweep options": options("sweep"),
    "modules": modules(),
}
"""Every table by the name in its marker."""


def written() -> Iterator[tuple[Path, str]]:
    """Return each page with the text that it should have."""
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text("utf-8")
        yield page, MARKED.sub(lambda found: found[1] + found[2] + TABLES[found[1]], text)


def main() -> None:
    """Rewrite the pages."""
    for page, text in written():
        page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
