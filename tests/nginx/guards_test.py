"""Sick cells, limits and caps, through the zone that workers share."""

from __future__ import annotations

import concurrent.futures
import socket
import time

import pytest

from room import LONG, Answer, Room, homes, wait_for

TENANTS = [f"t{i}" for i in range(30)]
QUICK = "breaker: {consecutive_failures: 3, open: 1s, open_max: 1s, probes: 2, probe_deadline: 5s}"


def at_once(room: Room, count: int, key: str | None = None, **headers: str) -> list[Answer]:
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda i: room.ask(key or f"key-{i}", **headers), range(count)))


def abandon(room: Room, key: str, behaviour: str) -> None:
    with socket.create_connection(("127.0.0.1", room.port), LONG) as client:
        client.sendall(f"GET / HTTP/1.1\r\nHost: h\r\nX-Key: {key}\r\nX-Behave: {behaviour}\r\n\r\n".encode())
        time.sleep(0.1)  # it is at the cell


def test_a_killed_cell_fails_fast_for_its_own_tenants_and_nobody_else_notices(room: Room) -> None:
    home = homes(room.publish(QUICK), TENANTS)
    room.start(room.configure(workers=4))
    assert {room.ask(key).json["cell"] for key in TENANTS} == {"a", "b", "c"}
    room.cells["a"].kill()
    statuses: dict[bool, list[int]] = {True: [], False: []}
    for _ in range(3):
        for key in TENANTS:
            statuses[home[key] == "a"].append(room.ask(key).status)
    assert set(statuses[False]) == {200}
    assert statuses[True][:3] == [502] * 3 and 503 in statuses[True]
    answer = wait_for(lambda: (answer := room.ask(next(k for k in TENANTS if home[k] == "a"))).status == 503 and answer,
                      "the breaker is open")
    assert answer.json["reason"] == "BREAKER_OPEN" and int(answer.headers["Retry-After"]) >= 1
    room.cells["a"].start()
    for key in TENANTS:
        wait_for(lambda key=key: room.ask(key).status == 200, "the cell comes back")
        assert room.ask(key).json["cell"] == home[key]


def test_a_cell_that_comes_back_gets_no_more_than_its_probes(room: Room) -> None:
    topology = room.publish(QUICK)
    keys = [key for key, cell in homes(topology, [f"k{i}" for i in range(200)]).items() if cell == "a"]
    room.start(room.configure(workers=4))
    room.cells["a"].kill()
    wait_for(lambda: room.ask(keys[0]).status == 503, "the breaker opens")
    room.cells["a"].start()
    time.sleep(1.5)  # the breaker's time, and its jitter
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = [pool.submit(room.ask, key, X_Behave="sleep=2", X_Count="probe") for key in keys[:40]]
        wait_for(lambda: sum(a.done() for a in answers) == 38, "the others are refused")
        assert room.cells["a"].counts()["probe"] == 2
        statuses = sorted(a.result().status for a in answers)
    assert statuses == [200] * 2 + [503] * 38
    assert room.cells["a"].counts()["probe"] == 2


def test_a_keys_limit_holds_exactly_over_all_workers(room: Room) -> None:
    room.publish("limits: [{per: KEY, kind: BUCKET, requests: 100, period: 36000s}]")
    room.start(room.configure(workers=4))
    statuses = [answer.status for _ in range(5) for answer in at_once(room, 50, "noisy")]
    assert (statuses.count(200), statuses.count(429)) == (100, 150)
    assert {answer.status for answer in at_once(room, 40)} == {200}


def test_a_cells_cap_is_never_exceeded_over_all_workers(room: Room) -> None:
    room.publish("in_flight: {per_cell: 8, deadline: 60s}", names=("a",))
    room.start(room.configure(workers=4))
    answers = [answer for _ in range(3) for answer in at_once(room, 60, X_Behave="sleep=0.3")]
    statuses = [answer.status for answer in answers]
    assert set(statuses) == {200, 503} and statuses.count(200) >= 8
    assert {answer.json["reason"] for answer in answers if answer.status == 503} == {"CELL_FULL"}
    assert 1 < room.cells["a"].counts()["most"] <= 8


