"""Stores behind a network, opened by URL: a real Redis on a unix socket."""

from __future__ import annotations

import pathlib
import subprocess
import time
from collections.abc import Iterator

import pytest

import cellroute
from cellroute import Record, Store
from conftest import NOW, run_python, two_cells


@pytest.fixture
def redis_url(tmp_path: pathlib.Path) -> Iterator[str]:
    socket = tmp_path / "redis.sock"
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL)
    while not socket.exists():
        assert server.poll() is None
        time.sleep(0.01)
    yield f"redis+unix://{socket}"
    server.kill()
    server.wait()


def test_a_store_in_redis_works_as_any_other(redis_url: str) -> None:
    store = Store.open(redis_url)
    assert store.loses_acknowledged and store.shared
    assert store.put(Record(key=b"k", cell="b"), expected=0) == 1
    with pytest.raises(cellroute.ConflictError):
        store.put(Record(key=b"k", cell="a"), expected=0)
    other = Store.open(redis_url, create=False)
    assert [record.cell for record in other.scan()] == ["b"]
    router = cellroute.Router(two_cells())
    decision = router.route("k", mapping=router.resolve(other, "k", now_ns=NOW), now_ns=NOW)
    assert (decision.cell, decision.reason) == ("b", "MAPPED")


def test_what_is_wrong_is_raised(tmp_path: pathlib.Path) -> None:
    with pytest.raises(cellroute.UnavailableError):
        Store.open(f"redis+unix://{tmp_path}/nobody", timeout_ns=100_000_000)
    with pytest.raises(cellroute.InvalidArgumentError):
        Store.open("redis://host:port:none")
    failed = run_python(
        "import cellroute\ncellroute.Store.open('redis://localhost')", CELLROUTE_NET_LIBRARY="/no/such")
    assert "name its file in the environment variable CELLROUTE_NET_LIBRARY" in failed.stderr
