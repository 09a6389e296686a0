"""Lines to check, drawn at random: right programs, programs with one mistake, expressions, hostile text."""

import random

from twolayer.training.program import STEPS

NAMES = {
    "numpy": {"T": "{}.T", "copy": "{}.copy()", "where": "np.where({}, {}, {})", "relu": "np.maximum({}, 0)"},
    "torch": {
        "T": "{}.t()",
        "copy": "{}.clone()",
        "where": "torch.where({}, {}, {})",
        "relu": "{}.clamp(min=0)",
    },
}


class Writer:
    """Writes right lines, each in one of many right ways, drawn from `random`."""

    def __init__(self, random: random.Random, dialect: str) -> None:
        self.random, self.dialect, self.names = random, dialect, NAMES[dialect]

    def any(self, *ways: str) -> str:
        """Return one of the ways."""
        return self.random.choice(ways)

    def turned(self, name: str) -> str:
        return self.any(self.names["T"].format(name), f"{name}.T")

    def product(self, left: str, right: str) -> str:
        """Return a product of two expressions that need no brackets."""
        method = {"numpy": "{}.dot({})", "torch": "{}.mm({})"}[self.dialect].format(left, right)
        function = {"numpy": "np.dot({}, {})", "torch": "torch.mm({}, {})"}[self.dialect].format(left, right)
        swapped = f"({self.turned(right)} @ {self.turned(left)}).T"
        return self.any(f"{left} @ {right}", f"({left} @ {right})", method, function, swapped)

    def residual(self) -> str:
        return self.any("(y_pred - y)", "(-y + y_pred)", "(-(y - y_pred))")

    def doubled(self) -> str:
        d = self.any("(y_pred - y)", "(-y + y_pred)")
        return self.any(
            f"2 * {d}",
            f"{d} * 2",
            f"2.0*{d}",
            f"{d} + {d}",
            f"{d} / 0.5",
            "2 * y_pred - 2 * y",
            "-2 * (y - y_pred)",
            f"({d}*4) / 2",
            f"1 * {d} * 2",
            "y_pred + y_pred - y - y",
        )

    def masked(self, g: str) -> str:
        where = self.names["where"]
        return self.any(
            where.format("h < 0", "0", g),
            where.format("h >= 0", g, "0"),
            where.format("0 > h", "0.0", g),
            where.format("(0 <= h)", g, "0"),
            f"{g} * (h >= 0)",
            f"(h >= 0) * {g}",
            f"{g} * (1 - (h < 0))" if self.dialect == "numpy" else f"{g} * (-h <= 0)",
            f"{g} - {g} * (h < 0)",
            where.format("h_relu == h", g, "0"),
        )

    def squares(self) -> str:
        d = self.residual()
        square = "np.square" if self.dialect == "numpy" else "torch.square"
        total = "np.sum" if self.dialect == "numpy" else "torch.sum"
        power = [f"({d} ** 2)", f"({d} * {d})", f"{square}({d})"]
        if self.dialect == "torch":
            power.append(f"({d}).pow(2)")
        p = self.any(*power)
        return self.any(
            f"{p}.sum()", f"{total}({p})", f"{p}.sum(axis=0).sum()", f"{total}({p}, axis=1).sum()"
        )

    def line(self, value: str) -> str:
        """Return a right line for a value."""
        copy = self.names["copy"].format("grad_h_relu")
        lines = {
            "h": lambda: self.product("x", "w1"),
            "h_relu": lambda: self.any(
                self.names["relu"].format("h"),
                "h * (h > 0)",
                self.names["where"].format("h > 0", "h", "0"),
                "h.clip(min=0)",
                f"{self.names['copy'].format('h')}; h_relu[h < 0] = 0",
            ),
            "y_pred": lambda: self.product("h_relu", "w2"),
            "loss": self.squares,
            "grad_y_pred": self.doubled,
            "grad_w2": lambda: self.any(
                self.product(self.turned("h_relu"), "grad_y_pred"),
                f"2 * ({self.turned('h_relu')} @ (y_pred - y))",
            ),
            "grad_h_relu": lambda: self.any(
                self.product("grad_y_pred", self.turned("w2")), f"({self.doubled()}) @ {self.turned('w2')}"
            ),
            "grad_h": lambda: self.any(
                self.masked("grad_h_relu"),
                f"{copy}; grad_h[h < 0] = 0",
                "1 * grad_h_relu\ngrad_h[0 > h] = 0.0",
                f"grad_h = {copy}; grad_h *= h >= 0",
                f"0 + {self.masked('(grad_y_pred @ w2.T)')}",
            ),
            "grad_w1": lambda: self.any(
                self.product(self.turned("x"), "grad_h"),
                f"{self.turned('x')} @ ({self.masked('grad_h_relu')})",
            ),
            "w1": lambda: self.update("1"),
            "w2": lambda: self.update("2"),
        }
        text = lines[value]()
        return f"{value} = {text}" if self.random.random() < 0.2 and not text.startswith(value) else text

    def update(self, n: str) -> str:
        step = self.any(f"learning_rate * grad_w{n}", f"grad_w{n} * learning_rate")
        return self.any(f"w{n} - {step}", f"-({step}) + w{n}", f"w{n} -= {step}", f"w{n} + -({step})")

    def program(self) -> dict[str, str]:
        """Return a right program."""
        return {value: self.line(value) for value in STEPS}


