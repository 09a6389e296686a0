"""Runs as people use them, in Chromium: nothing flickers, a stop stops, nothing is lost."""

import csv
import json
import re
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_array_equal
from playwright.sync_api import Page, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.browser.conftest import PATIENCE_MS, drawn, figure, settled, state_is
from twolayer import Config, fit
from twolayer.engine.task import OWNER_LENGTH

Visit = Callable[..., Page]

LOSS = ".st-key-loss_chart .js-plotly-plot"
WATCH = """() => {
    const seen = window.seen = {frames: 0, empty: 0, removed: 0, drawn: false};
    const nodes = new Set();
    for (const key of ["loss_chart", "time_chart"]) {
        const plot = document.querySelector(`.st-key-${key} .plot`);
        nodes.add(plot);
        nodes.add(plot.querySelector(".main-svg"));
    }
    new MutationObserver((changes) => {
        for (const change of changes) for (const node of change.removedNodes)
            for (const plot of nodes) if (node === plot || node.contains(plot)) seen.removed++;
    }).observe(document.body, {childList: true, subtree: true});
    const frame = () => {
        const curves = document.querySelectorAll(".st-key-loss_chart .scatterlayer .js-line").length;
        seen.drawn ||= curves > 0;
        seen.frames += seen.drawn;
        seen.empty += seen.drawn && curves === 0;
        requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
}"""


def trained(page: Page, wait: str = "finished") -> None:
    """Press Train and wait for a state."""
    page.click(".st-key-train button")
    state_is(page, wait)
    settled(page)


def open_the_list_of_runs(page: Page) -> None:
    """Open the list to choose a run from."""
    chosen = page.locator(".st-key-chosen_run input")
    chosen.scroll_into_view_if_needed()
    # A list that opens is shut by the event of that scroll, which comes with the next frame
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    chosen.press("ArrowDown")


