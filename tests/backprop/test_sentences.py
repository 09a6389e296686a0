"""What is said of a verdict: a headline, and what follows from what was found."""

import pytest

from twolayer.backprop.bugs import BUGS
from twolayer.backprop.deviation import Where
from twolayer.backprop.exercise import Verdict
from twolayer.backprop.kinds import KINDS
from twolayer.backprop.sentences import details, headline
from twolayer.training.messages import Message

MISSING_FACTOR = str(Message(BUGS["no_factor"].why))


def verdict(state: str, value: str = "grad_w2", **found) -> Verdict:
    return Verdict(value, "a line", state, **found)


def wrong(kind: str | None, value: str = "grad_w2", **found) -> Verdict:
    return verdict("wrong", value, kind=kind, **found)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (verdict("empty"), "Nothing is written yet."),
        (verdict("right", shape="(H, D_out)"), "Right, (H, D_out)."),
        (verdict("right", shape="(H, D_out)", chain=True), "Right, (H, D_out)."),
        (verdict("right", chain=False), "This line is right; its wrong value comes from a line above."),
        (
            verdict("right", chain=False, sources=("h", "loss")),
            "This line is right; its wrong value comes from h, loss.",
        ),
        (verdict("refused"), "This line does not work yet."),
        (verdict("refused", kind="transpose"), "Wrong: there is a missing or extra transpose."),
        (wrong(None), "Wrong."),
        (wrong("sign", ratio=-1.0), "Wrong: the sign is reversed."),
        (wrong("factor", ratio=0.5), "Wrong: there is a missing or extra factor."),
        (wrong("mean", ratio=-0.25), "Wrong: the sign is reversed, and it is a mean instead of a sum."),
        (wrong("factor", "grad_y_pred", ratio=0.5), "Wrong: the factor 2 is missing."),
        (
            wrong("factor", "grad_y_pred", ratio=-0.5),
            "Wrong: the sign is reversed, and the factor 2 is missing.",
        ),
        (wrong("factor", "grad_y_pred", ratio=2.0), "Wrong: there is a missing or extra factor."),
        (wrong("factor", "grad_h", ratio=0.5), "Wrong: there is a missing or extra factor."),
        (wrong("factor", "y_pred", ratio=0.5), "Wrong: there is a missing or extra factor."),
    ],
)
def test_the_headline_names_the_state_or_the_kind(one, said):
    assert str(headline(one)) == said


def test_only_a_refusal_is_said_as_it_is_and_only_a_wrong_line_is_explained():
    why = Message.of("not like this")
    assert [str(one) for one in details(verdict("refused", message=why, kind="transpose"))] == [
        "not like this"
    ]
    assert list(details(verdict("refused"))) == []
    assert list(details(verdict("right", message=why, where=Where(1, 2)))) == []


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (
            wrong("factor", "grad_y_pred", ratio=0.5),
            ["Every entry is 0.5 times the right one.", MISSING_FACTOR],
        ),
        (wrong("factor", "grad_y_pred", ratio=-0.5), ["Every entry is -0.5 times the right one."]),
        (wrong("factor", "grad_y_pred", ratio=4.0), ["Every entry is 4 times the right one."]),
        (wrong("factor", "w1", ratio=2.0), ["The change is 2 times the right one."]),
        (wrong("sign", "w2", ratio=-1.0), ["The change is -1 times the right one."]),
        (wrong("sign", ratio=-1.0), [KINDS["sign"].says]),
        (wrong("mean", ratio=0.25), ["Every entry is 0.25 times the right one.", KINDS["mean"].says]),
        (wrong("missing_mask", "grad_h"), [KINDS["missing_mask"].says, str(Message(BUGS["no_mask"].why))]),
        (wrong("missing_mask", "h_relu"), [KINDS["missing_mask"].says]),
    ],
)
def test_a_kind_is_explained_as_it_shows_and_why(one, said):
    assert [str(message) for message in details(one)] == said


def test_where_a_value_differs_is_said_with_one_example():
    cells = (((1, 2), 3.0, 4.5), ((0, 0), 1.0, 2.0))
    some = Where(1000, 2000, rows=(1, 3), columns=(2,), cells=cells)
    assert [str(one) for one in details(wrong(None, where=some, chain=True))] == [
        "1,000 of 2,000 entries differ.",
        "They fill whole rows: 1, 3.",
        "They fill whole columns: 2.",
        "For example, grad_w2[1, 2] is 3; the right value is 4.5.",
        "Computed from your own lines, its value is right all the same: it undoes the mistake of a line "
        "above.",
    ]
    all_of_it = Where(2000, 2000)
    assert [str(one) for one in details(wrong(None, where=all_of_it))] == ["All 2,000 entries differ."]
    number = Where(1, 1, cells=(((), 3.0, 4.5),))
    assert [str(one) for one in details(wrong(None, "loss", where=number))] == [
        "For example, loss is 3; the right value is 4.5."
    ]
