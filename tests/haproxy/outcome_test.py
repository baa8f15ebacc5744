"""How requests end, and what the guards make of it."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from observed import busy, calls, in_flight, tenants_of
from room import Answer, Connection, Proxy, fetch, until

BREAKER = "breaker: {consecutive_failures: 2, open: 60s, probes: 1}"
Start = Callable[..., Proxy]
BOTH = pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])


def ask(proxy: Proxy, tenant: str, target: str = "/", http2: bool = False, timeout: float = 20) -> Answer:
    port = proxy.http2_port if http2 else proxy.port
    return fetch(port, target, f"X-Tenant-ID: {tenant}", http2=http2, timeout=timeout)


def reason_of(answer: Answer) -> str:
    return str(json.loads(answer.body)["reason"])


@BOTH
@pytest.mark.parametrize(("target", "result", "opens"), [
    ("/status/503", "5xx", True), ("/status/502", "5xx", True), ("/close", "5xx", True), ("/reset", "5xx", True), ("/hang", "timeout", True),
    ("/status/500", "5xx", False), ("/status/404", "4xx", False), ("/status/429", "4xx", False), ("/", "2xx", False)])
def test_a_call_is_reported_once_as_what_it_was(
        with_policy: Start, target: str, result: str, opens: bool, http2: bool) -> None:
    proxy = with_policy(BREAKER, places={"timeout server 30s": "timeout server 200ms"})
    for _ in range(2):
        with contextlib.suppress(ConnectionError):  # HAProxy resets without an answer
            # It may ask curl to try again so, as HTTP/2 lets it: not more often than the breaker allows.
            ask(proxy, "acme", target, http2=http2)
    until(lambda: sum(calls(proxy).values()) >= 2)
    assert calls(proxy) == {result: 2}
    answer = ask(proxy, "acme")
    assert (answer.status, opens) in ((503, True), (200, False))
    if opens:
        assert reason_of(answer) == "BREAKER_OPEN"
        assert 0 < int(answer.header("retry-after") or "0") <= 75


@BOTH
def test_a_cell_that_takes_no_connection_is_told_from_one_that_answers(with_policy: Start, http2: bool) -> None:
    with socket.socket() as full, socket.socket() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting.connect(full.getsockname())
        more = []  # until its queue is full, and it answers no more
        for _ in range(3):
            more.append(socket.socket())
            more[-1].setblocking(False)
            more[-1].connect_ex(full.getsockname())
        proxy = with_policy(BREAKER, places={"    server cell-1": f"    server none 127.0.0.1:{full.getsockname()[1]}\n#   server",
                                             "timeout connect 500ms": "timeout connect 100ms",
                                             # HAProxy's clock is behind at times, and its time-out early by as much
                                             "CELLROUTE_CONNECT_TIMEOUT 500ms": "CELLROUTE_CONNECT_TIMEOUT 105ms"})
        tenant = tenants_of(proxy, "cell-1", 1)[0]
        for _ in range(2):
            with contextlib.suppress(ConnectionError):
                ask(proxy, tenant, http2=http2)
        until(lambda: sum(calls(proxy).values()) >= 2)
        assert calls(proxy) == {"connect_error": 2}
        assert reason_of(ask(proxy, tenant, http2=http2)) == "BREAKER_OPEN"
        for one in more:
            one.close()


@pytest.mark.parametrize(("target", "status"), [("/slow/600", 503), ("/late/600", 200)])
def test_a_slow_call_is_one_whose_headers_are_slow(with_policy: Start, target: str, status: int) -> None:
    proxy = with_policy("breaker: {slow_call: 0.5s, slow_rate: 0.5, minimum_calls: 2, window: 60s, open: 60s}")
    for _ in range(2):
        assert ask(proxy, "acme", target).status == 200
    until(lambda: calls(proxy) == {"2xx": 2})
    assert ask(proxy, "acme").status == status


@BOTH
def test_a_client_that_leaves_does_not_open_the_breaker(with_policy: Start, http2: bool) -> None:
    proxy = with_policy(BREAKER, places={"retries 0": "retries 0\n    option abortonclose"})
    for _ in range(4):
        with pytest.raises(ConnectionError):
            ask(proxy, "acme", "/hang", http2=http2, timeout=0.2)
    assert ask(proxy, "acme").status == 200
    until(lambda: calls(proxy) == {"client_abort": 4, "2xx": 1})


@pytest.mark.parametrize("body", [0, 1000], ids=["before-the-answer", "half-way-through-the-body"])
def test_a_client_that_resets_does_not_open_the_breaker(with_policy: Start, body: int) -> None:
    proxy = with_policy(BREAKER + ", in_flight: {per_cell: 50, deadline: 600s}",
                        places={"retries 0": "retries 0\n    option abortonclose"})
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
            connection.sendall(f"POST /hang HTTP/1.1\r\nHost: x\r\nX-Tenant-ID: acme\r\nContent-Length: {body}\r\n\r\n".encode())
            connection.sendall(bytes(body // 2))
            until(lambda: in_flight(proxy) == 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        until(lambda: in_flight(proxy) == 0)
    assert calls(proxy) == {"client_abort": 3}
    assert ask(proxy, "acme").status == 200


def test_a_killed_cell_fails_fast_for_its_own_tenants_alone_and_comes_back_by_probes(with_policy: Start) -> None:
    proxy = with_policy("breaker: {consecutive_failures: 2, open: 0.5s, open_max: 1s, probes: 3, probe_deadline: 600s}")
    dead = proxy.cells["cell-2"]
    mine, *more = tenants_of(proxy, "cell-2", 3)
    others = tenants_of(proxy, "cell-1", 3) + tenants_of(proxy, "cell-3", 3)
    dead.kill()
    try:
        for _ in range(5):
            for tenant in [mine, *more]:
                start = time.monotonic()
                assert ask(proxy, tenant).status == 503
                assert time.monotonic() - start < 5
            assert {ask(proxy, tenant).status for tenant in others} == {200}
        assert calls(proxy)["2xx"] == 30
    finally:
        dead.start()
    until(lambda: ask(proxy, mine).status == 200)
    # Half-open still: three have to do well. Of a crowd no more than three get through at once.
    with ThreadPoolExecutor(12) as threads:
        crowd = [threads.submit(one, proxy.port, mine, "/hold") for _ in range(12)]
        until(lambda: sum(asked.done() for asked in crowd) + busy(dead) == 12)
        assert 1 <= busy(dead) <= 3
        fetch(dead.port, "/release")
        answers = [asked.result() for asked in crowd]
    assert {reason_of(answer) for answer in answers if answer.status == 503} == {"PROBES_TAKEN"}
    until(lambda: ask(proxy, mine).status == 200)
    assert {ask(proxy, tenant).status for tenant in [*more, *others] * 2} == {200}


def one(port: int, tenant: str, target: str) -> Answer:
    connection = Connection(port)
    answer = connection.get(target, f"X-Tenant-ID: {tenant}")
    connection.close()
    return answer


def spread(port: int, requests: list[str], connections: int = 8, target: str = "/") -> list[Answer]:
    """Over so many connections at once, which HAProxy's threads share out."""
    def some(part: list[str]) -> list[Answer]:
        return [one(port, tenant, target) for tenant in part]

    with ThreadPoolExecutor(connections) as threads:
        parts = threads.map(some, [requests[i::connections] for i in range(connections)])
        return [answer for part in parts for answer in part]


