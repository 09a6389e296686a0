"""Presets: settings worth a look, each a link with a sentence on what to look at."""

from dataclasses import dataclass

import streamlit as st

from twolayer.dashboard.i18n import _
from twolayer.training.config import Config
from twolayer.training.messages import N_


@dataclass(frozen=True)
class Preset:
    """Settings, their name, and what to look at."""

    config: Config
    title: str
    look: str


PRESETS = {
    "tutorial": Preset(
        Config(),
        N_("Tutorial"),
        N_("The tutorial's own settings. The loss falls from about 30 million to nearly 0 in 500 steps."),
    ),
    "tiny": Preset(
        Config(N=4, D_in=3, H=5, D_out=2, learning_rate=5e-3, steps=200, dtype="float64"),
        N_("Tiny"),
        N_("Small enough to read every value. Open One step and follow one value through the formulas."),
    ),
    "wide": Preset(
        Config(H=2000, method="auto", learning_rate=3e-8),
        N_("Wide"),
        N_(
            "With 20 times as many hidden units λmax is about 20 times larger, so the usable learning rates "
            "are about 20 times lower, and each unit moves less."
        ),
    ),
    "edge": Preset(
        Config(learning_rate=1.5e-6, dtype="float64"),
        N_("On the edge"),
        N_(
            "The loss rises to 9 times its initial value before it falls: η is 1.8 times 2/λmax, the limit "
            "that the initial curvature sets."
        ),
    ),
    "dead": Preset(
        Config(learning_rate=2e-6),
        N_("Dead units"),
        N_(
            "After an early loss spike most hidden units die: they output 0 for every sample and never get "
            "a gradient again."
        ),
    ),
    "diverges": Preset(
        Config(learning_rate=1e-5),
        N_("Diverges"),
        N_("Each step overshoots further than the last, until the values overflow float32."),
    ),
    "digits": Preset(
        Config(data="digits", init="he", method="auto", learning_rate=1e-4, steps=1000),
        N_("Digits, learns"),
        N_(
            "The same program reads handwritten digits: about 98 % of those that it has never seen. Its "
            "initial weights are He's, which fit the number of inputs."
        ),
    ),
    "digits_dead": Preset(
        Config(data="digits", method="auto", learning_rate=1e-4, steps=200),
        N_("Digits, all dead"),
        N_(
            "The same settings with the tutorial's initial weights: the outputs are so large that the first "
            "steps kill every hidden unit, and the network answers 0 for every digit."
        ),
    ),
    "spiral": Preset(
        Config(data="spiral", init="he", method="auto", learning_rate=2e-4, steps=5000),
        N_("Spiral"),
        N_("Watch the map: the lines of the units turn until the two arms are apart."),
    ),
    "sine": Preset(
        Config(data="sine", init="he", method="auto", H=3, learning_rate=4e-4, steps=12_000, seed=37),
        N_("Sine with 3 units"),
        N_("Three hidden units give three kinks. Watch them move to where the sine bends most."),
    ),
    "noise": Preset(
        Config(method="auto"),
        N_("Memorizes noise"),
        N_(
            "The loss falls to nearly 0, but the dotted curve, the loss on fresh random numbers, never "
            "falls: nothing was learned that holds for other data."
        ),
    ),
}


def of(config: Config) -> Preset | None:
    """The preset that has these settings, if there is one."""
    return next((preset for preset in PRESETS.values() if preset.config == config), None)


def links() -> None:
    """A link for each preset, which starts it, and what to look at."""
    for name, preset in PRESETS.items():
        st.page_link(
            "app.py",
            label=f"**{_(preset.title)}**",
            icon=":material/arrow_forward:",
            query_params={"preset": name, "run": "1", "lang": st.session_state["lang"]},
        )
        st.caption(_(preset.look))
