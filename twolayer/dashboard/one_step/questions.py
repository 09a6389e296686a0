"""What each line of the iteration means, and answers to questions that readers of the tutorial ask."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from twolayer.backprop.cell_formulas import FORMULAS
from twolayer.rates import curvature
from twolayer.training.config import DEFAULTS, Config
from twolayer.training.messages import N_


@dataclass(frozen=True)
class Question:
    """A question and its answer, in English; the answer may use the places of `values`."""

    asked: str
    answer: str
    of_random: bool = False
    """Whether the answer is about random data and the tutorial's initial weights alone."""


MEANINGS: Mapping[str, str] = {
    "h": N_("For each sample and hidden unit: the weighted sum of the inputs (the pre-activation)."),
    "h_relu": N_("ReLU: negative values become 0. The unit is inactive for that sample."),
    "y_pred": N_(
        "For each sample and output: the weighted sum of the hidden values. This is the prediction."
    ),
    "loss": N_(
        "The sum of the squared differences between prediction and target: a single number, which training "
        "minimizes."
    ),
    "grad_y_pred": N_(
        "The backward pass starts here: the derivative of the loss with respect to each prediction, which "
        "is twice the difference."
    ),
    "grad_w2": N_(
        "w2[j, o] is used for every sample, so its gradient is a sum over samples: the output of hidden "
        "unit j times the gradient at output o."
    ),
    "grad_h_relu": N_(
        "The gradient flows back through the same weights: the derivative of the loss with respect to each "
        "hidden value."
    ),
    "grad_h": N_("Where ReLU output 0 because h < 0, its derivative is 0, so the gradient is 0."),
    "grad_w1": N_(
        "As for w2, one layer earlier: input i times the gradient at hidden unit j, summed over samples."
    ),
    "w1": N_(
        "Gradient descent: subtract learning rate × gradient from each weight. The next iteration uses the "
        "new weights."
    ),
    "w2": N_("The same for the second layer. The iteration is complete; the next one starts again at h."),
}
"""What each line of the iteration does, in English."""

QUESTIONS: Mapping[str, tuple[Question, ...]] = {
    "h": (
        Question(
            N_("What is being learned?"),
            N_(
                "Nothing that can be understood: x, y and the initial weights are random numbers. There is "
                "no pattern to find, so the network can only memorize the {N} random targets, and a loss "
                "near 0 does not mean that it predicts anything new. The tutorial uses random data only to "
                "show the mechanics."
            ),
            of_random=True,
        ),
        Question(
            N_("Where are the bias and the minibatches?"),
            N_(
                "There are none, as in the tutorial. A bias would add a learned number to each hidden unit "
                "and each output; without it the output for x = 0 is always 0. Every iteration uses all "
                "{N} samples (full-batch gradient descent), so nothing is random after the initialization. "
                "Stochastic gradient descent (SGD) would use a different random part of the samples in "
                "each iteration."
            ),
        ),
        Question(
            N_("Why does the tutorial use float64 in NumPy and float32 in PyTorch?"),
            N_(
                "NumPy's random numbers are float64 by default. The tutorial's PyTorch version sets `dtype "
                "= torch.float`, that is float32, which is also PyTorch's default: training rarely needs "
                "more than about 7 significant digits, and float32 takes half the memory and is much "
                "faster on GPUs. The algorithm does not depend on the choice; here the precision on the "
                "Train page applies to both. To *check* a gradient by finite differences, 7 digits are too "
                "few, as the Gradients page shows."
            ),
        ),
    ),
    "loss": (
        Question(
            N_("Why a sum instead of a mean, and how does it affect the learning rate?"),
            N_(
                "The mean over all {terms} values is the sum divided by {terms}, so its gradient is also "
                "{terms} times smaller, in the same direction. To take the same steps, the learning rate "
                "must be {terms} times larger: {mean_rate} instead of {rate}. The sum keeps the formulas "
                "short, but the right learning rate then depends on the sizes: with twice as many samples "
                "the curvature λmax is about twice as large, so the learning rate must be about half."
            ),
        ),
        Question(
            N_("Why is .item() slow on a GPU?"),
            N_(
                "A GPU executes a queue of operations asynchronously: Python fills the queue and runs "
                "ahead. `loss.item()` needs the actual number, so Python must wait until all queued work "
                "is done and the value is copied to the host; meanwhile nothing new is queued. If this "
                "happens in every step, either Python or the GPU is always waiting. The kernels here keep "
                "the losses on the device and copy many at a time."
            ),
        ),
    ),
    "grad_y_pred": (
        Question(
            N_("What is a gradient here, and why does grad_v have the shape of v?"),
            N_(
                "The entry [a, b] of grad_v is ∂loss/∂v[a, b]: how fast the loss grows when v[a, b] alone "
                "grows. The loss is a single number, so each entry of v has exactly one such slope, and "
                "grad_v has the shape of v. By the chain rule each gradient is computed from that of the "
                "value after it, so the backward pass goes from the loss back to the weights."
            ),
        ),
    ),
    "grad_w2": (
        Question(
            N_("Why h_reluᵀ · grad_y_pred, in this order?"),
            N_(
                "`y_pred[n, o] = Σ_j h_relu[n, j] · w2[j, o]`, so ∂y_pred[n, o]/∂w2[j, o] is "
                "`h_relu[n, j]`. Every sample n uses w2[j, o], so the chain rule sums over n: `grad_w2[j, "
                "o] = Σ_n h_relu[n, j] · grad_y_pred[n, o]`. That is row j of h_reluᵀ times column o of "
                "grad_y_pred: ({H} × {N}) · ({N} × {D_out}) = {H} × {D_out}, the shape of w2. The "
                "transpose and the order follow from the sum; the shapes alone only confirm them."
            ),
        ),
    ),
    "grad_h_relu": (
        Question(
            N_("Why w2 here, and not grad_w2?"),
            N_(
                "This line asks how the loss depends on a *hidden value*. h_relu[n, j] is multiplied by "
                "w2[j, o] on its way to output o, so by the chain rule the gradient at output o comes back "
                "multiplied by w2[j, o]. grad_w2 answers a different question: how the loss depends on the "
                "*weight*. It has the same shape as w2, so using it by mistake raises no error; only a "
                "gradient check reveals it."
            ),
        ),
    ),
    "grad_h": (
        Question(
            N_("Why is the gradient set to 0 where h < 0?"),
            N_(
                "`h_relu = max(h, 0)` has the slope 1 where h > 0 and 0 where h < 0. ReLU acts on each "
                "entry by itself, so the chain rule multiplies entry by entry: `grad_h = grad_h_relu × [h "
                "≥ 0]`, where [h ≥ 0] is 1 or 0. A hidden unit with h < 0 for every sample is **dead**: "
                "its output and the gradients of all its weights are 0, so they never change and the unit "
                "stays dead."
            ),
        ),
        Question(
            N_("Why make a copy before masking?"),
            N_(
                "`grad_h = grad_h_relu` only creates a second name for the same array, so changing entries "
                "of one changes the other. Here nothing reads grad_h_relu again, so nobody would notice, "
                "but a larger network might need it. `clone()` makes a copy first; `np.where` creates a "
                "new array anyway."
            ),
        ),
        Question(
            N_("What happens at h = 0?"),
            N_(
                "At h = 0, ReLU has a kink and no derivative; any value from 0 to 1 is a valid "
                "subgradient. The mask is h < 0, so at exactly 0 the gradient passes through, as with "
                "PyTorch's `clamp(min=0)`; `torch.relu` blocks it. With random data, h is practically "
                "never exactly 0, so the choice makes no difference. But near 0, a finite difference may "
                "cross the kink, and the gradient check must detect that."
            ),
        ),
    ),
    "w1": (
        Question(
            N_("Why is the learning rate so small?"),
            N_(
                "Because the curvature of the loss is large, which follows from the sizes. With random "
                "weights of size 1 the predictions are about ±√(H·D_in/2) ≈ ±{size}, the loss is about "
                "N·D_out·(H·D_in/2 + 1) ≈ {loss} and its curvature λmax is about {sharpness}, all estimated "
                "from the sizes alone. On a quadratic with that curvature gradient descent needs η < "
                "2/λmax ≈ {limit}; here η = {rate}. The tutorial's own λmax is 2.36·10⁶, and its η = 1e-6 "
                "is 1.18 times that limit: the loss grows in steps 2 and 3 and falls from then on, because "
                "λmax falls. Smaller initial weights allow a larger η: scaled by √(2/number of inputs) (He "
                "initialization), the tutorial's network would have a λmax some 300 times smaller."
            ),
            of_random=True,
        ),
    ),
}
"""The questions that each value's line raises."""

