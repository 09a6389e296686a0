"""The ways to host the app that `docs/server.md` describes."""

import asyncio
import http.client
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import ROOT
from tests.tools.benchmarks.server import Server
from tests.tools.benchmarks.visits import STATE_KEY
from tests.tools.benchmarks.websocket_client import Page

DOCUMENTED = re.search(
    r"<!-- nginx -->\n```nginx\n(.*?)```\n<!-- -->", (ROOT / "docs/server.md").read_text("utf-8"), re.DOTALL
)
AROUND = """
{user}
daemon off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {server}
}}
"""


@pytest.fixture(scope="module")
def nginx() -> str:
    """The command of nginx. On a machine of one's own its tests are skipped where it is missing; in CI they
    fail."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("nginx is missing; .ci/run installs it")
        pytest.skip("no nginx here (on Debian: apt-get install nginx-light)")
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The app on a free port."""
    with Server(ROOT / "app.py") as server:
        yield server


def answers(address: str) -> bool:
    """Whether somebody listens."""
    host, port = address.split(":")
    with socket.socket() as one:
        return one.connect_ex((host, int(port))) == 0


@pytest.fixture(scope="module")
def proxy(
    nginx: str, server: Server, tmp_path_factory: pytest.TempPathFactory, wait_until: Callable[..., None]
) -> Iterator[str]:
    """The address of nginx before the app, with the documented server on another port."""
    assert DOCUMENTED is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    documented = DOCUMENTED[1]
    assert documented.count("listen 80;") == documented.count("127.0.0.1:8501;") == 1
    there = documented.replace("listen 80;", f"listen {address};").replace("127.0.0.1:8501", server.address)
    folder = tmp_path_factory.mktemp("nginx")
    user = "" if os.geteuid() else "user root;"  # who may enter the folder
    configuration = folder / "nginx.conf"
    configuration.write_text(AROUND.format(user=user, folder=folder, server=there))
    with subprocess.Popen([nginx, "-p", str(folder), "-e", "stderr", "-c", str(configuration)]) as process:
        try:
            wait_until(lambda: process.poll() is not None or answers(address), timeout=30)
            assert process.poll() is None
            yield address
        finally:
            process.terminate()


def asked(address: str, path: str, method: str = "GET") -> http.client.HTTPResponse:
    """The answer to a request; its body has been read."""
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request(method, path)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def test_a_page_trains_through_the_proxy(proxy: str) -> None:
    async def visit() -> Page:
        async with asyncio.timeout(120), Page.open(proxy, "lang=en&run=1", STATE_KEY) as page:
            await page.until(lambda: page.at_rest and "finished" in " ".join(page.texts).lower())
            return page

    assert not asyncio.run(visit()).exceptions


@pytest.mark.parametrize("path", ["/", "/race", "/_stcore/health", "/no/such/page"])
def test_every_answer_of_the_proxy_has_the_headers(proxy: str, path: str) -> None:
    headers = asked(proxy, path).headers
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Server"] == "nginx"


@pytest.mark.parametrize(
    "path",
    [
        "/_stcore/metrics",
        "/_stcore/metrics/",
        "/%5Fstcore/metrics",
        "//_stcore/./metrics",
        "/race/_stcore/metrics",
    ],
)
def test_the_metrics_are_not_reachable_through_the_proxy(server: Server, proxy: str, path: str) -> None:
    for method in ("GET", "OPTIONS"):
        assert asked(proxy, path, method).status == 404
    assert asked(server.address, "/_stcore/metrics").status == 200
    assert asked(proxy, "/_stcore/health").status == 200


def test_a_socket_from_another_site_is_refused(proxy: str) -> None:
    handshake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    statuses = {}
    for origin in (f"http://{proxy}", "http://elsewhere.example"):
        connection = http.client.HTTPConnection(proxy, timeout=60)
        connection.request("GET", "/_stcore/stream", headers={**handshake, "Origin": origin})
        statuses[origin] = connection.getresponse().status
        connection.close()
    assert list(statuses.values()) == [101, 403]
