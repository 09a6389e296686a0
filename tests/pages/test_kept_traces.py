"""What a chart sends: a trace that did not change goes once, or a few times within a second."""

from streamlit.testing.v1 import AppTest


def a_chart() -> None:
    """A page with two curves, the second of which moves; run by the test runner, which copies its text."""
    import json

    import streamlit as st

    from twolayer.dashboard.plot import plot

    moved = st.session_state.get("moved", 0)
    sent = []
    component, plot._component = plot._component, lambda data, **_: sent.append(json.loads(data))
    clock, plot.monotonic = plot.monotonic, lambda: st.session_state.get("seconds", 0.0)
    traces = [
        {"uid": "still", "revision": 1, "name": "still", "y": [1, 2, 3]},
        {"uid": "moving", "revision": moved, "name": "moving", "y": list(range(moved))},
        {"name": "nameless", "y": [0]},
    ]
    try:
        plot.draw(traces[: st.session_state.get("count", 3)], {}, key="chart", alt="a chart")
    finally:
        plot._component, plot.monotonic = component, clock
    st.session_state["traces"] = sent[0]["traces"]


def test_a_curve_that_did_not_change_is_only_named() -> None:
    page = AppTest.from_function(a_chart).run()
    assert not page.exception
    assert [trace.get("y") for trace in page.session_state["traces"]] == [[1, 2, 3], [], [0]]
    page.session_state["moved"], page.session_state["seconds"] = 5, 1.5
    page.run()
    assert page.session_state["traces"] == [
        {"uid": "still", "revision": 1, "kept": True},
        {"uid": "moving", "revision": 5, "name": "moving", "y": [0, 1, 2, 3, 4]},
        {"name": "nameless", "y": [0]},
    ]


def test_for_a_second_a_curve_is_sent_whole() -> None:
    """A browser that has two messages at once draws the second alone."""
    page = AppTest.from_function(a_chart).run()
    whole = []
    for seconds, moved in ((0.6, 0), (1.5, 0), (3.0, 5), (3.5, 5), (4.5, 5)):
        page.session_state["seconds"], page.session_state["moved"] = seconds, moved
        page.run()
        whole.append(["y" in trace for trace in page.session_state["traces"][:2]])
    assert whole == [[True, True], [False, False], [False, True], [False, True], [False, False]]


def test_a_curve_that_was_gone_for_a_time_is_sent_again() -> None:
    page = AppTest.from_function(a_chart).run()
    for seconds, count in enumerate((0, 1)):
        page.session_state["count"], page.session_state["seconds"] = count, 2.0 + seconds
        page.run()
    assert page.session_state["traces"][0]["y"] == [1, 2, 3]


def test_everything_is_sent_again_when_the_browser_asks() -> None:
    page = AppTest.from_function(a_chart).run()
    page.session_state["chart_sent"], page.session_state["seconds"] = {}, 2.0
    page.run()
    assert page.session_state["traces"][0]["y"] == [1, 2, 3]