SLOPES: Mapping[str, tuple[str, str, str, str]] = {
    "grad_w2": ("w2[j,o]", r"\sum_n", "y_pred[n,o]", r"\mathtt{h\_relu[n,j]}"),
    "grad_h_relu": ("h_relu[n,j]", r"\sum_o", "y_pred[n,o]", r"\mathtt{w2[j,o]}"),
    "grad_h": ("h[n,j]", "", "h_relu[n,j]", r"[\mathtt{h[n,j]} \ge 0]"),
    "grad_w1": ("w1[i,j]", r"\sum_n", "h[n,j]", r"\mathtt{x[n,i]}"),
}
"""For each gradient by the chain rule: of which entry, the sum, the entry computed from it, and its slope."""


def is_product(name: str) -> bool:
    """Return whether a line is a matrix product, whose shapes are worth seeing in letters."""
    return r"\cdot" in FORMULAS[name].latex


def asked(name: str, config: Config) -> list[Question]:
    """Return the questions about a line that arise in a run of `config`."""
    as_in_tutorial = (config.data, config.init) == (DEFAULTS["data"], DEFAULTS["init"])
    return [question for question in QUESTIONS.get(name, ()) if as_in_tutorial or not question.of_random]


def derivation(name: str) -> str:
    """Return as LaTeX how a gradient follows from the chain rule."""
    entry, total, after, slope = SLOPES[name]
    entry, after = entry.replace("_", r"\_"), after.replace("_", r"\_")
    to_entry, to_after = (
        rf"\frac{{\partial\,loss}}{{\partial\,\mathtt{{{each}}}}}" for each in (entry, after)
    )
    through = rf"\frac{{\partial\,\mathtt{{{after}}}}}{{\partial\,\mathtt{{{entry}}}}}"
    result = rf"{total} \mathtt{{grad\_{after}}} \cdot {slope}"
    return rf"\large {to_entry} = {total} {to_after} \cdot {through} = {result}"


def values(config: Config) -> dict[str, str]:
    """Return the numbers of the answers; those of the initial weights are estimates from the sizes."""
    terms = config.N * config.D_out
    square = config.H * config.D_in / 2
    sharpness = curvature.expected(config)
    return {
        **{name: f"{getattr(config, name):,}" for name in ("N", "H", "D_out")},
        "terms": f"{terms:,}",
        "rate": f"{config.learning_rate:g}",
        "mean_rate": f"{config.learning_rate * terms:.3g}",
        "size": f"{sqrt(square):.3g}",
        "loss": f"{terms * (square + 1):.2g}",
        "sharpness": f"{sharpness:.2g}",
        "limit": f"{2 / sharpness:.2g}",
    }
