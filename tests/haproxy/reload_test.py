"""New topologies, mapping files, reloads and exits, with requests on their way."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import threading
import time

import pytest

import cellroute
from conftest import topology_of
from room import Cell, Connection, Proxy, fetch, proxy, readme_block, until, write_whole

COMMAND = os.environ["CELLROUTE_COMMAND"]
MASTER = ("-W", "-db")
POLL = {"CELLROUTE_POLL 1s": "CELLROUTE_POLL 50ms"}
MAPPED = POLL | {"    lua-prepend-path": "    setenv CELLROUTE_MAPPINGS file:{folder}/keys.crm\n    lua-prepend-path"}


def build_mappings(folder: pathlib.Path, cells: dict[str, str], epoch: int) -> None:
    """A mapping file, put in the place of the one before."""
    source = folder / "keys.csv"
    source.write_text("key,cell,epoch\n" + "".join(f"{key},{cell},{epoch}\n" for key, cell in cells.items()))
    subprocess.run([COMMAND, "snapshot", "build", "--input", source, "--output", folder / "keys.crm", "--generation",
                    str(epoch)], check=True, capture_output=True)


def mapped_places(folder: pathlib.Path) -> dict[str, str]:
    return {name: place.format(folder=folder) for name, place in MAPPED.items()}


class Load:
    """Clients that ask and check until they are stopped, each request on a connection of its own."""

    def __init__(self, port: int, allowed: dict[str, set[str]], clients: int = 4) -> None:
        self.port, self.allowed, self.count = port, allowed, 0
        self.wrong: list[str] = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=(i,)) for i in range(clients)]
        for thread in self.threads:
            thread.start()

    def _ask(self, number: int) -> None:
        keys = list(self.allowed)[number:] + list(self.allowed)[:number]
        while not self.stopping.is_set():
            for key in keys:
                try:
                    connection = Connection(self.port)
                    cell = connection.get(f"/{key}?{key}", f"X-Tenant-ID: {key}").told().cell
                    connection.close()
                    if cell not in self.allowed[key]:
                        self.wrong.append(f"{key} at {cell}")
                except Exception as error:  # noqa: BLE001 whatever it is, a request was lost
                    self.wrong.append(f"{key}: {error!r}")
                self.count += 1

    def stop(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        assert not self.wrong, (len(self.wrong), self.count, self.wrong[:5])


def homes(topology: str, count: int) -> dict[str, str]:
    router = cellroute.Router(cellroute.Topology.from_bytes(topology))
    return {f"tenant-{i}": str(router.locate(f"tenant-{i}").cell) for i in range(count)}


def resources(pid: int) -> tuple[int, int]:
    """Descriptors, and resident memory in KiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    rss = re.search(r"VmRSS:\s+(\d+)", status)
    assert rss is not None
    return len(os.listdir(f"/proc/{pid}/fd")), int(rss[1])


def generation(proxy: Proxy) -> int:
    return int(fetch(proxy.port, "/generation").header("x-generation") or "0")


TELLS_GENERATION = {"    http-request lua.cellroute_route\n":
                    "    http-request return status 200 hdr x-generation %[lua.cellroute_generation] if { path /generation }\n"
                    "    http-request lua.cellroute_route\n"}


