"""Stores kept near, in front of a store of Python's that counts, waits and fails."""

from __future__ import annotations

import threading
import time

import pytest

import cellroute
from cellroute import Record
from conftest import NOW, SECOND, two_cells

TTL = 300 * SECOND


class FarStore(cellroute.MappingStore):
    """One record for all keys but b"nobody"."""

    def __init__(self) -> None:
        self.questions = 0
        self.fails = False
        self.open = threading.Event()
        self.open.set()

    def get(self, key: bytes, now_ns: int) -> Record | None:
        self.questions += 1
        self.open.wait()
        if self.fails:
            raise ConnectionError("far away")
        return None if key == b"nobody" else Record(key, "a", epoch=3, revision=3)

    def put_if(self, record: Record, expected: int) -> None:
        if expected != 3:
            raise cellroute.ConflictError("another revision is stored")


@pytest.fixture
def far() -> FarStore:
    return FarStore()


@pytest.fixture
def near(far: FarStore) -> cellroute.CachedStore:
    return cellroute.Store.of(far).cached()  # of which nothing but the cached one is left


def test_the_last_good_record_serves_while_the_store_fails(
    far: FarStore, near: cellroute.CachedStore
) -> None:
    router = cellroute.Router(two_cells())
    for _ in range(3):
        mapping = router.resolve(near, "c", now_ns=NOW)
        assert (mapping.found, mapping.stale, mapping.epoch) == ("FOUND", 0, 3)
    assert router.resolve(near, "nobody", now_ns=NOW).found == "ABSENT"
    assert far.questions == 2
    far.fails = True
    mapping = router.resolve(near, "c", now_ns=NOW + TTL)
    decision = router.route("c", mapping=mapping, now_ns=NOW + TTL)
    assert (mapping.found, mapping.stale) == ("FOUND", 1)
    assert (decision.ok, decision.cell, decision.reason) == (True, "a", "STALE_MAPPING")
    record = near.get("c", now_ns=NOW + TTL)
    assert record is not None and record.cell == "a"
    assert router.assign(near, "c", now_ns=NOW + TTL).decision.reason == "STALE_MAPPING"
    unknown = router.resolve(near, "nobody", now_ns=NOW + TTL)
    assert unknown.found == "UNKNOWN" and "far away" in str(unknown.error)
    counts = near.counts
    assert (counts.hits, counts.misses, counts.errors) == (2, 4, 2)
    assert counts.stale == 3 and counts.entries == 2 and counts.bytes > 0


def test_what_a_feed_brings_is_served(far: FarStore, near: cellroute.CachedStore) -> None:
    assert near.get("c", now_ns=NOW) == near.get("c", now_ns=NOW)
    near.observe(Record(b"c", "b", epoch=4, revision=4))
    near.observe(Record(b"c", "a", epoch=2, revision=2))
    record = near.get("c", now_ns=NOW)
    assert record is not None and (record.cell, record.epoch, far.questions) == ("b", 4, 1)
    near.invalidate("c")
    near.get("c", now_ns=NOW)
    assert far.questions == 2
    with pytest.raises(cellroute.InvalidArgumentError):
        near.observe(Record(b"c", "b"))
    with pytest.raises(cellroute.InvalidArgumentError):
        near.invalidate("")


def test_what_is_written_is_served(far: FarStore, near: cellroute.CachedStore) -> None:
    near.get("other", now_ns=NOW)
    near.get("c", now_ns=NOW)
    assert near.put(Record(b"c", "b", epoch=4), expected=3, now_ns=NOW) == 4
    record = near.get("c", now_ns=NOW)
    assert record is not None and (record.cell, record.revision, far.questions) == ("b", 4, 2)


def test_of_many_threads_that_miss_a_key_one_asks(far: FarStore, near: cellroute.CachedStore) -> None:
    far.open.clear()
    records: list[Record | None] = []
    threads = [threading.Thread(target=lambda: records.append(near.get("c", now_ns=NOW))) for _ in range(6)]
    for thread in threads:
        thread.start()
    while near.counts.waiting != 5:
        time.sleep(0.001)
    far.open.set()
    for thread in threads:
        thread.join()
    assert far.questions == 1 and [record and record.cell for record in records] == ["a"] * 6
    assert near.counts.shared == 5


def test_options(far: FarStore) -> None:
    store = cellroute.Store.of(far)
    short = store.cached(ttl_ns=SECOND, max_entries=1)
    for second in (0, 1, 2):
        short.get("c", now_ns=NOW + second * SECOND)
    short.get("d", now_ns=NOW)
    assert far.questions == 4 and short.counts.entries == 1 and short.counts.evictions == 1
    with pytest.raises(cellroute.InvalidArgumentError, match="ttl"):
        store.cached(ttl_ns=-1)
