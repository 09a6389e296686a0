"""Which small changes of the code no test notices: `python -m tests.tools.mutations rates --sample 50`.

Cosmic Ray lists the mutations of a package. A sample of them is made, one at a time, in a copy of the
checkout, and the tests of the package that reach the mutated line run there, the quickest first, in a fork of
a process that has loaded the libraries. A mutation that they pass has survived. Those that change nothing are
listed in `equivalent_mutations.toml` with the reason, and are not counted. Exit status 1 if one survived.

    python -m tests.tools.mutations --all --sample 50     every package
    python -m tests.tools.mutations --all --sample 7 --seconds 120 --survivors survivors.toml
    python -m tests.tools.mutations rates/advice          all mutations of one module
"""

import argparse
import ast
import difflib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import traceback
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import chdir, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree

import psutil
import pytest
from cosmic_ray.commands.init import init
from cosmic_ray.modules import find_modules
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec
from coverage import CoverageData

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent_mutations.toml")
PACKAGES = ("training", "backprop", "rates", "race", "engine", "export")
PROGRAMS = "twolayer/export/scripts/"
"""Programs that are only read as text: their mutations are those of the files that they end up in."""


EVERYWHERE = "tests/test_layers.py::test_what_is_handed_around_cannot_be_changed"
"""A test that reads the source of every package."""
QUIET = ("-q", "-p", "no:cacheprovider")
LIBRARIES = (
    "hypothesis",
    "numpy",
    "scipy.linalg",
    "torch",
    "distributed",
    "babel",
    "nbformat",
    "pyarrow.parquet",
)
"""What tests load beside the project: loaded once, for all mutations."""
SPARE_SECONDS = 20.0
KILLED, SURVIVED, NO_PROGRAM = "killed", "SURVIVED", "no program"


@dataclass(frozen=True)
class Tests:
    """The test functions of a package that pass without a mutation, and what they reach."""

    seconds: dict[str, float]
    """By function, for all its parameters together."""
    reached: dict[tuple[str, int], set[str]]
    """The functions that run a line of a file."""

    def of(self, mutation: MutationSpec) -> list[str]:
        """The tests of a mutation, the quickest first. A line that belongs to no test is one that modules
        run when they are imported, or that another process runs: then all tests."""
        first, last = mutation.start_pos[0], mutation.end_pos[0]
        found = [
            self.reached.get((str(mutation.module_path), line), set()) for line in range(first, last + 1)
        ]
        own = f"/test_{mutation.module_path.stem}.py"
        return sorted(
            set().union(*found) or self.seconds,
            key=lambda test: (not found and own not in test, self.seconds[test]),
        )

    def timeout(self, chosen: Sequence[str], most: float) -> float:
        """After how many seconds, `most` at most, tests that would take far less hang."""
        return min(most, SPARE_SECONDS + 5 * sum(self.seconds[test] for test in chosen))


def tests_of(package: str) -> Tests:
    """Run the tests of a package once, in the current folder."""
    measured = ("--cov=twolayer", "--cov-context=test", "--cov-report=", "--junitxml=tests.xml")
    command = [sys.executable, "-m", "pytest", *QUIET, *measured, f"tests/{package}", EVERYWHERE]
    # What is compiled here is kept: of each mutation, the changed module alone is compiled
    subprocess.run(command, env=os.environ | {"PYTHONDONTWRITEBYTECODE": ""}, stdout=subprocess.DEVNULL)
    seconds: dict[str, float] = defaultdict(float)
    failed = set()
    for case in ElementTree.parse("tests.xml").iter("testcase"):
        test = f"{case.attrib['classname'].replace('.', '/')}.py::{case.attrib['name'].partition('[')[0]}"
        seconds[test] += float(case.attrib["time"])
        if case.find("failure") is not None or case.find("error") is not None:
            failed.add(test)
    print(f"{package}: {len(seconds) - len(failed)} tests in {sum(seconds.values()):.0f} s", flush=True)
    print(*(f"fails without a mutation: {test}" for test in sorted(failed)), sep="\n", flush=True)
    passed = {test: took for test, took in seconds.items() if test not in failed}
    return Tests(passed, reached(passed))


def reached(tests: dict[str, float]) -> dict[tuple[str, int], set[str]]:
    """Which tests ran a line, by the coverage that lies in the current folder."""
    data = CoverageData()
    data.read()
    found = defaultdict(set)
    for file in data.measured_files():
        for line, contexts in data.contexts_by_lineno(file).items():
            names = {context.partition("|")[0].partition("[")[0] for context in contexts}
            found[str(Path(file).relative_to(Path.cwd())), line] |= names & tests.keys()
    return found


def copy_of_the_checkout(folder: Path) -> None:
    """Copy what git tracks."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in names.decode().strip("\0").split("\0"):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)


def mutations(place: str) -> list[MutationSpec]:
    """List the mutations of a package or module, below the current folder."""
    path = Path("twolayer") / place
    modules = find_modules([path if path.is_dir() else path.with_suffix(".py")])
    with use_db(":memory:") as database:
        init(sorted(modules), database, {})
        return [one for item in database.work_items for one in item.mutations if is_wanted(one)]


def is_wanted(mutation: MutationSpec) -> bool:
    if str(mutation.module_path).startswith(PROGRAMS) or "NoOp" in mutation.operator_name:
        return False
    places = never_evaluated(Path(mutation.module_path))
    return not any(first <= mutation.start_pos < end for first, end in places)


@cache
def never_evaluated(module: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return where the annotations begin and end that Python does not evaluate: those of assignments within
    functions. Only mypy reads them."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    within = {
        node for function in functions for node in ast.walk(function) if isinstance(node, ast.AnnAssign)
    }
    return [
        ((text.lineno, text.col_offset), (text.end_lineno or 0, text.end_col_offset or 0))
        for text in (node.annotation for node in within)
    ]


def changed(before: str, after: str) -> list[str]:
    """The lines that a mutation takes and gives."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if not line.startswith(("+++", "---", "@@"))]


