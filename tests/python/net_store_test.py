"""Stores behind a network, opened by URL: a real Redis on a unix socket."""

from __future__ import annotations

import json
import pathlib
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

import cellroute
from cellroute import Record, Store
from conftest import NOW, SOURCE, run_python, two_cells


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


def test_only_tables_have_a_usage(redis_url: str) -> None:
    with pytest.raises(cellroute.UnsupportedError):
        cellroute.table_usage(Store.open(redis_url))
    with pytest.raises(cellroute.UnsupportedError):
        cellroute.table_usage(Store.open("memory:"))


URL = "dynamodb://CellMappings?region=eu-west-1"
EVENT = (SOURCE / "tests/data/dynamodb_stream_event.json").read_text()


@pytest.mark.parametrize("event", [EVENT, EVENT.encode(), json.loads(EVENT)], ids=["str", "bytes", "dict"])
def test_a_tables_stream_is_read(event: str | bytes | dict[str, Any]) -> None:
    changes: list[cellroute.StreamChange] = []
    result = cellroute.read_stream(URL, event, changes.append)
    assert (result.taken, result.passed_over, result.failed, result.error) == (7, 2, "", None)
    assert result.response == {"batchItemFailures": []}
    records = [change.record for change in changes]
    assert [record and record.cell for record in records[:2]] == ["cell-a", "cell-b"]
    assert records[2] is not None and records[2].deleted and records[2].revision == 3
    assert [change.key for change in changes if change.expired] == [b"session"]
    assert [change.key for change in changes if change.record is None] == [b"keys-only", b"no-old-image"]


def test_a_change_that_is_not_taken_is_told_to_lambda() -> None:
    refusal = RuntimeError("not now")

    def take(change: cellroute.StreamChange) -> None:
        if change.expired:
            raise refusal

    result = cellroute.read_stream(URL, EVENT, take)
    assert (result.taken, result.failed, result.error) == (3, "000400000000012345678901", refusal)
    assert result.response == {"batchItemFailures": [{"itemIdentifier": "000400000000012345678901"}]}

    damaged = json.loads(EVENT)
    damaged["Records"][1]["dynamodb"]["NewImage"]["Epoch"] = {"S": "two"}
    result = cellroute.read_stream(URL, damaged, lambda change: None)
    assert (result.taken, result.failed) == (1, "000200000000012345678901")
    assert isinstance(result.error, cellroute.CorruptError)
    with pytest.raises(cellroute.InvalidArgumentError):
        cellroute.read_stream(URL, {"Records": 1}, take)
    with pytest.raises(cellroute.InvalidArgumentError):
        cellroute.read_stream("redis://host", EVENT, take)


def test_who_interrupts_a_stream_is_not_held_up() -> None:
    def take(change: cellroute.StreamChange) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cellroute.read_stream(URL, EVENT, take)


def test_a_near_cache_learns_from_a_tables_stream() -> None:
    far = Store.open("memory:")
    for key in (b"tenant", b"session"):
        far.put(Record(key=key, cell="old", epoch=1), expected=0)
    near = far.cached()
    for key in ("tenant", "session"):
        assert near.get(key, now_ns=NOW) is not None

    def take(change: cellroute.StreamChange) -> None:
        if change.record is None:
            near.invalidate(change.key)
        else:
            near.observe(change.record)

    assert cellroute.read_stream(URL, EVENT, take).error is None
    assert near.get("session", now_ns=NOW) is None


def test_what_is_wrong_is_raised(tmp_path: pathlib.Path) -> None:
    with pytest.raises(cellroute.UnavailableError):
        Store.open(f"redis+unix://{tmp_path}/nobody", timeout_ns=100_000_000)
    with pytest.raises(cellroute.InvalidArgumentError):
        Store.open("redis://host:port:none")
    failed = run_python(
        "import cellroute\ncellroute.Store.open('redis://localhost')", CELLROUTE_NET_LIBRARY="/no/such")
    assert "name its file in the environment variable CELLROUTE_NET_LIBRARY" in failed.stderr
