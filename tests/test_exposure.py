"""What a server shows to others: where it listens, its headers, what it serves, and the files it writes."""

import asyncio
import http.client
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT
from tests.test_hosting import a_run
from tests.tools.benchmarks.server import Server
from twolayer.dashboard.common.headers import BROWSER, HEADERS


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of temporary files and the home of the server, which were empty before."""
    return {name: tmp_path_factory.mktemp(name) for name in ("TMPDIR", "HOME")}


@pytest.fixture(scope="module")
def server(folders: dict[str, Path]) -> Iterator[Server]:
    """The app, which has trained once."""
    with pytest.MonkeyPatch.context() as patch:
        for name, folder in folders.items():
            patch.setenv(name, str(folder))
        with Server(ROOT / "app.py") as server:
            asyncio.run(a_run(server.address))
            yield server


def answer(server: Server, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(server.address, timeout=60)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_the_server_and_all_its_processes_listen_on_the_loopback_interface_only(server: Server) -> None:
    web = psutil.Process(server.pid)
    processes = [web, *web.children(recursive=True)]
    listening = {
        process.pid: [c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
        for process in processes
    }
    assert len(listening[web.pid]) == 1  # the pages, and nothing else
    assert sum(bool(addresses) for addresses in listening.values()) >= 3  # and a scheduler, and workers
    assert {address for addresses in listening.values() for address in addresses} == {"127.0.0.1"}


def scripts_of_charts() -> list[str]:
    return [f"/app/static/{path.name}" for path in (ROOT / "static").glob("*.js")]


@pytest.mark.parametrize("path", ["/", "/race", "/_stcore/health", "/no/such/page", "/app/static/../app.py"])
def test_every_answer_has_the_headers(server: Server, path: str) -> None:
    headers = answer(server, path)[0].headers
    assert {name: headers[name] for name in HEADERS} == HEADERS


def test_a_browser_gets_a_random_name_with_its_first_page_alone(server: Server) -> None:
    def named(path: str, **headers: str) -> list[str]:
        cookies = answer(server, path, **headers)[0].headers.get_all("set-cookie", [])
        return [cookie for cookie in cookies if cookie.startswith(f"{BROWSER}=")]

    (first,), (other,) = named("/"), named("/race")
    given = re.fullmatch(rf"{BROWSER}=([0-9a-f]{{32}}); HttpOnly; Path=/; SameSite=lax", first)
    assert given is not None
    assert given[1] not in other
    for path in ("/_stcore/health", *scripts_of_charts()):
        assert named(path) == []
    assert named("/race", Cookie=f"{BROWSER}={given[1]}") == []


def test_the_headers_forbid_frames_of_other_sites_and_guesses_of_types() -> None:
    assert "frame-ancestors 'self'" in HEADERS["Content-Security-Policy"]
    assert HEADERS["X-Content-Type-Options"] == "nosniff"
    assert HEADERS["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "path",
    [
        "/_stcore/metrics",
        "/_stcore/metrics/",
        "/%5Fstcore/metrics",
        "/_stcore/./metrics",
        "/race/_stcore/metrics",
    ],
)
def test_the_figures_of_the_server_are_hidden(server: Server, path: str) -> None:
    assert answer(server, path)[0].status == 404


WAYS_UP = ["..", "%2e%2e", "%2E.", "..%2f..", "%252e%252e", "....//..", "..%5c..", "..;", "x/../..", "%00/.."]


@pytest.mark.parametrize("up", WAYS_UP)
@pytest.mark.parametrize(
    "route", ["app/static", "static", "media", "component/x", "_stcore/bidi-components/x"]
)
def test_no_path_leads_out_of_the_folders_that_are_served(server: Server, route: str, up: str) -> None:
    start = answer(server, "/")[1]  # the page itself is the answer to any unknown path
    for path in (f"/{route}/{up}/app.py", f"/{route}/{up}/{up}/app.py", f"/{route}/{up}/{ROOT}/app.py"):
        response, body = answer(server, path)
        assert response.status in (400, 404) or body == start, path


@pytest.mark.parametrize("path", [f"{ROOT}/app.py", "/etc/passwd"])
def test_no_path_of_the_machine_is_served(server: Server, path: str) -> None:
    for route in ("/app/static/", "/app/static//", "/app/static/%2f", "/media/", "/file://"):
        _, body = answer(server, route + path)
        assert b"import streamlit" not in body
        assert b"root:" not in body


def test_the_static_route_serves_the_scripts_of_the_charts_and_no_list_of_them(server: Server) -> None:
    assert scripts_of_charts()
    for path in scripts_of_charts():
        assert answer(server, path)[0].status == 200
    for path in ("/app/static", "/app/static/"):
        assert not re.search(rb"plotly-[\d.]+\.min\.js", answer(server, path)[1])


def written(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def is_hidden_from_others(path: Path, below: Path) -> bool:
    """Whether a folder on the way to a file lets nobody else in, or the file itself nobody else read."""
    ways = [path, *path.parents[: path.parents.index(below)]]
    closed = [stat.S_IXOTH | stat.S_IXGRP if one.is_dir() else stat.S_IROTH | stat.S_IRGRP for one in ways]
    return any(not one.stat().st_mode & bits for one, bits in zip(ways, closed, strict=True))


@pytest.mark.usefixtures("server")
def test_others_can_read_nothing_that_the_server_writes_and_write_nowhere(folders: dict[str, Path]) -> None:
    scratch = [path for path in folders["TMPDIR"].rglob("*") if path.name.startswith("worker-")]
    assert any(path.is_dir() for path in scratch)
    assert written(folders["HOME"]) == []
    for path in folders["TMPDIR"].rglob("*"):
        assert not path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH), path
        has_content = path.is_file() and path.stat().st_size > 0
        assert not has_content or is_hidden_from_others(path, folders["TMPDIR"]), path


@pytest.mark.usefixtures("server")
def test_the_key_of_the_cluster_is_in_no_file(folders: dict[str, Path]) -> None:
    for path in written(folders["TMPDIR"]):
        assert b"PRIVATE KEY" not in path.read_bytes(), path


@pytest.mark.usefixtures("server")
def test_the_files_that_are_served_can_be_written_by_their_owner_alone() -> None:
    for path in (ROOT / "static").glob("*.js"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