def test_nothing_flickers_in_a_long_run_and_a_zoom_made_on_the_way_stays(visit: Visit) -> None:
    page = visit("/?steps=200000&method=auto")
    page.wait_for_selector(f"{LOSS} .main-svg")
    page.wait_for_selector(".st-key-time_chart .js-plotly-plot .main-svg")
    page.evaluate(WATCH)
    page.click(".st-key-train button")
    state_is(page, "running")
    page.wait_for_function(f"document.querySelector('{LOSS}').calcdata?.[0]?.length > 100")
    box = page.locator(f"{LOSS} .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 10, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 102, steps=4)
    page.mouse.up()
    zoom = f"document.querySelector('{LOSS}')._fullLayout.xaxis.range"
    page.wait_for_function(f"{zoom}[1] < 100000")
    zoomed = page.evaluate(zoom)
    assert figure(page, "metric_state") == "running", "the zoom was made on the way"
    state_is(page, "finished")
    settled(page)
    assert figure(page, "metric_step") == "200,000"
    seen = page.evaluate("window.seen")
    assert seen["frames"] > 20
    assert (seen["removed"], seen["empty"]) == (0, 0)
    assert page.evaluate(zoom) == zoomed


def test_a_tick_sends_little_however_long_the_run_and_still_curves_not_again(visit: Visit) -> None:
    page = visit("/?steps=5000&H=20&method=gram")
    for _ in range(3):
        trained(page)
    page.fill(".st-key-steps input", "5000000")
    page.press(".st-key-steps input", "Enter")
    page.wait_for_url("**steps=5000000**")
    settled(page)
    page.click(".st-key-train button")
    state_is(page, "running")
    curve = f"document.querySelector('{LOSS}').calcdata?.filter(c => c[0].trace.line?.dash !== 'dot').at(-1)"
    page.wait_for_function(f"{curve}?.length > 900")
    ticks: list[list[ForwardMsg]] = []
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")

    def received(event: dict[str, Any]) -> None:
        message = ForwardMsg.FromString(b64decode(event["response"]["payloadData"]))
        if message.HasField("new_session"):
            ticks.append([])
        if ticks:
            ticks[-1].append(message)

    def charts(tick: list[ForwardMsg]) -> list[bytes]:
        return [data for data in map(ForwardMsg.SerializeToString, tick) if b'"bdata"' in data]

    def sends_the_moving_curve_only(tick: list[ForwardMsg]) -> bool:
        # Three runs have two traces each on a chart. All are sent for a second if the browser asks for them.
        return not any(
            message.HasField("delta") and not message.delta.fragment_id for message in tick
        ) and all(data.count(b'"kept": true') == 6 for data in charts(tick))

    client.on("Network.webSocketFrameReceived", received)
    for _ in range(PATIENCE_MS // 100):
        page.wait_for_timeout(100)
        last = [tick for tick in ticks[:-1] if charts(tick)][-6:]
        if len(last) == 6 and all(map(sends_the_moving_curve_only, last)):
            break
    else:
        pytest.fail("the curves of the other runs were sent again and again")
    assert max(sum(message.ByteSize() for message in tick) for tick in last) < 30_000
    page.click(".st-key-stop button")
    state_is(page, "stopped")


def test_stop_takes_effect_at_once(visit: Visit) -> None:
    page = visit("/?steps=3000000")
    page.click(".st-key-train button")
    state_is(page, "running")
    page.click(".st-key-stop button")
    state_is(page, "stopped")
    settled(page)
    step = figure(page, "metric_step")
    page.wait_for_timeout(600)  # longer than a chunk and two redraws: nothing may come any more
    assert figure(page, "metric_step") == step
    expect(page.locator(".st-key-stop button")).to_be_disabled()


HELD = """
    window.held = [];
    const later = window.setTimeout;
    window.setTimeout = (act, ms, ...rest) => window.holds && !ms ? held.push(act) : later(act, ms, ...rest);
"""
"""While `holds` is set, what the page puts off for a moment stays undone, as in a browser that is busy."""


def test_a_click_that_waits_to_be_sent_is_not_sent_by_the_timers_too(visit: Visit) -> None:
    page = visit("/?steps=3000000", before=lambda page: page.add_init_script(HELD))
    page.click(".st-key-train button")
    state_is(page, "running")
    page.evaluate("window.holds = true")
    page.click(".st-key-pause button")
    for _ in range(3):  # redraws by the timer
        step = page.inner_text(".st-key-metric_step")
        page.wait_for_function(
            "step => document.querySelector('.st-key-metric_step').innerText !== step", arg=step
        )
    assert figure(page, "metric_state") == "running"
    page.evaluate("window.holds = false; held.forEach(act => act())")
    state_is(page, "paused")
    page.click(".st-key-stop button")
    state_is(page, "stopped")


def test_pause_step_resume_by_the_keyboard(visit: Visit) -> None:
    page = visit("/?N=3&D_in=4&H=5&D_out=2&learning_rate=1e-3&steps=3000000")
    page.wait_for_selector(f"{LOSS} .main-svg")
    page.keyboard.press("t")
    state_is(page, "running")
    page.keyboard.press("p")
    state_is(page, "paused")
    settled(page)
    step = int(figure(page, "metric_step").replace(",", ""))
    page.keyboard.press("n")
    page.wait_for_function(
        f"document.querySelector('.st-key-metric_step').innerText.includes('{step + 1:,}')"
    )
    state_is(page, "paused")
    settled(page)
    page.keyboard.press("p")
    state_is(page, "running")
    page.keyboard.press("s")
    state_is(page, "stopped")


def test_a_run_in_slow_motion_can_be_watched(visit: Visit) -> None:
    page = visit("/?steps=100000")
    page.click(".st-key-speed [data-baseweb=select], .st-key-speed [role=combobox]")
    page.click("text='20 steps per second'")
    settled(page)
    page.click(".st-key-train button")
    state_is(page, "running")
    page.wait_for_function(f"document.querySelector('{LOSS}').calcdata?.[0]?.at(-1)?.x > 5")
    assert int(figure(page, "metric_step").replace(",", "")) < 2000  # at full speed 0.2 s
    expect(page.locator("[data-testid=stProgress]").first).to_contain_text("slow motion")
    page.click(".st-key-stop button")
    state_is(page, "stopped")


def test_runs_survive_a_reload_and_no_other_window_sees_them(visit: Visit) -> None:
    page = visit("/?steps=30")
    trained(page)
    loss = figure(page, "metric_loss")
    page.reload()
    state_is(page, "finished")
    settled(page)
    assert figure(page, "metric_loss") == loss
    page.wait_for_function(f"document.querySelector('{LOSS}')?.calcdata?.[0]?.length === 30")
    assert "twolayer" not in page.url
    other = page.context.new_page()
    other.goto(page.url)
    settled(other)
    assert figure(other, "metric_state") == "ready"
    expect(other.locator(".st-key-take_away button")).to_be_disabled()
    remembered = "sessionStorage.getItem('twolayer-visitor')"
    token, of_other = page.evaluate(remembered), other.evaluate(remembered)
    assert token != of_other
    assert token[:OWNER_LENGTH] == of_other[:OWNER_LENGTH]  # they share one part of the server
    other.evaluate("token => sessionStorage.setItem('twolayer-visitor', token)", token)
    other.reload()
    settled(other)
    other.wait_for_timeout(1000)  # time to be handed what it must not get
    expect(other.locator(".st-key-take_away button")).to_be_disabled()


def test_a_live_run_goes_on_over_a_reload(visit: Visit) -> None:
    page = visit("/?N=3&D_in=4&H=5&D_out=2&learning_rate=1e-3&steps=5000000")
    page.click(".st-key-train button")
    state_is(page, "running")
    page.reload()
    state_is(page, "running")
    before = int(figure(page, "metric_step").replace(",", ""))
    page.wait_for_function(
        "before => Number(document.querySelector('.st-key-metric_step [data-testid=stMetricValue]')"
        ".innerText.replaceAll(',', '')) > before",
        arg=before,
    )
    page.click(".st-key-stop button")
    state_is(page, "stopped")


def downloaded(page: Page, label: str) -> Path:
    """What a download of the current run brings."""
    with page.expect_download() as waiting:
        page.click(f"button:has-text('{label}')")
    return Path(waiting.value.path())


def test_what_is_taken_away_is_the_whole_run(visit: Visit) -> None:
    page = visit("/?steps=5000&N=3&D_in=4&H=5&D_out=2&learning_rate=1e-3")
    trained(page)
    page.click(".st-key-take_away button")
    losses = fit(Config(steps=5000, N=3, D_in=4, H=5, D_out=2, learning_rate=1e-3)).losses
    rows = list(csv.DictReader(downloaded(page, "CSV").read_text().splitlines()))
    assert len(rows) == 5000
    assert_array_equal([float(row["loss"]) for row in rows], losses)
    read = json.loads(downloaded(page, "JSON").read_text())
    assert read["config"]["steps"] == 5000
    assert downloaded(page, ".npz").read_bytes().startswith(b"PK")


def test_a_preset_is_a_link_and_its_address_is_the_run(visit: Visit) -> None:
    page = visit()
    page.click("button:has-text('Presets')")
    page.click("a:has-text('Diverges')")
    state_is(page, "diverged")
    settled(page)
    assert "learning_rate=1e-05" in page.url
    page.wait_for_selector(".st-key-use_rate button:visible")
    expect(page.locator(".st-key-diagnosis")).to_contain_text("at step 4 in loss")
    page.click(".st-key-use_rate button")
    page.wait_for_url(lambda url: "learning_rate=1e-05" not in url)
    settled(page)
    trained(page)


def test_curves_keep_their_colours_and_a_hidden_one_stays_hidden(visit: Visit) -> None:
    page = visit("/?steps=40")
    colours, traces = [], f"document.querySelector('{LOSS}').data"
    drawn_lines = f"[...document.querySelectorAll('{LOSS} .scatterlayer .js-line')]"
    for runs, count in ((1, 2), (2, 4), (3, 4)):  # two lines a run, of a hidden one none
        trained(page)
        page.wait_for_function(f"{traces}.length === {2 * runs} && {drawn_lines}.length === {count}")
        style = f"{drawn_lines}.map(line => [line.style.stroke, line.style.strokeDasharray])"
        colours.append(page.evaluate(style))
        if len(colours) == 2:
            page.locator(f"{LOSS} .legendtoggle").first.click()
            page.wait_for_timeout(500)  # a second click within it would be a double click
    lines = [[colour for colour, _ in found] for found in colours]
    assert lines[0] == lines[1][:2]
    assert lines[1][:2] != lines[1][2:] == lines[2][:2]
    assert all(len(set(run)) == 1 for run in (lines[1][:2], lines[1][2:], lines[2][2:]))
    assert [bool(dashes) for _, dashes in colours[0]] == [False, True], "the held-out rows are dotted"


def test_a_chart_is_worked_by_the_keyboard_saved_and_read_as_a_table_by_day_and_by_night(
    visit: Visit,
) -> None:
    loaded: list[str] = []
    page = visit(
        "/?run=1&steps=300",
        before=lambda page: page.on("request", lambda request: loaded.append(request.url)),
    )
    state_is(page, "finished")
    page.wait_for_function(f"document.querySelector('{LOSS}')?.calcdata?.[0]?.length === 300")
    plot = page.locator(".st-key-loss_chart .plot")
    expect(plot).to_have_attribute("aria-label", re.compile("loss at each step"))
    plot.focus()
    ends = f"document.querySelector('{LOSS}')._fullLayout.xaxis.range"
    before = page.evaluate(ends)
    page.keyboard.press("+")
    page.wait_for_function(f"{ends}[1] - {ends}[0] < {before[1] - before[0]}")
    page.keyboard.press("0")
    page.wait_for_function(f"{ends}[1] - {ends}[0] > {(before[1] - before[0]) * 0.9}")
    assert page.locator(".st-key-loss_chart .modebar-btn[tabindex='0']").count() == 1

    plot.hover()
    with page.expect_download() as waiting:
        page.click(".st-key-loss_chart .modebar-btn[data-title*='PNG']")
    assert waiting.value.suggested_filename == "loss_chart.png"
    assert Path(waiting.value.path()).read_bytes().startswith(b"\x89PNG")

    page.click(".st-key-train_numbers button")
    page.wait_for_selector("[data-testid=stPopoverBody] [data-testid=stDataFrame]")

    paper = f"document.querySelector('{LOSS}')._fullLayout.paper_bgcolor"
    assert page.evaluate(paper) == "#ffffff"
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{paper} === '#10151d'")

    scripts = [url for url in loaded if "plotly" in url.lower()]
    assert scripts
    assert all("/static/plotly-" in url for url in scripts), "Streamlit's own library is not loaded"


def test_the_whole_page_in_korean_on_a_phone(visit: Visit) -> None:
    page = visit("/?run=1&learning_rate=1e-5", width=390, locale="ko-KR")
    state_is(page, "발산")
    page.wait_for_selector(".st-key-use_rate button:visible")
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    text = page.inner_text("[data-testid=stMain]")
    english = re.findall(r"\b(?:the|run|step|loss at|learning rate|Show|Delete|Continue)\b", text)
    assert english == []
    page.wait_for_function("document.querySelector('.st-key-loss_chart .js-plotly-plot')?.calcdata?.length")
    assert len(drawn(page, "loss_chart")) == 4


def test_a_run_is_hidden_and_its_settings_are_loaded_from_the_table(visit: Visit) -> None:
    page = visit("/?steps=30&seed=4")
    trained(page)
    page.fill(".st-key-seed input", "5")
    page.press(".st-key-seed input", "Enter")
    page.wait_for_url("**seed=5**")
    settled(page)
    trained(page)
    curves = f"document.querySelectorAll('{LOSS} .scatterlayer .js-line').length"
    page.wait_for_function(f"{curves} === 4")  # with the dotted ones of the held-out rows
    expect(page.locator("[data-testid=stMain]")).to_contain_text("Shown runs differ in: seed (4, 5)")
    table = page.locator(".st-key-runs_table [data-testid=stDataFrame]")
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 84, box["y"] + 54)  # the tick of the first row: a canvas has no elements
    page.wait_for_function(f"{curves} === 2")
    open_the_list_of_runs(page)
    page.click("[role=option]:has-text('seed = 4')")
    settled(page)
    page.click(".st-key-load_settings button")
    page.wait_for_url("**seed=4**")
    page.click(".st-key-delete_run button")
    page.wait_for_function("!document.querySelector('.st-key-chosen_run')?.innerText.includes('seed = 4')")
    settled(page)
    assert page.evaluate(curves) == 2


def test_a_change_of_the_language_keeps_the_choices_and_the_run(visit: Visit) -> None:
    page = visit("/?steps=20000&method=gram")
    page.click(".st-key-speed [data-baseweb=select], .st-key-speed [role=combobox]")
    page.click("text='20 steps per second'")
    settled(page)
    page.click(".st-key-train button")
    state_is(page, "running")
    page.click("text=한국어")
    state_is(page, "실행 중")
    settled(page)
    expect(page.locator(".st-key-speed input")).to_have_value("초당 20스텝")
    assert "method=gram" in page.url
    page.click(".st-key-pause button")
    state_is(page, "일시정지")
    page.click("text=English")
    state_is(page, "paused")
    expect(page.locator(".st-key-speed input")).to_have_value("20 steps per second")


def test_where_the_browser_cannot_load_the_library_streamlits_chart_is_drawn(visit: Visit) -> None:
    page = visit(
        "/?steps=2000000&run=1",
        before=lambda page: page.route("**/plotly-*.min.js", lambda route: route.abort()),
    )
    page.wait_for_selector(".st-key-loss_chart [data-testid=stPlotlyChart] .main-svg")
    page.click(".st-key-stop button")
    state_is(page, "stopped")


def test_a_reload_of_a_link_that_starts_does_not_start_again(visit: Visit) -> None:
    page = visit("/?run=1&steps=30")
    state_is(page, "finished")
    settled(page)
    assert "run=1" not in page.url
    page.reload()
    state_is(page, "finished")
    settled(page)
    page.goto(page.url + "&run=1")
    # The run of before is back when the server has noticed that its connection is gone
    page.wait_for_function("document.querySelector('.st-key-loss_chart .js-plotly-plot')?.data?.length === 4")
    settled(page)
    open_the_list_of_runs(page)
    page.wait_for_selector("[role=option] >> nth=2")
    assert page.locator("[role=option]").all_inner_texts() == [
        "Current run",
        "NumPy, steps = 30",
        "NumPy, steps = 30 (2)",
    ]
