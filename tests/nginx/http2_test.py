"""HTTP/2 over TLS: what arrives, where, and what a stream that the client leaves says of its cell."""

from __future__ import annotations

import hashlib
import random

import pytest

from http2 import Connection
from room import TARGETS, Room, free_port, homes, make_certificate, numbers, wait_for

KEYS = [f"tenant-{i}" for i in range(30)]


class Front:
    """nginx that takes HTTP/2 over TLS."""

    def __init__(self, room: Room) -> None:
        self.room, self.port = room, free_port()
        make_certificate(room.folder, "localhost")

    def start(self, location: str = "") -> None:
        place = self.room.folder / "localhost"
        self.room.start(self.room.configure(
            location and f"cellroute key=$http_x_key; {location} proxy_pass http://cells;",
            server=f"listen 127.0.0.1:{self.port} ssl http2; ssl_certificate {place}.pem; ssl_certificate_key {place}.key;"
                   "location = /metrics { cellroute_metrics; }"))

    def connect(self) -> Connection:
        connection = Connection(self.port, self.room.folder / "localhost.pem")
        assert connection.protocol == "h2"
        return connection

    def calls(self) -> dict[str, float]:
        """How many calls of cells ended how."""
        found: dict[str, float] = {}
        for name, value in numbers(self.room.ask(target="/metrics").body.decode()).items():
            if name.startswith("cellroute_cell_calls_total{") and value:
                result = name.partition('result="')[2].partition('"')[0]
                found[result] = found.get(result, 0) + value
        return found


@pytest.fixture
def front(room: Room) -> Front:
    return Front(room)


def test_every_method_arrives_as_it_was_sent(room: Room, front: Front) -> None:
    home = homes(room.publish(), ["k"])["k"]
    front.start()
    with front.connect() as connection:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            for body in (b"", b"some"):
                seen = connection.ask("k", method=method, body=body).json
                assert (seen["cell"], seen["method"], seen["size"]) == (home, method, len(body))
        answer = connection.ask("k", method="HEAD")
    assert (answer.status, answer.body) == (200, b"") and room.cells[home].counts()["HEAD"] == 1


@pytest.mark.parametrize("location", ["", "proxy_request_buffering off;"])
def test_bodies_up_to_a_megabyte_arrive_as_they_were_sent(room: Room, front: Front, location: str) -> None:
    room.publish()
    front.start(location)
    with front.connect() as connection:
        for size in (0, 1, 16_384, 65_535, 65_536, 1 << 20):
            body = random.Random(size).randbytes(size)
            lengths: list[dict[str, str]] = [{"content_length": str(size)}, {}]
            for length in lengths:
                seen = connection.ask("k", "/", "POST", body, **length).json
                assert (seen["size"], seen["digest"]) == (size, hashlib.sha256(body).hexdigest())


def test_queries_repeated_parameters_and_encoded_signs_are_unchanged(room: Room, front: Front) -> None:
    room.publish()
    front.start()
    with front.connect() as connection:
        for target in TARGETS:
            assert connection.ask("k", target).json["target"] == target


def test_the_cell_is_told_who_it_is_and_clients_tell_it_nothing(room: Room, front: Front) -> None:
    home = homes(room.publish(), ["k"])["k"]
    front.start()
    with front.connect() as connection:
        seen = connection.ask("k", X_Cell_ID="forged", X_Cell_Epoch="99", X_Request_ID="mine", X_Other="kept").json["headers"]
    told = {name.lower(): value for name, value in seen}
    assert len(told) == len(seen)
    assert {name: told[name] for name in ("x-cell-id", "x-cell-epoch", "x-request-id", "x-other")} == {
        "x-cell-id": home, "x-cell-epoch": "0", "x-request-id": "mine", "x-other": "kept"}


