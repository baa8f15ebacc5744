"""The e-commerce router: its tale, what it forwards, what it refuses, and whom it never places by guessing."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Iterator

import jwt
import pytest

import cellroute
from authorizer.keyring import read_key, Keyring
from authorizer.token_rules import Rules
from conftest import SOURCE
from front import BoundedServer, client_endpoint
from gateway import Gateway
from loopback_cell import Answered, LoopbackCell

EXAMPLE = SOURCE / "examples/ecommerce_router"
SECRET = b"k" * 32


class Table(cellroute.MappingStore):
    """A mapping store that can be told to fail."""

    def __init__(self) -> None:
        self.cells: dict[bytes, str] = {}
        self.failing = False

    def get(self, key: bytes, now_ns: int) -> cellroute.Record | None:
        if self.failing:
            raise cellroute.UnavailableError("away")
        return cellroute.Record(key=key, cell=self.cells[key], revision=1) if key in self.cells else None

    def put_if(self, record: cellroute.Record, expected: int) -> None:
        raise cellroute.UnsupportedError("nobody writes here")


class Shop:
    """A router in this process before cells on loopback, by the example's own topology."""

    def __init__(self, stack: ExitStack) -> None:
        topology = (EXAMPLE / "topology.yaml").read_text()
        self.cells = {name: stack.enter_context(LoopbackCell()) for name in ("shop-1", "shop-2", "shop-3")}
        for name, cell in self.cells.items():
            topology = topology.replace(f"https://{name}.internal.example.com", cell.url)
        self.table, self.now_ns = Table(), time.time_ns()
        self.store = cellroute.Store.of(self.table)  # which the near one asks
        self.router = cellroute.Router(cellroute.Topology.from_bytes(topology), lanes=8)
        keys = Keyring([read_key({"kid": "test", "alg": "HS256", "secret_variable": "S"}, {"S": SECRET.hex()})])
        self.metrics = cellroute.Metrics(self.router)
        gateway = Gateway(self.router, self.metrics, self.store.cached(), keys, Rules("issuer", "shop", cached_s=0),
                          lambda: self.now_ns)
        self.server = BoundedServer(("127.0.0.1", 0), client_endpoint(gateway))
        thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        thread.start()
        stack.callback(thread.join)
        stack.callback(self.server.server_close)
        stack.callback(self.server.shutdown)

    def token(self, customer: str) -> str:
        claims = {"iss": "issuer", "aud": "shop", "sub": customer, "tier": "retail", "region": "eu-west-1",
                  "exp": self.now_ns // 10**9 + 600}
        return jwt.encode(claims, SECRET, "HS256", headers={"kid": "test"})

    def ask(self, customer: str = "cust-1", method: str = "GET", target: str | None = None, body: Any = None,
            headers: dict[str, str] | None = None, chunked: bool = False) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_address[1], timeout=30)
        try:
            connection.request(method, target or f"/customers/{customer}/orders", body,
                               {"Authorization": f"Bearer {self.token(customer)}"} | (headers or {}), encode_chunked=chunked)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def raw(self, text: bytes) -> bytes:
        """All that is answered until the router closes."""
        with socket.create_connection(("127.0.0.1", self.server.server_address[1]), timeout=30) as connection:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def asked(self) -> list[Any]:
        return [asked for cell in self.cells.values() for asked in cell.asked]

    def in_flight(self) -> int:
        return sum(self.router.cell_guards(name).in_flight for name in self.cells)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with ExitStack() as stack:
        yield Shop(stack)


def test_the_tale_is_told_to_its_end() -> None:
    paths = os.pathsep.join([os.environ["PYTHONPATH"], str(SOURCE / "examples/dynamodb_routing")])
    ran = subprocess.run([sys.executable, str(EXAMPLE / "story.py")], env=os.environ | {"PYTHONPATH": paths}, text=True,
                         capture_output=True, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith("all as expected\n")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "REPORT"])
def test_every_method_goes_on_with_its_target_and_body(shop: Shop, method: str) -> None:
    target = "/customers/cust-1/a%20b;v=1?x=%26&x=2&x=&y=a+b"
    body = None if method in ("GET", "HEAD", "OPTIONS") else bytes(range(256))
    response, _ = shop.ask(method=method, target=target, body=body)
    assert response.status == 200
    (asked,) = shop.asked()
    assert (asked.method, asked.target, asked.body) == (method, target, body or b"")