def test_topologies_and_mapping_files_are_swapped_under_load(cells: dict[str, Cell], tmp_path: pathlib.Path) -> None:
    text = topology_of(cells, slots=1 << 20)  # so that a snapshot that is not let go shows
    placed = homes(text, 40)
    moved = {key: cell for key, cell in placed.items() if key.endswith("7")}
    build_mappings(tmp_path, {key: "cell-3" for key in moved}, 1)
    allowed = {key: {"cell-1", "cell-3"} if key in moved else {cell} for key, cell in placed.items()}
    with proxy(tmp_path, cells, text, places=mapped_places(tmp_path) | TELLS_GENERATION) as running:
        load, before = Load(running.port, allowed), (0, 0)
        for number in range(2, 42):
            write_whole(running.topology, topology_of(cells, generation=number, slots=1 << 20))
            if number % 8 == 0:
                target = "cell-3" if number % 16 == 0 else "cell-1"
                build_mappings(tmp_path, {key: target for key in moved}, number)
            time.sleep(0.1)
            if number == 15:
                before = resources(running.process.pid)
        until(lambda: generation(running) == 41)
        after = resources(running.process.pid)
        load.stop()
        assert load.count > 200
        assert after[0] - before[0] <= 12, f"descriptors {before[0]}, then {after[0]}"  # those of clients vary
        assert after[1] - before[1] < 6144, f"{before[1]} KiB, then {after[1]} KiB"
        assert {fetch(running.port, "/", f"X-Tenant-ID: {key}").told().cell for key in moved} == {"cell-1"}
        running.process.send_signal(signal.SIGUSR1)  # HAProxy closes what it has, Lua too
        assert running.process.wait(30) == 0
    assert "cellroute" not in running.log.read_text()


def test_reloads_lose_no_request(cells: dict[str, Cell], tmp_path: pathlib.Path) -> None:
    text = topology_of(cells)
    with proxy(tmp_path, cells, text, places=POLL | TELLS_GENERATION, arguments=MASTER) as running:
        load = Load(running.port, {key: {cell} for key, cell in homes(text, 40).items()})
        for number in range(2, 8):
            write_whole(running.topology, topology_of(cells, generation=number))
            running.reload()
            until(lambda: generation(running) == number)
        load.stop()
        until(lambda: len(running.workers()) == 1)


def test_what_is_refused_is_told_once_and_what_served_serves_on(cells: dict[str, Cell], tmp_path: pathlib.Path) -> None:
    with proxy(tmp_path, cells, topology_of(cells, generation=5), places=POLL | TELLS_GENERATION) as running:
        write_whole(running.topology, "generation: 6\ncells: 7\n")
        until(lambda: f"topology refused: {running.topology}:" in running.log.read_text())
        write_whole(running.topology, topology_of(cells, generation=4))
        until(lambda: "not published" in running.log.read_text())
        time.sleep(0.5)
        told = [line for line in running.log.read_text().splitlines() if "cellroute" in line]
        assert len(told) == 2, told
        write_whole(running.topology, topology_of(cells, generation=5))  # what serves, written anew
        time.sleep(0.5)
        assert "generation 5 is not newer" not in running.log.read_text()
        assert generation(running) == 5 and fetch(running.port, "/", "X-Tenant-ID: acme").status == 200
        write_whole(running.topology, topology_of(cells, generation=6))
        until(lambda: generation(running) == 6)


@pytest.mark.parametrize(("places", "told"), [
    ({"    setenv CELLROUTE_TOPOLOGY": "    setenv OTHER"}, "setenv CELLROUTE_TOPOLOGY"),
    ({"CELLROUTE_POLL 1s": "CELLROUTE_POLL soon"}, "CELLROUTE_POLL is a time"),
    ({"topology.yaml": "nothing.yaml"}, "nothing.yaml"),
    ({"    lua-prepend-path": "    setenv CELLROUTE_MAPPINGS redis://x\n    lua-prepend-path"}, "CELLROUTE_MAPPINGS"),
    ({"CELLROUTE_CONNECT_TIMEOUT 500ms": "CELLROUTE_CONNECT_TIMEOUT 0"}, "CELLROUTE_CONNECT_TIMEOUT is a time")])
def test_a_wrong_configuration_does_not_start(
        cells: dict[str, Cell], tmp_path: pathlib.Path, places: dict[str, str], told: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(told)):
        with proxy(tmp_path, cells, topology_of(cells), places=places):
            pass