def reasons() -> dict[tuple[str, ...], str]:
    """Why a mutation changes nothing, by its lines."""
    entries = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["mutation"]
    return {tuple(line.strip() for line in entry["lines"]): entry["why"] for entry in entries}


def run_tests(names: Sequence[str]) -> NoReturn:
    """Run tests of the current folder in a process that has loaded the libraries, and end it."""
    try:
        for module in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[module]  # those of the checkout
        sys.path[0], sys.dont_write_bytecode = os.getcwd(), True
        loaded = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
        os._exit(pytest.main([*QUIET, *loaded, "-x", *names]))
    finally:
        traceback.print_exc()
        os._exit(2)


def passes(names: Sequence[str], timeout: float) -> tuple[bool, str]:
    """Run tests of the current folder in a fork of this process: whether all pass in time, and the output."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        child = os.fork()
        if not child:
            os.setsid()
            for stream in (1, 2):
                os.dup2(output.fileno(), stream)
            run_tests(names)
        try:
            passed = psutil.Process(child).wait(timeout) == 0
        except psutil.TimeoutExpired:
            passed = False
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        output.seek(0)
        return passed, output.read()


def outcomes(tests: Tests, chosen: Sequence[MutationSpec], most: float) -> Iterator[tuple[str, list[str]]]:
    """Make mutations one by one, and give of each what came of it, and the lines that it takes and gives."""
    for number, mutation in enumerate(chosen, 1):
        names, operator = tests.of(mutation), get_operator(mutation.operator_name)(**mutation.operator_args)
        with use_mutation(mutation.module_path, operator, mutation.occurrence) as (before, after):
            survived, output = passes(names, tests.timeout(names, most))
        outcome = SURVIVED if survived else NO_PROGRAM if "SyntaxError: " in output else KILLED
        by = next((line for line in output.splitlines() if line.startswith("FAILED")), "")
        where = f"{mutation.module_path}:{mutation.start_pos[0]} ({len(names)} tests)"
        print(f"{number}/{len(chosen)} {outcome} {where} {by[:120]}", flush=True)
        lines = changed(before, after)
        if survived:
            print(*lines, sep="\n", flush=True)
        yield outcome, lines


@dataclass(frozen=True)
class Score:
    """What came of the mutations of a package or module."""

    place: str
    made: int
    same: int
    """How many change nothing."""
    survivors: list[list[str]]
    """The lines that the others took and gave."""

    def __str__(self) -> str:
        counted = self.made - self.same
        share = 100 * (counted - len(self.survivors)) / max(1, counted)
        return (
            f"{self.place}: {len(self.survivors)} of {self.made} survived, {self.same} change nothing: "
            f"{share:.0f} % noticed"
        )

    def as_toml(self) -> str:
        """The survivors as entries of `equivalent_mutations.toml` that lack their reason."""
        entries = (
            "".join(f"    {json.dumps(line[:1] + line[1:].strip(), ensure_ascii=False)},\n" for line in lines)
            for lines in self.survivors
        )
        return f"# {self}\n" + "".join(
            f'\n[[mutation]]\nlines = [\n{entry}]\nwhy = ""\n' for entry in entries
        )


def check(place: str, options: argparse.Namespace) -> Score:
    """Make the mutations of a package or module, as many as asked for."""
    tests = tests_of(place.partition("/")[0])
    found = mutations(place)
    sample = min(options.sample or len(found), len(found))
    chosen = random.Random(options.seed).sample(found, sample)
    print(f"{place}: {len(chosen)} of {len(found)} mutations", flush=True)
    known, results = reasons(), list(outcomes(tests, chosen, options.seconds))
    left = [lines for outcome, lines in results if outcome == SURVIVED]
    survivors = [lines for lines in left if tuple(line[:1] + line[1:].strip() for line in lines) not in known]
    made = sum(outcome != NO_PROGRAM for outcome, _ in results)
    return Score(place, made, len(left) - len(survivors), survivors)


def main() -> None:
    """Check packages or modules, and print the share of mutations that the tests notice."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("places", nargs="*", metavar="package[/module]")
    parser.add_argument("--all", action="store_true", help=f"{', '.join(PACKAGES)}")
    parser.add_argument("--sample", type=int, default=0, help="mutations of each place; 0: all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--seconds", type=float, default=600.0, help="the most that a mutation's tests take")
    parser.add_argument("--survivors", type=Path, help="a TOML file to write those that survive to")
    options = parser.parse_args()
    scores, file = [], options.survivors and options.survivors.absolute()
    for library in LIBRARIES:
        import_module(library)
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        copy_of_the_checkout(Path(folder))
        for place in PACKAGES if options.all else options.places:
            scores.append(check(place, options))
            print(scores[-1], flush=True)
            if file:
                file.write_text("\n".join(score.as_toml() for score in scores), encoding="utf-8")
    print("", *scores, sep="\n", flush=True)
    raise SystemExit(any(score.survivors for score in scores))


if __name__ == "__main__":
    main()
