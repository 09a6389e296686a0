"""The buttons that conduct a run: train, pause, step, stop, reset, its speed, and how it goes on."""

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from twolayer.dashboard.common import browser, frame, presets, server
from twolayer.dashboard.i18n import _
from twolayer.engine.run import CONTINUABLE, Run
from twolayer.training.config import FIELDS, Config, Real, Whole
from twolayer.training.messages import N_, MessageError

RUN_NAME = N_("Run {number}")
SPEEDS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Steps a second; 0 is as fast as it goes."""
A_MOMENT = 0.3


def current() -> Run | None:
    """The run that the figures and the buttons are of."""
    run: Run | None = st.session_state.get("run")
    return run


def train(goal: int | None = None) -> None:
    """Start the run of the controls, in place of the one before; with a `goal`, as far as that."""
    _guarded(partial(_submit, goal))


def _submit(goal: int | None) -> None:
    run = server.engine().submit(frame.current_config(), server.viewer(), goal=goal, speed=_speed())
    stop()  # the one before: only now, for a refused run ends nothing
    server.keep(run, _(RUN_NAME))
    st.session_state["run"] = run


def _speed() -> float | None:
    """Steps a second; None for as fast as it goes."""
    speed = st.session_state.get("speed")
    return float(speed) if speed in SPEEDS and speed else None


def _guarded(work: Callable[[], Any]) -> None:
    """Do what may be refused; a refusal is shown."""
    st.session_state["refusal"] = None
    try:
        work()
    except MessageError as error:
        st.session_state["refusal"] = error.message


def stop() -> None:
    """Stop the run, if it is live or paused."""
    run = current()
    if run is not None:
        server.engine().stop(run)


def _press_train() -> None:
    st.session_state["address_errors"] = []
    train()


def _pause_or_resume() -> None:
    run = current()
    if run is None:
        return
    if run.live:
        server.engine().pause(run)
        run.wait(A_MOMENT)
    else:
        _guarded(partial(server.engine().resume, run))


def _step() -> None:
    """Some steps more of a paused run, or the first of a new one."""
    run, count = current(), int(st.session_state.get("step_count") or 1)
    if run is not None and run.state == "paused":
        _guarded(partial(server.engine().resume, run, more=count))
    else:
        train(goal=count)
    run = current()
    if run is not None:
        run.wait(A_MOMENT)


def _reset() -> None:
    stop()
    st.session_state["run"] = None
    st.session_state["refusal"] = None


def _set_speed() -> None:
    run = current()
    if run is not None:
        run.speed = _speed()


def _continue() -> None:
    run = current()
    if run is not None:
        steps, rate = st.session_state.get("continue_steps"), st.session_state.get("continue_rate")
        _guarded(partial(server.engine().resume, run, steps=steps, learning_rate=rate))


@server.in_turn
def buttons(config: Config | None) -> None:
    """Draw the buttons, and what to look at in a run of the controls' Config, None if that cannot be."""
    ready = config is not None
    labels = {k: _("{k} steps a second").format(k=k) for k in SPEEDS} | {0: _("as fast as it goes")}
    run = current()
    live = run is not None and run.live
    paused = run is not None and run.state == "paused"
    if st.session_state.get("speed", 0) not in SPEEDS:
        st.session_state["speed"] = 0
    with st.container(horizontal=True, vertical_alignment="bottom", key="conduct"):
        st.button(
            _("Train"),
            key="train",
            type="primary",
            icon=":material/play_arrow:",
            on_click=_press_train,
            disabled=not ready,
            shortcut="T",
        )
        st.button(
            _("Resume") if paused else _("Pause"),
            key="pause",
            icon=":material/resume:" if paused else ":material/pause:",
            on_click=_pause_or_resume,
            disabled=not (live or paused),
            shortcut="P",
        )
        st.button(
            _("Step"),
            key="step",
            icon=":material/skip_next:",
            on_click=_step,
            disabled=live or not ready,
            shortcut="N",
        )
        st.number_input(
            _("Steps at a time: of the paused run, or of a new one"),
            1,
            1_000_000,
            1,
            key="step_count",
            icon=":material/skip_next:",  # that of the button
            width=120,
            label_visibility="collapsed",
        )
        st.button(
            _("Stop"),
            key="stop",
            icon=":material/stop:",
            on_click=stop,
            disabled=not (live or paused),
            shortcut="S",
        )
        st.button(
            _("Reset"),
            key="reset",
            icon=":material/restart_alt:",
            on_click=_reset,
            disabled=run is None,
            shortcut="X",
        )
        st.selectbox(
            _("Speed"),
            SPEEDS,
            format_func=labels.__getitem__,
            key="speed",
            on_change=_set_speed,
            width=190,
            label_visibility="collapsed",
            help=_("Slow motion: so many steps a second."),
        )
        _continuation(run)
        with st.popover(
            _("Presets"), icon=":material/auto_awesome:", key="presets", on_change="rerun"
        ) as opened:
            if opened.open:
                presets.links()
        browser.copy_link_button()
    if config is not None:
        preset = presets.of(config)
        st.caption(_(preset.look) if preset is not None else frame.summary(config))


def _continuation(run: Run | None) -> None:
    """How a run that is paused or over may go on: with more steps, or with another rate."""
    can = run is not None and run.state in CONTINUABLE
    with st.popover(
        _("Continue"), icon=":material/edit:", disabled=not can, key="continue", on_change="rerun"
    ) as opened:
        if run is None or not can or not opened.open:
            return
        steps, rate = FIELDS["steps"], FIELDS["learning_rate"]
        assert isinstance(steps, Whole)
        assert isinstance(rate, Real)
        st.markdown(
            _("Go on after step {step} with other settings. The run is then marked as edited.").format(
                step=f"{run.step:,}"
            )
        )
        least = min(run.step + (run.state == "finished"), steps.high)
        asked = run.steps if run.step < run.steps else min(2 * run.steps, steps.high)
        st.number_input(_("Steps in all"), least, steps.high, asked, key="continue_steps")
        st.number_input(
            _("Learning rate from here on"),
            rate.low,
            rate.high,
            run.value("learning_rate"),
            format="%e",
            step=run.value("learning_rate") / 10,
            key="continue_rate",
        )
        st.button(_("Go on"), key="go_on", icon=":material/play_arrow:", on_click=_continue)