def test_streams_at_once_each_reach_the_cell_of_their_tenant(room: Room, front: Front) -> None:
    home = homes(room.publish(), KEYS)
    cells = list(home.values())
    assert set(cells) == {"a", "b", "c"}
    front.start()
    bodies = {key: random.Random(key).randbytes(50_000 + i) for i, key in enumerate(KEYS)}
    with front.connect() as connection:
        # Each cell answers when all its streams are there.
        sent = {key: connection.send(key, f"/{key}", "POST", bodies[key], X_Behave=f"together={cells.count(home[key])}")
                for key in KEYS}
        for key, number in sent.items():
            seen = connection.answer(number).json
            assert (seen["cell"], seen["target"]) == (home[key], f"/{key}")
            assert seen["digest"] == hashlib.sha256(bodies[key]).hexdigest()
    assert {name: cell.counts()["most"] for name, cell in room.cells.items()} == {
        name: cells.count(name) for name in room.cells}


def test_a_stream_whose_cell_is_down_or_whose_key_is_limited_leaves_the_others_alone(room: Room, front: Front) -> None:
    home = homes(room.publish("limits: [{per: KEY, kind: WINDOW, requests: 2, period: 60s}]"), KEYS)
    front.start()
    room.cells["a"].kill()
    with front.connect() as connection:
        for key in KEYS:
            answers = [connection.answer(number) for number in [connection.send(key) for _ in range(3)]]
            if home[key] == "a":
                assert {answer.status for answer in answers} <= {429, 502, 503}
            else:
                assert sorted(answer.status for answer in answers) == [200, 200, 429]
                limited = next(answer for answer in answers if answer.status == 429)
                assert limited.json["reason"] == "KEY_LIMIT" and int(limited.fields["retry-after"]) >= 1


# A cell that fails twice in a row is left alone for a minute, and takes 3 requests at a time.
STRICT = "breaker: {consecutive_failures: 2, open: 60s}, in_flight: {per_cell: 3, deadline: 600s}"


def test_a_stream_left_before_its_answer_is_no_failure_of_the_cell(room: Room, front: Front) -> None:
    room.publish(STRICT, names=("a",))
    front.start()
    with front.connect() as connection:
        for i in range(5):
            left = connection.send("k", X_Behave="sleep=60", X_Count=f"left-{i}")
            wait_for(lambda: room.cells["a"].counts().get(f"left-{i}"), "it is at the cell")
            connection.leave(left)
            assert connection.ask("k").status == 200
        wait_for(lambda: front.calls() == {"client_abort": 5, "2xx": 5}, "they are counted")
        together = [connection.send("k", X_Behave="sleep=0.2") for _ in range(3)]
        assert [connection.answer(number).status for number in together] == [200] * 3


@pytest.mark.parametrize("location", ["", "proxy_request_buffering off;"])
def test_a_stream_left_in_its_body_is_no_failure_of_the_cell(room: Room, front: Front, location: str) -> None:
    room.publish(STRICT, names=("a",))
    front.start(location)
    with front.connect() as connection:
        for _ in range(5):
            left = connection.send("k", "/", "POST", b"x" * 50_000, ends=False, content_length="100000")
            assert connection.ask("k").status == 200
            connection.leave(left)
        wait_for(lambda: front.calls() == {"client_abort": 5, "2xx": 5}, "they are counted")
        assert [connection.ask("k").status for _ in range(5)] == [200] * 5


def test_a_stream_left_in_its_answer_is_no_failure_of_the_cell(room: Room, front: Front) -> None:
    room.publish(STRICT, names=("a",))
    front.start()
    with front.connect() as connection:
        for i in range(5):
            left = connection.send("k", X_Behave="fill=3000000")
            while not connection.streams[left].body:
                connection.receive()
            connection.leave(left)
            assert connection.ask("k").status == 200
        wait_for(lambda: front.calls() == {"2xx": 10}, "they are counted by the status that came")
        together = [connection.send("k", X_Behave="sleep=0.2") for _ in range(3)]
        assert [connection.answer(number).status for number in together] == [200] * 3


def test_a_connection_that_breaks_off_leaves_every_stream(room: Room, front: Front) -> None:
    room.publish(STRICT, names=("a",))
    front.start()
    with front.connect() as connection:
        for i in range(3):
            connection.send("k", X_Behave="sleep=60", X_Count="left")
        wait_for(lambda: room.cells["a"].counts().get("left") == 3, "they are at the cell")
    wait_for(lambda: front.calls() == {"client_abort": 3}, "they are counted")
    with front.connect() as connection:
        assert [connection.ask("k").status for _ in range(3)] == [200] * 3
