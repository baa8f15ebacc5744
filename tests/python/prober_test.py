"""The prober against real servers, sound and misbehaving. Its clock is the test's own."""

from __future__ import annotations

import datetime
import ipaddress
import os
import pathlib
import socket
import ssl
import threading
import time
from typing import Any, Callable, Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import cellroute
from cellroute import Prober, Router
from conftest import NOW, SECOND
from prober_room import Cell, Raw, topology

HOUR = 3600 * SECOND


@pytest.fixture
def cells() -> Iterator[Callable[..., Any]]:
    """Makes servers, and closes them."""
    made: list[Any] = []

    def make(kind: Callable[..., Any], *arguments: Any) -> Any:
        made.append(kind(*arguments))
        return made[-1]

    yield make
    for server in made:
        server.close()


class Probing:
    """A router of some cells and its prober, with probes an hour apart."""

    def __init__(self, endpoints: dict[str, str], **options: Any) -> None:
        self.router = Router(topology(endpoints))
        self.prober = Prober(self.router, interval_ns=HOUR, **options)
        self.now = NOW
        self.prober.poll(self.now)  # takes the cells

    def round(self, cell: str = "a") -> cellroute.Probe:
        """Everybody is due: one more probe of `cell`, to its end."""
        self.now += 2 * HOUR
        before = self.prober.cell(cell).probes
        self.poll_until(lambda: self.prober.cell(cell).probes > before)
        return self.prober.cell(cell)

    def poll_until(self, holds: Callable[[], bool]) -> None:
        """Real time passes; the prober's stands."""
        end = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < end, "it never came"
            self.prober.poll(self.now)
            time.sleep(0.001)

    def healthy(self, cell: str = "a") -> bool:
        return self.router.cell_guards(cell, now_ns=self.now).healthy


def test_cells_rise_and_fall_by_answers_in_a_row(cells: Callable[..., Any]) -> None:
    cell = cells(Cell, "a")
    probing = Probing({"a": cell.endpoint}, rise=3, fall=2)
    assert [probing.round().state for _ in range(3)] == ["UNKNOWN", "UNKNOWN", "HEALTHY"]
    assert probing.healthy() and cell.paths == ["/health"] * 3
    cell.status = 503
    assert [probing.round().state for _ in range(2)] == ["HEALTHY", "UNHEALTHY"]
    assert not probing.healthy()
    probe = probing.prober.cell("a")
    assert (probe.last, probe.http_status, probe.failures, probe.probes) == ("UNHEALTHY", 503, 2, 5)
    assert probe.ended_ns == probing.now
    decision = probing.router.route("k", now_ns=probing.now)
    assert (decision.status, decision.reason) == ("UNAVAILABLE", "CELL_UNHEALTHY")
    cell.status = 200
    assert [probing.round().state for _ in range(3)] == ["UNHEALTHY", "UNHEALTHY", "HEALTHY"]
    assert probing.healthy()


def test_a_cell_that_flaps_stays_what_it_was(cells: Callable[..., Any]) -> None:
    cell = cells(Cell, "a")
    probing = Probing({"a": cell.endpoint})
    probing.round(), probing.round()
    for status in (503, 200) * 4:
        cell.status = status
        assert probing.round().state == "HEALTHY"
        assert probing.healthy()


def test_before_it_is_known_a_cells_mark_is_left_alone(cells: Callable[..., Any]) -> None:
    cell = cells(Cell, "a")
    probing = Probing({"a": cell.endpoint})
    probing.router.mark_health("a", False)
    assert probing.round().state == "UNKNOWN" and not probing.healthy()
    assert probing.round().state == "HEALTHY" and probing.healthy()
    probing.router.mark_health("a", False)  # each probe marks what is known anew
    probing.round()
    assert probing.healthy()


@pytest.mark.parametrize("status", [200, 503])
def test_another_cells_answer_takes_the_cell_out_at_once(cells: Callable[..., Any], status: int) -> None:
    cell = cells(Cell, "a")
    probing = Probing({"a": cell.endpoint}, fall=5)
    probing.round(), probing.round()
    cell.say("b", load=7)
    cell.status = status
    probe = probing.round()
    assert (probe.state, probe.last) == ("UNHEALTHY", "WRONG_CELL")
    assert not probing.healthy()
    assert probing.router.cell_guards("a").load == 0  # another one's


def test_load_comes_from_the_answers_checks(cells: Callable[..., Any]) -> None:
    cell = cells(Cell, "a")
    probing = Probing({"a": cell.endpoint})
    for load, marked in ((42, 42), (17.9, 17), (0, 0), (1 << 62, 1 << 62)):
        cell.say("a", load=load, database="ok")
        assert probing.round().last == "HEALTHY"
        assert probing.router.cell_guards("a").load == marked
    cell.say("a")
    cell.status = 503
    probing.round()
    assert probing.router.cell_guards("a").load == 1 << 62  # where nothing is said, nothing changes
    cell.say("a", load=5)
    probing.round()
    assert probing.router.cell_guards("a").load == 5


