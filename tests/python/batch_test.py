"""Batches: what they take, and what they give back."""

from __future__ import annotations

import array

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cellroute
from cellroute import optional
from conftest import NOW, two_cells

IDS = [f"cust-{number:06d}" for number in range(500)]


@pytest.mark.parametrize("given_keys", [
    IDS, tuple(IDS), [key.encode() for key in IDS], numpy.array(IDS), numpy.array(IDS, dtype="S"),
    numpy.array(IDS, dtype="S32")[::1], cellroute.pack_keys(IDS),
], ids=["str", "tuple", "bytes", "U", "S", "S32", "packed"])
def test_every_kind_of_keys_is_decided_alike(given_keys: object) -> None:
    router = cellroute.Router(two_cells())
    assert router.locate_batch(given_keys, now_ns=NOW).cell_ids == [
        router.locate(key, now_ns=NOW).cell for key in IDS]


def test_a_slice_with_a_stride_is_taken_as_it_reads() -> None:
    router = cellroute.Router(two_cells())
    every_second = numpy.array(IDS, dtype="S")[::2]
    assert router.locate_batch(every_second, now_ns=NOW).cell_ids == [
        router.locate(key, now_ns=NOW).cell for key in IDS[::2]]


@given(st.lists(st.one_of(st.text(max_size=9), st.binary(max_size=9)), max_size=20))
def test_packing_keeps_keys(keys: list[str | bytes]) -> None:
    packed = cellroute.pack_keys(keys)
    expected = [key.encode() if isinstance(key, str) else key for key in keys]
    assert [packed[index] for index in range(len(packed))] == expected


@given(st.lists(st.one_of(st.text(max_size=9), st.binary(max_size=9)), max_size=20))
def test_packing_without_numpy_keeps_keys_and_their_decisions(keys: list[str | bytes]) -> None:
    kept = optional.numpy
    optional.numpy = lambda: None
    try:
        packed = cellroute.pack_keys(keys)
        assert isinstance(packed._offsets.obj, array.array)
        located = cellroute.Router(two_cells()).locate_batch(packed, now_ns=NOW).cell_ids
    finally:
        optional.numpy = kept
    assert located == cellroute.Router(two_cells()).locate_batch(keys, now_ns=NOW).cell_ids


@given(st.lists(st.binary(max_size=6).filter(lambda key: not key.endswith(b"\0")), max_size=8))
def test_an_array_keeps_keys_with_nuls_inside(keys: list[bytes]) -> None:
    packed = cellroute.pack_keys(numpy.array(keys, dtype="S6"))
    assert [packed[index] for index in range(len(packed))] == keys


def test_offsets_as_arrow_has_them() -> None:
    keys = cellroute.Keys(b"abbccc", numpy.array([0, 1, 3, 6], dtype=numpy.int64))
    assert [keys[index] for index in range(3)] == [b"a", b"bb", b"ccc"]
    router = cellroute.Router(two_cells())
    assert len(router.locate_batch(keys, now_ns=NOW)) == 3


@pytest.mark.parametrize("offsets", [[0, 7], [3, 1], [-1, 2], [0, 2**62]])
def test_offsets_that_reach_out_are_refused(offsets: list[int]) -> None:
    keys = cellroute.Keys(b"abc", numpy.array(offsets, dtype=numpy.int64))
    with pytest.raises(cellroute.InvalidArgumentError):
        cellroute.Router(two_cells()).route_batch(keys, now_ns=NOW)


def test_offsets_of_another_type_are_refused() -> None:
    with pytest.raises(TypeError, match="signed 64-bit"):
        cellroute.Keys(b"abc", numpy.array([0, 3], dtype=numpy.int32))
    with pytest.raises(TypeError, match="dtype S or U"):
        cellroute.pack_keys(numpy.arange(3))


def test_an_empty_batch() -> None:
    router = cellroute.Router(two_cells())
    for keys in ([], numpy.array([], dtype="S"), cellroute.pack_keys([])):
        assert router.route_batch(keys, now_ns=NOW).cell_ids == []


def test_columns_and_elements_agree() -> None:
    router = cellroute.Router(two_cells())
    batch = router.route_batch(["x", b"", "y"], now_ns=NOW)
    assert batch.statuses.tolist() == [0, 1, 0]
    assert [decision.ok for decision in batch] == [True, False, True]
    assert batch[-1].key == b"y"
    assert batch[0].endpoint() in ("http://a.example.com", "http://b.example.com")
    with pytest.raises(IndexError):
        batch[3]


def test_a_batch_is_reported() -> None:
    router = cellroute.Router(two_cells(policy="in_flight: {per_cell: 100, deadline: 60s}"))
    batch = router.route_batch(IDS[:50], now_ns=NOW)

    def in_flight() -> int:
        return sum(router.cell_guards(cell, now_ns=NOW).in_flight for cell in "ab")

    assert in_flight() == 50
    router.report(batch[0], http_status=200, now_ns=NOW)
    assert in_flight() == 49
    router.report_batch(batch, http_status=200, now_ns=NOW)
    assert in_flight() == 0


def test_a_batch_of_an_unknown_tier_is_refused(bank: cellroute.Router) -> None:
    with pytest.raises(cellroute.UnknownNameError):
        bank.route_batch(IDS, tier="gold", region="us-east-1")


def test_a_batch_tells_its_generation() -> None:
    router = cellroute.Router(two_cells(3))
    assert router.route_batch(["c"], now_ns=NOW).generation == 3
    router.publish(two_cells(4))
    batch = router.route_batch(["", "c"], now_ns=NOW)
    assert (batch.generation, batch[1].generation, batch[1].cell) == (4, 4, batch.cell_ids[1])
    assert batch.status_names == ["INVALID_ARGUMENT", "OK"]