def test_headers_go_on_but_those_of_a_connection_and_forged_ones(shop: Shop) -> None:
    shop.table.cells[b"cust-1"] = "shop-2"
    shop.ask(headers={"X-Cell-ID": "shop-1", "x_tenant_id": "cust-2", "Connection": "X-Hop", "X-Hop": "1", "TE": "trailers",
                      "X-Note": "kept", "Cookie": "a=1; b=2", "X-Request-ID": "client-id-1"})
    (asked,) = shop.cells["shop-2"].asked
    assert asked.header("x-cell-id") == ["shop-2"]
    assert asked.header("x-tenant-id") == ["cust-1"]
    assert asked.header("x-request-id") == ["client-id-1"]
    assert (asked.header("x-note"), asked.header("cookie")) == (["kept"], ["a=1; b=2"])
    for name in ("x-hop", "te", "x_tenant_id"):
        assert asked.header(name) == []


def test_a_body_in_chunks_goes_on_whole(shop: Shop) -> None:
    response, _ = shop.ask(method="POST", body=iter([b"one", b"two", b"x" * 100_000]), chunked=True,
                           headers={"Transfer-Encoding": "chunked"})
    assert response.status == 200
    (asked,) = shop.asked()
    assert asked.body == b"onetwo" + b"x" * 100_000
    assert asked.header("content-length") == ["100006"]


