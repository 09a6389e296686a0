"""What each line of the iteration means, and answers to questions that readers of the tutorial ask."""

from collections.abc import Mapping
from dataclasses import dataclass

from twolayer.training.messages import N_


@dataclass(frozen=True)
class Question:
    """A question and its answer, in English; the answer may use `{terms}`, `{rate}` and `{mean_rate}`."""

    asked: str
    answer: str


MEANINGS: Mapping[str, str] = {
    "h": N_("For every sample and every hidden unit: the inputs, each times its weight, summed up."),
    "h_relu": N_("What is below 0 becomes 0: the unit is off for that sample."),
    "y_pred": N_(
        "For every sample and every output: the hidden values, each times its weight. The prediction."
    ),
    "loss": N_(
        "The squares of all differences between prediction and target, summed up to one number. It is the "
        "number that training makes smaller."
    ),
    "grad_y_pred": N_(
        "The way back begins: by how much the loss changes when a prediction changes. Twice the difference."
    ),
    "grad_w2": N_(
        "w2[j, o] takes part in every sample, so its gradient is a sum over the samples: what hidden unit j "
        "sent, times what output o got wrong."
    ),
    "grad_h_relu": N_(
        "The error goes back through the weights by which it came: by how much the loss changes when a "
        "hidden value changes."
    ),
    "grad_h": N_("Where the ReLU had switched a unit off, nothing comes back."),
    "grad_w1": N_(
        "As for w2, one layer further down: what input i sent, times what came back to hidden unit j, summed "
        "over the samples."
    ),
    "w1": N_("Every weight takes a small step against its gradient. The next iteration begins with these."),
    "w2": N_("The same for the second layer. Now the iteration is over, and the next one begins with h."),
}
"""What each line of the iteration does, in English."""

QUESTIONS: Mapping[str, tuple[Question, ...]] = {
    "h": (
        Question(
            N_("Why does the tutorial use float64 in NumPy and float32 in PyTorch?"),
            N_(
                "Only because each library draws such numbers when nobody says otherwise. PyTorch chose 32 "
                "bits, since training rarely needs more than 7 digits and graphics processors are much "
                "faster with them. Neither choice is part of the method: the number type on the Train page "
                "sets it here for both. To *check* a gradient by differences 7 digits are too few, as the "
                "Gradients page shows."
            ),
        ),
    ),
    "loss": (
        Question(
            N_("Why a sum and not a mean, and what does that do to the learning rate?"),
            N_(
                "The mean over all {terms} numbers is the sum divided by {terms}, and so is each of its "
                "gradients: the direction is the same. To take the same steps the learning rate would have "
                "to be {terms} times as large: {mean_rate} in place of {rate}. The sum saves a division and "
                "keeps the formulas short; its price is that the right learning rate depends on the sizes: "
                "with twice the samples the gradient is about twice as long."
            ),
        ),
        Question(
            N_("Why does .item() cost time on a GPU?"),
            N_(
                "A GPU works through a queue that Python fills and then runs ahead of. `loss.item()` asks "
                "for the number itself: Python must wait until everything queued before is done and the "
                "number is copied to the host, and meanwhile nothing new is queued. Done in each "
                "step, one of the two always waits for the other. The kernel here leaves the losses on the "
                "device, and fetches many at a time."
            ),
        ),
    ),
    "grad_h_relu": (
        Question(
            N_("Why w2 here, and not grad_w2?"),
            N_(
                "Because the question is what a *hidden value* does to the loss. h_relu[n, j] reaches output "
                "o times w2[j, o], so by the chain rule the error of output o comes back times w2[j, o]. "
                "grad_w2 answers another question, what the *weight* does to the loss. It has the shape of "
                "w2, so taking it by mistake raises no error: only a check can tell."
            ),
        ),
    ),
    "grad_h": (
        Question(
            N_("Why copy before masking?"),
            N_(
                "`grad_h = grad_h_relu` would be a second name for the same array, and setting entries of "
                "one sets them in the other. Here that would go unnoticed, for nothing reads grad_h_relu "
                "again; in a larger network something does. `clone()` makes a copy first. `np.where` makes a "
                "new array by itself."
            ),
        ),
        Question(
            N_("What happens at h = 0?"),
            N_(
                "There the ReLU has a kink and no slope: any number from 0 to 1 may stand for it. The mask "
                "is h < 0, so at exactly 0 the gradient passes, as it does with PyTorch's `clamp(min=0)`; "
                "`torch.relu` lets nothing through. With random numbers h is never exactly 0, so nobody sees "
                "the difference, but near 0 a difference step crosses the kink, and that the check must "
                "notice."
            ),
        ),
    ),
}
"""The questions that each value's line raises."""
