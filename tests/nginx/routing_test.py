"""What reaches which cell, and how it looks there."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import socket
import subprocess
import time

import pytest

from room import LONG, TARGETS, Room, free_port, homes, make_certificate, numbers

KEYS = [f"tenant-{i}" for i in range(60)] + ["é" * 20, "a b", "%2e%2e", "x" * 1024]


def encoded(key: str) -> str:
    """As http.client and curl send it: latin-1 bytes of the UTF-8 text."""
    return key.encode().decode("latin-1")


def test_each_key_reaches_its_cell_over_both_versions_of_http(room: Room) -> None:
    topology = room.publish()
    room.start(room.configure())
    expected = homes(topology, KEYS)
    assert set(expected.values()) == {"a", "b", "c"}
    for key in KEYS:
        assert room.ask(encoded(key)).json["cell"] == expected[key]
    for key in KEYS:
        told = subprocess.run(["curl", "--silent", "--http2-prior-knowledge", "--header", f"X-Key: {key}",
                               f"http://127.0.0.1:{room.port2}/"], capture_output=True, timeout=LONG).stdout
        assert json.loads(told)["cell"] == expected[key]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "HEAD"])
def test_every_method_arrives_as_it_was_sent(room: Room, method: str) -> None:
    room.publish()
    room.start(room.configure())
    answer = room.ask("k", "/", method)
    if method == "HEAD":
        assert answer.status == 200 and not answer.body
    else:
        assert answer.json["method"] == method


def test_bodies_queries_repeated_parameters_and_encoded_signs_are_unchanged(room: Room) -> None:
    room.publish()
    room.start(room.configure(server="client_max_body_size 64m;"))
    for target in TARGETS:
        assert room.ask("k", target).json["target"] == target
    for size in (0, 1, 4096, 100_000, 5_000_000):
        body = random.Random(size).randbytes(size)
        seen = room.ask("k", "/", "POST", body).json
        assert (seen["size"], seen["digest"]) == (size, hashlib.sha256(body).hexdigest())


def test_a_websocket_is_passed_on_to_its_cell(room: Room) -> None:
    topology = room.publish("breaker: {slow_call: 0.05s, slow_rate: 0.1, minimum_calls: 1, open: 60s}")
    upgrade = "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"
    room.start(room.configure(f"cellroute key=$http_x_key; {upgrade} proxy_pass http://cells;"))
    key = base64.b64encode(os.urandom(16)).decode()
    for _ in range(2):  # long ones are no slow calls
        with socket.create_connection(("127.0.0.1", room.port), LONG) as client:
            client.sendall(f"GET / HTTP/1.1\r\nHost: h\r\nX-Key: k\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            assert head.startswith(b"HTTP/1.1 101 ")
            for message in (b"one", b"two" * 100):
                client.sendall(message)
                expected = homes(topology, ["k"])["k"].encode() + b":" + message
                got = b""
                while len(got) < len(expected):
                    got += client.recv(4096)
                assert got == expected
            time.sleep(0.2)


def test_the_cell_is_told_who_it_is_and_clients_tell_it_nothing(room: Room) -> None:
    topology = room.publish()
    room.start(room.configure(server="underscores_in_headers on; ignore_invalid_headers off;"))
    home = homes(topology, ["k"])["k"]
    with socket.create_connection(("127.0.0.1", room.port), LONG) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Key: k\r\nx-cell-id: forged\r\n"
                       b"X-CELL-ID: forged\r\nX_Cell_ID: forged\r\nX-Cell_id: forged\r\nx.cell.id: forged\r\n"
                       b"X_CELL_EPOCH: 99\r\nX-Cell-Epoch: 99\r\nX_Request_ID: forged\r\nX-Other: kept\r\n\r\n")
        raw = b""
        while data := client.recv(65536):
            raw += data
    seen = json.loads(raw.split(b"\r\n\r\n", 1)[1])["headers"]
    assert not [pair for pair in seen if pair[1] in ("forged", "99")]
    assert [value for name, value in seen if name == "X-Cell-ID"] == [home]
    assert [value for name, value in seen if name == "X-Cell-Epoch"] == ["0"]
    assert ["X-Other", "kept"] in seen


def test_a_request_id_is_kept_where_it_is_well_formed(room: Room) -> None:
    room.publish()
    room.start(room.configure())
    assert room.ask("k", X_Request_ID="client-1.a_B").seen("X-Request-ID") == ["client-1.a_B"]
    fresh = set()
    for bad in ("", "a b", 'a"b', "x" * 129, "é", "a,b"):
        [value] = room.ask("k", X_Request_ID=bad).seen("X-Request-ID")
        assert value != bad and len(value) == 32
        fresh.add(value)
    assert len(fresh) == 6


def test_variables_say_what_was_decided(room: Room) -> None:
    names = ("cell", "endpoint", "host", "status", "reason", "epoch", "generation", "key", "request_id", "label_schema",
             "label_orders_table", "label_none")
    headers = "".join(f"proxy_set_header V-{name.replace('_', '-')} $cellroute_{name};" for name in names)
    topology = room.publish(cell=", labels: {schema: 'tenant_{key}', Orders-Table: 'Orders-{cell}'}")
    room.start(room.configure(f"cellroute key=$http_x_key; {headers} proxy_pass http://cells;"))
    home = homes(topology, ["k k"])["k k"]
    answer = room.ask("k k")
    seen = {name: (answer.seen("V-" + name.replace("_", "-")) or [""])[0] for name in names}
    assert seen.pop("request_id") == answer.seen("X-Request-ID")[0]
    address = f"127.0.0.1:{room.cells[home].port}"
    assert seen == {"cell": home, "endpoint": f"http://{address}", "host": address, "status": "OK", "reason": "PLACED",
                    "epoch": "0", "generation": "1", "key": "k k", "label_schema": "tenant_k%20k",
                    "label_orders_table": f"Orders-{home}", "label_none": ""}


def test_profiles_come_from_variables_and_unknown_names_are_refused(room: Room) -> None:
    room.generation = 1
    cells = "\n".join(f"  - {{id: {name}, tier: {tier}, endpoint: '127.0.0.1:{room.cells[name].port}'}}"
                      for name, tier in (("a", "gold"), ("b", "silver"), ("c", "silver")))
    room.write(f"generation: 1\nhash_seed: 1\ntiers: [gold, silver]\ncells:\n{cells}\n"
               "policy: {affinity: STATEFUL, unassigned: PLACE}\n")
    room.start(room.configure("cellroute key=$http_x_key tier=$arg_tier risk=$arg_risk; proxy_pass http://cells;"))
    for _ in range(2):
        assert room.ask("k", "/?tier=gold").json["cell"] == "a"
        assert room.ask("k", "/?tier=silver").json["cell"] in "bc"
    for target, reason in (("/?tier=iron", "TIER_UNKNOWN"), ("/", "TIER_MISSING"), ("/?tier=gold&risk=x", "RISK_NOT_FINITE"),
                           ("/?tier=gold&risk=1.5", "RISK_OUT_OF_RANGE")):
        answer = room.ask("k", target)
        assert (answer.status, answer.json["reason"]) == (400, reason)


def test_a_resource_has_its_own_endpoint(room: Room) -> None:
    other = room.cells["b"].port
    room.publish(names=("a",), cell=f", endpoints: {{orders: 'http://localhost:{other}'}}")
    room.start(room.configure("cellroute key=$http_x_key resource=$arg_r; proxy_pass http://cells;"))
    assert room.ask("k").json["cell"] == "a"
    assert room.ask("k", "/?r=orders").json["cell"] == "b"
    assert room.ask("k", "/?r=none").json["cell"] == "a"


def test_cells_behind_tls_are_verified_by_their_own_names(room: Room) -> None:
    port, cell = free_port(), room.cells["a"]
    for name in ("localhost", "other"):
        make_certificate(room.folder, name)
    room.write(f"generation: 1\nhash_seed: 1\ncells: [{{id: a, endpoint: 'https://localhost:{port}'}}]\n")
    verify = (f"proxy_ssl_server_name on; proxy_ssl_name $cellroute_host; proxy_ssl_verify on; "
              f"proxy_ssl_trusted_certificate {room.folder}/all.pem;")
    (room.folder / "all.pem").write_text("".join((room.folder / f"{name}.pem").read_text() for name in ("localhost", "other")))

    def configured(name: str) -> str:
        front = (f"server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {room.folder}/{name}.pem; "
                 f"ssl_certificate_key {room.folder}/{name}.key; location / {{ proxy_pass http://127.0.0.1:{cell.port}; }} }}")
        return room.configure(f"cellroute key=$http_x_key; {verify} proxy_pass https://cells;", http=front)

    room.start(configured("localhost"))
    for _ in range(3):
        assert room.ask("k").json["cell"] == "a"
    room.reload(configured("other"))
    assert room.ask("k").status == 502 and "upstream SSL certificate does not match" in room.log()


TENANT = """
tenant:
  sources:
    - {subdomain: {domains: [example.com], reserved: [www]}}
    - {header: X-Tenant-ID}
    - {claim: tenant_id}
  trusted_headers: [X-Tenant-ID, X-User-ID]
