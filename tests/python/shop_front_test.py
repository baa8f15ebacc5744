"""The e-commerce front: what reaches the cell, what comes back, and what is refused."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from typing import Any, Iterator

import pytest

import cellroute
from conftest import SECOND, SOURCE
from lambda_room import Clock, Invocation, changed, event, shop, shop_router
from loopback_cell import Answered, Asked, LoopbackCell
from run_function import function
from shop_front.app import Front
from shop_front.event import BadEvent, wire_path

EVENT = "ecommerce_lambda"


@pytest.fixture
def cell() -> Iterator[LoopbackCell]:
    with LoopbackCell() as cell:
        yield cell


class Room:
    """A front with one cell, a clock, and what it logged."""

    def __init__(self, url: str, policy: str = "timeout: 2s") -> None:
        self.router = shop_router({"shop-1": url}, policy)
        self.clock = Clock()
        self.lines: list[dict[str, Any]] = []
        self.front = Front(self.router, clock=self.clock, log=lambda line: self.lines.append(json.loads(line)))

    def __call__(self, event: dict[str, Any], remaining_ms: int = 30_000) -> dict[str, Any]:
        return self.front(event, Invocation(remaining_ms=remaining_ms))


def one_header(answer: dict[str, Any], name: str) -> str | None:
    repeated = answer.get("multiValueHeaders", {})
    return repeated[name][0] if name in repeated else answer.get("headers", {}).get(name)


def test_method_path_query_and_headers_reach_the_cell(cell: LoopbackCell) -> None:
    answer = Room(cell.url)(event(EVENT, "rest_get"))
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


def test_payload_2_is_forwarded_as_it_came(cell: LoopbackCell) -> None:
    cell.answer = lambda _: Answered(
        200, (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Two", "1"), ("X-Two", "2")), b"")
    answer = Room(cell.url)(event(EVENT, "http_get"))
    asked = cell.asked[0]
    assert asked.target == "/customers/cust-000042/orders?tag=a%26b&tag=b+c&empty=&state=open"
    assert asked.header("cookie") == ["session=abc; theme=dark"]
    assert answer["cookies"] == ["a=1", "b=2"]
    assert answer["headers"]["X-Two"] == "1,2"
    assert "multiValueHeaders" not in answer


def test_binary_bodies_go_both_ways(cell: LoopbackCell) -> None:
    picture = bytes(range(256))
    cell.answer = lambda _: Answered(201, (("Content-Type", "image/png"),), picture)
    answer = Room(cell.url)(event(EVENT, "rest_post_binary"))
    assert cell.asked[0].body == base64.b64decode("iVBORw0KGgoA/w==")
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (201, True)
    assert base64.b64decode(answer["body"]) == picture


@pytest.mark.parametrize(("headers", "body"), [
    ((("Content-Type", "text/plain"),), b"\xff\xfe"),
    ((("Content-Type", "text/plain"), ("Content-Encoding", "gzip")), b"squeezed"),
    ((), b"unnamed"),
])
def test_what_is_no_text_comes_back_as_base64(
    cell: LoopbackCell, headers: tuple[tuple[str, str], ...], body: bytes
) -> None:
    cell.answer = lambda _: Answered(200, headers, body)
    answer = Room(cell.url)(event(EVENT, "rest_get"))
    assert (answer["isBase64Encoded"], base64.b64decode(answer["body"])) == (True, body)


def test_trusted_headers_of_a_client_are_stripped(cell: LoopbackCell) -> None:
    Room(cell.url)(event(EVENT, "rest_forged_headers"))
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
    {"path": "/customers/cust-000042/../cust-000001"}, {"path": "/customers/a%2Fb"},
    {"path": "customers"}, {"httpMethod": "GET / HTTP/1.1"}, {"httpMethod": None},
    {"body": "###", "isBase64Encoded": True},
    {"multiValueHeaders": {"X-Note": ["a\r\nX-Cell-ID: b"]}}, {"multiValueHeaders": {"X Note": ["a"]}},
])
def test_a_request_without_an_id_or_with_tricks_is_400(cell: LoopbackCell, members: dict[str, Any]) -> None:
    room = Room(cell.url)
    answer = room(changed(event(EVENT, "rest_get"), **members))
    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["code"] == "INVALID_ARGUMENT"
    assert not cell.asked
    assert room.router.cell_guards("shop-1").in_flight == 0
    assert room(event(EVENT, "rest_get"))["statusCode"] == 200


def test_null_path_parameters_as_api_gateway_sends_them(cell: LoopbackCell) -> None:
    assert Room(cell.url)(event(EVENT, "rest_without_id"))["statusCode"] == 400


def test_redirects_are_the_clients_to_follow(cell: LoopbackCell) -> None:
    cell.answer = lambda _: Answered(302, (("Location", "http://127.0.0.1:1/elsewhere"),), b"")
    answer = Room(cell.url)(event(EVENT, "rest_get"))
    assert answer["statusCode"] == 302
    assert one_header(answer, "Location") == "http://127.0.0.1:1/elsewhere"
    assert len(cell.asked) == 1


def test_a_sick_cell_is_503_with_retry_after(cell: LoopbackCell) -> None:
    cell.answer = lambda _: Answered(503)
    room = Room(cell.url, "timeout: 2s, breaker: {consecutive_failures: 2, open: 10s, probes: 1}")
    assert [room(event(EVENT, "rest_get"))["statusCode"] for _ in range(2)] == [503, 503]
    refused = room(event(EVENT, "http_get"))
    assert refused["statusCode"] == 503
    assert 1 <= int(one_header(refused, "Retry-After") or 0) <= 11
    assert json.loads(refused["body"]) == {
        "code": "UNAVAILABLE", "reason": "BREAKER_OPEN", "request_id": "invocation-1"}
    assert len(cell.asked) == 2
    cell.answer = lambda _: Answered(200)
    room.clock.now_ns += 60 * SECOND
    assert room(event(EVENT, "rest_get"))["statusCode"] == 200


def test_a_cell_that_hangs_up_is_502_and_counts(cell: LoopbackCell) -> None:
    def hang_up(_: Asked) -> Answered:
        raise ConnectionError

    cell.answer = hang_up
    room = Room(cell.url, "timeout: 2s, breaker: {consecutive_failures: 1, open: 10s, probes: 1}")
    answer = room(event(EVENT, "rest_get"))
    assert answer["statusCode"] == 502
    assert "127.0.0.1" not in answer["body"]
    assert room(event(EVENT, "rest_get"))["statusCode"] == 503


def test_nobody_listens_is_502(cell: LoopbackCell) -> None:
    room = Room("http://127.0.0.1:1")
    assert room(event(EVENT, "rest_get"))["statusCode"] == 502
    assert room.lines[-1]["reason"] == "CELL_FAILED"


def test_a_slow_cell_is_504_by_the_topologys_timeout_or_lambdas(cell: LoopbackCell) -> None:
    def slow(_: Asked) -> Answered:
        time.sleep(0.5)
        return Answered()

    cell.answer = slow
    assert Room(cell.url, "timeout: 0.1s")(event(EVENT, "rest_get"))["statusCode"] == 504
    assert Room(cell.url, "timeout: 60s")(event(EVENT, "rest_get"), remaining_ms=350)["statusCode"] == 504


@pytest.mark.parametrize("beginning", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_a_cell_that_trickles_is_cut_off_at_the_deadline(beginning: bytes) -> None:
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
        thread = threading.Thread(target=trickle, args=(listener,))
        thread.start()
        room = Room("http://127.0.0.1:%d" % listener.getsockname()[1], "timeout: 0.2s")
        assert room(event(EVENT, "rest_get"))["statusCode"] == 504
        thread.join()


def test_too_large_an_answer_is_502_and_no_failure_of_the_cell(cell: LoopbackCell) -> None:
    cell.answer = lambda _: Answered(200, (), b"x" * ((4 << 20) + 1))
    room = Room(cell.url, "timeout: 20s, breaker: {consecutive_failures: 1, open: 10s, probes: 1}")
    assert room(event(EVENT, "rest_get"))["statusCode"] == 502
    cell.answer = lambda _: Answered()
    assert room(event(EVENT, "rest_get"))["statusCode"] == 200


def test_tickets_expire_over_a_freeze_and_clocks_may_jump(cell: LoopbackCell) -> None:
    room = Room(cell.url, "timeout: 2s, in_flight: {per_cell: 1, deadline: 60s}")
    lost = room.router.route("cust-000042", now_ns=room.clock())  # frozen before it could be reported
    assert room(event(EVENT, "rest_get"))["statusCode"] == 503
    room.clock.now_ns += 3600 * SECOND
    assert room(event(EVENT, "rest_get"))["statusCode"] == 200
    room.router.report(lost, http_status=200, now_ns=room.clock())  # too late: changes nothing
    assert room(event(EVENT, "rest_get"))["statusCode"] == 200
    room.clock.now_ns -= 86400 * SECOND
    assert room(event(EVENT, "rest_get"))["statusCode"] in (200, 503)
    room.clock.now_ns += 2 * 86400 * SECOND
    assert room(event(EVENT, "rest_get"))["statusCode"] == 200


@pytest.mark.parametrize(("path", "sent"), [
    ("/a b/ü", "/a%20b/%C3%BC"), ("/a%20b", "/a%20b"), ("/100%", "/100%25"), ("/a?b#c", "/a%3Fb%23c"),
    ("/x..y/.well-known", "/x..y/.well-known"),
])
def test_paths_are_encoded_once(path: str, sent: str) -> None:
    assert wire_path(path) == sent


@pytest.mark.parametrize("path", ["/a/../b", "/..", "/a/./b", "/a%2e%2E/b", "/a%5Cb", "/a\\b", "/a\0", "a"])
def test_paths_that_read_as_others_are_refused(path: str) -> None:
    with pytest.raises(BadEvent):
        wire_path(path)


def test_the_function_runs_by_the_runtime_api(tmp_path) -> None:  # type: ignore[no-untyped-def]
    topology = tmp_path / "topology.yaml"
    with LoopbackCell() as one, LoopbackCell() as two, LoopbackCell() as three:
        cells = {f"shop-{number}": cell.url for number, cell in enumerate((one, two, three), 1)}
        topology.write_bytes(shop(cells))
        router = shop_router(cells)
        with function("shop_front.app.handler", [], CELLROUTE_TOPOLOGY=str(topology)) as api:
            for number in range(20):
                given = event(EVENT, "rest_get")
                customer = given["pathParameters"]["customerId"] = f"cust-{number}"
                answer = api.invoke(given)
                assert (answer.kind, answer.value["statusCode"]) == ("response", 200)
                home = {"shop-1": one, "shop-2": two, "shop-3": three}[router.locate(customer).cell or ""]
                assert home.asked[-1].header("x-tenant-id") == [customer]
            assert api.invoke(event(EVENT, "rest_without_id")).value["statusCode"] == 400
            assert api.invoke(event(EVENT, "http_get")).value["statusCode"] == 200
            assert api.invoke([]).kind == "error"  # and the runtime goes on
            assert api.invoke(event(EVENT, "rest_get")).value["statusCode"] == 200
        assert sum(len(cell.asked) for cell in (one, two, three)) == 22


def test_a_function_that_cannot_start_says_why(tmp_path) -> None:  # type: ignore[no-untyped-def]
    missing = str(tmp_path / "none.yaml")
    with function("shop_front.app.handler", [], CELLROUTE_TOPOLOGY=missing) as api:
        answer = api.invoke(event(EVENT, "rest_get"))
    assert answer.kind == "init_error"
    assert answer.value["errorType"] == "NotFoundError"
    assert missing in answer.value["errorMessage"]


def test_the_examples_topology_is_sound() -> None:
    file = SOURCE / "examples/ecommerce_lambda/topology.yaml"
    assert cellroute.Topology.from_file(file).cell_count == 3
