"""`check`: a learner's own file, in a process of its own."""

import json
from pathlib import Path

import pytest

FORWARD = "def forward(x, w1, w2):\n    h = x @ w1\n    return h, np.maximum(h, 0), np.maximum(h, 0) @ w2\n"
BACKWARD = (
    "def backward(x, y, w2, h, h_relu, y_pred):\n"
    "    g = 2 * (y_pred - y)\n"
    "    gh = np.where(h < 0, 0, g @ w2.T)\n"
    "    return x.T @ gh, h_relu.T @ g\n"
)
GOOD = "import numpy as np\n" + FORWARD + BACKWARD
TINY = ("--N", "6", "--D_in", "5", "--H", "4", "--D_out", "3")


@pytest.fixture
def checked(twolayer, tmp_path: Path, capfd):
    """A function that checks a file and returns the exit status and the JSON."""

    def check(source: str) -> tuple[int, dict]:
        (tmp_path / "mine.py").write_text(source)
        ran = twolayer("check", str(tmp_path / "mine.py"), "--json", *TINY)
        assert "Traceback" not in ran.stderr + capfd.readouterr().err  # that of the learner's process too
        return ran.returncode, json.loads(ran.stdout)

    return check


def said(fields: dict, value: str) -> dict:
    return next(line for line in fields["lines"] if line["value"] == value)


def test_a_right_file_is_right_against_all_references(checked):
    status, fields = checked("print('noise')\n" + GOOD)
    assert status == 0
    assert fields["right"]
    assert {line["state"] for line in fields["lines"]} == {"right"}
    assert {(a["gradient"], a["against"]) for a in fields["agreements"]} == {
        (gradient, against) for gradient in ("grad_w1", "grad_w2") for against in ("autograd", "differences")
    }
    assert not any(a["wrong"] for a in fields["agreements"])


def test_tensors_are_given_to_a_file_that_imports_torch(checked):
    source = GOOD.replace("import numpy as np", "import torch").replace("np.maximum(h, 0)", "h.clamp(min=0)")
    status, fields = checked(source.replace("np.where", "torch.where"))
    assert (status, fields["right"]) == (0, True), fields


@pytest.mark.parametrize(
    ("old", "new", "value", "kind"),
    [
        ("2 * (y_pred - y)", "y_pred - y", "grad_w2", "factor"),
        ("2 * (y_pred - y)", "2 * (y_pred - y) / len(y)", "grad_w1", "mean"),
        ("np.where(h < 0, 0, g @ w2.T)", "g @ w2.T", "grad_w1", "missing_mask"),
        ("h_relu.T @ g\n", "g.T @ h_relu\n", "grad_w2", "transpose"),
        ("2 * (y_pred - y)", "2 * (y - y_pred)", "grad_w1", "sign"),
    ],
)
def test_a_mistake_is_named_by_its_kind(checked, old, new, value, kind):
    status, fields = checked(GOOD.replace(old, new))
    assert (status, said(fields, value)["kind"]) == (1, kind)
    assert fields["failed"] == {}


def test_all_five_gradients_may_come_by_name(checked):
    source = GOOD.replace(
        "return x.T @ gh, h_relu.T @ g", "return {'grad_h': gh, 'grad_y_pred': g, 'other': 1}"
    )
    status, fields = checked(source)
    assert status == 0
    assert {line["value"] for line in fields["lines"]} == {"h", "h_relu", "y_pred", "grad_y_pred", "grad_h"}


@pytest.mark.parametrize(
    ("source", "name", "says"),
    [
        ("import numpy as np\n1 / 0\n", "file", "line 2: ZeroDivisionError"),
        ("import numpy as np\n" + FORWARD, "backward", "missing"),
        (GOOD.replace("w2.T", "w2"), "backward", "ValueError"),
        (GOOD.replace("return x.T @ gh, h_relu.T @ g", "return 1, 2, 3"), "backward", "returns 3 values"),
        (GOOD.replace("return x.T @ gh, h_relu.T @ g", "return {'dw1': gh}"), "backward", "without any of"),
        ("raise SystemExit(3)", "file", "SystemExit"),
        ("this is no Python", "file", "SyntaxError"),
    ],
)
def test_a_file_that_fails_is_told_where_without_a_traceback(checked, source, name, says):
    status, fields = checked(source)
    assert status == 1
    assert says in fields["failed"][name]


def test_a_file_may_be_called_as_the_module_that_imports_it(twolayer, tmp_path: Path):
    (tmp_path / "learner.py").write_text("import numpy as np\n1 / 0\n")
    ran = twolayer("check", str(tmp_path / "learner.py"), *TINY)
    assert "line 2: ZeroDivisionError" in ran.stdout


def test_words_are_those_of_the_page(python, tmp_path: Path):
    (tmp_path / "mine.py").write_text(GOOD.replace("2 * (y_pred", "(y_pred"))
    ran = python("-m", "twolayer", "check", str(tmp_path / "mine.py"), *TINY)
    assert ran.returncode == 1
    assert (
        "grad_w1:     Wrong: there is a missing or extra factor. Every entry is 0.5 times the right one."
        in ran.stdout
    )
    assert "entries differ from PyTorch's autograd" in ran.stdout


def test_without_pytorch_it_says_why_autograd_is_not_compared(python, tmp_path: Path):
    (tmp_path / "mine.py").write_text(GOOD)
    (tmp_path / "torch.py").write_text("raise ImportError('hidden by a test')")
    command = ("-m", "twolayer", "check", str(tmp_path / "mine.py"), "--json", *TINY)
    ran = python(*command, PYTHONPATH=str(tmp_path))
    fields = json.loads(ran.stdout)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert fields["no_autograd"]
    assert {a["against"] for a in fields["agreements"]} == {"differences"}


def test_a_file_that_is_not_there_is_one_line(twolayer):
    ran = twolayer("check", "nowhere.py")
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
