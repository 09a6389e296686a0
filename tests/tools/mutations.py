"""Which small changes of the code no test notices: `python -m tests.tools.mutations rates --sample 50`.

Cosmic Ray lists the mutations of a package. A sample of them is made, one at a time, in a copy of the
checkout, and the package's tests run there. A mutation that they pass has survived. Those that change nothing
are listed in `equivalent_mutations.toml` with the reason, and are not counted. Exit status 1 if one survived.

    python -m tests.tools.mutations --all --sample 50     every package
    python -m tests.tools.mutations rates/advice          all mutations of one module
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import chdir
from pathlib import Path

from cosmic_ray.commands.init import init
from cosmic_ray.modules import find_modules
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.testing import run_tests
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent_mutations.toml")
PACKAGES = ("training", "backprop", "rates", "race", "engine", "export")
PROGRAMS = "twolayer/export/scripts/"
"""Programs that are only read as text: their mutations are those of the files that they end up in."""


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
    return not str(mutation.module_path).startswith(PROGRAMS) and "NoOp" not in mutation.operator_name


def command(place: str, mutation: MutationSpec | None = None) -> str:
    """The tests of a package, and before them those of the mutated module."""
    package = f"tests/{place.partition('/')[0]}"
    own = Path(f"{package}/test_{mutation.module_path.stem}.py") if mutation else Path(package)
    first = [str(own)] if own.is_file() else []
    return " ".join([sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *first, package])


def changed(diff: str) -> list[str]:
    """The lines that a mutation takes and gives."""
    return [line for line in diff.splitlines() if line[:1] in "+-" and not line.startswith(("+++", "---"))]


def reasons() -> dict[tuple[str, ...], str]:
    """Why a mutation changes nothing, by its lines."""
    entries = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["mutation"]
    return {tuple(line.strip() for line in entry["lines"]): entry["why"] for entry in entries}


def survivors(place: str, chosen: Sequence[MutationSpec], timeout: float) -> Iterator[str]:
    """Make mutations one by one, and give the difference of each that the tests pass."""
    for number, mutation in enumerate(chosen, 1):
        result = mutate_and_test([mutation], command(place, mutation), timeout)
        survived = result.test_outcome == TestOutcome.SURVIVED
        where = f"{mutation.module_path}:{mutation.start_pos[0]}"
        print(f"{number}/{len(chosen)} {'SURVIVED' if survived else 'killed'} {where}", flush=True)
        if survived:
            print(*changed(result.diff or ""), sep="\n", flush=True)
            yield result.diff or ""


def check(place: str, sample: int, seed: int) -> tuple[int, int, int]:
    """Return how many mutations of a package survived, how many changed nothing, and how many were made."""
    began = time.monotonic()
    outcome, output = run_tests(command(place), 3600)
    if outcome != TestOutcome.SURVIVED:
        raise SystemExit(f"the tests of {place} fail without a mutation:\n{output}")
    timeout = 60 + 4 * (time.monotonic() - began)
    found = mutations(place)
    chosen = random.Random(seed).sample(found, min(sample or len(found), len(found)))
    print(f"{place}: {len(chosen)} of {len(found)} mutations", flush=True)
    known = reasons()
    left = [
        tuple(line[:1] + line[1:].strip() for line in changed(one))
        for one in survivors(place, chosen, timeout)
    ]
    same = sum(lines in known for lines in left)
    return len(left) - same, same, len(chosen)


def main() -> None:
    """Check packages or modules, and print the share of mutations that the tests notice."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("places", nargs="*", metavar="package[/module]")
    parser.add_argument("--all", action="store_true", help=f"{', '.join(PACKAGES)}")
    parser.add_argument("--sample", type=int, default=0, help="mutations of each place; 0: all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    options = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        copy_of_the_checkout(Path(folder))
        for place in PACKAGES if options.all else options.places:
            survived, same, made = check(place, options.sample, options.seed)
            share = 100 * (made - same - survived) / max(1, made - same)
            print(
                f"{place}: {survived} of {made} survived, {same} change nothing: {share:.0f} % noticed",
                flush=True,
            )
            missed += survived
    raise SystemExit(missed > 0)


if __name__ == "__main__":
    main()
