"""The e-commerce front, in either language: what reaches the cell, what comes back, and what is refused."""

from __future__ import annotations

import base64
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import threading
import time
from contextlib import ExitStack
from typing import Any, Callable, Iterator

import pytest

import cellroute
from conftest import SECOND, SOURCE
from lambda_room import Running, changed, event, language, shop, shop_router, stack
from loopback_cell import Answered, Asked, LoopbackCell

EVENT = "ecommerce_lambda"


@pytest.fixture
def cell() -> Iterator[LoopbackCell]:
    with LoopbackCell() as cell:
        yield cell


Room = Callable[..., Running]


@pytest.fixture
def room(stack: ExitStack, language: str, tmp_path: pathlib.Path) -> Room:
    """Starts a front with one cell: room(url, policy)."""

    def start(url: str, policy: str = "timeout: 2s", **environment: Any) -> Running:
        topology = tmp_path / "topology.yaml"
        topology.write_bytes(shop({"shop-1": url}, policy))
        return Running(stack, EVENT, language, tmp_path, CELLROUTE_TOPOLOGY=str(topology), **environment)

    return start


def one_header(answer: dict[str, Any], name: str) -> str | None:
    repeated = answer.get("multiValueHeaders", {})
    return repeated[name][0] if name in repeated else answer.get("headers", {}).get(name)


def test_method_path_query_and_headers_reach_the_cell(cell: LoopbackCell, room: Room) -> None:
    answer = room(cell.url)(event(EVENT, "rest_get"))
    assert (answer["statusCode"], answer["body"], answer["isBase64Encoded"]) == (200, "{}", False)
    asked = cell.asked[0]
    assert asked.method == "GET"
    assert asked.target == (
        "/customers/cust-000042/orders?state=open&state=shipped&tag=a%26b&tag=b+c")
    assert asked.header("x-note") == ["one", "two"]
    assert asked.header("host") == [cell.url.removeprefix("http://")]
    assert asked.header("x-cell-id") == ["shop-1"]
    assert asked.header("x-tenant-id") == ["cust-000042"]
    assert asked.header("x-cell-epoch") == ["0"]


