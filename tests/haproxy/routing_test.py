"""What arrives: each key at its cell, each request as it was sent."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket

import pytest

import cellroute
from room import BINDING, Answer, Connection, Proxy, fetch, parsed

BOTH = pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
FORGED = ["X-Cell-ID", "x-cell-id", "X-CELL-ID", "X_Cell_Id", "X-Cell_ID", "X-Cell-Epoch", "x_cell_epoch",
          "X-Encryption-Level", "x_encryption-level"]


def ask(proxy: Proxy, tenant: str, target: str = "/", *headers: str, http2: bool = False, method: str = "GET",
        body: bytes | None = None) -> Answer:
    port = proxy.http2_port if http2 else proxy.port
    return fetch(port, target, f"X-Tenant-ID: {tenant}", *headers, http2=http2, method=method, body=body)


def test_each_key_reaches_the_cell_that_the_library_says(plain: Proxy) -> None:
    router = cellroute.Router(cellroute.Topology.from_file(plain.topology))
    expected = {f"tenant-{i}": router.locate(f"tenant-{i}").cell for i in range(300)}
    connection = Connection(plain.port)
    told = {key: connection.get("/", f"X-Tenant-ID: {key}").told().cell for key in expected}
    connection.close()
    assert told == expected
    some = list(expected)[:12]
    assert {key: ask(plain, key, http2=True).told().cell for key in some} == {k: expected[k] for k in some}
    assert len(set(expected.values())) == 3


@BOTH
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"])
def test_methods_and_bodies_arrive_as_they_were_sent(plain: Proxy, method: str, http2: bool) -> None:
    body = None if method in ("GET", "HEAD") else bytes(range(256)) * 700
    answer = ask(plain, "acme", "/orders?id=1", method=method, body=body, http2=http2)
    assert answer.status == 200 and answer.header("x-told") is not None
    if method == "HEAD":
        assert answer.body == b""
        return
    told = answer.told()
    assert (told.method, told.target) == (method, "/orders?id=1")
    assert (told.body, told.sha) == (len(body or b""), hashlib.sha256(body or b"").hexdigest())


@BOTH
@pytest.mark.parametrize("target", [
    "/a%2Fb/%2e%2e/c", "/?a=1&a=2&a=&b", "/x?q=%00%ff%41+%20", "/%e2%82%ac?%e2%82%ac=;", "//double//slash/", "/a;p=1/b?x=?/&y=/../",
    "/" + "long/" * 600])
def test_targets_arrive_as_they_were_sent(plain: Proxy, target: str, http2: bool) -> None:
    assert ask(plain, "acme", target, http2=http2).told().target == target


@BOTH
def test_a_cell_is_told_its_id_and_the_epoch_and_forged_ones_never_arrive(plain: Proxy, http2: bool) -> None:
    told = ask(plain, "acme", "/", *(f"{name}: forged" for name in FORGED), http2=http2).told()
    assert told.header("x-cell-id") == [told.cell]
    assert told.header("x-cell-epoch") == ["0"]
    assert "forged" not in json.dumps(told.headers)


@BOTH
@pytest.mark.parametrize("size", [0, 1, 239, 240, 2287, 2288, 9000])
def test_headers_count_in_any_size_and_number(plain: Proxy, size: int, http2: bool) -> None:
    """HAProxy packs lengths into one, two or three bytes."""
    many = [f"X-Many-{i}: {'m' * 20}" for i in range(60)]
    sent = [f"X-Long: {'l' * size}" if size else "X-Long;", *many, "X_Cell_ID: forged", "X-Request-ID: mine"]
    told = fetch(plain.http2_port if http2 else plain.port, "/", *sent, "X-Tenant-ID: acme", http2=http2).told()
    assert told.cell == ask(plain, "acme").told().cell
    assert [told.header(name) for name in ("x-long", "x-many-59", "x-request-id")] == [["l" * size], ["m" * 20], ["mine"]]
    assert told.header("x-cell-id") == [told.cell] and "forged" not in json.dumps(told.headers)


@BOTH
@pytest.mark.parametrize(("sent", "kept"), [
    (["req-1_2.3:a"], True), (["a" * 128], True), (["a" * 129], False), (['"quoted"'], False), (["one", "two"], False), ([], False)])
def test_a_request_id_is_kept_where_it_is_well_formed(plain: Proxy, sent: list[str], kept: bool, http2: bool) -> None:
    told = ask(plain, "acme", "/", *(f"X-Request-ID: {text}" for text in sent), http2=http2).told()
    ids = told.header("x-request-id")
    assert len(ids) == 1
    assert ids == sent if kept else re.fullmatch("[0-9a-f]{32}", ids[0])


def test_request_ids_that_are_made_differ(plain: Proxy) -> None:
    connection = Connection(plain.port)
    ids = {connection.get("/", "X-Tenant-ID: acme").told().header("x-request-id")[0] for _ in range(50)}
    connection.close()
    assert len(ids) == 50


def test_a_websocket_passes(plain: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", plain.port), timeout=20) as connection:
        connection.sendall(b"GET /socket HTTP/1.1\r\nHost: localhost\r\nX-Tenant-ID: acme\r\nUpgrade: websocket\r\n"
                           b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        answer = parsed(head)
        assert (answer.status, answer.header("sec-websocket-accept")) == (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        for message in (b"one", os.urandom(4000), b"three"):
            connection.sendall(message)
            back = b""
            while len(back) < len(message):
                back += connection.recv(65536)
            assert back == message


@BOTH
def test_a_request_of_nobody_is_refused_with_a_reason(plain: Proxy, http2: bool) -> None:
    answer = fetch(plain.http2_port if http2 else plain.port, "/", "X-Request-ID: mine", http2=http2)
    assert answer.status == 400
    assert answer.header("content-type") == "application/json"
    assert json.loads(answer.body) == {"code": 400, "status": "INVALID_ARGUMENT", "reason": "TENANT_MISSING",
                                       "request_id": "mine"}


def test_readiness_and_metrics_are_served(plain: Proxy) -> None:
    assert fetch(plain.port, "/ready").status == 200
    ask(plain, "acme").told()
    answer = fetch(plain.port, "/metrics")
    assert answer.status == 200 and (answer.header("content-type") or "").startswith("text/plain")
    text = answer.body.decode()
    assert re.search(r'^cellroute_\w+\{[^}]*cell="cell-[123]"[^}]*\} [1-9]', text, re.MULTILINE), text[:2000]


def test_the_readme_names_all_that_the_binding_registers_and_no_more() -> None:
    source = "".join((BINDING / name).read_text() for name in ("cellroute.lua", "lua_txn.h", "module.c"))
    readme = (BINDING / "README.md").read_text()
    registered = {"lua." + name for name in re.findall(r'register_\w+\("(cellroute_?\w*)"', source)}
    variables = set(re.findall(r'"(txn\.cellroute_\w+)"', source)) | set(re.findall(r'getenv\("(CELLROUTE_\w+)"', source))
    assert len(registered) == 10 and len(variables) == 24
    found = set(re.findall(r"lua\.cellroute\w*|txn\.cellroute_\w+|CELLROUTE_\w+", readme))
    assert found == registered | variables