def test_clients_that_go_are_no_failure_of_the_cell_but_its_timeouts_are(room: Room) -> None:
    room.publish("breaker: {consecutive_failures: 2, open: 60s}", names=("a",))
    room.start(room.configure("cellroute key=$http_x_key; proxy_read_timeout 500ms; proxy_pass http://cells;"))
    for _ in range(5):
        abandon(room, "k", "sleep=0.4")
    assert room.ask("k").status == 200
    assert [room.ask("k", X_Behave="sleep=2").status for _ in range(3)] == [504, 504, 503]


@pytest.mark.parametrize("behaviour, statuses", [
    ("close", [502, 502, 503]), ("status=503", [503, 503, 503]), ("status=404", [404, 404, 200]),
    ("status=429", [429, 429, 200]), ("status=500", [500, 500, 200])])
def test_what_counts_as_a_failure(room: Room, behaviour: str, statuses: list[int]) -> None:
    room.publish("breaker: {consecutive_failures: 2, open: 60s}", names=("a",))
    room.start(room.configure())
    assert [room.ask("k", X_Behave=behaviour).status for _ in range(2)] == statuses[:2]
    last = room.ask("k")
    assert last.status == statuses[2]
    assert last.status == 200 or last.json["reason"] == "BREAKER_OPEN"


def test_an_answer_that_is_cut_counts_as_a_failure(room: Room) -> None:
    room.publish("breaker: {consecutive_failures: 2, open: 60s}", names=("a",))
    room.start(room.configure())
    for _ in range(2):
        with pytest.raises(Exception, match="IncompleteRead"):
            room.ask("k", X_Behave="cut")
    assert room.ask("k").status == 503


def test_a_slow_client_is_no_slow_cell(room: Room) -> None:
    room.publish("breaker: {slow_call: 0.3s, slow_rate: 0.1, minimum_calls: 1, open: 60s}", names=("a",))
    room.start(room.configure())
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", room.port), LONG) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nX-Key: k\r\nConnection: close\r\nContent-Length: 2\r\n\r\n")
            time.sleep(0.6)
            client.sendall(b"ab")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert room.ask("k", X_Behave="sleep=0.6").status == 200
    assert room.ask("k").status == 503


STATELESS = "cellroute key=$http_x_key; proxy_next_upstream error timeout http_503 non_idempotent; proxy_pass http://cells;"


def seen_by(room: Room, count: str) -> dict[str, int]:
    return {name: cell.counts().get(count, 0) for name, cell in room.cells.items()}


def test_a_stateless_try_goes_on_to_other_cells_and_to_none_twice(room: Room) -> None:
    room.generation = 1
    room.write(room.topology_text("breaker: {consecutive_failures: 100}").replace("STATEFUL", "STATELESS"))
    room.start(room.configure(STATELESS))
    body = b"x" * 200_000
    for i in range(10):
        answer = room.ask(f"k{i}", "/", "POST", body, X_Behave="status=503", X_Count=f"r{i}")
        assert answer.status == 503 and answer.json["size"] == len(body)
        assert seen_by(room, f"r{i}") == {"a": 1, "b": 1, "c": 1}
    room.cells["a"].kill()
    for i in range(10):
        answer = room.ask(f"k{i}", "/", "POST", body)
        assert answer.status == 200 and answer.json["size"] == len(body)
        assert answer.seen("X-Cell-ID") == [answer.json["cell"]]
    assert all(cell.counts().get("misled", 0) == 0 for name, cell in room.cells.items() if name != "a")


