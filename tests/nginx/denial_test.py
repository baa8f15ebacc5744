"""What clients are told where no cell serves."""

from __future__ import annotations

import pytest

from room import Room


def test_a_request_without_a_key_is_answered_400_and_nothing_internal(room: Room) -> None:
    room.publish()
    room.start(room.configure())
    answer = room.ask(X_Request_ID="r1")
    assert answer.status == 400
    assert answer.json == {"code": "INVALID_ARGUMENT", "reason": "KEY_EMPTY", "request_id": "r1"}
    assert answer.headers["Content-Type"] == "application/json" and answer.headers["X-Request-ID"] == "r1"
    assert "Retry-After" not in answer.headers
    assert room.ask(method="HEAD").status == 400
    assert room.ask("x" * 1025).json["reason"] == "KEY_TOO_LONG"


def test_who_is_limited_is_told_when_to_come_again_and_others_are_not_limited(room: Room) -> None:
    room.publish("limits: [{per: KEY, kind: WINDOW, requests: 5, period: 60s}]")
    room.start(room.configure())
    statuses = [room.ask("noisy").status for _ in range(9)]
    assert statuses == [200] * 5 + [429] * 4
    answer = room.ask("noisy", method="POST", body=b"x" * 100_000)
    assert answer.json["reason"] == "KEY_LIMIT" and 1 <= int(answer.headers["Retry-After"]) <= 75
    assert {room.ask(f"quiet-{i}").status for i in range(20)} == {200}


@pytest.mark.parametrize("state, status, code", [
    ("unassigned: REJECT", 404, "UNASSIGNED"), ("unassigned: ASSIGN", 404, "UNASSIGNED")])
def test_a_key_without_a_cell_is_not_found(room: Room, state: str, status: int, code: str) -> None:
    room.generation = 1
    room.write(room.topology_text().replace("unassigned: PLACE", state))
    room.start(room.configure())
    answer = room.ask("k")
    assert (answer.status, answer.json["code"]) == (status, code)


def test_error_pages_see_the_denial_when_they_are_asked_for(room: Room) -> None:
    room.publish("limits: [{per: KEY, kind: WINDOW, requests: 1, period: 60s}]")
    room.start(room.configure(
        server="cellroute key=$http_x_key; cellroute_denied error_page; error_page 429 /limited;"
               "location = /limited { internal; return 429 \"$cellroute_status $cellroute_reason $cellroute_key\\n\"; }",
        location="proxy_pass http://cells;"))
    assert room.ask("k").status == 200
    answer = room.ask("k")
    assert (answer.status, answer.body) == (429, b"RATE_LIMITED KEY_LIMIT k\n")
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_location_may_be_taken_out(room: Room) -> None:
    room.publish()
    room.start(room.configure(
        server="cellroute key=$http_x_key; location = /free { cellroute off; return 200 \"[$cellroute_cell]\"; }",
        location="proxy_pass http://cells;"))
    assert room.ask(target="/free").body == b"[]"
    assert room.ask(target="/").status == 400


@pytest.mark.parametrize("directive, told", [
    ("cellroute_mappings redis://h;", "neither file:PATH nor lmdb:PATH"),
    ("cellroute_mappings file:missing.crm;", "missing.crm"),
    ("cellroute tier=gold;", "needs one of key= and tenant"),
    ("cellroute key=a colour=b;", "colour=b"),
    ("cellroute_denied html;", "html"),
    ("upstream u { least_conn; cellroute_cells; }", "must come first"),
    ("upstream u { cellroute_cells; server 127.0.0.1:1; least_conn; } cellroute_zone more 1m;", "is duplicate"),
])
def test_a_wrong_directive_is_refused_with_its_reason(room: Room, directive: str, told: str) -> None:
    room.publish()
    (room.folder / "nginx.conf").write_text(room.configure(http=directive))
    tested = room.run("-t")
    assert tested.returncode != 0 and told in tested.stderr + room.log()


def test_a_wrong_topology_or_a_small_zone_refuses_the_configuration(room: Room) -> None:
    room.publish()
    room.topology_path.write_text("generation: 1\nhash_seed: 1\ncells:\n  - {id: a, colour: red}\n")
    (room.folder / "nginx.conf").write_text(room.configure())
    assert room.run("-t").returncode != 0 and "colour" in room.log() and "topology.yaml:4" in room.log()
    room.generation = 0
    room.publish()
    (room.folder / "nginx.conf").write_text(room.configure(zone="64k"))
    assert room.run("-t").returncode != 0 and "is too small" in room.log()
    (room.folder / "nginx.conf").write_text(room.configure())
    assert room.run("-t").returncode == 0


def test_endpoints_of_tls_are_not_spoken_to_in_the_clear(room: Room) -> None:
    room.generation = 1
    room.write(room.topology_text().replace("http://", "https://"))
    room.start(room.configure())
    assert room.ask("k").status == 502 and "is https, proxy_pass is not" in room.log()
    assert sum(cell.counts().get("all", 0) for cell in room.cells.values()) == 0


def test_an_upstream_asked_for_without_a_decision_is_an_error_of_the_configuration(room: Room) -> None:
    room.publish()
    room.start(room.configure("proxy_pass http://cells;"))
    assert room.ask("k").status == 500 and 'location without "cellroute"' in room.log()
