"""What commands leave behind: words on any terminal, files that are whole, and never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

from tests.conftest import ROOT
from twolayer.cli import output
from twolayer.race.file import from_json

SIZES = ["--N", "3", "--D_in", "4", "--H", "3", "--D_out", "2", "--learning_rate", "1e-3"]
COMMANDS = {
    "train": [*SIZES, "--steps", "5"],
    "race": [*SIZES, "--steps", "20", "--rounds", "3", "--contenders", "numpy.tutorial,numpy.gram"],
    "sweep": [*SIZES, "--steps", "20", "--rates", "3", "--seeds", "1"],
    "info": [],
}
SMALL = ["-m", "twolayer", "train", *COMMANDS["train"]]
READERS = {
    "train": lambda data: json.loads(data)["losses"],
    "race": from_json,
    "sweep": lambda data: pyarrow.csv.read_csv(pyarrow.BufferReader(data)).to_pylist(),
}


@pytest.mark.parametrize(
    ("command", "encoding"),
    [
        *[("race", "ascii"), ("sweep", "cp949"), ("info", "ascii")],
        *[("train", encoding) for encoding in ("ascii", "cp949", "cp1252", "cp437", "utf-8", "latin-1")],
    ],
)
def test_on_every_terminal_there_are_words_and_a_whole_file(command, encoding, tmp_path):
    """Standard output is a pipe, and of one command a file too."""
    for sink in ("pipe", "file") if command == "train" else ("pipe",):
        written = [] if command == "info" else ["--output", str(tmp_path / f"{sink}.out")]
        with (tmp_path / f"{sink}.txt").open("wb") as words:
            ran = subprocess.run(
                [sys.executable, "-m", "twolayer", command, *COMMANDS[command], *written],
                cwd=ROOT,
                env={**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": encoding},
                stdout=words if sink == "file" else subprocess.PIPE,
                stderr=subprocess.PIPE,
                timeout=600,
                check=False,
            )
        assert (ran.returncode, b"Traceback" in ran.stderr) == (0, False)
        said = ran.stdout if sink == "pipe" else (tmp_path / "file.txt").read_bytes()
        assert len(said.decode(encoding).splitlines()) > 4
        assert b"?" not in said
        if written:
            assert len(READERS[command]((tmp_path / f"{sink}.out").read_bytes())) in (1, 3, 5)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".out", ".txt"}


def test_signs_that_an_encoding_lacks_are_spelled(python):
    ran = python(*SMALL, PYTHONIOENCODING="ascii")
    assert " us\n" in ran.stdout


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["--json"], None),
        (["--output"], "a"),
        (["--csv", "--output"], "race.txt"),
        (["--output"], "race.csv"),
    ],
)
def test_a_race_is_written_as_json_or_as_csv_by_option_and_by_name(twolayer, tmp_path, options, name):
    file = [str(tmp_path / name)] if name else []
    ran = twolayer("race", *COMMANDS["race"], *options, *file)
    assert ran.returncode == 0
    if "race" in str(name):
        assert "GFLOP/s" in ran.stdout
        assert len(pyarrow.csv.read_csv(file[0])["contender"]) == 2
    else:
        (race,) = from_json(Path(file[0]).read_bytes() if name else ran.stdout.encode())
        assert len(race.standings) == 2


def test_a_sweep_is_written_in_each_format(python, tmp_path):
    names = {"--csv": "a", "--parquet": "b", "--output": "c.parquet"}
    options = [text for option, name in names.items() for text in (option, str(tmp_path / name))]
    assert python("-m", "twolayer", "sweep", *COMMANDS["sweep"], *options).returncode == 0
    table = pyarrow.parquet.read_table(tmp_path / "b")
    assert table.num_rows == 3
    assert pyarrow.parquet.read_table(tmp_path / "c.parquet").equals(table)
    assert pyarrow.csv.read_csv(tmp_path / "a")["final_loss"].equals(table["final_loss"])


@pytest.mark.parametrize("place", ["missing/a.json", ".", "file/a.json", "a" * 300])
def test_a_file_that_cannot_be_is_refused_in_one_line_before_the_work(python, tmp_path, place):
    (tmp_path / "file").touch()
    begun = ["-m", "twolayer", "train", "--steps", "5000000", "--output"]
    ran = python(*begun, str(tmp_path / place))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("twolayer: Invalid value for '--output'")
    assert ran.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_full_disk_is_one_line_and_the_words_are_still_there(python):
    ran = python(*SMALL, "--output", "/dev/full")
    assert (ran.returncode, ran.stderr) == (2, "twolayer: cannot write /dev/full: No space left on device\n")
    assert "first loss" in ran.stdout
    for arguments in (SMALL, ["-m", "twolayer", "--help"]):
        with open("/dev/full", "w") as full:
            run = [sys.executable, *arguments]
            ran = subprocess.run(run, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, check=False)
        assert (ran.returncode, ran.stderr) == (2, b"twolayer: No space left on device\n")


def test_a_reader_that_leaves_is_no_traceback():
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run(
        [sys.executable, *SMALL], cwd=ROOT, stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (ran.returncode, ran.stderr) == (1, b"")


def test_a_file_that_fails_on_the_way_stays_what_it_was(tmp_path: Path, monkeypatch):
    target = tmp_path / "a.json"
    target.write_text("before")
    target.chmod(0o640)

    def full(_file):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            output.write_whole(str(target), b"after")
    assert target.read_text() == "before"
    output.write_whole(str(target), b"after")
    assert target.read_text() == "after"
    assert target.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    output.write_whole(str(tmp_path / "link"), b"text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"text"
    output.write_whole(os.devnull, np.zeros(3).tobytes())
    assert not os.path.isfile(os.devnull)
