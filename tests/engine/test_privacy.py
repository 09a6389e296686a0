"""Another user of the machine, who can reach the loopback interface, cannot use the embedded cluster."""

import http.client
import socket
import ssl

import psutil
import pytest
from distributed import Client, Security

from tests.engine.conftest import TINY, cluster_of, workers_of
from twolayer import Config

ROUTES = (
    "/",
    "/info",
    "/info/main/workers.html",
    "/json/counts.json",
    "/health",
    "/metrics",
    "/status",
    "/api/v1",
)


@pytest.fixture(scope="module")
def processes(engine, finished) -> list[psutil.Process]:
    """All processes of an embedded cluster that works."""
    assert finished(engine, Config(**TINY)).state == "finished"
    cluster = cluster_of(engine)
    assert workers_of(cluster)
    return [cluster, *cluster.children(recursive=True)]


@pytest.fixture(scope="module")
def listening(processes) -> list[tuple[str, int]]:
    """The addresses that they listen on."""
    found = [
        tuple(connection.laddr)
        for process in processes
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(found) >= 3  # the scheduler, a worker, its nanny
    return found


def speaks_http(address: tuple[str, int]) -> bool:
    """Whether a server of HTTP without TLS answers there."""
    connection = http.client.HTTPConnection(*address, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def handshake(address: tuple[str, int], context: ssl.SSLContext) -> bytes:
    """What a server of TLS says first to a client with this context. Raises `OSError` if it ends that."""
    with (
        socket.create_connection(address, timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="any") as secure,
    ):
        return secure.recv(1)  # in TLS 1.3 the server's refusal comes with the first data


def stranger() -> ssl.SSLContext:
    """A client that takes every server, and has no certificate of its own."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_it_listens_on_the_loopback_interface_only(listening):
    assert {host for host, _ in listening} == {"127.0.0.1"}


def test_its_http_servers_have_no_routes(listening):
    servers = [address for address in listening if speaks_http(address)]
    assert servers  # distributed opens them in any case
    for host, port in servers:
        for route in ROUTES:
            connection = http.client.HTTPConnection(host, port, timeout=5)
            connection.request("GET", route)
            assert connection.getresponse().status == 404, route
            connection.close()


def test_every_other_address_wants_the_clusters_certificate(engine, listening):
    own = engine._connection.cluster.security.get_connection_args("client")["ssl_context"]
    others = Security.temporary().get_connection_args("client")["ssl_context"]
    others.verify_mode = ssl.CERT_NONE
    addresses = [address for address in listening if not speaks_http(address)]
    assert len(addresses) >= 3
    for address in addresses:
        assert handshake(address, own)
        for context in (stranger(), others):
            with pytest.raises(OSError, match=r"unknown ca|certificate required|reset"):
                handshake(address, context)


@pytest.mark.parametrize("security", [None, Security.temporary()], ids=["none", "another"])
def test_a_client_without_the_clusters_certificate_cannot_submit(engine, security):
    address = engine._connection.cluster.address
    assert address.startswith("tls://127.0.0.1:")
    if security is None:
        address = address.replace("tls://", "tcp://")
    with pytest.raises(OSError, match=r"(?i)timed out|reset|certificate"):
        Client(address, security=security, timeout=2, set_as_default=False)


def test_no_command_line_and_no_environment_shows_the_key(engine, processes):
    key = engine._connection.cluster.security.tls_client_key.splitlines()[1]
    for process in processes:
        assert key not in " ".join(process.cmdline())
        assert key not in " ".join(process.environ().values())