def test_payload_2_is_forwarded_as_it_came(cell: LoopbackCell, room: Room) -> None:
    cell.answer = lambda _: Answered(
        200, (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Two", "1"), ("X-Two", "2")), b"")
    answer = room(cell.url)(event(EVENT, "http_get"))
    asked = cell.asked[0]
    assert asked.target == "/customers/cust-000042/orders?tag=a%26b&tag=b+c&empty=&state=open"
    assert asked.header("cookie") == ["session=abc; theme=dark"]
    assert answer["cookies"] == ["a=1", "b=2"]
    assert answer["headers"]["X-Two"] == "1,2"
    assert "multiValueHeaders" not in answer


def test_binary_bodies_go_both_ways(cell: LoopbackCell, room: Room) -> None:
    picture = bytes(range(256))
    cell.answer = lambda _: Answered(201, (("Content-Type", "image/png"),), picture)
    answer = room(cell.url)(event(EVENT, "rest_post_binary"))
    assert cell.asked[0].body == base64.b64decode("iVBORw0KGgoA/w==")
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (201, True)
    assert base64.b64decode(answer["body"]) == picture


@pytest.mark.parametrize(("headers", "body"), [
    ((("Content-Type", "text/plain"),), b"\xff\xfe"),
    ((("Content-Type", "text/plain"), ("Content-Encoding", "gzip")), b"squeezed"),
    ((), b"unnamed"),
])
def test_what_is_no_text_comes_back_as_base64(
    cell: LoopbackCell, room: Room, headers: tuple[tuple[str, str], ...], body: bytes
) -> None:
    cell.answer = lambda _: Answered(200, headers, body)
    answer = room(cell.url)(event(EVENT, "rest_get"))
    assert (answer["isBase64Encoded"], base64.b64decode(answer["body"])) == (True, body)


def test_trusted_headers_of_a_client_are_stripped(cell: LoopbackCell, room: Room) -> None:
    room(cell.url)(event(EVENT, "rest_forged_headers"))
    asked = cell.asked[0]
    assert asked.header("x-cell-id") == ["shop-1"]
    assert asked.header("x-tenant-id") == ["cust-000042"]
    assert asked.header("x-cell-epoch") == ["0"]
    for name in ("x-encryption-level", "x-request-signature", "x_tenant_id", "x-private", "transfer-encoding"):
        assert asked.header(name) == []
    assert (asked.body, asked.header("content-length")) == ("grüß".encode(), ["6"])


@pytest.mark.parametrize("members", [
    {"pathParameters": None}, {"pathParameters": {}}, {"pathParameters": {"customerId": ""}},
    {"pathParameters": {"customerId": None}}, {"pathParameters": {"customerId": "k" * 1025}},
    {"pathParameters": {"customerId": 7}}, {"pathParameters": {"customerId": "a/b"}},
    {"pathParameters": {"customerId": "a%2Fb"}}, {"pathParameters": {"customerId": "100%"}},
    {"path": "/customers/cust-000042/../cust-000001"}, {"path": "/customers/a%2Fb"},
    {"path": "customers"}, {"httpMethod": "GET / HTTP/1.1"}, {"httpMethod": None},
    {"body": "###", "isBase64Encoded": True},
    {"multiValueHeaders": {"X-Note": ["a\r\nX-Cell-ID: b"]}}, {"multiValueHeaders": {"X Note": ["a"]}},
])
def test_a_request_without_an_id_or_with_tricks_is_400(
    cell: LoopbackCell, room: Room, members: dict[str, Any]
) -> None:
    front = room(cell.url, "timeout: 2s, in_flight: {per_cell: 1, deadline: 60s}")
    answer = front(changed(event(EVENT, "rest_get"), **members))
    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["code"] == "INVALID_ARGUMENT"
    assert not cell.asked
    assert front(event(EVENT, "rest_get"))["statusCode"] == 200  # nothing is held for what was refused


def test_null_path_parameters_as_api_gateway_sends_them(cell: LoopbackCell, room: Room) -> None:
    assert room(cell.url)(event(EVENT, "rest_without_id"))["statusCode"] == 400


def test_redirects_are_the_clients_to_follow(cell: LoopbackCell, room: Room) -> None:
    cell.answer = lambda _: Answered(302, (("Location", "http://127.0.0.1:1/elsewhere"),), b"")
    answer = room(cell.url)(event(EVENT, "rest_get"))
    assert answer["statusCode"] == 302
    assert one_header(answer, "Location") == "http://127.0.0.1:1/elsewhere"
    assert len(cell.asked) == 1


def test_a_sick_cell_is_503_with_retry_after(cell: LoopbackCell, room: Room) -> None:
    cell.answer = lambda _: Answered(503)
    front = room(cell.url, "timeout: 2s, breaker: {consecutive_failures: 2, open: 10s, probes: 1}")
    assert [front(event(EVENT, "rest_get"))["statusCode"] for _ in range(2)] == [503, 503]
    refused = front(event(EVENT, "http_get"))
    assert refused["statusCode"] == 503
    assert 1 <= int(one_header(refused, "Retry-After") or 0) <= 11
    assert json.loads(refused["body"]) == {
        "code": "UNAVAILABLE", "reason": "BREAKER_OPEN", "request_id": "invocation-000003"}
    assert len(cell.asked) == 2
    cell.answer = lambda _: Answered(200)
    front.clock.now_ns += 60 * SECOND
    assert front(event(EVENT, "rest_get"))["statusCode"] == 200


def test_a_cell_that_hangs_up_is_502_and_counts(cell: LoopbackCell, room: Room) -> None:
    def hang_up(_: Asked) -> Answered:
        raise ConnectionError

    cell.answer = hang_up
    front = room(cell.url, "timeout: 2s, breaker: {consecutive_failures: 1, open: 10s, probes: 1}")
    answer = front(event(EVENT, "rest_get"))
    assert answer["statusCode"] == 502
    assert "127.0.0.1" not in answer["body"]
    assert front(event(EVENT, "rest_get"))["statusCode"] == 503


def test_nobody_listens_is_502(cell: LoopbackCell, room: Room) -> None:
    front = room("http://127.0.0.1:1")
    assert front(event(EVENT, "rest_get"))["statusCode"] == 502
    assert front.lines[-1]["reason"] == "CELL_FAILED"


def test_a_slow_cell_is_504_by_the_topologys_timeout_or_lambdas(cell: LoopbackCell, room: Room) -> None:
    def slow(_: Asked) -> Answered:
        time.sleep(0.5)
        return Answered()

    cell.answer = slow
    assert room(cell.url, "timeout: 0.1s")(event(EVENT, "rest_get"))["statusCode"] == 504
    assert room(cell.url, "timeout: 60s")(event(EVENT, "rest_get"), remaining_ms=350)["statusCode"] == 504


@pytest.mark.parametrize("beginning", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_a_cell_that_trickles_is_cut_off_at_the_deadline(room: Room, beginning: bytes) -> None:
    def trickle(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                connection.sendall(beginning)
                while True:  # until the other side has had enough
                    connection.sendall(b"x")
                    time.sleep(0.01)
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle, args=(listener,), daemon=True)
        thread.start()
        front = room("http://127.0.0.1:%d" % listener.getsockname()[1], "timeout: 0.2s")
        assert front(event(EVENT, "rest_get"))["statusCode"] == 504
        thread.join()


def test_too_large_an_answer_is_502_and_no_failure_of_the_cell(cell: LoopbackCell, room: Room) -> None:
    cell.answer = lambda _: Answered(200, (), b"x" * ((4 << 20) + 1))
    front = room(cell.url, "timeout: 20s, breaker: {consecutive_failures: 1, open: 10s, probes: 1}")
    assert front(event(EVENT, "rest_get"))["statusCode"] == 502
    cell.answer = lambda _: Answered()
    assert front(event(EVENT, "rest_get"))["statusCode"] == 200


def frozen(front: Running, cell: LoopbackCell, seconds: int, answered: Answered = Answered()) -> Any:
    """What the function answers that Lambda froze for `seconds` while it waited for the cell."""
    asked, thawed, answers = threading.Event(), threading.Event(), []

    def wait(_: Asked) -> Answered:
        asked.set()
        thawed.wait()
        return answered

    cell.answer = wait
    invoking = threading.Thread(target=lambda: answers.append(front(event(EVENT, "rest_get"))))
    invoking.start()
    asked.wait()
    front.function.process.send_signal(signal.SIGSTOP)
    front.clock.now_ns += seconds * SECOND
    front.function.process.send_signal(signal.SIGCONT)
    thawed.set()
    invoking.join()
    cell.answer = lambda _: Answered()
    return answers[0]["statusCode"]


def test_a_ticket_lapses_over_a_freeze(cell: LoopbackCell, room: Room) -> None:
    front = room(cell.url, "timeout: 20s, in_flight: {per_cell: 1, deadline: 60s}")
    assert frozen(front, cell, 3600) == 200  # reported too late, which changes nothing
    assert [front(event(EVENT, "rest_get"))["statusCode"] for _ in range(3)] == [200] * 3


def test_a_probes_deadline_lapses_over_a_freeze(cell: LoopbackCell, room: Room) -> None:
    front = room(cell.url, "timeout: 20s, breaker: {consecutive_failures: 1, open: 10s, open_max: 10s, "
                           "probes: 1, probe_deadline: 5s}")
    cell.answer = lambda _: Answered(503)
    assert front(event(EVENT, "rest_get"))["statusCode"] == 503
    front.clock.now_ns += 60 * SECOND
    assert frozen(front, cell, 60) == 200  # the one probe, which nobody waits for any more
    front.clock.now_ns += 60 * SECOND
    assert [front(event(EVENT, "rest_get"))["statusCode"] for _ in range(3)] == [200] * 3


def test_a_clock_that_jumps_does_no_harm(cell: LoopbackCell, room: Room) -> None:
    front = room(cell.url, "timeout: 2s, in_flight: {per_cell: 1, deadline: 60s}, "
                           "breaker: {consecutive_failures: 1, open: 10s, open_max: 10s, probes: 1}")

    def status() -> int:
        return int(front(event(EVENT, "rest_get"))["statusCode"])

    assert status() == 200
    front.clock.now_ns -= 86400 * SECOND
    assert status() in (200, 503)
    front.clock.now_ns += 86400 * SECOND
    cell.answer = lambda _: Answered(502)
    assert status() == 502
    asked = len(cell.asked)
    for step in (0, -86400):  # back: the breaker stays open
        front.clock.now_ns += step * SECOND
        assert status() == 503
    assert len(cell.asked) == asked
    cell.answer = lambda _: Answered()
    front.clock.now_ns += 2 * 86400 * SECOND
    assert [status() for _ in range(3)] == [200] * 3


@pytest.mark.parametrize(("path", "sent"), [
    ("/a b/ü", "/a%20b/%C3%BC"), ("/a%20b", "/a%20b"), ("/100%", "/100%25"), ("/a?b#c", "/a%3Fb%23c"),
    ("/x..y/.well-known", "/x..y/.well-known"), ("/a%zz%4", "/a%25zz%254"),
])
def test_a_rest_apis_path_is_encoded_once(cell: LoopbackCell, room: Room, path: str, sent: str) -> None:
    assert room(cell.url)(changed(event(EVENT, "rest_get"), path=path))["statusCode"] == 200
    assert cell.asked[0].target.split("?")[0] == sent


@pytest.mark.parametrize(("path", "sent"), [("/a b/ü", "/a%20b/%C3%BC"), ("/a%20b", "/a%2520b"), ("/100%", "/100%25")])
@pytest.mark.parametrize("members", [{"version": "1.0"}, {"version": "2.0"}])
def test_an_http_apis_path_was_decoded(
    cell: LoopbackCell, room: Room, members: dict[str, str], path: str, sent: str
) -> None:
    name, member = ("rest_get", "path") if members["version"] == "1.0" else ("http_get", "rawPath")
    assert room(cell.url)(changed(event(EVENT, name), **members, **{member: path}))["statusCode"] == 200
    assert cell.asked[0].target.split("?")[0] == sent


@pytest.mark.parametrize(("given", "members", "customer"), [
    ("cust%2D000042", {}, "cust-000042"), ("caf%C3%A9", {}, "caf%C3%A9"), ("café", {}, "caf%C3%A9"),
    ("a%40b", {"version": "1.0"}, "a%2540b"), ("a@b", {"version": "1.0"}, "a%40b"), ("a%40b", {}, "a%40b"),
])
def test_a_customer_has_one_spelling(
    cell: LoopbackCell, room: Room, given: str, members: dict[str, str], customer: str
) -> None:
    """REST APIs hand over path parameters as the client sent them, HTTP APIs decoded."""
    named = changed(event(EVENT, "rest_get"), **members, pathParameters={"customerId": given})
    assert room(cell.url)(named)["statusCode"] == 200
    assert cell.asked[0].header("x-tenant-id") == [customer]


@pytest.mark.parametrize("path", ["/a/../b", "/..", "/a/./b", "/a%2e%2E/b", "/a%5Cb", "/a\\b", "/a\0", "a"])
def test_paths_that_read_as_others_are_refused(cell: LoopbackCell, room: Room, path: str) -> None:
    assert room(cell.url)(changed(event(EVENT, "rest_get"), path=path))["statusCode"] == 400
    assert not cell.asked


def test_a_cell_that_breaks_off_is_502_and_counts(room: Room) -> None:
    def break_off(listener: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=break_off, args=(listener,), daemon=True)
        thread.start()
        front = room("http://127.0.0.1:%d" % listener.getsockname()[1],
                     "timeout: 9s, breaker: {consecutive_failures: 2, open: 10s, probes: 1}")
        answers = [front(event(EVENT, "rest_get"))["statusCode"] for _ in range(3)]
        thread.join()
    assert answers == [502, 502, 503]


@pytest.mark.parametrize(("method", "body", "length"), [
    ("GET", None, []), ("GET", "{}", ["2"]), ("HEAD", "{}", []), ("POST", None, ["0"]), ("POST", "{}", ["2"]),
    ("DELETE", None, []), ("PATCH", "{}", ["2"]), ("OPTIONS", None, []), ("PROPFIND", None, ["0"]),
])
def test_every_method_is_sent_as_it_is(
    cell: LoopbackCell, room: Room, method: str, body: str | None, length: list[str]
) -> None:
    cell.answer = lambda _: Answered(200, (("X-Answer", "1"),), b"" if method == "HEAD" else b"{}")
    answer = room(cell.url)(changed(event(EVENT, "rest_get"), httpMethod=method, body=body))
    assert (answer["statusCode"], one_header(answer, "X-Answer")) == (200, "1")
    asked = cell.asked[0]
    assert (asked.method, asked.header("content-length")) == (method, length)
    assert asked.body == (b"" if method == "HEAD" else (body or "").encode())
    for added in ("accept-encoding", "user-agent", "content-type", "expect"):
        assert asked.header(added) == []


def test_headers_arrive_as_they_were_sent(cell: LoopbackCell, room: Room) -> None:
    given = {"X-Empty": [""], "X-Blank": [" "], "X-Text": ["grüß"], "X-Twice": ["1", "2"], "X-Semi;": ["x"]}
    answer = room(cell.url)(changed(event(EVENT, "rest_get"), multiValueHeaders=given))
    assert answer["statusCode"] == 400  # a ';' ends no name
    del given["X-Semi;"]
    cell.answer = lambda _: Answered(200, (("X-Bytes", "gr\u00fc\u00df"), ("X-Empty", ""), ("Connection", "X-Hop"),
                                           ("X-Hop", "1"), ("X-Cell-Id", "shop-1")), b"")
    answer = room(cell.url)(changed(event(EVENT, "rest_get"), multiValueHeaders=given))
    asked = cell.asked[0]
    assert [asked.header(name) for name in ("x-empty", "x-blank", "x-twice", "accept")] == [
        [""], [""], ["1", "2"], []]
    assert asked.header("x-text") == ["grüß".encode().decode("latin-1")]
    assert (one_header(answer, "X-Bytes"), one_header(answer, "X-Empty")) == ("grüß", "")
    assert one_header(answer, "X-Hop") is None and one_header(answer, "X-Cell-Id") is None


@pytest.mark.parametrize(("address", "status"), [("127.0.0.1", 200), ("127.0.0.2", 502)])
def test_a_cell_by_https_is_called_if_its_certificate_is_trusted_and_its_own(
    cell: LoopbackCell, room: Room, tmp_path: pathlib.Path, address: str, status: int
) -> None:
    files = [str(tmp_path / name) for name in ("key.pem", "certificate.pem")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "36500",
         "-subj", "/CN=cell", "-addext", f"subjectAltName=IP:{address}", "-keyout", files[0], "-out", files[1]],
        check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    cell.wrap(context)
    url = cell.url.replace("http://", "https://")
    assert room(url)(event(EVENT, "rest_get"))["statusCode"] == 502
    assert room(url, SSL_CERT_FILE=files[1])(event(EVENT, "rest_get"))["statusCode"] == status


@pytest.mark.parametrize("endpoint", ["unix:/run/cell", "127.0.0.1:{port}", "grpc://127.0.0.1:{port}"])
def test_an_endpoint_of_another_kind_is_not_called(cell: LoopbackCell, room: Room, endpoint: str) -> None:
    port = cell.url.rsplit(":", 1)[1]
    assert room(endpoint.format(port=port))(event(EVENT, "rest_get"))["statusCode"] == 502
    assert not cell.asked


def test_proxies_of_the_environment_are_not_used(cell: LoopbackCell, room: Room) -> None:
    front = room(cell.url, http_proxy="http://127.0.0.1:1", ALL_PROXY="http://127.0.0.1:1")
    assert front(event(EVENT, "rest_get"))["statusCode"] == 200


def test_what_cannot_be_logged_fails_and_holds_nothing(cell: LoopbackCell, room: Room) -> None:
    front = room(cell.url, "timeout: 2s, in_flight: {per_cell: 1, deadline: 60s}", log="/dev/full")
    for _ in range(2):
        assert front.answer(event(EVENT, "rest_get")).kind == "error"
    assert len(cell.asked) == 2


def test_each_customer_reaches_his_cell(stack: ExitStack, language: str, tmp_path: pathlib.Path) -> None:
    topology = tmp_path / "topology.yaml"
    with LoopbackCell() as one, LoopbackCell() as two, LoopbackCell() as three:
        cells = {f"shop-{number}": cell.url for number, cell in enumerate((one, two, three), 1)}
        topology.write_bytes(shop(cells))
        router = shop_router(cells)
        front = Running(stack, EVENT, language, tmp_path, CELLROUTE_TOPOLOGY=str(topology))
        for number in range(20):
            given = event(EVENT, "rest_get")
            customer = given["pathParameters"]["customerId"] = f"cust-{number}"
            assert front(given)["statusCode"] == 200
            home = {"shop-1": one, "shop-2": two, "shop-3": three}[router.locate(customer).cell or ""]
            assert home.asked[-1].header("x-tenant-id") == [customer]
        assert sum(len(cell.asked) for cell in (one, two, three)) == 20


@pytest.mark.parametrize("given", [
    [], None, "text", {"httpMethod": 7}, {"httpMethod": "GET", "path": 7}, {"httpMethod": "GET", "pathParameters": 7},
    {"httpMethod": "GET", "pathParameters": {"customerId": "c"}, "headers": {"a": 7}},
    {"httpMethod": "GET", "pathParameters": {"customerId": "c"}, "multiValueHeaders": 7},
    {"httpMethod": "GET", "pathParameters": {"customerId": "c"}, "body": 7},
])
def test_what_api_gateway_does_not_send_ends_its_own_invocation_alone(
    cell: LoopbackCell, room: Room, given: Any
) -> None:
    front = room(cell.url)
    assert front.answer(given).kind == "error"
    assert front(event(EVENT, "rest_get"))["statusCode"] == 200
    assert len(cell.asked) == 1


def test_a_function_that_cannot_start_says_why(stack: ExitStack, language: str, tmp_path: pathlib.Path) -> None:
    missing = str(tmp_path / "none.yaml")
    answer = Running(stack, EVENT, language, tmp_path, CELLROUTE_TOPOLOGY=missing).answer(event(EVENT, "rest_get"))
    assert answer.kind == "init_error"
    assert answer.value["errorType"] in ("NotFoundError", "CELLROUTE_E_NOT_FOUND")
    assert missing in answer.value["errorMessage"]


def test_the_examples_topology_is_sound() -> None:
    file = SOURCE / "examples/ecommerce_lambda/topology.yaml"
    assert cellroute.Topology.from_file(file).cell_count == 3
