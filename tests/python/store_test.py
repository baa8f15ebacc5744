"""Mapping stores: the library's own, and one of Python's that works, raises, or lies."""

from __future__ import annotations

import dataclasses
import pathlib

import pytest

import cellroute
from cellroute import Page, Past, PinnedProfile, Record
from conftest import NOW, SECOND, two_cells


class DictStore(cellroute.MappingStore):
    """A store in a dictionary, which can be told to raise."""

    def __init__(self) -> None:
        self.records: dict[bytes, Record] = {}
        self.raises: BaseException | None = None

    def get(self, key: bytes, now_ns: int) -> Record | None:
        self._maybe_raise()
        return self.records.get(key)

    def put_if(self, record: Record, expected: int) -> None:
        self._maybe_raise()
        stored = self.records.get(record.key)
        if (stored.revision if stored else 0) != expected:
            raise cellroute.ConflictError("another revision is stored")
        self.records[record.key] = dataclasses.replace(record, revision=expected + 1)

    def scan(self, cursor: bytes, limit: int, now_ns: int) -> Page:
        self._maybe_raise()
        keys = sorted(key for key in self.records if key > cursor)
        page = keys[:limit]
        return Page([self.records[key] for key in page], page[-1] if page else cursor, len(keys) <= limit)

    def _maybe_raise(self) -> None:
        if self.raises is not None:
            raise self.raises


@pytest.fixture(params=["memory", "lmdb", "python", "cached"])
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> cellroute.Store:
    if request.param == "python":
        return cellroute.Store.of(DictStore())
    if request.param == "cached":
        return cellroute.Store.of(DictStore()).cached()
    return cellroute.Store.open("memory:" if request.param == "memory" else f"lmdb:{tmp_path}/mappings")


WHOLE = Record(
    key=b"k\0ey", cell="b", epoch=3, created_ns=NOW, updated_ns=NOW + 1,
    profile=PinnedProfile("t", "r", "p", ("F1", "F2")), history=(Past("a", 1, 1), Past("b", 2, 2)),
)


def test_a_record_comes_back_whole(store: cellroute.Store) -> None:
    assert store.get(b"k\0ey", now_ns=NOW) is None
    assert store.put(WHOLE, expected=0, now_ns=NOW) == 1
    assert store.get(b"k\0ey", now_ns=NOW) == dataclasses.replace(WHOLE, revision=1)
    assert store.get(b"k", now_ns=NOW) is None


def test_a_put_is_a_compare_and_set(store: cellroute.Store) -> None:
    first = Record(b"k", "a")
    store.put(first, expected=0, now_ns=NOW)
    with pytest.raises(cellroute.ConflictError) as raised:
        store.put(Record(b"k", "b"), expected=0, now_ns=NOW)
    assert raised.value.code == -3
    assert store.put(Record(b"k", "b", epoch=2), expected=1, now_ns=NOW) == 2
    assert store.find(b"k", now_ns=NOW)[1] == 2


def test_a_record_that_breaks_a_rule_is_refused(store: cellroute.Store) -> None:
    with pytest.raises(cellroute.InvalidArgumentError):
        store.put(Record(b"k", "a", epoch=0), expected=0, now_ns=NOW)
    with pytest.raises(cellroute.InvalidArgumentError):
        store.put(Record(b"", "a"), expected=0, now_ns=NOW)


def test_a_tombstone_is_absent_and_keeps_its_revision(store: cellroute.Store) -> None:
    store.put(Record(b"k", "a"), expected=0, now_ns=NOW)
    store.put(Record(b"k", "a", deleted=True), expected=1, now_ns=NOW)
    assert store.find(b"k", now_ns=NOW) == (None, 2)


def test_a_scan_gives_each_record_once(store: cellroute.Store) -> None:
    for number in range(25):
        store.put(Record(b"%02d" % number, "a"), expected=0, now_ns=NOW)
    seen, page = [], Page([], b"", False)
    while not page.done:
        page = store.page(page.cursor, limit=7, now_ns=NOW)
        seen += [record.key for record in page.records]
    assert sorted(seen) == [b"%02d" % number for number in range(25)]
    assert len(list(store.scan(now_ns=NOW))) == 25


def test_mappings_of_a_store_serve(store: cellroute.Store) -> None:
    store.put(Record(b"c1", "a", epoch=4), expected=0, now_ns=NOW)
    store.put(Record(b"c2", "b", epoch=5), expected=0, now_ns=NOW)
    router = cellroute.Router()
    router.publish(two_cells(), mappings=store, now_ns=NOW)
    assert [(d.cell, d.reason, d.epoch) for d in (router.route(k, now_ns=NOW) for k in ("c1", "c2"))] == [
        ("a", "MAPPED", 4), ("b", "MAPPED", 5)]
    router.publish(two_cells(2), mappings=[Record(b"c1", "b", epoch=6, revision=1)], now_ns=NOW)
    assert router.route("c1", now_ns=NOW).cell == "b"
    assert router.route("c2", now_ns=NOW).reason == "PLACED"