def mistakes(dialect: str) -> list[tuple[str, str, str]]:
    """Return wrong lines, each one edit from a right one: value, line, kind."""
    where, names = NAMES[dialect]["where"], NAMES[dialect]
    mm = {"numpy": "{}.dot({})", "torch": "{}.mm({})"}[dialect]
    found = [
        ("grad_y_pred", "y_pred - y", "factor"),
        ("grad_y_pred", "4 * (y_pred - y)", "factor"),
        ("grad_y_pred", "(y_pred - y) * 3", "factor"),
        ("grad_y_pred", "(y_pred - y) / 2", "factor"),
        ("grad_w2", "2 * (h_relu.T @ grad_y_pred)", "factor"),
        ("grad_h_relu", "2 * grad_y_pred @ w2.T", "factor"),
        ("grad_w1", "x.T @ grad_h * 0.5", "factor"),
        ("w1", "w1 - 2 * learning_rate * grad_w1", "factor"),
        ("w2", "w2 - grad_w2", "factor"),
        ("w1", "w1", "factor"),
        ("y_pred", "2 * (h_relu @ w2)", "factor"),
        ("grad_y_pred", "2 * (y - y_pred)", "sign"),
        ("grad_y_pred", "-2 * (y_pred - y)", "sign"),
        ("grad_w2", "-h_relu.T @ grad_y_pred", "sign"),
        ("grad_h_relu", "-(grad_y_pred @ w2.T)", "sign"),
        ("grad_h", "-" + where.format("h < 0", "0", "grad_h_relu"), "sign"),
        ("grad_w1", "-x.T @ grad_h", "sign"),
        ("w1", "w1 + learning_rate * grad_w1", "sign"),
        ("w2", "w2 += learning_rate * grad_w2", "sign"),
        ("grad_y_pred", "2 * (y_pred - y) / {N}", "mean"),
        ("grad_y_pred", "2 * (y_pred - y) / {ND_out}", "mean"),
        ("grad_y_pred", "(y_pred - y) / {D_out}", "mean"),
        ("grad_w2", "h_relu.T @ grad_y_pred / {N}", "mean"),
        ("grad_w1", "x.T @ grad_h / {N}", "mean"),
        ("loss", "((y_pred - y) ** 2).mean()", "mean"),
        ("loss", "((y_pred - y) ** 2).sum() / {N}", "mean"),
        ("loss", "((y_pred - y) ** 2).sum() / {ND_out}", "mean"),
        ("grad_h", "grad_h_relu", "missing_mask"),
        ("grad_h", names["copy"].format("grad_h_relu"), "missing_mask"),
        ("grad_w1", "x.T @ grad_h_relu", "missing_mask"),
        ("h_relu", "h", "missing_mask"),
        ("y_pred", "h @ w2", "missing_mask"),
        ("grad_w2", "h.T @ grad_y_pred", "missing_mask"),
        ("grad_h", where.format("h > 0", "0", "grad_h_relu"), "inverted_mask"),
        ("grad_h", where.format("h < 0", "grad_h_relu", "0"), "inverted_mask"),
        ("grad_h", "grad_h_relu * (h < 0)", "inverted_mask"),
        ("grad_h", names["copy"].format("grad_h_relu") + "; grad_h[h > 0] = 0", "inverted_mask"),
        ("h_relu", where.format("h < 0", "h", "0"), "inverted_mask"),
        ("h_relu", "h * (h < 0)", "inverted_mask"),
        ("grad_h", where.format("grad_h_relu < 0", "0", "grad_h_relu"), "other_mask"),
        ("grad_h", "grad_h_relu * (grad_h_relu > 0)", "other_mask"),
        ("grad_h", where.format("h < 1", "0", "grad_h_relu"), "other_mask"),
        ("grad_h_relu", "grad_y_pred @ w2", "transpose"),
        ("grad_h_relu", "w2 @ grad_y_pred", "transpose"),
        ("grad_h_relu", mm.format("grad_y_pred", "w2"), "transpose"),
        ("grad_h_relu", "w2 @ grad_y_pred.T", "transpose"),
        ("grad_h_relu", "grad_y_pred.T @ w2.T", "transpose"),
        ("grad_w2", "h_relu @ grad_y_pred", "transpose"),
        ("grad_w2", mm.format("h_relu", "grad_y_pred"), "transpose"),
        ("grad_w2", "grad_y_pred.T @ h_relu", "transpose"),
        ("grad_w2", "h_relu.T @ grad_y_pred.T", "transpose"),
        ("grad_w1", "x @ grad_h", "transpose"),
        ("grad_w1", mm.format("x", "grad_h"), "transpose"),
        ("grad_w1", "grad_h.T @ x", "transpose"),
        ("h", "x.T @ w1", "transpose"),
        ("h", "x @ w1.T", "transpose"),
        ("y_pred", "h_relu @ w2.T", "transpose"),
        ("w1", "w1 - learning_rate * grad_w1.T", "transpose"),
        ("loss", "((y_pred - y) ** 2).sum(axis=0)", "wrong_index"),
        ("loss", "((y_pred - y) ** 2).sum(axis=1)", "wrong_index"),
        ("loss", "(y_pred - y) ** 2", "wrong_index"),
        ("grad_y_pred", "(2 * (y_pred - y)).sum(axis=0)", "wrong_index"),
        ("grad_y_pred", "(2 * (y_pred - y)).sum(axis=1, keepdims=True)", "wrong_index"),
        ("grad_h_relu", "grad_y_pred @ grad_w2.T", "grad_w2_for_w2"),
        ("grad_h_relu", mm.format("grad_y_pred", "grad_w2.T"), "grad_w2_for_w2"),
        ("grad_h_relu", "grad_y_pred @ (w2 - learning_rate * grad_w2).T", "updated_early"),
    ]
    return found