def test_without_its_mapping_file_a_router_serves_nothing_until_it_is_there(
        cells: dict[str, Cell], tmp_path: pathlib.Path) -> None:
    text = topology_of(cells)
    with proxy(tmp_path, cells, text, places=mapped_places(tmp_path)) as running:
        assert fetch(running.port, "/ready").status == 503
        assert fetch(running.port, "/", "X-Tenant-ID: acme").status == 503
        until(lambda: f"mappings refused: {tmp_path}/keys.crm: " in running.log.read_text())
        time.sleep(0.5)  # some looks more
        assert running.log.read_text().count("mappings refused") == 1
        build_mappings(tmp_path, {"acme": "cell-2"}, 3)
        until(lambda: fetch(running.port, "/ready").status == 200)
        told = fetch(running.port, "/", "X-Tenant-ID: acme").told()
        assert (told.cell, told.header("x-cell-epoch")) == ("cell-2", ["3"])


def test_one_lua_for_all_threads_works_too(cells: dict[str, Cell], tmp_path: pathlib.Path) -> None:
    with proxy(tmp_path, cells, topology_of(cells), places=POLL | TELLS_GENERATION | {
            "lua-load-per-thread": "insecure-fork-wanted\n    lua-load"}) as running:
        for key, cell in homes(topology_of(cells), 30).items():
            assert fetch(running.port, "/", f"X-Tenant-ID: {key}").told().cell == cell
        write_whole(running.topology, topology_of(cells, generation=2))
        until(lambda: generation(running) == 2)


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot is for root")
def test_files_are_picked_up_from_within_a_chroot_and_as_another_user(
        cells: dict[str, Cell], open_folder: pathlib.Path) -> None:
    empty = open_folder / "empty"
    empty.mkdir()
    with proxy(open_folder, cells, topology_of(cells), arguments=MASTER, places=POLL | TELLS_GENERATION | {
            "    nbthread 4": f"    nbthread 4\n    chroot {empty}\n    user nobody"}) as running:
        assert fetch(running.port, "/", "X-Tenant-ID: acme").status == 200
        write_whole(running.topology, topology_of(cells, generation=2))
        until(lambda: generation(running) == 2)


@pytest.mark.parametrize("block", [1, 2])
def test_other_ways_to_the_cell_lead_there_too(cells: dict[str, Cell], tmp_path: pathlib.Path, block: int) -> None:
    first = readme_block("haproxy")
    head = first[:first.index("backend cell-1")].replace("use_backend %[var(txn.cellroute_cell)]", "use_backend cells")
    config = head + readme_block("haproxy", block)
    servers = {name: cell for name, cell in cells.items() if block == 1}
    with proxy(tmp_path, cells if servers else {}, topology_of(cells), config=config) as running:
        for key, cell in homes(topology_of(cells), 20).items():
            assert fetch(running.port, "/", f"X-Tenant-ID: {key}").told().cell == cell


def test_the_readmes_own_answer_and_converter_work(cells: dict[str, Cell], tmp_path: pathlib.Path) -> None:
    own = readme_block("haproxy", 3).strip()
    deny = "http-request lua.cellroute_deny if !{ var(txn.cellroute_status) -m str OK }"
    config = readme_block("haproxy").replace(deny, own.replace("-m int 503", "-m int 400"))
    config = config.replace("    http-request lua.cellroute_route\n",
                            "    http-request return status 200 hdr x-home %[hdr(x-tenant-id),lua.cellroute_cell] if { path /home }\n"
                            "    http-request lua.cellroute_route\n")
    config = config.replace("    use_backend", "    http-after-response set-header x-schema %[lua.cellroute_label(schema)] if { res.hdr(x-told) cell-1 }\n    use_backend", 1)
    text = topology_of(cells)
    with proxy(tmp_path, cells, text, config=config) as running:
        answer = fetch(running.port, "/")
        assert (answer.status, answer.body) == (503, b'{"reason":"TENANT_MISSING"}')
        for key, cell in homes(text, 12).items():
            assert fetch(running.port, "/home", f"X-Tenant-ID: {key}").header("x-home") == cell
            schema = fetch(running.port, "/", f"X-Tenant-ID: {key}").header("x-schema")
            assert schema == (f"tenant_{key}" if cell == "cell-1" else None)
