"""A mapping file as a store, and as what a router serves by."""

from __future__ import annotations

import pathlib

import pytest

import cellroute
from cellroute import Record, Store
from conftest import SOURCE


THREE_CELLS = """
generation: 1
cells: [{id: eu-1}, {id: us-0}, {id: us-1}]
policy: {affinity: STATEFUL, slots: 1024}
"""


def test_a_mapping_file_serves_without_its_keys_being_copied(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "base.crm"
    path.write_bytes((SOURCE / "tests/data/small.crm").read_bytes())
    store = Store.open(f"file:{path}")
    assert store.durable and store.shared
    found = store.get("customer-xxx3")
    assert found is not None and (found.cell, found.epoch) == ("eu-1", 2)
    router = cellroute.Router()
    router.publish(cellroute.Topology.from_bytes(THREE_CELLS), mappings=store)
    decision = router.route("customer-xxx3")
    assert (decision.cell, decision.epoch, decision.reason) == ("eu-1", 2, "MAPPED")
    keys = ["customer-xxx3", "customer-xxxx12", "nobody"] * 30
    decided = list(router.route_batch(keys))
    assert [d.reason for d in decided] == ["MAPPED", "MAPPED", "PLACED"] * 30
    assert store.refresh() is False
    with pytest.raises(cellroute.UnsupportedError):
        store.put(Record(key=b"k", cell="eu-1"), expected=0)
    with pytest.raises(cellroute.UnsupportedError):
        Store.open("memory:").refresh()


def test_a_damaged_mapping_file_leaves_the_store_as_it_was(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "base.crm"
    golden = (SOURCE / "tests/data/small.crm").read_bytes()
    path.write_bytes(golden)
    store = Store.open(f"file:{path}")
    other = tmp_path / "next"
    other.write_bytes(golden[:300] + bytes([golden[300] ^ 1]) + golden[301:])
    other.rename(path)
    with pytest.raises(cellroute.CorruptError):
        Store.open(f"file:{path}")
    assert store.get("customer-xxx3") is not None