LEAVES = (
    *(
        "x",
        "y",
        "w1",
        "w2",
        "h",
        "h_relu",
        "y_pred",
        "loss",
        "grad_y_pred",
        "grad_w2",
        "grad_h_relu",
        "grad_h",
    ),
    *("learning_rate", "2", "0.5", "0"),
)


def expression(random: random.Random, depth: int = 3) -> str:
    """Return an expression of NumPy's dialect that may fit or not."""
    if depth == 0 or random.random() < 0.12:
        return random.choice(LEAVES)
    a, b, c = (expression(random, depth - 1) for _ in range(3))
    option = random.choice(
        ["", "axis=0", "axis=1", "axis=-1", "axis=0, keepdims=True", "keepdims=True", "axis=-2"]
    )
    comma = f", {option}" if option else ""
    shapes = [f"({a}) @ ({b})", f"({a}).dot({b})", f"({a}).T @ ({b})", f"({a}) @ ({b}).T", f"({a}).T"]
    rest = [
        *(f"({a}) {op} ({b})" for op in ("+", "-", "*", "/")),
        f"-({a})",
        f"({a}) ** 2",
        f"({a}).copy()",
        f"np.maximum({a}, 0)",
        f"np.where(({a}) < ({b}), {c}, 0)",
        f"({a}) < ({b})",
        f"({a}) * (({b}) >= 0)",
        f"np.square({a})",
        f"np.outer({a}, {b})",
        f"({a}).sum({option})",
        f"np.sum({a}{comma})",
        f"({a}).clip(0, None)",
        f"({a}) == ({b})",
        f"np.dot({a}, {b})",
    ]
    return random.choice(shapes if random.random() < 0.4 else rest)


