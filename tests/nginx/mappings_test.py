"""Mapping files and stores that change beside the topology, are refused, or are not there."""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import shutil
import subprocess
import time

import pytest

from room import Room, wait_for

COMMAND = os.environ["CELLROUTE_COMMAND"]
KEYS = [f"tenant-{i}" for i in range(40)]
TELLS = "cellroute key=$http_x_key; proxy_set_header V-Generation $cellroute_generation; proxy_pass http://cells;"


def command(*arguments: str | pathlib.Path, user: str | None = None) -> None:
    ran = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, user=user, umask=0o022)
    assert ran.returncode == 0, ran.stderr


def generation(room: Room) -> int:
    return int(room.ask("k").seen("V-Generation")[0])


def mapped(room: Room, keys: list[str]) -> dict[str, tuple[str, str]]:
    """Where the keys are, and the epoch that their cells are told."""
    answers = {key: room.ask(key) for key in keys}
    return {key: (answer.json["cell"], answer.seen("X-Cell-Epoch")[0]) for key, answer in answers.items()}


def refusals(room: Room) -> list[str]:
    return [line for line in room.log().splitlines() if "is refused" in line]


def replace(path: pathlib.Path, content: bytes) -> None:
    fresh = path.with_suffix(".fresh")
    fresh.write_bytes(content)
    fresh.chmod(0o644)
    fresh.rename(path)


class Mappings:
    """A mapping file in which the keys are at one cell."""

    def __init__(self, room: Room) -> None:
        self.room, self.path, self.records = room, room.folder / "mappings.crm", room.folder / "mappings.jsonl"

    def make(self, generation: int, cell: str, count: int = len(KEYS)) -> bytes:
        """A file in which the first `count` keys are at `cell`."""
        self.records.write_text("".join(json.dumps({"key": key, "cell": cell, "epoch": generation}) + "\n"
                                        for key in KEYS[:count]))
        made = self.path.with_suffix(".made.crm")
        command("snapshot", "build", "--input", self.records, "--output", made, "--generation", str(generation))
        return made.read_bytes()

    def put(self, content: bytes) -> None:
        replace(self.path, content)

    def build(self, generation: int, cell: str, count: int = len(KEYS)) -> dict[str, tuple[str, str]]:
        """The file is that one now; what cells are told of its keys."""
        self.put(self.make(generation, cell, count))
        return {key: (cell, str(generation)) for key in KEYS[:count]}

    def start(self, generation: int, cell: str) -> dict[str, tuple[str, str]]:
        self.room.publish()
        told = self.build(generation, cell)
        self.room.start(self.room.configure(TELLS, http=f"cellroute_mappings file:{self.path};"))
        assert mapped(self.room, KEYS) == told
        return told


@pytest.fixture
def mappings(room: Room) -> Mappings:
    return Mappings(room)


def check_refused(mappings: Mappings, told: dict[str, tuple[str, str]], why: str) -> None:
    """Told once, with the file and what is wrong with it; newer topologies serve with the last good file."""
    room = mappings.room
    wait_for(lambda: refusals(room), "the refusal is told")
    for _ in range(2):
        room.publish()
        wait_for(lambda: generation(room) == room.generation, "the topology serves")
    time.sleep(0.3)  # beats that have nothing to tell
    [line] = refusals(room)
    assert str(mappings.path) in line and why in line
    assert mapped(room, KEYS) == told


def test_a_mapping_file_that_lacks_too_many_keys_holds_no_topology_up(mappings: Mappings) -> None:
    told = mappings.start(1, "a")
    mappings.build(2, "b", count=10)
    check_refused(mappings, told, "has 10 keys, the serving one has 40")
    told = mappings.build(3, "b")
    wait_for(lambda: mapped(mappings.room, KEYS) == told, "a good one serves")


def test_an_older_mapping_file_holds_no_topology_up(mappings: Mappings) -> None:
    told = mappings.start(2, "a")
    mappings.build(1, "b")
    check_refused(mappings, told, "generation 1 is older than that of 2")
    told = mappings.build(3, "b")
    wait_for(lambda: mapped(mappings.room, KEYS) == told, "a good one serves")


def test_a_broken_mapping_file_holds_no_topology_up(mappings: Mappings) -> None:
    told = mappings.start(1, "a")
    whole = mappings.make(2, "b")
    mappings.put(whole[:-100] + bytes(100))
    check_refused(mappings, told, "checksum")
    mappings.put(whole)
    wait_for(lambda: mapped(mappings.room, KEYS) == dict.fromkeys(KEYS, ("b", "2")), "a whole one serves")


def test_a_mapping_file_that_went_serves_on(mappings: Mappings) -> None:
    told = mappings.start(1, "a")
    mappings.path.unlink()
    check_refused(mappings, told, "No such file")


def test_a_topology_and_a_mapping_file_that_need_each_other_come_together(mappings: Mappings) -> None:
    """Keys that move to a cell which is new, in the beat in which it comes: none is without a cell in between."""
    room = mappings.room
    room.publish(names=("a", "b"))
    mappings.build(1, "a")
    room.start(room.configure(TELLS, http=f"cellroute_mappings file:{mappings.path};", refresh="1s").replace(
        "topology.yaml;", "topology.yaml max_moved=100%;"))
    assert mapped(room, KEYS[:1]) == {KEYS[0]: ("a", "1")}
    told = mappings.build(2, "c")
    room.publish()
    seen = set()
    while ("c", "2") not in seen:
        answer = room.ask(KEYS[0])
        assert answer.status == 200
        seen.add((answer.json["cell"], answer.seen("X-Cell-Epoch")[0]))
    assert mapped(room, KEYS) == told and refusals(room) == []


