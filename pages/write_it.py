"""The Write it page: write lines of the iteration, see each one judged, and train with them."""

import streamlit as st

from twolayer.backprop import exercise, proof, snapshot
from twolayer.dashboard.common import address, controls, frame, jobs, server
from twolayer.dashboard.i18n import say
from twolayer.dashboard.plot import plot
from twolayer.dashboard.write_it import fields, reading, training, view

frame.begin("write_it")
with st.sidebar:
    config = controls.draw(leave_out=controls.COMPUTE)
if config is None:
    frame.links(config)
    st.stop()

task = fields.exercise()
texts = fields.texts(task)
question = jobs.ask("write_it", exercise.check, (config, 0, task, texts), snapshot.memory_bytes(config))
waits = [question] if question.live else []  # asked before the answer is read: it may come in between
is_training = jobs.is_live(training.NAME)
answer = question.answer
report = answer if answer is not None and answer.exercise == task else None
fields.note(report, texts)
frame.links(config)
address.show_errors()
view.bar(report, texts)
if question.failure is not None:
    st.error(say(question.failure))
view.rows(task, texts, report)
view.notes(report, texts)
training.buttons(config, task, texts, report)

interval = max(server.redraw_seconds(), plot.slowest_redraw()) if is_training else None


@st.fragment(run_every=interval)
def watch() -> None:
    """Draw the training; rerun the whole page once it has ended."""
    if is_training and not jobs.is_live(training.NAME):
        st.rerun()
    training.show(config, task, texts)


watch()
if any(text.strip() for _value, text in texts):
    proved = jobs.ask("write_it_proof", proof.prove, (config, 0, task, texts), snapshot.memory_bytes(config))
    waits += [proved] if proved.live else []
    view.proof(proved.answer)


@st.fragment(run_every=jobs.REDRAW_SECONDS if waits else None)
def wait() -> None:
    """Rerun the whole page once something that it waits for has arrived."""
    if not all(each.live for each in waits):
        st.rerun()


wait()
reading.show(task.dialect)
