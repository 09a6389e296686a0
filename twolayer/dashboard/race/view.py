"""A race on the page: what runs now, the verdict, the chart; folded: phases, correctness, the machine."""

from collections.abc import Callable, Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from twolayer.dashboard.common import jobs, server
from twolayer.dashboard.i18n import _, plain, say, unbroken
from twolayer.dashboard.race import charts, files
from twolayer.dashboard.race.job import Heat
from twolayer.race import agreement, crossover, verdict
from twolayer.race.contenders import contenders
from twolayer.race.plan import Plan, Task
from twolayer.race.result import Race
from twolayer.race.timing import CLOCK
from twolayer.training.config import Config
from twolayer.training.messages import N_, Message

TASKS = {
    "machine": N_("probing the machine"),
    "roofline": N_("measuring peak FLOP/s and memory bandwidth"),
    "round": N_("round {number} of {rounds}"),
    "agreement": N_("checking {name} against the reference"),
}
EXAMPLE = dict(
    zip(
        contenders([("numpy", ("cpu",)), ("torch", ("cpu",))], Config()),
        (347e-6, 301e-6, 20.6e-6, 422e-6, 352e-6, 69.1e-6, 575e-6),
        strict=True,
    )
)
"""Median seconds per step at the default settings on two idle cores of an AMD EPYC."""
QUESTIONS = (
    Message.of("The same program: is it faster in NumPy or in PyTorch, on this machine?"),
    Message.of("A smarter method: how much faster does another way get the same losses?"),
    Message.of("How sure: do enough rounds agree, and are all results correct?"),
)


@server.in_turn
def live(heat: Heat | None, plan: Plan | None) -> None:
    """Draw what changes while a race is on: its progress, its verdict so far, its chart."""
    _progress(heat)
    with st.container(key="race_verdict"):
        _verdict(heat)
    plan = heat.plan if heat is not None else plan
    if plan is not None:
        _chart(heat, plan)


def _chart(heat: Heat | None, plan: Plan) -> None:
    """Draw the one chart; before the first round an example in its place."""
    sweep, races = plan.sweep, heat.races if heat else []
    caption = st.container(key="race_caption")
    key = "step_times_chart" if sweep is None else "sweep_chart"
    height = charts.ROW_HEIGHT * len(plan.contenders) if sweep is None else charts.SWEEP_HEIGHT
    if not races:
        example = {who: EXAMPLE[who] for who in plan.contenders if who in EXAMPLE} or EXAMPLE
        text = _(
            "**Example**, not measured here: time per step, and × the speed of the tutorial’s NumPy loop, "
            "at the default settings on two cores of an AMD EPYC"
        )
        caption.caption(charts.explained(text, example))
        charts.bars(example, key=key, height=height, example=True)
    elif sweep is not None:
        caption.caption(_("Time per step against {field}").format(field=sweep.field))
        charts.sweep(sweep, races)
    else:
        _bars(races[0], caption)


def _bars(race: Race, caption: DeltaGenerator) -> None:
    text = _("Median time per step, and × the speed of the tutorial’s NumPy loop, at {size}")
    sizes = text.format(size=say(verdict.size(race.config)))
    caption.caption(charts.explained(sizes, (s.contender for s in race.standings)))
    wrong = [s.contender for s in race.standings if s.wrong]
    charts.bars({s.contender: s.median for s in race.standings}, wrong, key="step_times_chart")


def folded(heat: Heat | None) -> None:
    """Draw all else that a race has found, and what the page is for, when they are unfolded."""
    races = heat.races if heat is not None and not heat.live else []
    race = _of_one_size(heat, races) if heat is not None and races else None
    sections: dict[str, tuple[str, Callable[[Race], None]]] = {
        "phases": (_("Where the time goes: phases and roofline"), _phases),
        "agreement": (_("Are the results correct?"), _agreement),
        "figures": (_("All results, files and the machine"), lambda race: _figures(race, races)),
    }
    with st.expander(_("What is this?")):
        st.markdown(
            _(
                "How fast is each implementation **on this machine**? Every implementation of the same "
                "training step is timed on the server: the tutorial’s loops, this app's own kernels, and "
                "PyTorch autograd. All use the same data, are warmed up, run in random order, and are "
                "checked against a float64 reference."
            )
        )
        st.caption(_(CLOCK))
    for key, (title, draw) in sections.items():
        with st.expander(title, key=f"race_{key}", on_change="rerun") as section:
            if section.open and race is not None:
                draw(race)
            elif section.open:
                st.caption(_("No race yet"))


def _of_one_size(heat: Heat, races: list[Race]) -> Race:
    """Return the race that is looked at; let one of a sweep's be chosen, and draw it."""
    sweep = heat.plan.sweep
    if sweep is None:
        return races[0]
    st.markdown("\n".join(f"- {say(message)}" for message in crossover.sentences(sweep.field, races)))
    if len(races) == 1:
        return races[0]
    at = st.select_slider(
        _("Show results for size"),
        [getattr(one.config, sweep.field) for one in races],
        format_func=lambda size: f"{sweep.field} = {size:,}",
        key="race_size",
    )
    race = next(one for one in races if getattr(one.config, sweep.field) == at)
    _of(race)
    _bars(race, st.container())
    return race