def test_a_stateful_try_goes_nowhere_else(room: Room) -> None:
    home = homes(room.publish("breaker: {consecutive_failures: 100}"), ["k"])["k"]
    room.start(room.configure(STATELESS, upstream=""))
    answer = room.ask("k", X_Behave="status=503", X_Count="one")
    assert answer.status == 503 and answer.json["cell"] == home  # the cell's own answer, not nginx's
    assert sorted(seen_by(room, "one").values()) == [0, 0, 1]
    assert room.ask("k", X_Behave="close", X_Count="two").status == 502
    assert sorted(seen_by(room, "two").values()) == [0, 0, 1]


def test_a_read_may_go_to_a_replica_and_a_write_may_not(room: Room) -> None:
    room.write(f"""
generation: 1
hash_seed: 1
tiers: [gold, silver]
cells:
  - {{id: a, tier: gold, endpoint: '127.0.0.1:{room.cells["a"].port}', replicas: [c]}}
  - {{id: c, tier: silver, endpoint: '127.0.0.1:{room.cells["c"].port}'}}
policy: {{affinity: STATEFUL, unassigned: PLACE, breaker: {{consecutive_failures: 100}}}}
""")
    room.start(room.configure("cellroute key=$http_x_key tier=gold; proxy_set_header V-Reason $cellroute_reason;"
                              "proxy_next_upstream error non_idempotent; proxy_pass http://cells;"))
    assert room.ask("k").json["cell"] == "a"
    room.cells["a"].kill()
    answer = room.ask("k")
    assert answer.json["cell"] == "c" and answer.seen("X-Cell-ID") == ["c"]
    assert room.ask("k", method="HEAD").status == 200
    assert {room.ask("k", method=method).status for method in ("POST", "PUT", "DELETE", "OPTIONS")} == {502}


def test_an_old_connection_that_the_cell_closed_is_tried_anew_on_the_same_cell(room: Room) -> None:
    room.publish("breaker: {consecutive_failures: 1, open: 60s}")
    room.start(room.configure())
    for _ in range(5):
        assert room.ask("k").status == 200
        assert room.ask("k", X_Behave="stale", X_Count="s").status == 200


def test_every_exit_gives_back_what_was_reserved(room: Room) -> None:
    room.publish("in_flight: {per_cell: 3, deadline: 600s}, breaker: {consecutive_failures: 1000}", names=("a",))
    room.start(room.configure(
        "cellroute key=$http_x_key; proxy_read_timeout 200ms; proxy_pass http://cells; error_page 502 504 @other;"
        "if ($http_x_kind = static) { return 200 s; } ",
        server="client_body_timeout 200ms; location @other { proxy_pass http://cells; }"
               "location /direct { cellroute key=$http_x_key; proxy_pass $cellroute_endpoint; }"
               "location /plain { cellroute key=$http_x_key; return 204; }"
               "location /missing { cellroute key=$http_x_key; root /nowhere; }"
               "location /try { cellroute key=$http_x_key; try_files /none @other; }"
               "location /sub { auth_request /auth; proxy_pass http://cells; cellroute key=$http_x_key; }"
               "location = /auth { internal; cellroute key=$http_x_key; proxy_pass http://cells/;"
               " proxy_pass_request_body off; proxy_set_header Content-Length \"\"; }"))
    for _ in range(5):
        room.ask("k", X_Behave="close")
        room.ask("k", X_Behave="sleep=0.5")
        abandon(room, "k", "sleep=0.15")
        assert room.ask("k", "/direct/x").status == 200
        assert room.ask("k", "/plain").status == 204
        assert room.ask("k", "/missing").status == 404
        assert room.ask("k", "/try").status == 200
        assert room.ask("k", "/sub").status == 200
        assert room.ask("k", "/none", "POST", b"x" * 2_000_000).status == 413
        with socket.create_connection(("127.0.0.1", room.port), LONG) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nX-Key: k\r\nContent-Length: 9\r\n\r\nab")
            time.sleep(0.05)
    wait_for(lambda: {answer.status for answer in at_once(room, 3, "k", X_Behave="sleep=0.1")} == {200}, "all came back")
