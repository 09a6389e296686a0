"""Races as files: written and read back, and what is not a race refused with a message."""

import copy
import csv
import dataclasses
import io
import json
from typing import Any

import numpy as np
import pytest

from tests.race.races import GRAM, RIGHT, TUTORIAL, WRONG, race_of
from twolayer.race.agreement import Agreement, Drift
from twolayer.race.contenders import Contender
from twolayer.race.file import LARGEST_BYTES, VERSION, from_json, to_csv, to_json
from twolayer.race.timing import Load
from twolayer.race.untrusted import RaceFileError
from twolayer.race.verdict import sentences

NOT_FINITE = Agreement(Drift(float("inf"), float("inf"), float("inf")), RIGHT.one_rounding, 1e-5, 1e-9, 500)


def races() -> list:
    g = np.random.default_rng(0)
    times = {GRAM: g.uniform(1e-5, 2e-5, 9), TUTORIAL: g.uniform(1e-4, 2e-4, 9)}
    loads = [Load(0.5, 1.5, 2)] + [Load(0.0, 0.0, 2)] * 8
    return [
        race_of(times, {GRAM: NOT_FINITE, TUTORIAL: WRONG}, loads, H=50),
        race_of(times, {GRAM: RIGHT}, loads, H=60),
    ]


def plain() -> list[dict[str, Any]]:
    return json.loads(to_json(races()))


def refusal(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    with pytest.raises(RaceFileError) as caught:
        from_json(data)
    return str(caught.value)


def test_what_is_written_is_read_back_and_says_the_same():
    written = races()
    read = from_json(to_json(written).encode())
    assert to_json(read) == to_json(written)
    assert [list(map(str, sentences(one))) for one in read] == [
        list(map(str, sentences(one))) for one in written
    ]
    assert read[0].standings[1].agreement == WRONG or read[0].standings[0].agreement == WRONG


def test_a_file_with_one_race_that_is_not_in_a_list_is_read_too():
    assert len(from_json(json.dumps(plain()[0]).encode())) == 1


def test_a_file_from_before_there_were_tables_of_one_s_own_is_read():
    before = plain()
    for one in before:
        del one["config"]["table"]
    assert from_json(json.dumps(before).encode()) == races()


def test_a_file_from_before_compiling_was_told_is_read():
    before = plain()
    for one in before:
        for contender in one["contenders"]:
            del contender["compile_seconds"]
    assert from_json(json.dumps(before).encode()) == races()


def test_a_race_with_jax_is_read_back_with_its_seconds_of_compiling():
    (jax,) = race_of({Contender("jax", "cpu", "gram"): [1e-5] * 9}).standings
    written = dataclasses.replace(races()[0], standings=(dataclasses.replace(jax, compile_seconds=0.25),))
    (read,) = from_json(to_json([written]).encode())
    assert read.standings == written.standings


def test_a_byte_order_mark_of_a_windows_shell_does_not_matter():
    assert len(from_json(b"\xef\xbb\xbf" + to_json(races()).encode())) == 2


@pytest.mark.parametrize("order", ["le", "be"])
def test_what_windows_powershell_redirects_is_utf_16(order):
    text = to_json(races()).replace("A processor", "프로세서 µ")
    assert len(from_json(f"\ufeff{text}".encode(f"utf-16-{order}"))) == 2
    broken = f"\ufeff{text}".encode(f"utf-16-{order}")[:-1]
    assert "not UTF-16" in refusal(broken)


def test_a_redirected_race_has_no_sign_that_an_encoding_lacks():
    race = races()[1]
    machine = dataclasses.replace(race.machine, processor="프로세서 µ")
    text = to_json([dataclasses.replace(race, machine=machine)])
    assert text.isascii()
    assert from_json(text.encode())[0].machine == machine


def test_a_file_that_breaks_off_anywhere():
    data = to_json(races()).encode()
    for end in range(1, len(data), 11):
        assert "is truncated" in refusal(data[:end]), data[:end][-20:]


def test_a_file_of_another_version():
    for other in (VERSION + 1, 1, "2", None, True):
        value = plain()
        value[1]["version"] = other
        assert "version" in refusal(value)
    assert f"reads version {VERSION}" in refusal(value)


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_what_is_not_a_number(name):
    data = to_json(races()).encode().replace(b'"gbytes": 40.0', b'"gbytes": ' + name.encode())
    assert f"{name}, which is not a valid number" in refusal(data)


def test_a_number_beyond_all_numbers():
    data = to_json(races()).encode().replace(b'"gbytes": 40.0', b'"gbytes": 1e999')
    assert "gbytes" in refusal(data)


def test_a_file_of_50_mb():
    message = refusal(b"[" + b" " * 50_000_000 + b"]")
    assert "50 MB" in message
    assert f"{LARGEST_BYTES / 1e6:.0f} MB" in message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\xff\xfe\x00",
        b"[]",
        b"{}",
        b"3",
        b"null",
        b"[[[[]]]]",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"version": ' + b"9" * 5000 + b"}",
        b'{"a": 1,}',
        b"\x89PNG\r\n\x1a\n",
    ],
    ids=lambda data: ascii(data[:12]),
)
def test_what_is_no_race_at_all(data):
    message = refusal(data)
    assert message.startswith("The file")
    assert len(message) < 500


