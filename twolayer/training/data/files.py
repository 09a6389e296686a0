"""Data sets from the files of installed packages, which are found and read without importing the package.

An ejected script has the text of these functions.
"""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from twolayer.training.data.made import Array, one_hot, with_ones


def lines_of(package: str, path: str) -> list[str]:
    """Return the lines of a compressed text file of an installed package."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"No module named {package!r}")
    with gzip.open(Path(spec.submodule_search_locations[0], path), "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def iris() -> tuple[Array, Array]:
    """Four lengths of 150 flowers, and their species, from Plotly's data."""
    rows = [line.split(",") for line in lines_of("plotly", "package_data/datasets/iris.csv.gz")[1:]]
    lengths = np.array([row[:4] for row in rows], float)
    species = np.array([row[5] for row in rows], float) - 1
    return with_ones(*((lengths - lengths.mean(axis=0)) / lengths.std(axis=0)).T), one_hot(species, 3)


def digits() -> tuple[Array, Array]:
    """64 pixels of 1,797 digits, and which digit each is, from scikit-learn's data."""
    table = np.loadtxt(lines_of("sklearn", "datasets/data/digits.csv.gz"), delimiter=",")
    return with_ones(*(table[:, :64] / 16).T), one_hot(table[:, 64], 10)