"""


def test_the_tenant_is_found_by_the_topologys_rules(room: Room) -> None:
    room.generation = 1
    topology = room.write(room.topology_text() + TENANT)
    room.start(room.configure("cellroute tenant claim.tenant_id=$arg_claim; proxy_set_header X-Tenant-ID $cellroute_key;"
                              "proxy_pass http://cells;", server="underscores_in_headers on;"))
    home = homes(topology, ["acme", "other"])
    for target, headers in (("/", {"Host": "acme.example.com"}), ("/", {"Host": "h", "X-Tenant-ID": "acme"}),
                            ("/?claim=acme", {"Host": "h"}), ("http://acme.example.com/x", {"Host": "acme.example.com"})):
        answer = room.ask(target=target, fields={**headers, "X-User-ID": "forged", "x_user_id": "forged"})
        assert answer.json["cell"] == home["acme"] and answer.seen("X-Tenant-ID") == ["acme"]
        assert answer.seen("X-User-ID") == []
    for target, headers, status in (("/", {"Host": "acme.example.com", "X-Tenant-ID": "other"}, 400), ("/", {"Host": "h"}, 400),
                                    ("/", {"Host": "www.example.com"}, 400), ("/", {"Host": "acme..example.com"}, 400)):
        answer = room.ask(target=target, fields=headers)
        assert answer.status == status, (target, headers, answer.body)


def test_what_was_counted_is_shown_of_all_workers(room: Room) -> None:
    home = homes(room.publish("limits: [{per: KEY, kind: BUCKET, requests: 20, period: 36000s}]"), ["k"])["k"]
    room.start(room.configure(workers=2, server="location = /metrics { cellroute_metrics; }"))
    assert [room.ask("k").status for _ in range(25)].count(200) == 20
    room.ask("k2", X_Behave="status=503")
    answer = room.ask(target="/metrics")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    counts = numbers(answer.body.decode())

    def total(metric: str, *labels: str) -> float:
        return sum(value for name, value in counts.items()
                   if name.startswith(metric + "{") and all(label in name for label in labels))

    assert total("cellroute_decisions_total", 'status="OK"', f'cell="{home}"') >= 20
    assert total("cellroute_decisions_total", 'reason="KEY_LIMIT"') == 5
    assert total("cellroute_cell_calls_total", 'result="2xx"', f'cell="{home}"') == 20
    assert total("cellroute_cell_calls_total", 'result="5xx"') == 1
    assert counts["cellroute_snapshot_generation"] == 1
    assert room.ask(target="/metrics", method="HEAD").status == 200
    assert room.ask(target="/metrics", method="POST").status == 405
