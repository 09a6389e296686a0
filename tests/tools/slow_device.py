"""Open links with widget code that comes late, some tries a page.

    .venv/bin/python -m tests.tools.slow_device

Prints for each try whether address, widgets and language are those of the link, before and after three
clicks.
"""

import argparse
import shutil

from playwright.sync_api import sync_playwright

from tests.browser.conftest import ARGUMENTS, ROOT, serving, settled
from tests.browser.test_slow_device import ADDRESSES, Held, query, raise_n, shown, unfold


def main() -> None:
    """Make the tries."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=25.0, help="seconds that the scripts are held back")
    parser.add_argument("--tries", type=int, default=20, help="over all pages in turn")
    options = parser.parse_args()
    names, good = list(ADDRESSES), 0
    with serving(ROOT) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for number in range(options.tries):
            name = names[number % len(names)]
            address = f"{ADDRESSES[name]}&lang=ko"
            page = browser.new_context(locale="en-US").new_page()
            page.goto(server + address)
            settled(page)
            expected = shown(unfold(page, name))
            page.context.close()
            page = browser.new_context(locale="en-US").new_page()
            held = Held()
            held.hold(page)
            page.goto(server + address)
            page.wait_for_timeout(1000 * options.delay)
            held.let_go()
            settled(page)
            holds = shown(unfold(page, name)) == expected and query(page.url) == query(address)
            for to in (34, 35, 36):
                raise_n(page, to)
            there, wanted = shown(page), expected | {"N": "36"}
            holds = holds and there == wanted and query(page.url) == query(address) | {"N": "36"}
            good += holds
            print(f"{address}: {'holds' if holds else 'LOST'}", flush=True)
            page.context.close()
        browser.close()
    print(f"{good} of {options.tries}")


if __name__ == "__main__":
    main()
