"""Metrics as Prometheus's own parser reads them, and in memory that processes share."""

from __future__ import annotations

import mmap
import os
import re
from typing import Iterator

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

import cellroute
from cellroute import Metrics, Router, Store
from conftest import NOW, SECOND, SOURCE, two_cells

FULL = """
generation: 3
hash_seed: 6840743513105534701
tiers: [retail, hnw]
regions: [us]
cells:
  - {id: a, tier: retail, region: us, capacity: 100}
  - {id: b, tier: hnw, region: us}
policy:
  affinity: STATEFUL
  unassigned: PLACE
  in_flight: {per_cell: 10}
  limits: [{per: CELL, kind: BUCKET, requests: 1, period: 3600s, on_exceed: COUNT}]
"""


def parsed(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(text: str, name: str, **labels: str) -> float:
    """The one sample of that name and exactly those labels."""
    found = [sample.value for family in text_string_to_metric_families(text)
             for sample in family.samples if sample.name == name and sample.labels == labels]
    assert len(found) == 1, (name, labels, text)
    return float(found[0])


def everything() -> str:
    """A text in which every metric is there."""
    router = Router(lanes=2)
    router.publish(cellroute.Topology.from_bytes(FULL), now_ns=NOW,
                   mappings=Store.open(f"file:{SOURCE}/tests/data/small.crm"))
    metrics, cached = Metrics(router), Store.open("memory:").cached()
    for _ in range(3):
        decision = router.route("key", tier="retail", now_ns=NOW)
        router.report(decision, http_status=200, now_ns=NOW)
        metrics.observe(decision, http_status=200, latency_ns=SECOND // 100)
    metrics.observe_lookup(router.resolve(cached, "key", now_ns=NOW))
    return metrics.text(cached, now_ns=NOW + SECOND)


def documented() -> dict[str, tuple[str, set[str]]]:
    """The table of capi/metrics.md: name to type and labels."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", (SOURCE / "capi/metrics.md").read_text(), re.M)
    return {name: (kind, set(filter(None, labels.strip().split(", ")))) for name, kind, labels in rows}


def test_every_metric_is_documented_with_its_type_and_labels_and_no_other_is() -> None:
    written = {}
    for family in text_string_to_metric_families(everything()):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels}
        written[name] = (family.type, labels)
        assert family.samples, name
        assert family.documentation.endswith("."), name
    assert written == documented()


def test_no_series_is_there_twice_and_buckets_never_fall() -> None:
    text = everything()
    series = [(sample.name, tuple(sorted(sample.labels.items())))
              for family in text_string_to_metric_families(text) for sample in family.samples]
    assert len(series) == len(set(series))
    counts = [sample.value for sample in parsed(text)["cellroute_cell_latency_seconds"].samples
              if sample.name.endswith("_bucket")]
    assert counts == sorted(counts) and counts[-1] == 3


def test_values_are_what_was_counted() -> None:
    text = everything()
    labels = {"status": "OK", "reason": "PLACED", "cell": "a", "tier": "retail"}
    assert value(text, "cellroute_decisions_total", **labels) == 3
    assert value(text, "cellroute_cell_limit_exceeded_total", cell="a") == 2
    assert value(text, "cellroute_snapshot_age_seconds") == 1
    assert value(text, "cellroute_lookups_total", answer="absent") == 1
    assert value(text, "cellroute_cache_misses_total") == 1
    assert value(text, "cellroute_base_mappings") > 0
    assert value(text, "cellroute_cell_latency_seconds_sum", cell="a") == pytest.approx(0.03)


@pytest.fixture
def shared() -> Iterator[tuple[mmap.mmap, mmap.mmap]]:
    """Memory for guards, and for metrics."""
    guards = mmap.mmap(-1, cellroute.memory_size(cells=16, lanes=2, limiter_entries=0))
    counts = mmap.mmap(-1, cellroute.metrics_memory_size(cells=16, lanes=2))
    yield guards, counts


def over(shared: tuple[mmap.mmap, mmap.mmap]) -> tuple[Router, Metrics]:
    router = Router(two_cells(), cells=16, lanes=2, limiter_entries=0, memory=shared[0])
    return router, Metrics(router, memory=shared[1])


def test_workers_that_share_memory_count_together(shared: tuple[mmap.mmap, mmap.mmap]) -> None:
    router, metrics = over(shared)
    child = os.fork()
    if child == 0:
        try:
            its_router, its_metrics = over(shared)
            for number in range(1000):
                decision = its_router.route(str(number), lane=1, now_ns=NOW)
                its_metrics.observe(decision, http_status=200, lane=1)
            os._exit(0)
        finally:
            os._exit(1)
    for number in range(1000):
        metrics.observe(router.route(str(number), lane=0, now_ns=NOW), error="timeout")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    decisions = parsed(metrics.text(now_ns=NOW))["cellroute_decisions"].samples
    assert sum(sample.value for sample in decisions) == 2000
    calls = parsed(metrics.text(now_ns=NOW))["cellroute_cell_calls"].samples
    assert {sample.labels["result"] for sample in calls} == {"2xx", "timeout"}


def test_what_a_killed_worker_counted_stays(shared: tuple[mmap.mmap, mmap.mmap]) -> None:
    router, metrics = over(shared)
    metrics.observe(router.route("k", now_ns=NOW))
    before = metrics.text(now_ns=NOW)
    del router, metrics
    router, metrics = over(shared)
    assert parsed(metrics.text(now_ns=NOW)).keys() == parsed(before).keys()
    assert value(before, "cellroute_decisions_total", status="OK", reason="PLACED", tier="",
                 cell=router.route("k", now_ns=NOW).cell or "") == 1
    metrics.observe(router.route("k", now_ns=NOW))
    samples = parsed(metrics.text(now_ns=NOW))["cellroute_decisions"].samples
    assert [sample.value for sample in samples] == [2]


def test_names_that_break_the_format_are_escaped(shared: tuple[mmap.mmap, mmap.mmap]) -> None:
    text = "generation: {}\nhash_seed: 1\ncells:\n  - {{id: stays}}\n{}"
    both = cellroute.Topology.from_bytes(text.format(1, "  - {id: leaves-us}\n"))
    one = cellroute.Topology.from_bytes(text.format(2, ""))
    router = Router(both, cells=16, lanes=2, limiter_entries=0, memory=shared[0])
    metrics = Metrics(router, memory=shared[1])
    for number in range(100):
        metrics.observe(router.route(str(number), now_ns=NOW))
    metrics.text(now_ns=NOW)
    router.publish(one, max_moved_percent=100)
    place = shared[1].find(b"leaves-us")  # no topology can have such a name; shared memory can
    shared[1][place : place + 9] = b'le"\\\naves'
    cells = {sample.labels["cell"] for sample in parsed(metrics.text(now_ns=NOW))["cellroute_decisions"].samples}
    assert cells == {"stays", 'le"\\\naves'}


def test_a_router_is_ready_while_what_it_serves_is_fresh() -> None:
    router = Router()
    assert router.readiness().reason == "NO_SNAPSHOT" and not router.readiness().ready
    router.publish(two_cells(), now_ns=NOW)
    ready = router.readiness(max_age_ns=SECOND, now_ns=NOW + SECOND)
    assert (ready.ready, ready.reason, ready.generation, ready.age_ns) == (True, "READY", 1, SECOND)
    old = router.readiness(max_age_ns=SECOND, now_ns=NOW + SECOND + 1)
    assert (old.ready, old.reason) == (False, "TOO_OLD") and "too long" in old.sentence


def test_metrics_of_another_router_are_refused() -> None:
    metrics = Metrics(Router(two_cells()))
    metrics._router = Router(two_cells())
    with pytest.raises(cellroute.ConflictError, match="other guards"):
        metrics.text()
    with pytest.raises(cellroute.InvalidArgumentError):
        metrics.observe(metrics._router.route("k"), lane=1)