def _progress(heat: Heat | None) -> None:
    if heat is None:
        st.progress(0.0, text=_("ready"))
        return
    job = heat.job
    text = _task(heat, heat.now) if job.state == "running" else jobs.state(job)
    left = jobs.time_left(job.began, job.done, job.total) if heat.live else ""
    st.progress(job.done / job.total, text=text + left)


def _task(heat: Heat, task: Task) -> str:
    text = _(TASKS[task.kind]).format(
        number=task.number + 1,
        rounds=heat.plan.rounds,
        name=plain(heat.plan.contenders[task.number].name) if task.kind == "agreement" else "",
    )
    sweep = heat.plan.sweep
    return text if sweep is None else f"{sweep.field} = {getattr(task.config, sweep.field):,}: {text}"


def _verdict(heat: Heat | None) -> None:
    """Draw three lines that are always there: what a race answers, or its answers so far."""
    races, sweep = heat.races if heat else [], heat.plan.sweep if heat else None
    if heat is not None and heat.job.state == "failed":
        reason = say(heat.job.message) if heat.job.message else ""
        st.error(_("Failed: {reason}").format(reason=reason))
    elif heat is not None and (awaited := jobs.awaited(heat.job)):
        st.markdown(awaited)
    elif not races:
        _lines(QUESTIONS, grey=True)
    elif sweep is None:
        _of(races[0])
    else:
        checked = [race for race in races if all(s.agreement for s in race.standings)]
        said = verdict.of_sweep(sweep.field, checked) + verdict.disturbances(races)
        _lines(said, amber=None if all(map(verdict.is_reliable, races)) else -1)


def _of(race: Race) -> None:
    _lines(verdict.sentences(race), amber=None if verdict.is_reliable(race) else 2)


def _lines(said: Sequence[Message], *, amber: int | None = None, grey: bool = False) -> None:
    """Draw a paragraph for each message, its subject in bold; one of them may be amber."""
    texts = ["**{}**{}{}".format(*say(message).partition(": ")) for message in said]
    if amber is not None:
        texts[amber] = f":orange[{texts[amber]}]"
    st.markdown(unbroken("  \n".join(f":gray[{text}]" if grey else text for text in texts)))


def _phases(race: Race) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        as_shares = st.toggle(_("Show as percentages"), key="phases_as_shares")
        charts.phases(race, as_shares=as_shares)
        text = _(
            "Measured by timers inside the step, corrected for their own overhead. The phases are not "
            "rescaled to add up to the step time. Transfer copies the losses and state to the host "
            "once per block of steps and is not part of the race timing."
        )
        if any(s.contender.backend == "jax" for s in race.standings):
            text += " " + _(
                "JAX computes all steps in one compiled loop. Its phases are timed as separate calls, which "
                "together take longer than a step of the loop."
            )
        st.caption(text)
    with right:
        charts.roofline(race)
        _roofline_words(race)


def _roofline_words(race: Race) -> None:
    if race.roofline is None:
        st.caption(_("Peak performance has not been measured."))
        return
    text = _(
        "Measured peak: {peak} GFLOP/s for a 1024 × 1024 matrix product, and {bandwidth} GB/s memory "
        "bandwidth (copy). The product x·w1 alone reaches {here} GFLOP/s at this size. Byte counts are the "
        "minimum memory traffic of a step; a point above the bandwidth slope runs from cache."
    ).format(
        peak=f"{race.roofline.gflops_large:.0f}",
        bandwidth=f"{race.roofline.gbytes:.0f}",
        here=f"{race.roofline.gflops_here:.0f}",
    )
    if any(s.contender.device != "cpu" for s in race.standings):
        text += " " + _("GPU implementations are not shown: the roofline is that of the CPU.")
    st.caption(text)


def _figures(race: Race, races: list[Race]) -> None:
    """All figures as in the files, for those who want them or cannot see charts; the files; the machine."""
    rows = race.rows()
    numeric = [name for name, value in rows[0].items() if isinstance(value, float)]
    config = {name: st.column_config.NumberColumn(format="%.4g") for name in numeric}
    st.dataframe(rows, hide_index=True, column_config=config)
    spread = _("Spread: the interquartile range of the step times relative to their median.")
    st.caption(" ".join([spread, *map(say, verdict.compiling(race))]))
    files.export(races)
    files.machine(race)


def _agreement(race: Race) -> None:
    found = [(s.contender.name, s.agreement) for s in race.ranked if s.agreement is not None]
    if not found:
        st.caption(_("No implementation has been checked yet."))
        return
    rows = [
        {
            _("Implementation"): name,
            _("Verdict"): _("correct") if a.right else _("INCORRECT"),
            _("Loss error"): f"{a.drift.loss:.1e}",
            _("tolerance (loss)"): f"{a.allowed(a.one_rounding.loss):.1e}",
            _("Weight error"): f"{a.drift.weight:.1e}",
            _("tolerance (weights)"): f"{a.allowed(a.one_rounding.weight):.1e}",
            _("Final loss / reference"): f"{a.drift.last_ratio:.3g}",
        }
        for name, a in found
    ]
    st.container(key="agreement_table").dataframe(rows, hide_index=True)
    said = agreement.sentences(race.config, [a for _name, a in found])
    st.caption(" ".join(say(message) for message in said))
