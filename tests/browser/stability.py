"""What must not move while a result grows: watched by the browser's own layout-shift entries."""

from playwright.sync_api import Page

MOST_SHIFT = 0.02

_WATCH = """key => {
    const node = document.querySelector(`.st-key-${key} .js-plotly-plot`);
    const removed = [];
    new MutationObserver(records => {
        for (const record of records) for (const gone of record.removedNodes) {
            if (gone.contains(node)) removed.push(gone.nodeName);
        }
    }).observe(document.body, { childList: true, subtree: true });
    const shifts = [];
    new PerformanceObserver(list => shifts.push(...list.getEntries().map(entry => entry.value)))
        .observe({ type: "layout-shift", buffered: false });
    const place = () => {
        const { x, y, width, height } = node.getBoundingClientRect();
        return [x, y, width, height];
    };
    window.watched = { node, removed, shifts, place, before: place() };
}"""


def watch(page: Page, chart: str) -> None:
    """Watch the chart with this key, and the layout of the page, from now on."""
    page.wait_for_selector(f".st-key-{chart} .js-plotly-plot .main-svg")
    page.wait_for_selector(".twolayer-copy", state="attached")  # the bar of every page may be drawn late
    # The layout shift of the first drawing, and of its letters, is not of interest.
    page.evaluate(
        "document.fonts.ready.then(() => new Promise(done => "
        "requestAnimationFrame(() => requestAnimationFrame(done))))"
    )
    page.evaluate(_WATCH, chart)


def assert_nothing_moved(page: Page) -> None:
    """The chart is the same node in the same place, and nothing else has moved much."""
    found = page.evaluate(
        "(() => { const { node, removed, shifts, place, before } = window.watched;"
        "return { connected: node.isConnected, removed, shifts, before, now: place() }; })()"
    )
    assert found["connected"]
    assert found["removed"] == []
    assert found["now"] == found["before"]
    assert max(found["shifts"], default=0) <= MOST_SHIFT, found["shifts"]