@pytest.mark.parametrize("body", [
    b"", b"ok", b"{", b"[]", b"null", b'{"status": "ok"}', b'{"cell_id": 7}', b'{"cell_id": null}',
    b'{"cell_id": "a", "status": 1}', b'{"cell_id": "a", "checks": []}', b'{"cell_id": "a"} trailing',
    b'{"cell_id": "a", "checks": {"load": -1}}', b'{"cell_id": "a", "checks": {"load": "3"}}',
    b'{"cell_id": "a", "checks": {"load": 1e300}}', b'{"cell_id": "\xff"}', b"[" * 60_000,
], ids=lambda body: ascii(body[:30]))
def test_a_body_that_is_not_what_it_should_be_is_a_failure(cells: Callable[..., Any], body: bytes) -> None:
    cell = cells(Cell, "a")
    cell.body = body
    probing = Probing({"a": cell.endpoint}, fall=1)
    probe = probing.round()
    assert (probe.state, probe.last, probe.http_status) == ("UNHEALTHY", "BAD_BODY", 200)
    assert not probing.healthy() and probing.router.cell_guards("a").load == 0


@pytest.mark.parametrize("status", [201, 204, 400, 404, 500, 502])
def test_a_status_other_than_200_and_503_is_a_failure(cells: Callable[..., Any], status: int) -> None:
    cell = cells(Cell, "a")
    cell.status = status
    probe = Probing({"a": cell.endpoint}).round()
    assert (probe.last, probe.http_status, probe.failures) == ("BAD_STATUS", status, 1)


def test_no_redirect_is_followed(cells: Callable[..., Any]) -> None:
    elsewhere, cell = cells(Cell, "a"), cells(Cell, "a")
    cell.status, cell.headers = 302, {"Location": elsewhere.endpoint + "/health"}
    probe = Probing({"a": cell.endpoint}).round()
    assert (probe.last, probe.http_status) == ("REDIRECT", 302)
    assert elsewhere.paths == []


def test_answers_are_bounded(cells: Callable[..., Any]) -> None:
    cell = cells(Cell, "a")
    probing = Probing({"a": cell.endpoint})
    cell.body = b'{"cell_id": "a", "padding": "' + b"x" * 60_000 + b'"}'
    assert probing.round().last == "HEALTHY"
    cell.body = b'{"cell_id": "a", "padding": "' + b"x" * 70_000 + b'"}'
    assert probing.round().last == "TOO_LARGE"
    cell.say("a")
    cell.headers = {f"X-{number}": "y" * 900 for number in range(90)}
    assert probing.round().last == "TOO_LARGE"


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(100_000):
        connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")


def test_an_endless_body_is_cut_off(cells: Callable[..., Any]) -> None:
    assert Probing({"a": cells(Raw, endless).endpoint}).round().last == "TOO_LARGE"


@pytest.mark.parametrize(("said", "result"), [
    (b"", "BROKEN"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "BROKEN"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "BROKEN"),
    (b"\0\0\0\0\0\0\0\0\0\0\0\0", "BROKEN"),
    (b"HTTP/1.1 200 OK\r\nContent-Le", "BAD_BODY"),  # to libcurl an answer without a body
    (b'HTTP/1.1 200 OK\r\n\r\n{"cell_id": "a"', "BAD_BODY"),
])
def test_a_connection_that_breaks_off_or_speaks_no_http_is_a_failure(
    cells: Callable[..., Any], said: bytes, result: str
) -> None:
    server = cells(Raw, lambda connection: connection.sendall(said))
    probe = Probing({"a": server.endpoint}, fall=1).round()
    assert (probe.state, probe.last) == ("UNHEALTHY", result)


def test_a_reset_is_a_failure(cells: Callable[..., Any]) -> None:
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    assert Probing({"a": cells(Raw, reset).endpoint}).round().last == "BROKEN"


def test_nothing_that_listens_is_a_failure() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # taken, and deaf
        probe = Probing({"a": f"http://127.0.0.1:{held.getsockname()[1]}"}, fall=1).round()
    assert (probe.state, probe.last, probe.http_status) == ("UNHEALTHY", "CONNECT_ERROR", 0)


