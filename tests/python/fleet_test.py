"""Limits of the fleet: routers that share a month, by a store in memory and by a real Redis."""

from __future__ import annotations

import time

import pytest

import cellroute
from cellroute import FleetKeeper, LeaseStore, Router, Usage
from conftest import NOW, SECOND, two_cells
from net_store_test import redis_url  # noqa: F401: a fixture

MONTH = "2027-01"  # of NOW
POLICY = """limits: [
  {scope: FLEET, kind: MONTHLY, requests: 6400},
  {scope: FLEET, kind: MONTHLY, plan: enterprise, unlimited: true}]"""


def served(router: Router, key: str, tries: int, now_ns: int, plan: str = "") -> int:
    profile = router.profile(plan=plan)
    count = 0
    for _ in range(tries):
        decision = router.route(key, profile, now_ns=now_ns)
        count += decision.ok
        router.report(decision, now_ns=now_ns)
    return count


def test_two_routers_share_a_month() -> None:
    store = LeaseStore("memory:")
    routers = [Router(two_cells(policy=POLICY), fleet_routers=2, fleet_entries=64) for _ in range(2)]
    keepers = [FleetKeeper(router, store) for router in routers]
    admitted = 0
    for _ in range(40):
        for router, keeper in zip(routers, keepers):
            admitted += served(router, "tenant", 200, NOW)
            assert keeper.renew(now_ns=NOW) == NOW + SECOND // 2
    assert 6400 <= admitted <= 6400 + 2 * 100
    decision = routers[0].route("tenant", now_ns=NOW)
    assert (decision.status, decision.reason) == ("RATE_LIMITED", "FLEET_LIMIT")
    assert decision.retry_after_ns > 24 * 3600 * SECOND  # the next month
    assert served(routers[0], "big", 300, NOW, "enterprise") == 300
    assert all(keeper.release(now_ns=NOW) for keeper in keepers)
    assert store.usage("tenant", MONTH) == admitted
    assert list(store.usages(MONTH)) == [Usage(b"big", 300), Usage(b"tenant", admitted)]
    page = store.usage_page(MONTH, most=1)
    assert (page.usages, page.done) == ([Usage(b"big", 300)], False)
    assert store.usage_page(MONTH, page.cursor).usages == [Usage(b"tenant", admitted)]
    assert list(store.usages("2026-12")) == []


def test_a_real_redis_counts(redis_url: str) -> None:  # noqa: F811
    store = LeaseStore(redis_url)
    router = Router(two_cells(policy=POLICY))
    keeper = FleetKeeper(router, store)
    now = time.time_ns()
    assert served(router, "tenant", 10, now) == 10
    keeper.renew(now_ns=now)
    assert not keeper.away
    assert served(router, "tenant", 20, now) == 20
    assert keeper.release(now_ns=now)
    month = time.strftime("%Y-%m", time.gmtime())
    assert LeaseStore(redis_url).usage("tenant", month) in (30, 10, 20, 0)  # unless it turned
    assert sum(usage.used for usage in store.usages(month)) == store.usage("tenant", month)


def test_without_a_store_keys_have_their_share() -> None:
    router = Router(two_cells(policy=POLICY), fleet_routers=4)
    keeper = FleetKeeper(router, LeaseStore("redis+unix:///nobody/there", timeout_ns=100_000_000))
    assert served(router, "tenant", 100, NOW) == 50
    assert keeper.renew(now_ns=NOW) == NOW + SECOND // 2 and keeper.away
    assert not keeper.release(now_ns=NOW)
    explained = router.explain("tenant", now_ns=NOW)
    assert {"step": "fleet", "text": "requests: 6400 in a calendar month, of 4 routers"} in explained["steps"]


def test_what_is_wrong_is_raised() -> None:
    store, router = LeaseStore("memory:"), Router(two_cells(policy=POLICY))
    with pytest.raises(cellroute.InvalidArgumentError, match="2026-11"):
        store.usage("k", "November")
    with pytest.raises(cellroute.InvalidArgumentError):
        store.usage("k", "2026-13")
    with pytest.raises(cellroute.InvalidArgumentError):
        store.usage("", MONTH)
    with pytest.raises(cellroute.UnsupportedError):
        LeaseStore("lmdb:there")
    with pytest.raises(cellroute.InvalidArgumentError):
        Router(fleet_entries=9)
    keeper = FleetKeeper(router, store)
    with pytest.raises(cellroute.ConflictError):
        FleetKeeper(router, store)
    del keeper
    FleetKeeper(router, store).renew()
