"""HTTP/2 over TLS, chosen by ALPN: many streams of many tenants on one connection."""

from __future__ import annotations

import os
import pathlib
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from conftest import topology_of
from http2 import Http2, make_certificate
from observed import busy, calls, in_flight, tenants_of
from room import CELLS, Cell, Proxy, fetch, proxy, until

GUARDS = "breaker: {consecutive_failures: 2, open: 60s, probes: 1}, in_flight: {per_cell: 50, deadline: 600s}"
Start = Callable[..., Proxy]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def tls_places(certificate: pathlib.Path) -> dict[str, str]:
    return {" proto h2": f" ssl crt {certificate} alpn h2,http/1.1"}


@pytest.fixture(scope="module")
def running(cells: dict[str, Cell], certificate: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxy(tmp_path_factory.mktemp("tls"), cells, topology_of(cells), places=tls_places(certificate)) as started:
        yield started


@pytest.fixture
def connection(running: Proxy, certificate: pathlib.Path) -> Iterator[Http2]:
    opened = Http2(running.http2_port, certificate)
    yield opened
    opened.close()


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_methods_arrive_as_they_were_sent(connection: Http2, method: str) -> None:
    answer = connection.ask("acme", "/method?of=" + method, method=method)
    assert (answer.status, answer.header("x-method")) == (200, method)
    if method == "HEAD":
        assert answer.body == b"" and int(answer.header("content-length") or "0") > 0
    else:
        assert answer.told().target == "/method?of=" + method


@pytest.mark.parametrize("size", [1, 16384, 65536, 1 << 20])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_bodies_come_back_from_the_cell_as_they_were_sent(connection: Http2, method: str, size: int) -> None:
    body = os.urandom(size)
    answer = connection.ask("acme", "/echo", method=method, body=body)
    assert answer.status == 200 and answer.body == body
    declared = connection.ask("acme", "/echo", ("content-length", str(size)), method=method, body=body)
    assert declared.status == 200 and declared.body == body


@pytest.mark.parametrize("target", [
    "/?a=1&a=2&a=&b&a=1", "/x?q=%00%ff%41+%20%26%3D", "/a%2Fb/%2e%2e/c", "/%e2%82%ac?%e2%82%ac=;", "//double//slash/",
    "/a;p=1/b?x=?/&y=/../", "/?" + "&".join(f"n={i}" for i in range(500))])
def test_targets_arrive_as_they_were_sent(connection: Http2, target: str) -> None:
    assert connection.ask("acme", target).told().target == target


def test_streams_at_once_reach_each_its_own_cell(running: Proxy, connection: Http2) -> None:
    home = {tenant: cell for cell in CELLS for tenant in tenants_of(running, cell, 10)}
    streams = {tenant: connection.begin(tenant, "/hold") for tenant in home}
    until(lambda: all(busy(cell) == 10 for cell in running.cells.values()))
    for cell in running.cells.values():
        fetch(cell.port, "/release")
    assert {tenant: connection.answer(stream).told().cell for tenant, stream in streams.items()} == home


def test_large_bodies_at_once_are_not_mixed(running: Proxy, connection: Http2) -> None:
    bodies = {tenant: os.urandom(200_000) for cell in CELLS for tenant in tenants_of(running, cell, 2)}
    streams = {tenant: connection.begin(tenant, "/echo", method="POST", end=False) for tenant in bodies}
    for part in range(0, 200_000, 10_000):
        for tenant, stream in streams.items():
            connection.feed(stream, bodies[tenant][part:part + 10_000], end=part == 190_000)
    assert all(connection.answer(streams[tenant]).body == body for tenant, body in bodies.items())


@pytest.mark.parametrize(("target", "result"), [("/upload", "client_abort"), ("/hang", "client_abort"), ("/begun", "2xx")])
def test_a_stream_that_the_client_resets_is_no_failure_of_the_cell(
        with_policy: Start, certificate: pathlib.Path, target: str, result: str) -> None:
    """Half-way through its body, before the answer, and half-way through the answer."""
    running = with_policy(GUARDS, places=tls_places(certificate))
    connection = Http2(running.http2_port, certificate)
    for _ in range(3):  # more than open the breaker
        stream = connection.begin("acme", target, method="POST", end=False)
        connection.feed(stream, bytes(100_000), end=target == "/hang")
        if target == "/begun":
            connection.feed(stream, b"")
            connection.wait_for_part(stream)
        until(lambda: in_flight(running) == 1)
        connection.reset(stream)
        until(lambda: in_flight(running) == 0)
    assert calls(running) == {result: 3}
    assert connection.ask("acme").status == 200
    until(lambda: calls(running) == Counter({result: 3}) + Counter({"2xx": 1}))
    connection.close()