def test_changes_that_were_put_back_hold_no_topology_up(room: Room, mappings: Mappings) -> None:
    """Of one base, written anew or not, changes only grow."""
    store = f"lmdb:{room.folder}/mappings"
    beside = room.folder / "mappings.crm.changes"

    def sync(cell: str) -> None:
        command("mapping", "put", "--mappings", store, "--topology", room.topology_path, "--cell", cell, "k")
        command("sync", "--mappings", store, "--output", mappings.path, "--once")

    room.publish()
    sync("a")
    room.start(room.configure(TELLS, http=f"cellroute_mappings file:{mappings.path};"))
    sync("b")
    wait_for(lambda: mapped(room, ["k"]) == {"k": ("b", "2")}, "changes are picked up")
    base, changes = mappings.path.read_bytes(), beside.read_bytes()
    sync("c")
    told = {"k": ("c", "3")}
    wait_for(lambda: mapped(room, ["k"]) == told, "changes are picked up")
    assert mappings.path.read_bytes() == base
    mappings.put(base)
    replace(beside, changes)
    wait_for(lambda: refusals(room), "the refusal is told")
    room.publish()
    wait_for(lambda: generation(room) == room.generation, "the topology serves")
    assert mapped(room, ["k"]) == told and all('"k" has gone back' in line for line in refusals(room))
    sync("b")
    wait_for(lambda: mapped(room, ["k"]) == {"k": ("b", "4")}, "newer changes are picked up")


class Environment:
    """An LMDB store in a room, which belongs to the user of nginx's workers."""

    def __init__(self, room: Room) -> None:
        self.room, self.path = room, room.folder / "mappings"
        self.user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.make()

    def make(self) -> None:
        self.path.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self.path, self.user)

    def put(self, key: str, cell: str) -> None:
        command("mapping", "put", "--mappings", f"lmdb:{self.path}", "--topology", self.room.topology_path, "--cell", cell, key,
                user=self.user)

    def configuration(self, workers: int = 1) -> str:
        return self.room.configure(TELLS, workers=workers, http=f"cellroute_mappings lmdb:{self.path};")


@pytest.fixture
def environment(room: Room) -> Environment:
    room.publish()
    return Environment(room)


def test_records_that_are_put_while_nginx_runs_are_served(room: Room, environment: Environment) -> None:
    environment.put("first", "a")
    room.start(environment.configuration(workers=2))
    assert mapped(room, ["first"]) == {"first": ("a", "1")}
    for i, cell in enumerate("bca"):
        environment.put("first", cell)
        environment.put(f"new-{i}", cell)
        told = {"first": (cell, str(i + 2)), f"new-{i}": (cell, "1")}
        wait_for(lambda: all(mapped(room, list(told)) == told for _ in range(8)), "both workers serve it")
    assert refusals(room) == [] and len(room.workers()) == 2


def test_a_store_and_a_topology_that_change_at_once_are_both_taken(room: Room, environment: Environment) -> None:
    environment.put("k", "a")
    room.start(environment.configuration())
    for cell in "bcabca":
        environment.put("k", cell)
        room.publish()
        wait_for(lambda: generation(room) == room.generation, "the topology serves")
        wait_for(lambda: room.ask("k").json["cell"] == cell, "the record serves")


def test_a_reload_keeps_the_records(room: Room, environment: Environment) -> None:
    environment.put("k", "a")
    room.start(environment.configuration())
    environment.put("k", "b")
    room.reload()
    assert mapped(room, ["k"]) == {"k": ("b", "2")}
    environment.put("k", "c")
    wait_for(lambda: mapped(room, ["k"]) == {"k": ("c", "3")}, "the new workers look too")


def test_a_store_that_is_put_back_from_a_copy_is_served(room: Room, environment: Environment) -> None:
    environment.put("k", "a")
    room.start(environment.configuration())
    assert mapped(room, ["k"]) == {"k": ("a", "1")}
    environment.path.rename(environment.path.with_suffix(".old"))
    wait_for(lambda: refusals(room), "its absence is told")
    room.publish()
    wait_for(lambda: generation(room) == room.generation, "the topology serves")
    [line] = refusals(room)
    assert str(environment.path) in line and mapped(room, ["k"]) == {"k": ("a", "1")}
    environment.make()
    environment.put("k", "b")
    wait_for(lambda: mapped(room, ["k"]) == {"k": ("b", "1")}, "the new one serves")
    environment.put("k", "c")
    wait_for(lambda: mapped(room, ["k"]) == {"k": ("c", "2")}, "and is looked at")


def test_a_store_that_is_missing_or_none_refuses_the_configuration(room: Room, environment: Environment) -> None:
    (room.folder / "nginx.conf").write_text(environment.configuration())
    assert room.run("-t").returncode != 0
    assert f'"lmdb:{environment.path}"' in room.log() and "there is no store in this directory" in room.log()
    shutil.rmtree(environment.path)
    assert room.run("-t").returncode != 0 and "the directory does not exist" in room.log()
    environment.path.write_text("a file")
    assert room.run("-t").returncode != 0 and "this is a file; the store is a directory" in room.log()
    environment.path.unlink()
    environment.make()
    environment.put("k", "a")
    assert room.run("-t").returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="the workers are of the same user")
def test_a_store_of_another_user_refuses_the_configuration(room: Room, environment: Environment) -> None:
    environment.put("k", "a")
    room.start(environment.configuration())
    assert mapped(room, ["k"]) == {"k": ("a", "1")}
    for path in environment.path.iterdir():
        shutil.chown(path, "root")
    assert room.run("-t").returncode != 0
    assert f'"lmdb:{environment.path}"' in room.log() and "Permission denied" in room.log()
    assert mapped(room, ["k"]) == {"k": ("a", "1")}
