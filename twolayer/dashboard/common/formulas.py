"""The formulas of an iteration as LaTeX, each value with its shape beneath it."""

from twolayer.training.config import Config

SIZES = {
    "x": ("N", "D_in"),
    "y": ("N", "D_out"),
    "w1": ("D_in", "H"),
    "w2": ("H", "D_out"),
    "h": ("N", "H"),
    "h_relu": ("N", "H"),
    "y_pred": ("N", "D_out"),
    "grad_y_pred": ("N", "D_out"),
    "grad_w2": ("H", "D_out"),
    "grad_h_relu": ("N", "H"),
    "grad_h": ("N", "H"),
    "grad_w1": ("D_in", "H"),
}


def formula(name: str, config: Config, planted: str | None = None) -> str:
    """How the value `name` is made; with the mistake of `faults.FAULTS` if it is in this formula."""

    def v(value: str, *, transposed: bool = False) -> str:
        sizes = [str(getattr(config, size)) for size in SIZES[value]]
        if transposed:
            sizes.reverse()
        power = r"^{\mathsf{T}}" if transposed else ""
        return rf"\underset{{{sizes[0]}\times {sizes[1]}}}{{{symbol(value)}{power}}}"

    masked = r"\begin{cases} 0 & %s %s 0 \\ %s & %s %s 0 \end{cases}"
    h, passed = symbol("h"), symbol("grad_h_relu")
    right = {
        "h": rf"{v('x')}\cdot {v('w1')}",
        "h_relu": rf"\max({v('h')},\, 0)",
        "y_pred": rf"{v('h_relu')}\cdot {v('w2')}",
        "loss": r"\sum_{n,\,o} " + rf"({v('y_pred')} - {v('y')})^2",
        "grad_y_pred": rf"2\,({v('y_pred')} - {v('y')})",
        "grad_w2": rf"{v('h_relu', transposed=True)}\cdot {v('grad_y_pred')}",
        "grad_h_relu": rf"{v('grad_y_pred')}\cdot {v('w2', transposed=True)}",
        "grad_h": masked % (h, "<", passed, h, r"\ge"),
        "grad_w1": rf"{v('x', transposed=True)}\cdot {v('grad_h')}",
        "w1": rf"{v('w1')} - \eta\,{v('grad_w1')}",
        "w2": rf"{v('w2')} - \eta\,{v('grad_w2')}",
    }
    wrong = {
        ("no_mask", "grad_h"): v("grad_h_relu"),
        ("no_factor", "grad_y_pred"): rf"{v('y_pred')} - {v('y')}",
        ("not_transposed", "grad_h_relu"): rf"{v('grad_y_pred')}\cdot {v('w2')}",
        ("wrong_side", "grad_h"): masked % (h, ">", passed, h, r"\le"),
        ("updated_early", "grad_h_relu"): rf"{v('grad_y_pred')}\cdot "
        rf"({v('w2')} - \eta\,{v('grad_w2')})^{{\mathsf{{T}}}}",
        ("off_by_one", "grad_w2"): rf"\sum_n {symbol('h_relu')}[n-1]^{{\mathsf{{T}}}}\cdot "
        rf"{symbol('grad_y_pred')}[n]",
    }
    made = wrong.get((planted or "", name), right[name])
    arrow = r"\leftarrow" if name in ("w1", "w2") else "="
    return f"{symbol(name) if name == 'loss' else v(name)} {arrow} {made}"


def symbol(name: str) -> str:
    """A value's name, as the program has it."""
    return r"\mathtt{" + name.replace("_", r"\_") + "}"