HOSTILE = (
    *(
        "__import__('os').system('x')",
        "().__class__.__bases__[0].__subclasses__()",
        "x.__class__",
        "x.tofile",
        "x.dump",
    ),
    *(
        "9**9**9**9",
        "2 ** 1000000000",
        "lambda: 0",
        "[x for x in y]",
        "{x: y}",
        "f'{x}'",
        'f"{x!r}"',
        "x if y else w1",
    ),
    *(
        "print(x)",
        "open('f')",
        "eval('x')",
        "exec('x')",
        "np.load('f')",
        "np.lib",
        "np.core.multiarray",
        "import os",
    ),
    *(
        "x; import os",
        "x = 1; y = 2",
        "del x",
        "global x",
        "x := 3",
        "(x := 3)",
        "x[0]",
        "x[::]",
        "x[y]",
        "x.data",
    ),
    *(
        "np.outer(x, x) @ np.outer(x, x)",
        "np.outer(np.outer(x, x), np.outer(x, x))",
        "x.T @ x",
        "w1 @ w1.T",
        "'a' * 10**9",
    ),
    *(
        "x.sum(axis=10**9)",
        "x.sum(*x)",
        "x.sum(**x)",
        "x.clip(1e308, 1e308)",
        "x ** -1",
        "x ** y",
        "1e99",
        "1e999",
        "0x10",
    ),
    *(
        "ｘ",
        "𝐱",
        "x\u200b",
        "ᵡ",
        "x # y",
        "x \\\n + y",
        "'''",
        '"""',
        "`x`",
        "x$",
        "x?",
        "@x",
        "x @",
        "@@",
        "***",
        ";;;",
    ),
    *(
        "True",
        "None",
        "...",
        "not x",
        "x and y",
        "x < y < w1",
        "x in y",
        "x is y",
        "~x",
        "x | y",
        "x & y",
        "x % 2",
        "x // 2",
    ),
    *(
        "await x",
        "yield x",
        "async",
        "class A: pass",
        "def f(): pass",
        "while 1: pass",
        "return x",
        "raise x",
        "assert x",
    ),
    *(
        "x.sum(axis=True)",
        "x.copy(1)",
        "np",
        "torch",
        "np.np",
        "np.random.rand(9)",
        "torch.load('f')",
        "x.T()",
        "x.sum",
    ),
    *(
        "\x00",
        "\udcff",
        "\n" * 50,
        "\t\t",
        "x\r\ny",
        "9" * 5000,
        "1_000",
        "1j",
        "0o7",
        "b'x'",
        "u'x'",
        "x!",
        "x.T.T.T.T.T.T",
    ),
)
PIECES = (
    *HOSTILE,
    *LEAVES,
    *"()[]{}.,;:+-*/@<>=!'\"\\ \n",
    "**",
    "np.",
    "torch.",
    ".T",
    ".dot(",
    ".sum(",
    "__",
    "\u0430",
    "é",
)


def hostile(random: random.Random) -> str:
    """Return a line that wants to do harm, or that is merely long, deep, or nonsense."""
    draw = random.random()
    if draw < 0.3:
        return random.choice(HOSTILE)
    if draw < 0.6:
        return "".join(random.choice(PIECES) for _ in range(random.randrange(1, 30)))
    if draw < 0.7:
        sign = random.choice(["(", "-", "[", "x+(", "x.T", "np.outer(x,", "{", "not ", "x**", "2**", "w1@("])
        return sign * random.randrange(1, 2000)
    if draw < 0.8:
        deep = random.randrange(1, 120)
        return random.choice(["(", "-(", "x+(", "np.square("]) * deep + "x" + ")" * deep
    if draw < 0.9:
        return expression(random, random.randrange(1, 6))
    return "".join(chr(random.randrange(0x110000)) for _ in range(random.randrange(1, 50)))
