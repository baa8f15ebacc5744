"""Limits of the fleet: routers that share a month, by a store in memory and by a real Redis."""

from __future__ import annotations

import os
import pathlib
import subprocess
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
        if decision.ok:
            router.report(decision, http_status=200, now_ns=now_ns)
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
    month = time.strftime("%Y-%m", time.gmtime(now // SECOND))
    if time.strftime("%Y-%m", time.gmtime()) == month:  # it may turn meanwhile
        assert LeaseStore(redis_url).usage("tenant", month) == 30
        assert list(store.usages(month)) == [Usage(b"tenant", 30)]
        assert report(redis_url, month, []) == (0, '{"key":"tenant","used":30}\n', "1 key used 30\n")


def report(url: str, month: str, more: list[str]) -> tuple[int, str, str]:
    ran = subprocess.run(
        [os.environ["CELLROUTE_COMMAND"], "report", "usage", "--leases", url, "--month", month, *more],
        capture_output=True, text=True, timeout=60)
    return ran.returncode, ran.stdout, ran.stderr


def test_the_command_reports_a_month(redis_url: str, tmp_path: pathlib.Path) -> None:  # noqa: F811
    store, router = LeaseStore(redis_url), Router(two_cells(policy=POLICY))
    keeper, now = FleetKeeper(router, store), time.time_ns()
    profile = router.profile(plan="enterprise")
    for key, count in ((b"a", 3), (b"\xff", 1_234), (b"z", 7)):
        assert all(router.route(key, profile, now_ns=now).ok for _ in range(count))
    assert keeper.release(now_ns=now)
    month = time.strftime("%Y-%m", time.gmtime(now // SECOND))
    if time.strftime("%Y-%m", time.gmtime()) != month:
        return
    mappings = cellroute.Store.open(f"lmdb:{tmp_path}/mappings")
    mappings.put(
        cellroute.Record(key=b"z", cell="a", profile=cellroute.PinnedProfile(plan="enterprise")), expected=0)
    code, lines, summary = report(redis_url, month, ["--mappings", f"lmdb:{tmp_path}/mappings"])
    assert (code, summary) == (0, "3 keys used 1,244\n")
    assert sorted(lines.splitlines()) == [
        '{"key":"a","plan":null,"used":3}', '{"key":"z","plan":"enterprise","used":7}',
        '{"key_base64":"/w==","plan":null,"used":1234}']
    code, lines, _ = report(redis_url, month, ["--format", "text", "a", "nobody"])
    assert lines.splitlines() == ["                   3  a", "                   0  nobody"]
    assert report(redis_url, "2027-13", [])[0] == 2
    assert report("redis+unix:///nobody/there", month, [])[:2] == (2, "")
    assert "--month 2026: write it as 2026-11" in report(redis_url, "2026", [])[2]


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
