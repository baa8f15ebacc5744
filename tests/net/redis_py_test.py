"""redis-py reads what cellroute wrote, and cellroute reads what redis-py wrote, as redis_format.md says."""

from __future__ import annotations

import binascii
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis  # type: ignore[import]

SOURCE = pathlib.Path(__file__).resolve().parents[2]
KEYS = ("head", "records", "order", "cells", "expiry", "changes")


@pytest.fixture
def server(tmp_path: pathlib.Path) -> Iterator[str]:
    socket = tmp_path / "socket"
    process = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no"],
        cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                redis.Redis(unix_socket_path=str(socket)).ping()
                break
            except redis.ConnectionError:
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.01)
        yield str(socket)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def mapping_pb2(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("schema")
    schema = SOURCE / "src/stores"
    subprocess.run([os.environ["CELLROUTE_PROTOC"], f"--proto_path={schema}", f"--python_out={folder}",
                    schema / "mapping.proto"], check=True)
    sys.path.insert(0, str(folder))
    import mapping_pb2 as module  # type: ignore[import]
    return module


def run(socket: str, *arguments: str) -> dict[str, Any]:
    ran = subprocess.run([os.environ["CELLROUTE_COMMAND"], "mapping", *arguments, "--mappings",
                          f"redis+unix://{socket}?prefix=shop"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[0])
    return answer


def names(store: Any, key: bytes) -> list[str]:
    version, _, partitions = store.get("shop:format").split()
    assert version == b"1"
    partition = binascii.crc_hqx(key, 0) % int(partitions)
    return [f"shop:{{{partition}}}:{name}" for name in KEYS]


def test_redis_py_reads_what_cellroute_wrote(server: str, mapping_pb2: Any) -> None:
    run(server, "put", "tenant", "--cell", "cell-a")
    store = redis.Redis(unix_socket_path=server)
    head, records, order, cells, _, changes = names(store, b"tenant")
    line, _, message = store.hget(records, "tenant").partition(b"\n")
    assert line == b"1 1 1 0 0 cell-a "
    record = mapping_pb2.MappingRecord.FromString(message)
    assert (record.key, record.cell, record.epoch, record.revision) == (b"tenant", b"cell-a", 1, 1)
    assert store.zrange(order, 0, -1) == [b"tenant"]
    assert store.zrange(cells, 0, -1) == [b"cell-a\0tenant"]
    assert store.xrange(changes) == [(b"1-0", {b"key": b"tenant"})]
    assert store.hget(head, "store") == store.get("shop:format").split()[1]


def test_cellroute_reads_what_redis_py_wrote(server: str, mapping_pb2: Any) -> None:
    run(server, "put", "first", "--cell", "cell-a")
    store = redis.Redis(unix_socket_path=server)
    put = store.register_script((SOURCE / "src/net/redis_store.lua").read_text())
    record = mapping_pb2.MappingRecord(
        key=b"tenant", cell=b"cell-b", epoch=1, revision=1, op_id=os.urandom(16), created=5, updated=5)
    store_id = store.get("shop:format").split()[1]

    def write() -> Any:
        return put(keys=names(store, b"tenant"), args=[
            "put", store_id, 0, record.revision - 1, record.revision, record.epoch, 0, 0, record.cell, "",
            record.key, record.SerializeToString()])

    assert write() == [[b"put"]]
    found = run(server, "get", "tenant")
    assert (found["cell"], found["epoch"], found["revision"]) == ("cell-b", 1, 1)
    assert write() == [[b"stored", b"1", b"1", b"0", b"cell-b"]]
    record.revision, record.cell = 2, b"cell-c"
    assert write()[0][0] == b"stored"  # another cell needs a higher epoch
    record.epoch = 2
    assert write() == [[b"put"]]
    assert run(server, "get", "tenant")["cell"] == "cell-c"


def test_the_c_library_opens_a_store_for_the_other_one(server: str) -> None:
    ran = subprocess.run([os.environ["CELLROUTE_NET_STORE"], f"redis+unix://{server}?prefix=c"],
                         capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_c_library_exports_its_own_names_and_needs_its_clients_beside_the_other_one() -> None:
    library = os.environ["CELLROUTE_NET_LIBRARY"]
    symbols = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True)
    names = {line.split()[2].split("@")[0] for line in symbols.stdout.splitlines()}
    assert names - {"CELLROUTE_NET_0"} == {
        f"cellroute_net_{name}" for name in ("store_open", "prober_create", "prober_destroy", "prober_poll",
                                             "prober_start", "prober_stop", "prober_cell")}
    headers = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True)
    needed = {line.split("[")[1].rstrip("]").split(".so")[0]
              for line in headers.stdout.splitlines() if "(NEEDED)" in line}
    assert needed <= {"libcellroute", "libhiredis", "libcurl", "libstdc++", "libm", "libgcc_s", "libc", "ld-linux-x86-64"}
    assert {"libcellroute", "libhiredis", "libcurl"} <= needed


def test_no_password_is_told(tmp_path: pathlib.Path) -> None:
    url = f"redis+unix://:secret@{tmp_path}/none"
    ran = subprocess.run([os.environ["CELLROUTE_COMMAND"], "mapping", "get", "x", "--mappings", url],
                         capture_output=True, text=True)
    assert ran.returncode == 2
    assert "none" in ran.stderr
    assert "secret" not in ran.stderr + ran.stdout