def test_a_keys_limit_is_exact_over_four_threads_and_nobody_else_is_limited(with_policy: Start) -> None:
    proxy = with_policy("limits: [{per: KEY, kind: WINDOW, requests: 25, period: 600s}]")
    noisy = spread(proxy.port, ["noisy"] * 120)
    assert Counter(answer.status for answer in noisy) == {200: 25, 429: 95}
    refused = next(answer for answer in noisy if answer.status == 429)
    assert reason_of(refused) == "KEY_LIMIT" and int(refused.header("retry-after") or "0") >= 1
    others = spread(proxy.port, [f"tenant-{i}" for i in range(60)])
    assert Counter(answer.status for answer in others) == {200: 60}


def test_a_cells_cap_is_never_exceeded_and_all_of_it_is_given_back(with_policy: Start) -> None:
    proxy = with_policy("in_flight: {per_cell: 6, deadline: 600s}")
    tenants, cell = tenants_of(proxy, "cell-1", 24), proxy.cells["cell-1"]
    for _ in range(3):
        with ThreadPoolExecutor(24) as threads:
            crowd = [threads.submit(one, proxy.port, tenant, "/hold") for tenant in tenants]
            until(lambda: sum(asked.done() for asked in crowd) + busy(cell) == 24)
            assert 1 <= busy(cell) <= 6
            fetch(cell.port, "/release")
            count = Counter(asked.result().status for asked in crowd)
        assert set(count) == {200, 503}
        # What ended in any way holds nothing any more.
        for tenant in tenants[:8]:
            leave(proxy.port, tenant)
        until(lambda: busy(cell) == 0)
    until(lambda: in_flight(proxy) == 0)


def leave(port: int, tenant: str) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"GET /slow/200 HTTP/1.1\r\nHost: x\r\nX-Tenant-ID: {tenant}\r\n\r\n".encode())
        time.sleep(0.05)
