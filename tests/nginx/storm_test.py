"""Topologies, mapping files and configurations that change under load."""

from __future__ import annotations

import asyncio
import collections
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
from typing import Callable

import cellroute

from room import LONG, Room, homes, wait_for

KEYS = [f"tenant-{i}" for i in range(40)]
COMMAND = os.environ["CELLROUTE_COMMAND"]
TELLS = "cellroute key=$http_x_key; proxy_set_header V-Generation $cellroute_generation; proxy_pass http://cells;"


async def one(port: int, key: str) -> dict[str, object] | int:
    """What the cell saw of a request on a connection of its own; a status where it is not 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET / HTTP/1.1\r\nHost: h\r\nX-Key: {key}\r\nConnection: close\r\n\r\n".encode())
    raw = await reader.read(-1)
    writer.close()
    head, _, body = raw.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        return int(head.split(b" ")[1]) if head else 0
    return dict(json.loads(body))


async def many(port: int, count: int, look: Callable[[str, object], None], at_once: int = 32) -> None:
    numbers = iter(range(count))

    async def some() -> None:
        for i in numbers:
            key = KEYS[i % len(KEYS)]
            look(key, await one(port, key))

    await asyncio.gather(*(some() for _ in range(at_once)))


def header(seen: dict[str, object], name: str) -> str:
    fields: list[tuple[str, str]] = seen["headers"]  # type: ignore[assignment]
    return next(value for field, value in fields if field == name)


def resident(pid: int) -> int:
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def each(seconds: float, what: Callable[[], None], until: threading.Event) -> threading.Thread:
    def run() -> None:
        while not until.wait(seconds):
            what()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_reloads_and_topologies_under_load_send_no_request_to_a_wrong_cell(room: Room) -> None:
    expected: dict[int, dict[str, str]] = {}
    wrong: list[object] = []
    generations: collections.Counter[int] = collections.Counter()

    def publish() -> None:
        """Every other generation b takes no new keys: a third of them moves."""
        room.generation += 1
        text = room.topology_text()
        if room.generation % 2:
            text = text.replace("{id: b,", "{id: b, weight: 0.25,")
        expected[room.generation] = homes(cellroute.Topology.from_bytes(text.encode()), KEYS)
        room.write(text)

    def look(key: str, seen: object) -> None:
        if not isinstance(seen, dict):
            wrong.append((key, seen))
            return
        generation = int(header(seen, "V-Generation"))
        generations[generation] += 1
        if seen["cell"] != expected[generation][key] or header(seen, "X-Cell-ID") != seen["cell"]:
            wrong.append((key, seen))

    publish()
    configuration = room.configure(TELLS, workers=2, upstream="keepalive 8;").replace(
        "topology.yaml;", "topology.yaml max_moved=100%;")
    room.start(configuration)
    assert room.process
    over = threading.Event()
    publisher = each(0.1, publish, over)
    try:
        asyncio.run(many(room.port, 1000, look))
        room.reload()
        before = (resident(room.process.pid), descriptors(room.process.pid))
        reloader = each(0.5, lambda: room.signal(signal.SIGHUP), over)
        asyncio.run(many(room.port, 9000, look))
    finally:
        over.set()
        publisher.join()
    reloader.join()
    assert not wrong, wrong[:3]
    assert sum(generations.values()) == 10_000 and len(generations) > 5
    wait_for(lambda: len(room.workers()) == 2, "old workers end")
    assert resident(room.process.pid) < before[0] * 1.1 + 2048
    assert descriptors(room.process.pid) == before[1]
    assert all(cell.counts()["misled"] == 0 for cell in room.cells.values())


def test_a_worker_that_serves_many_generations_does_not_grow(room: Room) -> None:
    room.publish()
    room.start(room.configure(TELLS, refresh="10ms"))
    [worker] = room.workers()

    def serve(count: int) -> tuple[int, int]:
        for _ in range(count):
            room.publish()
            wait_for(lambda: int(room.ask("k").seen("V-Generation")[0]) == room.generation, "it is picked up", 60)
        return resident(worker), descriptors(worker)

    serve(10)
    early = serve(10)
    late = serve(40)
    assert late[0] <= early[0] * 1.02 + 256
    wait_for(lambda: descriptors(worker) <= early[1], "no descriptor stays")


def build_mappings(room: Room, version: int) -> dict[str, str]:
    """Every key at another cell, with an epoch that says which file it is."""
    cells = list(room.cells)
    home = {key: cells[(i + version) % len(cells)] for i, key in enumerate(KEYS)}
    lines = "".join(json.dumps({"key": key, "cell": cell, "epoch": version + 1}) + "\n" for key, cell in home.items())
    (room.folder / "mappings.jsonl").write_text(lines)
    built = subprocess.run([COMMAND, "snapshot", "build", "--input", room.folder / "mappings.jsonl", "--output",
                            room.folder / "mappings.crm"], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (room.folder / "mappings.crm").chmod(0o644)
    return home


def test_a_mapping_file_is_swapped_under_load(room: Room) -> None:
    expected: dict[int, dict[str, str]] = {}
    wrong: list[object] = []
    epochs: collections.Counter[int] = collections.Counter()

    def swap() -> None:
        version = len(expected) + 1
        home = build_mappings(room, version)
        expected[version + 1] = home

    def look(key: str, seen: object) -> None:
        if not isinstance(seen, dict):
            wrong.append((key, seen))
            return
        epoch = int(header(seen, "X-Cell-Epoch"))
        epochs[epoch] += 1
        while epoch not in expected:
            time.sleep(0.01)
        if seen["cell"] != expected[epoch][key]:
            wrong.append((key, seen))

    room.publish()
    swap()
    room.start(room.configure(TELLS, workers=2, http=f"cellroute_mappings file:{room.folder}/mappings.crm;"))
    over = threading.Event()
    swapper = each(0.2, swap, over)
    try:
        asyncio.run(many(room.port, 5000, look))
    finally:
        over.set()
        swapper.join()
    assert not wrong, wrong[:3]
    assert sum(epochs.values()) == 5000 and len(epochs) > 3


def test_a_refused_topology_is_told_once_and_the_last_good_one_serves(room: Room) -> None:
    home = homes(room.publish(), KEYS)
    room.start(room.configure(TELLS))
    room.topology_path.write_text("generation: 2\ncells: [{id: a, colour: red}]\n")
    wait_for(lambda: "is refused" in room.log(), "the refusal is told")
    time.sleep(0.5)
    assert room.log().count("is refused") == 1 and "colour" in room.log()
    assert {key: room.ask(key).json["cell"] for key in KEYS} == home
    room.generation = 2
    room.publish(names=("a",))  # two cells go at once
    wait_for(lambda: room.log().count("is refused") == 2, "the second refusal is told")
    assert {key: room.ask(key).json["cell"] for key in KEYS} == home
    room.publish()
    wait_for(lambda: room.ask("k").seen("V-Generation") == ["4"], "a good one serves")
    room.topology_path.unlink()
    wait_for(lambda: room.log().count("is refused") == 3, "its absence is told")
    assert room.ask("k").status == 200


def test_a_file_that_is_written_again_is_told_from_one_that_changed(room: Room) -> None:
    room.publish()
    room.start(room.configure(TELLS))
    room.write(room.topology_text())
    time.sleep(0.5)
    assert "is refused" not in room.log()
    room.write(room.topology_text(cell=", labels: {a: b}"))
    wait_for(lambda: "generation 1 is not newer than 1" in room.log(), "the other one is refused")


def test_guards_survive_a_reload_and_another_geometry_is_refused(room: Room) -> None:
    room.publish("limits: [{per: KEY, kind: BUCKET, requests: 10, period: 36000s}]")
    room.start(room.configure(workers=2))
    assert [room.ask("k").status for _ in range(12)].count(200) == 10
    room.reload(room.configure(workers=2, server="# changed"))
    assert room.ask("k").status == 429
    (room.folder / "nginx.conf").write_text(room.configure(workers=3))
    before = room.workers()
    room.signal(signal.SIGHUP)
    wait_for(lambda: "cannot become one of" in room.log(), "the reload is refused")
    assert room.workers() == before and room.ask("k").status == 429
    room.reload(room.configure(workers=3, zone="17m"))
    assert room.ask("k").status == 200


def test_an_older_topology_is_refused_by_a_reload(room: Room) -> None:
    room.publish()
    text = room.topology_text()
    room.publish()
    room.start(room.configure(TELLS))
    room.write(text)
    room.signal(signal.SIGHUP)
    wait_for(lambda: "is older than" in room.log(), "the reload is refused")
    assert room.ask("k").seen("V-Generation") == ["2"]


def test_an_old_worker_whose_connection_stays_serves_new_topologies_too(room: Room) -> None:
    room.publish()
    upgrade = "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"
    location = TELLS.replace("proxy_pass", upgrade + "proxy_pass")
    room.start(room.configure(location))
    [old] = room.workers()
    with socket.create_connection(("127.0.0.1", room.port), LONG) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nX-Key: k\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
        room.signal(signal.SIGHUP)
        wait_for(lambda: len(room.workers()) == 2, "the new worker is there beside the old one")
        room.publish()
        served = f"{old}#{old}: cellroute: topology of generation 2 serves"
        wait_for(lambda: served in room.log(), "the old worker picks it up")
        client.sendall(b"still")
        assert client.recv(4096).endswith(b":still")
    wait_for(lambda: old not in room.workers(), "the old worker ends")
