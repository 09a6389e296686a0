"""The ways to host the app that `docs/server.md` describes."""

import asyncio
import http.client
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.tools.benchmarks.server import Server
from tests.tools.benchmarks.visits import STATE_KEY
from tests.tools.benchmarks.websocket_client import Page
from twolayer.dashboard.common.headers import HEADERS

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
            wait_until(lambda: process.poll() is not None or answers(address))
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


async def a_run(address: str) -> None:
    """Open the Train page and train to the end."""
    async with asyncio.timeout(120), Page.open(address, "lang=en&run=1", STATE_KEY) as page:
        await page.until(lambda: page.at_rest and "finished" in " ".join(page.texts).lower())
        assert not page.exceptions


def test_a_page_trains_through_the_proxy(proxy: str) -> None:
    asyncio.run(a_run(proxy))


@pytest.mark.parametrize("path", ["/", "/race", "/_stcore/health", "/no/such/page"])
def test_every_answer_through_the_proxy_has_the_headers_once(proxy: str, path: str) -> None:
    headers = asked(proxy, path).headers
    assert {name: headers.get_all(name) for name in HEADERS} == {name: [HEADERS[name]] for name in HEADERS}
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
def test_the_metrics_are_not_reachable_through_the_proxy(proxy: str, path: str) -> None:
    for method in ("GET", "OPTIONS"):
        assert asked(proxy, path, method).status == 404
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


# -- the container ----------------------------------------------------------------------------------


def steps_of(containerfile: Path) -> list[tuple[str, str]]:
    """The instructions of a Containerfile, each with what follows it."""
    text = containerfile.read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the steps of the Containerfile copy and make, without what they install, made read-only."""
    folder = tmp_path_factory.mktemp("image") / "app"
    folder.mkdir()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for instruction, rest in steps_of(ROOT / "Containerfile"):
        if instruction == "COPY":
            source, target = rest.split()
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            ignored = (
                {"ignore": shutil.ignore_patterns("__pycache__", "plot-*.js", "plotly-*.js")}
                if copy is shutil.copytree
                else {}
            )
            copy(ROOT / source, folder / target, **ignored)
        elif instruction == "RUN" and not rest.startswith("pip "):
            subprocess.run(rest, shell=True, cwd=folder, env={**os.environ, "PATH": path}, check=True)
    for one in [folder, *folder.rglob("*")]:
        one.chmod(one.stat().st_mode & ~0o222)
    return folder


def unprivileged() -> list[str]:
    """What makes a command of root's one that must not write where nobody may."""
    if os.geteuid():
        return []
    return ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]


def test_the_container_runs_as_nobody_on_a_read_only_root_and_says_when_it_is_well(
    image: Path, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    steps = dict(steps_of(ROOT / "Containerfile"))
    assert steps["USER"] == "nobody"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command, check = (
        json.loads(steps[name][steps[name].index("[") :].replace("8501", port))
        for name in ("CMD", "HEALTHCHECK")
    )
    variables = dict(pair.split("=") for pair in shlex.split(steps["ENV"])) | {"HOME": str(tmp_path)}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "TMPDIR": str(tmp_path), **variables}
    before = sorted(image.rglob("*"))

    def is_well() -> bool:
        return (
            subprocess.run(check, cwd=image, env=environment, capture_output=True, check=False).returncode
            == 0
        )

    assert not is_well()
    log = tmp_path / "log"
    with log.open("w") as file:
        started = subprocess.Popen(
            [*unprivileged(), *command], cwd=image, env=environment, stdout=file, stderr=file
        )
    try:
        wait_until(lambda: started.poll() is not None or is_well())
        assert started.poll() is None, log.read_text()
        asyncio.run(a_run(f"127.0.0.1:{port}"))
        (library,) = (image / "static").glob("plotly-*.min.js")
        assert asked(f"127.0.0.1:{port}", f"/app/static/{library.name}").status == 200
    finally:
        started.terminate()
        started.wait(30)
    assert sorted(image.rglob("*")) == before
    assert "cannot be written" not in log.read_text()
    assert "Traceback" not in log.read_text()
