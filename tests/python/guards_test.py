"""Breakers, caps, limits and shared memory through Python, with time as an argument."""

from __future__ import annotations

import mmap

import pytest

import cellroute
from conftest import NOW, SECOND, two_cells

BREAKER = "breaker: {consecutive_failures: 3, open: 10s, probes: 1, probe_deadline: 5s}"


@pytest.mark.parametrize("outcome", [
    {"http_status": 503}, {"error": "timeout"}, {"error": "connect"},
])
def test_failures_open_the_breaker_and_time_closes_it(outcome: dict[str, object]) -> None:
    router = cellroute.Router(two_cells(policy=BREAKER))
    for _ in range(3):
        router.report(router.route("c", now_ns=NOW), **outcome, now_ns=NOW)  # type: ignore[arg-type]
    shut = router.route("c", now_ns=NOW + SECOND)
    assert (shut.status, shut.reason, shut.http_status) == ("UNAVAILABLE", "BREAKER_OPEN", 503)
    assert 0 < shut.retry_after_s <= 11
    assert router.cell_guards(shut.cell or "", now_ns=NOW + SECOND).refusal == "BREAKER_OPEN"
    probe = router.route("c", now_ns=NOW + 20 * SECOND)
    assert probe.ok
    assert router.route("c", now_ns=NOW + 20 * SECOND).reason == "PROBES_TAKEN"
    router.report(probe, http_status=200, now_ns=NOW + 20 * SECOND)
    assert router.route("c", now_ns=NOW + 20 * SECOND).ok


@pytest.mark.parametrize("outcome", [
    {"http_status": 404}, {"http_status": 429}, {"http_status": 500}, {"error": "abort"},
])
def test_what_is_no_failure_opens_nothing(outcome: dict[str, object]) -> None:
    router = cellroute.Router(two_cells(policy=BREAKER))
    for _ in range(20):
        router.report(router.route("c", now_ns=NOW), **outcome, now_ns=NOW)  # type: ignore[arg-type]
    assert router.route("c", now_ns=NOW).ok


def test_a_report_needs_an_outcome() -> None:
    router = cellroute.Router(two_cells())
    decision = router.route("c", now_ns=NOW)
    with pytest.raises(cellroute.InvalidArgumentError, match="http_status of the cell's answer"):
        router.report(decision)
    with pytest.raises(cellroute.InvalidArgumentError, match='not "timed out"'):
        router.report(decision, error="timed out")


def test_a_report_counts_once_and_a_refused_decision_holds_nothing() -> None:
    router = cellroute.Router(two_cells(policy="in_flight: {per_cell: 2, deadline: 60s}"))
    held = [router.route("c", now_ns=NOW) for _ in range(2)]
    full = router.route("c", now_ns=NOW)
    assert full.reason == "CELL_FULL"
    router.report(full, http_status=200, now_ns=NOW)
    assert not router.route("c", now_ns=NOW).ok
    for _ in range(3):
        router.report(held[0], http_status=200, now_ns=NOW)
    assert router.route("c", now_ns=NOW).ok
    assert not router.route("c", now_ns=NOW).ok


def test_limits_by_key_are_charged_by_route_and_not_by_locate() -> None:
    limits = "limits: [{per: KEY, kind: BUCKET, requests: 3, period: 60s}]"
    router = cellroute.Router(two_cells(policy=limits), limiter_entries=1024)
    assert all(router.locate("c", now_ns=NOW).ok for _ in range(10))
    assert [router.route("c", now_ns=NOW).status for _ in range(4)] == ["OK"] * 3 + ["RATE_LIMITED"]
    assert router.route("other", now_ns=NOW).ok
    limited = router.route("c", now_ns=NOW)
    assert (limited.http_status, limited.reason, limited.retry_after_s) == (429, "KEY_LIMIT", 20)
    assert router.route("c", now_ns=NOW - 3600 * SECOND).status == "RATE_LIMITED"
    assert router.route("c", now_ns=NOW + 20 * SECOND).ok


def test_two_routers_share_guards_through_memory() -> None:
    options = {"lanes": 2, "limiter_entries": 1024, "cells": 16}
    memory = mmap.mmap(-1, cellroute.memory_size(**options))
    topology = two_cells()
    one = cellroute.Router(topology, memory=memory, **options)  # type: ignore[arg-type]
    two = cellroute.Router(topology, memory=memory, **options)  # type: ignore[arg-type]
    one.mark_health("a", False)
    assert not two.cell_guards("a", now_ns=NOW).healthy
    with pytest.raises(cellroute.ConflictError):
        cellroute.Router(topology, memory=memory, lanes=1, limiter_entries=1024, cells=16)
    with pytest.raises(cellroute.InvalidArgumentError):
        cellroute.Router(topology, memory=mmap.mmap(-1, 4096), **options)  # type: ignore[arg-type]


def test_counts_and_load() -> None:
    router = cellroute.Router(two_cells())
    for number in range(5):
        router.route(f"k{number}", now_ns=NOW)
    router.route("", now_ns=NOW)
    counts = router.counts()
    assert (counts["PLACED"], counts["KEY_EMPTY"], counts["PROFILE_STALE"]) == (5, 1, 0)
    router.mark_load("a", 17)
    assert router.cell_guards("a", now_ns=NOW).load >= 17
    with pytest.raises(cellroute.NotFoundError, match='cell "none"'):
        router.mark_load("none", 1)


def test_cells_are_listed_in_order_of_id(bank: cellroute.Router) -> None:
    cells = bank.cells()
    assert [cell.id for cell in cells] == sorted(cell.id for cell in cells)
    assert (cells[0].tier, cells[0].region, cells[0].state) == ("corporate", "ap-southeast-1", "ACTIVE")
