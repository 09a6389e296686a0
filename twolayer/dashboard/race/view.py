"""A race on the page: what runs now, the verdict, the charts, who is right, and the machine."""

import streamlit as st
from dask.utils import format_bytes

from twolayer.dashboard.common import jobs, server
from twolayer.dashboard.i18n import _, plain, say
from twolayer.dashboard.race import charts
from twolayer.dashboard.race.job import Heat
from twolayer.race import agreement, crossover, verdict
from twolayer.race.plan import Task
from twolayer.race.result import Race
from twolayer.race.timing import CLOCK
from twolayer.training.messages import N_, Message

TASKS = {
    "machine": N_("probing the machine"),
    "roofline": N_("measuring peak FLOP/s and memory bandwidth"),
    "round": N_("round {number} of {rounds}"),
    "agreement": N_("checking {name} against the reference"),
}


@server.in_turn
def live(heat: Heat | None) -> None:
    """What changes while a race is on: its progress, its verdict so far, its step times."""
    _progress(heat)
    _verdict(heat)
    if heat is None or not heat.races:
        return
    sweep, races = heat.plan.sweep, heat.races
    if sweep is not None:
        st.subheader(_("Time per step against {field}").format(field=sweep.field), anchor=False)
        charts.sweep(sweep, races)
    if heat.live:
        _title_of_size(races[-1])
        charts.times(races[-1])


@server.in_turn
def results(heat: Heat) -> None:
    """All that a race that is over has found."""
    races, sweep = heat.races, heat.plan.sweep
    race = races[0]
    if sweep is not None and len(races) > 1:
        at = st.select_slider(
            _("Show results for size"),
            [getattr(one.config, sweep.field) for one in races],
            format_func=lambda size: f"{sweep.field} = {size:,}",
            key="race_size",
        )
        race = next(one for one in races if getattr(one.config, sweep.field) == at)
        st.markdown(_in_lines(verdict.sentences(race)))
    _charts(race)
    _figures(race)
    _agreement(race)
    machine(race)


def _title_of_size(race: Race) -> None:
    config = race.config
    st.subheader(
        _("{N} × {D_in} → {H} → {D_out}, {dtype}").format(
            N=config.N, D_in=config.D_in, H=config.H, D_out=config.D_out, dtype=config.dtype
        ),
        anchor=False,
    )


def _progress(heat: Heat | None) -> None:
    if heat is None:
        st.progress(0.0, text=_("No race yet"))
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
    """One box that is always there."""
    if heat is None:
        st.info(_("Press Race to time every implementation on the same training data."))
    elif heat.job.state == "failed":
        reason = say(heat.job.message) if heat.job.message else ""
        st.error(_("Failed: {reason}").format(reason=reason))
    elif not heat.races:
        st.info(_("The first round has not finished yet."))
    elif heat.live:
        st.info(
            _(
                "The verdict appears once all implementations have been timed and checked against the "
                "reference."
            )
        )
    else:
        said = _said(heat)
        won = all(verdict.judge(race).winner for race in heat.races)
        (st.success if won else st.info)(_in_lines(said))


def _said(heat: Heat) -> list[Message]:
    races, sweep = heat.races, heat.plan.sweep
    if sweep is None:
        said = verdict.sentences(races[0])
    else:
        said = verdict.of_sweep(sweep.field, races) + crossover.sentences(sweep.field, races)
    return said + verdict.disturbances(races)


def _in_lines(said: list[Message]) -> str:
    texts = [say(message) for message in said]
    return texts[0] if len(texts) == 1 else "\n".join(f"- {text}" for text in texts)


def _charts(race: Race) -> None:
    _title_of_size(race)
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(_("**Time per step**: median; whiskers extend to the 95th percentile"))
        charts.times(race)
    with right:
        st.markdown(_("**Speedup** over the tutorial’s NumPy loop"))
        charts.speedups(race)
    st.caption(_(CLOCK))
    left, right = st.columns(2, gap="medium")
    with left:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(_("**Time per phase**"), width="content")
            as_shares = st.toggle(_("Show as percentages"), key="phases_as_shares")
        charts.phases(race, as_shares=as_shares)
        st.caption(
            _(
                "Measured by timers inside the step, corrected for their own overhead. The phases are not "
                "rescaled to add up to the step time. Transfer copies the losses and state to the host "
                "once per block of steps and is not part of the race timing."
            )
        )
    with right:
        st.markdown(_("**Roofline**"))
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


def _figures(race: Race) -> None:
    """All figures of the charts, for those who want them or cannot see charts."""
    rows = race.rows()
    columns = {
        _("Implementation"): [row["contender"] for row in rows],
        _("Median (µs)"): [row["median_us"] for row in rows],
        _("95th percentile (µs)"): [row["p95_us"] for row in rows],
        _("Spread (%)"): [100 * row["spread"] for row in rows],
        _("Speedup (×)"): [row["speed_up"] for row in rows],
        "GFLOP/s": [row["gflops"] for row in rows],
        **{
            _("{phase} (µs)").format(phase=_(name)): [row[f"{phase}_us"] for row in rows]
            for phase, name in charts.PHASE_NAMES.items()
        },
    }
    with st.expander(_("All results"), icon=":material/table_rows:"):
        st.dataframe(
            columns,
            hide_index=True,
            column_config={name: st.column_config.NumberColumn(format="%.4g") for name in list(columns)[1:]},
        )
        st.caption(_("Spread: the interquartile range of the step times relative to their median."))


def _agreement(race: Race) -> None:
    st.subheader(_("Are the results correct?"), anchor=False)
    checked = [s for s in race.ranked if s.agreement is not None]
    if not checked:
        st.caption(_("No implementation has been checked yet."))
        return
    found = [s.agreement for s in checked if s.agreement is not None]
    table = st.container(key="agreement_table")
    table.dataframe(
        {
            _("Implementation"): [s.contender.name for s in checked],
            _("Verdict"): [_("correct") if a.right else _("INCORRECT") for a in found],
            _("Loss error"): [f"{a.drift.loss:.1e}" for a in found],
            _("tolerance (loss)"): [f"{a.allowed(a.one_rounding.loss):.1e}" for a in found],
            _("Weight error"): [f"{a.drift.weight:.1e}" for a in found],
            _("tolerance (weights)"): [f"{a.allowed(a.one_rounding.weight):.1e}" for a in found],
            _("Final loss / reference"): [f"{a.drift.last_ratio:.3g}" for a in found],
        },
        hide_index=True,
    )
    st.caption(" ".join(say(message) for message in agreement.sentences(race.config, found)))


def machine(race: Race) -> None:
    """The machine of a race, as text."""
    one = race.machine
    st.subheader(_("Machine"), anchor=False)
    versions = ", ".join(f"{library} {version}" for library, version in one.versions)
    facts = {
        _("Processor"): one.processor,
        _("CPU cores"): f"{one.cores}" if one.cores == one.all_cores else f"{one.cores} / {one.all_cores}",
        _("Memory"): format_bytes(one.memory_bytes),
        "GPU": ", ".join(one.gpus) or _("none"),
        "BLAS": _("{blas}, threads: {threads}").format(blas=one.blas, threads=race.config.threads),
        _("Versions"): versions,
    }
    st.markdown("\n".join(f"- {name}: {plain(value)}" for name, value in facts.items()))
    for note in one.notes:
        st.warning(say(note))
