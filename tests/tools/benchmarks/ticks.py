"""What a redraw of the live page costs the server: `python -m tests.tools.benchmarks.ticks`.

A page with ten runs laid over each other watches an eleventh in slow motion, so that next to nothing
but the redraws is done: processor time of the web process for each redraw, against the same time in
which the page is open and nothing moves.
"""

import shutil

import click
import psutil
from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import ARGUMENTS, ROOT, settled, state_is
from tests.tools.benchmarks.server import Server

BASE64 = 4 / 3


def seconds_of(process: psutil.Process) -> float:
    """Processor time that a process has taken."""
    times = process.cpu_times()
    return times.user + times.system


def train(page: Page, state: str) -> None:
    """Press Train and wait for a state."""
    page.click(".st-key-train button")
    state_is(page, state)
    settled(page)


@click.command()
@click.option("--runs", default=10, show_default=True, help="Finished runs on the chart.")
@click.option("--seconds", default=20, show_default=True, help="Time that is measured, each.")
def main(runs: int, seconds: int) -> None:
    """Print the cost of a redraw."""
    with Server(ROOT / "app.py") as server, sync_playwright() as playwright:
        web = psutil.Process(server.process_id)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-US")
        page.goto(f"http://{server.address}/?steps=5000&H=20")
        settled(page)
        for _ in range(runs):
            train(page, "finished")
        begin = seconds_of(web)
        page.wait_for_timeout(1000 * seconds)
        idle = seconds_of(web) - begin

        page.click(".st-key-speed [data-baseweb=select], .st-key-speed [role=combobox]")
        page.click("text='5 steps per second'")
        settled(page)
        page.click(".st-key-train button")
        state_is(page, "running")
        sizes: list[int] = []
        client = page.context.new_cdp_session(page)
        client.send("Network.enable")
        client.on(
            "Network.webSocketFrameReceived",
            lambda event: sizes.append(round(len(event["response"]["payloadData"]) / BASE64)),
        )
        begin = seconds_of(web)
        page.wait_for_timeout(1000 * seconds)
        live = seconds_of(web) - begin
        page.click(".st-key-stop button")
        state_is(page, "stopped")
        browser.close()
    ticks = seconds / 0.2
    click.echo(f"{runs} runs shown, one live, {seconds} s, 5 redraws a second")
    click.echo(f"processor time of the web process: {idle:.2f} s at rest, {live:.2f} s live")
    click.echo(
        f"for each redraw: {1000 * (live - idle) / ticks:.1f} ms, {sum(sizes) / ticks / 1000:.1f} kB sent"
    )


if __name__ == "__main__":
    main()