def test_a_look_up_is_handed_to_route(store: cellroute.Store) -> None:
    router = cellroute.Router(two_cells())
    absent = router.resolve(store, "c", now_ns=NOW)
    assert (absent.found, router.route("c", mapping=absent, now_ns=NOW).reason) == ("ABSENT", "PLACED")
    store.put(Record(b"c", "a", epoch=9), expected=0, now_ns=NOW)
    found = router.resolve(store, "c", now_ns=NOW)
    decision = router.route("c", mapping=found, now_ns=NOW)
    assert (found.found, decision.cell, decision.epoch) == ("FOUND", "a", 9)
    assert router.route("c", now_ns=NOW).reason == "PLACED"  # nothing of it is left


def test_the_first_assignment_wins(store: cellroute.Store) -> None:
    router = cellroute.Router(two_cells(unassigned="ASSIGN"))
    proposed = router.route("c", now_ns=NOW)
    assert (proposed.status, proposed.http_status, proposed.cell in "ab") == ("UNASSIGNED", 404, True)
    first = router.assign(store, "c", now_ns=NOW)
    again = router.assign(store, "c", now_ns=NOW + SECOND)
    for assignment in (first, again):
        assert (assignment.decision.status, assignment.decision.cell) == ("OK", proposed.cell)
        assert assignment.mapping.found == "FOUND"
    record = store.get("c", now_ns=NOW)
    assert record is not None and (record.cell, record.revision, record.profile) == (proposed.cell, 1, None)


def test_assign_pins_the_profile_where_asked(store: cellroute.Store, bank: cellroute.Router) -> None:
    bank.assign(store, "c", tier="hnw", region="us-east-1", flags=["PII_RESTRICTED"], pin=True, now_ns=NOW)
    record = store.get("c", now_ns=NOW)
    assert record is not None
    assert record.profile == PinnedProfile("hnw", "us-east-1", "", ("PII_RESTRICTED",))


def test_a_store_that_raises_leaves_keys_unknown() -> None:
    own = DictStore()
    store, router = cellroute.Store.of(own), cellroute.Router(two_cells())
    own.raises = KeyError("the disk is on fire")
    with pytest.raises(cellroute.UnavailableError, match="the disk is on fire") as raised:
        store.get("c")
    assert raised.value.__cause__ is own.raises
    mapping = router.resolve(store, "c", now_ns=NOW)
    assert mapping.found == "UNKNOWN" and isinstance(mapping.error, cellroute.UnavailableError)
    decision = router.route("c", mapping=mapping, now_ns=NOW)
    assert (decision.status, decision.reason) == ("UNAVAILABLE", "LOOKUP_UNKNOWN")
    assignment = router.assign(store, "c", now_ns=NOW)
    assert (assignment.decision.status, assignment.mapping.found) == ("UNAVAILABLE", "UNKNOWN")
    with pytest.raises(cellroute.UnavailableError):
        router.publish(two_cells(2), mappings=store)
    assert router.generation == 1
    own.raises = None
    assert router.resolve(store, "c", now_ns=NOW).found == "ABSENT"


def test_a_store_tells_its_own_code() -> None:
    own = DictStore()
    own.raises = cellroute.CorruptError("page 7 is torn")
    with pytest.raises(cellroute.CorruptError, match="page 7 is torn"):
        cellroute.Store.of(own).get("c")


def test_an_interrupt_passes_through_a_store() -> None:
    own = DictStore()
    own.raises = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        cellroute.Store.of(own).get("c")


def test_a_store_that_answers_with_another_key_is_broken() -> None:
    own = DictStore()
    own.records[b"c"] = Record(b"other", "a", revision=1)
    with pytest.raises(cellroute.BrokenStoreError):
        cellroute.Store.of(own).get("c")


def test_a_store_that_answers_with_something_else_raises() -> None:
    own = DictStore()
    own.records[b"c"] = "no record"  # type: ignore[assignment]
    with pytest.raises(cellroute.UnavailableError) as raised:
        cellroute.Store.of(own).get("c")
    assert isinstance(raised.value.__cause__, AttributeError)


def test_a_store_that_uses_itself_is_told_so() -> None:
    class Selfish(DictStore):
        def get(self, key: bytes, now_ns: int) -> Record | None:
            return store.get(key)

    store = cellroute.Store.of(Selfish())
    with pytest.raises(cellroute.CellrouteError) as raised:
        store.get("c")
    assert "itself" in str(raised.value) or isinstance(raised.value.__cause__, cellroute.ReenteredError)


def test_scan_is_optional() -> None:
    class Simple(cellroute.MappingStore):
        def get(self, key: bytes, now_ns: int) -> Record | None:
            return None

        def put_if(self, record: Record, expected: int) -> None:
            raise cellroute.UnavailableError("read only today")

    store = cellroute.Store.of(Simple())
    assert store.get("c") is None
    with pytest.raises(cellroute.UnsupportedError):
        store.page()


def test_capabilities(tmp_path: pathlib.Path) -> None:
    lmdb = cellroute.Store.open(f"lmdb:{tmp_path}/mappings")
    assert (lmdb.durable, lmdb.shared, lmdb.loses_acknowledged) == (True, True, False)
    assert not cellroute.Store.open("memory:").durable
    with pytest.raises(cellroute.InvalidArgumentError):
        cellroute.Store.open("nonsense:")
    with pytest.raises(cellroute.CellrouteError):
        cellroute.Store.open(f"lmdb:{tmp_path}/none", create=False)