def put(value: Any, path: tuple, new: Any) -> Any:
    changed = copy.deepcopy(value)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    if new is KeyError:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return changed


@pytest.mark.parametrize("new", [KeyError, "x", [], {}, True, -1, 1e300, "9" * 1000, [1, "x"]], ids=repr)
@pytest.mark.parametrize(
    "path",
    [
        (0, "config", "N"),
        (0, "config"),
        (0, "machine", "cores"),
        (0, "machine", "versions"),
        (0, "machine", "devices"),
        (0, "ceiling", "gbytes"),
        (0, "rounds"),
        (0, "rounds", 0, "away"),
        (0, "repeated"),
        (0, "contenders"),
        (0, "contenders", 0, "backend"),
        (0, "contenders", 0, "device"),
        (0, "contenders", 0, "method"),
        (0, "contenders", 0, "seconds"),
        (0, "contenders", 0, "seconds", 3),
        (0, "contenders", 0, "phases", "loss"),
        (0, "contenders", 0, "agreement", "drift", "weight"),
        (0, "contenders", 0, "agreement", "floor"),
        (0, "contenders", 0, "agreement", "fallen"),
        (0, "contenders", 0, "flops"),
        (0, "contenders", 0, "compile_seconds"),
    ],
    ids=lambda path: ".".join(map(str, path)),
)
def test_any_value_that_cannot_be_is_named_with_its_place(path, new):
    if (path[-1], new) in (
        ("versions", {}),
        ("devices", {}),
        ("weight", 1e300),
        ("floor", 1e300),
        ("fallen", 1e300),
        ("compile_seconds", KeyError),
    ):
        return  # these may be: nothing is known of the versions, or a contender is far off
    message = refusal(put(plain(), path, new))
    assert "expected" in message
    place = [str(step) for step in path if isinstance(step, str)][:2]
    assert all(name in message for name in place), message
    assert len(message) < 900


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ((0, "rounds", 0, "away"), 1),
        ((0, "rounds", 0, "others"), 1e6),
        ((0, "rounds", 0, "cores"), 100_000),
        ((0, "contenders", 0, "flops"), 1 << 62),
    ],
)
def test_a_number_may_be_the_largest_that_is_allowed_and_no_larger(path, most):
    for number in (most, 1):
        from_json(json.dumps(put(plain(), path, number)).encode())
    assert path[-1] in refusal(put(plain(), path, most * 2))


def test_a_contender_that_stands_there_twice():
    value = plain()
    value[0]["contenders"][1] = value[0]["contenders"][0]
    assert "each implementation once" in refusal(value)


def test_a_hostile_text_is_kept_as_text_without_control_characters():
    value = plain()
    value[0]["machine"]["processor"] = "<script>alert(1)</script>\x00\n\u202e[a](b)"
    (one, _) = from_json(json.dumps(value).encode())
    assert one.machine.processor == "<script>alert(1)</script>[a](b)"


def test_csv_has_a_row_for_each_contender_and_size():
    rows = list(csv.DictReader(io.StringIO(to_csv(races()))))
    assert [(row["H"], row["contender"]) for row in rows] == [
        ("50", "numpy gram"),
        ("50", "numpy tutorial"),
        ("60", "numpy gram"),
        ("60", "numpy tutorial"),
    ]
    assert rows[1]["right"] == "False"
    assert float(rows[0]["median_us"]) < float(rows[1]["median_us"])
    assert to_csv([]) == ""


def test_csv_of_a_single_contender_and_of_no_race():
    (row,) = csv.DictReader(io.StringIO(to_csv([race_of({GRAM: [1e-5] * 9})])))
    assert (row["contender"], row["median_us"]) == ("numpy gram", "10.0")
    assert to_csv([]) == ""
