"""Hints for each line, in three grades: the idea, the formula with its shapes, and the solution."""

from collections.abc import Mapping

from twolayer.backprop.levels import SOLUTIONS
from twolayer.training.messages import N_, Message

GRADES = 3

IDEAS: Mapping[str, str] = {
    "h": N_("Each hidden unit sums the inputs of a sample, each times its weight in w1: a matrix product."),
    "h_relu": N_("ReLU keeps what is positive and puts 0 in the place of everything else."),
    "y_pred": N_("Each output sums the hidden values of a sample, each times its weight in w2."),
    "loss": N_("The loss is one number: the sum of the squares of all differences of y_pred and y."),
    "grad_y_pred": N_("The loss is a sum of d², with d = y_pred − y. What is the derivative of d²?"),
    "grad_w2": N_(
        "w2[j, o] multiplies h_relu[n, j] and feeds y_pred[n, o], in every sample n. So its gradient is the "
        "sum over n of h_relu[n, j] · grad_y_pred[n, o]."
    ),
    "grad_h_relu": N_(
        "h_relu[n, j] feeds every output o through the weight w2[j, o]. So its gradient is the sum over o of "
        "grad_y_pred[n, o] · w2[j, o]."
    ),
    "grad_h": N_("Where h < 0, ReLU is flat and nothing comes back. Elsewhere its slope is 1."),
    "grad_w1": N_(
        "w1[i, j] multiplies x[n, i] and feeds h[n, j], in every sample n. So its gradient is the sum over n "
        "of x[n, i] · grad_h[n, j]."
    ),
    "w1": N_("Gradient descent: step against the gradient; the learning rate scales the step."),
    "w2": N_("Gradient descent: step against the gradient; the learning rate scales the step."),
}

SHAPES: Mapping[str, str] = {
    "h": N_("(N, D_in) · (D_in, H) = (N, H): x and w1 in this order."),
    "h_relu": N_("The larger one of h and 0, entry by entry: the shape stays (N, H)."),
    "y_pred": N_("(N, H) · (H, D_out) = (N, D_out): h_relu and w2 in this order."),
    "loss": N_("Square y_pred − y, entry by entry, then sum all N · D_out entries."),
    "grad_y_pred": N_("Twice the difference y_pred − y, entry by entry: the shape stays (N, D_out)."),
    "grad_w2": N_("The sum runs over n: (H, N) · (N, D_out) = (H, D_out). One factor has to be transposed."),
    "grad_h_relu": N_(
        "The sum runs over o: (N, D_out) · (D_out, H) = (N, H). One factor has to be transposed."
    ),
    "grad_h": N_("Take grad_h_relu, and 0 where h < 0: the shape stays (N, H)."),
    "grad_w1": N_("The sum runs over n: (D_in, N) · (N, H) = (D_in, H). One factor has to be transposed."),
    "w1": N_("w1 minus learning_rate times grad_w1: the shape stays (D_in, H)."),
    "w2": N_("w2 minus learning_rate times grad_w2: the shape stays (H, D_out)."),
}


def hint(value: str, grade: int, dialect: str) -> Message:
    """Return the hint of a grade from 1 to `GRADES`; the last one is the solution."""
    if grade >= GRADES:
        return Message.of("One solution: {line}", line=f"{value} = {SOLUTIONS[dialect][value]}")
    return Message((IDEAS, SHAPES)[grade - 1][value])