def half_closed(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{")
    while connection.recv(4096):
        pass


@pytest.mark.parametrize("speak", [half_closed, lambda connection: connection.recv(1)],
                         ids=["half an answer", "none"])
def test_a_slow_cell_is_given_up_after_the_timeout(
    cells: Callable[..., Any], speak: Callable[[socket.socket], None]
) -> None:
    """By the test's clock: a real hour would have to pass before libcurl gave up."""
    asked = threading.Event()

    def speaks(connection: socket.socket) -> None:
        asked.set()
        speak(connection)

    probing = Probing({"a": cells(Raw, speaks).endpoint}, timeout_ns=HOUR)
    probing.now += 2 * HOUR
    probing.poll_until(asked.is_set)
    probing.prober.poll(probing.now + HOUR - 1)
    assert probing.prober.cell("a").probes == 0
    probing.prober.poll(probing.now + HOUR)
    probe = probing.prober.cell("a")
    assert (probe.last, probe.probes, probe.took_ns) == ("TIMEOUT", 1, HOUR)


def test_the_timeout_holds_in_real_time_too(cells: Callable[..., Any]) -> None:
    """Where the prober's clock stands still."""
    server = cells(Raw, half_closed)
    assert Probing({"a": server.endpoint}, timeout_ns=SECOND // 10).round().last == "TIMEOUT"


def test_many_cells_are_asked_a_few_at_once(cells: Callable[..., Any]) -> None:
    gate = threading.Event()
    names = [f"c{number}" for number in range(9)]
    cell = cells(Cell, "c0")
    cell.gate = gate
    probing = Probing({name: cell.endpoint for name in names}, concurrency=2)
    probing.now += 2 * HOUR
    probing.poll_until(lambda: cell.now == 2)
    for _ in range(100):
        probing.prober.poll(probing.now)
    assert cell.now == 2
    gate.set()
    probing.poll_until(lambda: all(probing.prober.cell(name).probes == 1 for name in names))
    assert cell.most == 2
    assert [probing.prober.cell(name).last for name in names] == ["HEALTHY"] + ["WRONG_CELL"] * 8


def test_intervals_differ_by_an_eighth_at_most(cells: Callable[..., Any]) -> None:
    cell = cells(Cell, "a")
    probing = Probing({"a": cell.endpoint}, seed=5)
    ended = []
    for count in range(12):
        while probing.prober.cell("a").probes == count:
            then = probing.prober.poll(probing.now)
            if then > probing.now + SECOND:  # nothing is under way: when it wants to be called again
                probing.now = then
            time.sleep(0.001)
        ended.append(probing.prober.cell("a").ended_ns)
    gaps = [after - before for before, after in zip(ended, ended[1:])]
    assert ended[0] - NOW <= HOUR
    assert all(HOUR * 7 // 8 <= gap <= HOUR * 9 // 8 for gap in gaps)
    assert len(set(gaps)) > 8 and max(gaps) - min(gaps) > HOUR // 16


def test_a_clock_that_steps_back_delays_no_probe_by_more_than_an_interval(cells: Callable[..., Any]) -> None:
    cell = cells(Cell, "a")
    probing = Probing({"a": cell.endpoint})
    probing.round()
    probing.now -= 1000 * HOUR
    then = probing.prober.poll(probing.now)
    assert probing.now < then <= probing.now + HOUR * 9 // 8
    probing.round()


def test_the_prober_follows_what_the_router_serves(cells: Callable[..., Any]) -> None:
    a, b, moved = cells(Cell, "a"), cells(Cell, "b"), cells(Cell, "b")
    probing = Probing({"a": a.endpoint, "b": b.endpoint})
    for _ in range(2):
        probing.round("a")
        probing.poll_until(lambda: probing.prober.cell("b").probes > probing.prober.cell("a").probes - 1)
    probing.router.publish(topology({"a": a.endpoint, "b": moved.endpoint}, 2), now_ns=NOW)
    probing.prober.poll(probing.now)
    assert probing.prober.cell("a").state == "HEALTHY"
    assert (probing.prober.cell("b").state, probing.prober.cell("b").probes) == ("UNKNOWN", 0)
    probing.router.publish(topology({"a": a.endpoint}, 3), max_moved_percent=100)
    probing.prober.poll(probing.now)
    with pytest.raises(cellroute.NotFoundError):
        probing.prober.cell("b")
    asked = len(moved.paths)
    probing.round("a")
    assert len(moved.paths) == asked


def test_a_cell_that_leaves_while_it_is_asked_is_let_go(cells: Callable[..., Any]) -> None:
    slow = cells(Raw, half_closed)
    a = cells(Cell, "a")
    probing = Probing({"a": a.endpoint, "b": slow.endpoint}, timeout_ns=HOUR)
    probing.round("a")
    probing.router.publish(topology({"a": a.endpoint}, 2), max_moved_percent=100)
    for _ in range(3):
        probing.round("a")
    assert probing.healthy()


@pytest.mark.parametrize("endpoint", ["", "unix:/run/cell.sock", "grpc://cell.example.com"])
def test_cells_that_http_does_not_reach_are_not_asked(endpoint: str) -> None:
    probing = Probing({"a": endpoint})
    probing.now += 2 * HOUR
    assert probing.prober.poll(probing.now) == probing.now + HOUR
    probe = probing.prober.cell("a")
    assert (probe.state, probe.last, probe.probes) == ("UNKNOWN", "NOT_PROBED", 0)


def test_the_health_path_is_at_the_endpoints_root(cells: Callable[..., Any]) -> None:
    cell = cells(Cell, "a")
    Probing({"a": cell.endpoint + "/api/v1"}, path="/up?deep=1").round()
    Probing({"a": cell.endpoint.removeprefix("http://")}).round()
    assert cell.paths == ["/up?deep=1", "/health"]


def test_no_proxy_is_asked(cells: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    cell = cells(Cell, "a")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert Probing({"a": cell.endpoint}).round().last == "HEALTHY"


def certificate(room: pathlib.Path, address: str) -> tuple[pathlib.Path, ssl.SSLContext]:
    """A certificate for `address` that vouches for itself, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cell")])
    today = datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(1).not_valid_before(today - datetime.timedelta(days=1))
            .not_valid_after(today + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False)
            .sign(key, hashes.SHA256()))
    file = room / f"{address}.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                            serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return file, context


def test_https_is_checked_against_the_given_authorities(
    cells: Callable[..., Any], tmp_path: pathlib.Path
) -> None:
    file, context = certificate(tmp_path, "127.0.0.1")
    other, wrong = certificate(tmp_path, "127.0.0.2")
    good, misnamed = cells(Cell, "a", context), cells(Cell, "a", wrong)
    assert Probing({"a": good.endpoint}, ca_file=file).round().last == "HEALTHY"
    assert Probing({"a": good.endpoint}).round().last == "TLS_ERROR"
    assert Probing({"a": misnamed.endpoint}, ca_file=other).round().last == "TLS_ERROR"
    plain = cells(Cell, "a")
    spoken = plain.endpoint.replace("http:", "https:")
    assert Probing({"a": spoken}, ca_file=file).round().last == "TLS_ERROR"
    with pytest.raises(cellroute.NotFoundError):
        Probing({"a": good.endpoint}, ca_file=tmp_path / "missing.pem")


def test_its_own_thread_probes_until_it_is_stopped(cells: Callable[..., Any]) -> None:
    cell = cells(Cell, "a")
    router = Router(topology({"a": cell.endpoint}))
    prober = Prober(router, interval_ns=SECOND // 50)
    router.mark_health("a", False)
    prober.start()
    end = time.monotonic() + 60
    while not router.cell_guards("a").healthy and time.monotonic() < end:
        time.sleep(0.005)
    assert router.cell_guards("a").healthy and prober.cell("a").state == "HEALTHY"
    with pytest.raises(cellroute.ConflictError):
        prober.poll(NOW)
    with pytest.raises(cellroute.ConflictError):
        prober.start()
    prober.stop()
    prober.stop()
    asked = prober.cell("a").probes
    time.sleep(0.1)
    assert prober.cell("a").probes == asked
    prober.start()
    while prober.cell("a").probes <= asked + 2 and time.monotonic() < end:
        time.sleep(0.005)
    assert prober.cell("a").probes > asked + 2
    del prober  # stops it


def test_a_child_of_fork_is_told(cells: Callable[..., Any]) -> None:
    cell = cells(Cell, "a")
    probing = Probing({"a": cell.endpoint})
    probing.round()
    child = os.fork()
    if child == 0:
        try:
            for use in (lambda: probing.prober.poll(NOW), probing.prober.start, probing.prober.stop):
                with pytest.raises(cellroute.ForkedError):
                    use()
            del probing.prober
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert probing.round().last == "HEALTHY"


def test_a_router_that_serves_nothing_yet_asks_nobody(cells: Callable[..., Any]) -> None:
    cell, router = cells(Cell, "a"), Router()
    prober = Prober(router, interval_ns=HOUR)
    assert prober.poll(NOW) == NOW + HOUR
    router.publish(topology({"a": cell.endpoint}))
    prober.poll(NOW)
    assert prober.cell("a").last == "NONE"


@pytest.mark.parametrize("options", [
    {"path": "health"}, {"path": "/a b"}, {"path": "/" + "x" * 1024}, {"path": "/#x"}, {"rise": 1001},
    {"fall": 1001}, {"concurrency": 1025}, {"interval_ns": -1}, {"timeout_ns": 999_999},
    {"interval_ns": 86_401 * SECOND},
])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(cellroute.InvalidArgumentError):
        Prober(Router(topology({"a": ""})), **options)