def test_what_the_cell_answers_comes_back(shop: Shop) -> None:
    answered = Answered(302, (("Location", "http://elsewhere.example.com/"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"),
                              ("X-Cell-ID", "internal"), ("Connection", "X-Hop"), ("X-Hop", "1")), b"moved")
    for cell in shop.cells.values():
        cell.answer = lambda _: answered
    response, body = shop.ask()
    assert (response.status, body) == (302, b"moved")
    assert response.headers["Location"] == "http://elsewhere.example.com/"
    assert response.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert (response.headers["X-Cell-ID"], response.headers["X-Hop"]) == (None, None)
    assert len(response.headers["X-Request-ID"]) == 32


@pytest.mark.parametrize("target", [
    "/customers//orders", "/customers/", "/customers/null/orders", "/customers/undefined/orders", "/customers/%6eull",
    "/customers/cust-1/../cust-2", "/customers/cust-1/%2e%2e/cust-2", "/customers/cust-1%2forders", "/customers/cust-1%",
    "/customers/cust-1/a\\b", "/customers/cust-1#x",
])
def test_a_path_without_a_customer_or_with_two_readings_is_400(shop: Shop, target: str) -> None:
    response, body = shop.ask(target=target)
    assert (response.status, json.loads(body)["code"]) == (400, "INVALID_ARGUMENT")
    assert sorted(json.loads(body)) == ["code", "reason", "request_id"]
    assert shop.asked() == []


@pytest.mark.parametrize("head", [
    b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
    b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: +4\r\n\r\nabcd",
    b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4, 4\r\n\r\nabcd",
    b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\nabcd",
    b"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n+4\r\nabcd\r\n0\r\n\r\n",
    b"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcdX\r\n0\r\n\r\n",
    b"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcdXX0\r\n\r\n",
    b"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n",
    b"POST {path} HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nno header\r\nContent-Length: 4\r\n\r\nabcd",
    b"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length : 4\r\n\r\nabcd",
    b"GET {path} HTTP/1.1\r\n\r\n", b"GET {path} HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    b"GET {path} \r\nHost: x\r\n\r\n", b"GET  {path} HTTP/1.1\r\nHost: x\r\n\r\n", b"GET {path}\r\n\r\n",
    b"GET http://x{path} HTTP/1.1\r\nHost: x\r\n\r\n", b"get {path} HTTP/1.1\r\nHost: x\r\n\r\n",
])
def test_what_two_servers_might_read_differently_is_refused(shop: Shop, head: bytes) -> None:
    line, _, rest = head.partition(b"\r\n")
    token = f"Authorization: Bearer {shop.token('cust-1')}\r\n".encode() if rest != b"\r\n" else b""
    sent = (line + b"\r\n" + token + rest).replace(b"{path}", b"/customers/cust-1/orders")
    answered = shop.raw(sent + b"GET /customers/cust-2/orders HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answered.startswith(b"HTTP/1.1 400 ")
    assert answered.count(b"HTTP/1.1 ") == 1  # nothing behind it is read as a request
    assert shop.asked() == []


def test_a_body_that_is_too_large_is_413(shop: Shop) -> None:
    response, body = shop.ask(method="PUT", headers={"Content-Length": str((1 << 20) + 1)}, body=b"")
    assert (response.status, json.loads(body)["reason"]) == (413, "BODY_TOO_LARGE")


def test_another_customers_token_is_403_and_none_is_401(shop: Shop) -> None:
    response, _ = shop.ask("cust-1", target="/customers/cust-2/orders")
    assert response.status == 403
    response, _ = shop.ask(headers={"Authorization": "Basic Y3VzdC0x"})
    assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert shop.asked() == []


def test_only_who_is_absent_is_placed_by_hash(shop: Shop) -> None:
    shop.table.cells[b"cust-1"] = "shop-3"
    shop.ask("cust-1")
    shop.ask("cust-2")
    (asked,) = [asked for cell in shop.cells.values() for asked in cell.asked if asked.header("x-tenant-id") == ["cust-2"]]
    assert asked.header("x-cell-id") == [shop.router.locate("cust-2").cell]
    assert len(shop.cells["shop-3"].asked) >= 1
    shop.table.failing = True
    shop.now_ns += 400 * 10**9  # what is held near is out of date
    assert shop.ask("cust-1")[0].status == 200
    for customer in ("cust-2", "cust-3"):  # absent once is not absent now; and never looked up
        response, body = shop.ask(customer)
        assert (response.status, json.loads(body)["code"]) == (503, "UNAVAILABLE")


def test_a_hundred_in_any_minute_and_not_one_more(shop: Shop) -> None:
    with ThreadPoolExecutor(8) as pool:
        told = [answer[0].status for answer in pool.map(lambda _: shop.ask(), range(130))]
    assert (told.count(200), told.count(429)) == (100, 30)
    response, body = shop.ask()
    assert 1 <= int(response.headers["Retry-After"]) <= 80
    assert json.loads(body)["code"] == "RATE_LIMITED"
    assert shop.ask("cust-2")[0].status == 200
    shop.now_ns += int(response.headers["Retry-After"]) * 10**9
    assert shop.ask()[0].status == 200
    assert shop.in_flight() == 0


def test_a_cell_that_fails_is_left_alone_and_its_customers_told_when_to_come_back(shop: Shop) -> None:
    shop.table.cells |= {b"cust-1": "shop-1", b"cust-2": "shop-2"}
    shop.cells["shop-1"].answer = lambda _: Answered(503)
    assert [shop.ask("cust-1")[0].status for _ in range(3)] == [503] * 3
    response, body = shop.ask("cust-1")
    assert (response.status, json.loads(body)["reason"]) == (503, "BREAKER_OPEN")
    assert int(response.headers["Retry-After"]) >= 1
    assert len(shop.cells["shop-1"].asked) == 3
    assert shop.ask("cust-2")[0].status == 200
    assert shop.in_flight() == 0


def test_what_is_no_status_of_http_is_502(shop: Shop) -> None:
    for cell in shop.cells.values():
        cell.answer = lambda _: Answered(999)
    assert shop.ask()[0].status == 502
    assert shop.in_flight() == 0


def test_a_header_that_cannot_go_on_is_400_and_holds_nothing(shop: Shop) -> None:
    response, body = shop.ask(headers={"X@Note": "a"})
    assert (response.status, json.loads(body)["reason"]) == (400, "HEADERS_MALFORMED")
    assert shop.asked() == []
    assert shop.in_flight() == 0


def test_a_head_says_how_long_the_body_would_be(shop: Shop) -> None:
    for cell in shop.cells.values():
        cell.answer = lambda _: Answered(200, (), b"")
    response, body = shop.ask(method="HEAD")
    assert (response.status, body, response.headers["Content-Length"]) == (200, b"", "0")
