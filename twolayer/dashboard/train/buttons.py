"""The buttons that conduct a run: train, pause, step, stop, reset, its speed, and how it goes on."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from twolayer.dashboard.common import address, jobs, parameters, presets, server, visitors
from twolayer.dashboard.i18n import _
from twolayer.engine.run import Run
from twolayer.training.config import RATE, STEPS, Config

SPEEDS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Steps a second; 0 is as fast as it goes."""
A_MOMENT = 0.3


def current() -> Run | None:
    """Return the run that the figures and the buttons are of."""
    run: Run | None = st.session_state.get("run")
    return run


def train(pause_at: int | None = None) -> None:
    """Start the run of the controls, in place of the one before; up to the step `pause_at`, if given."""
    jobs.guarded("run", partial(_submit, pause_at))


def _submit(pause_at: int | None) -> None:
    config = address.current_config()
    run = server.engine().submit(config, visitors.token(), pause_at=pause_at, speed=_speed())
    stop()  # the one before: only now, for a refused run ends nothing
    visitors.keep(run)
    st.session_state["run"] = run


def _speed() -> float | None:
    """Return the steps a second; None for as fast as it goes."""
    speed = parameters.meant("speed", st.session_state.get("speed"))
    return float(speed) if speed in SPEEDS and speed else None


def stop() -> None:
    """Stop the run, if it is live or paused."""
    run = current()
    if run is not None:
        server.engine().stop(run)


def _press_train() -> None:
    address.forget_errors()
    train()


def _pause_or_resume() -> None:
    run = current()
    if run is None:
        return
    if run.live:
        server.engine().pause(run)
        run.wait(A_MOMENT)
    else:
        jobs.guarded("run", partial(server.engine().resume, run))


def _step() -> None:
    """Take some more steps of a paused run, or the first ones of a new run."""
    run, count = current(), int(st.session_state.get("step_count") or 1)
    if run is not None and run.state == "paused":
        jobs.guarded("run", partial(server.engine().resume, run, more=count))
    else:
        train(pause_at=count)
    run = current()
    if run is not None:
        run.wait(A_MOMENT)


def _reset() -> None:
    stop()
    st.session_state["run"] = None
    st.session_state["refusal_run"] = None


def _set_speed() -> None:
    run = current()
    if run is not None:
        run.speed = _speed()


def _continue() -> None:
    run = current()
    if run is not None:
        changed = {name: st.session_state.get(f"continue_{name}") for name in ("steps", "learning_rate")}
        jobs.guarded("run", partial(server.engine().resume, run, **changed))


def _button(key: str, label: str, icon: str, press: Callable[[], None], *, on: bool, shortcut: str) -> None:
    """Draw one of the buttons; it can be pressed while it is `on`."""
    st.button(
        label,
        key,
        on_click=press,
        type="primary" if key == "train" else "secondary",
        icon=f":material/{icon}:",
        disabled=not on,
        shortcut=shortcut,
    )


@server.in_turn
def draw(config: Config | None) -> None:
    """Draw the buttons for a run of the controls' Config, None if that cannot be."""
    ready = config is not None
    run = current()
    live = run is not None and run.live
    paused = run is not None and run.state == "paused"
    again = (_("Resume"), "resume") if paused else (_("Pause"), "pause")
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="bottom", key="conduct"):
        _button("train", _("Train"), "play_arrow", _press_train, on=ready, shortcut="T")
        _button("pause", *again, _pause_or_resume, on=live or paused, shortcut="P")
        _button("step", _("Step"), "skip_next", _step, on=ready and not live, shortcut="N")
        _button("stop", _("Stop"), "stop", stop, on=live or paused, shortcut="S")
        _button("reset", _("Reset"), "restart_alt", _reset, on=run is not None, shortcut="X")
        _speeds()
        with st.popover(_("Presets"), key="presets", on_change="rerun") as opened:
            if opened.open:
                presets.links()
        with st.popover(_("More"), key="more", on_change="rerun") as opened:
            if opened.open:
                _step_count()
                _continuation(run)


def look(config: Config) -> None:
    """Say what to look at in a run of `config`, if it is a preset."""
    preset = presets.of(config)
    if preset is not None:
        st.caption(_(preset.look))


def _step_count() -> None:
    st.number_input(
        _("Number of steps to advance the paused run, or a new one"),
        1,
        1_000_000,
        1,
        key="step_count",
        persist_state="session",
    )


def _speeds() -> None:
    labels = {k: _("{k} steps per second").format(k=k) for k in SPEEDS} | {0: _("Full speed")}
    words = parameters.words("speed", labels)
    if st.session_state.get("speed", 0) not in SPEEDS:
        st.session_state["speed"] = 0
    st.selectbox(
        _("Speed"),
        SPEEDS,
        format_func=words,
        key="speed",
        on_change=_set_speed,
        width=150,
        label_visibility="collapsed",
        help=_("Limits the run to this many steps per second (slow motion)."),
    )


def _continuation(run: Run | None) -> None:
    """How a run that is paused or over may go on: with more steps, or with another rate."""
    if run is None or not run.continuable:
        return
    st.markdown(
        _("Continue after step {step} with different settings. The run is then marked as edited.").format(
            step=f"{run.step:,}"
        )
    )
    least = min(run.step + (run.state == "finished"), STEPS.high)
    asked = run.steps if run.step < run.steps else min(2 * run.steps, STEPS.high)
    st.number_input(_("Total steps"), least, STEPS.high, asked, key="continue_steps")
    st.number_input(
        _("New learning rate"),
        RATE.low,
        RATE.high,
        run.value("learning_rate"),
        format="%e",
        step=run.value("learning_rate") / 10,
        key="continue_learning_rate",
    )
    st.button(_("Continue"), key="go_on", icon=":material/play_arrow:", on_click=_continue)
