"""Decisions: keys, profiles, names, denials, and what a decision tells."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cellroute
from conftest import NOW, two_cells

RETAIL_EU = {"tier": "retail", "region": "eu-west-1"}


def test_a_decision_tells_all(bank: cellroute.Router) -> None:
    decision = bank.route("cust-000042", **RETAIL_EU, now_ns=NOW)
    assert decision.ok
    assert (decision.status, decision.reason, decision.http_status) == ("OK", "PLACED", 200)
    assert decision.reason_text == "the strategy's pick for the key"
    assert decision.cell == "retail-eu-west-1"
    assert decision.endpoint() == "https://retail-eu-west-1.internal.example.com"
    assert decision.labels == {"ledger_table": "ledger-retail-eu-west-1", "schema": "customer_cust-000042"}
    assert (decision.epoch, decision.generation) == (0, 1)
    assert (decision.timeout_ns, decision.retry_after_ns) == (30_000_000_000, 0)
    assert not decision.read_only
    assert repr(decision) == "<cellroute.Decision OK PLACED retail-eu-west-1 epoch 0>"


def test_a_decision_outlives_later_calls_and_its_router(financial: cellroute.Topology) -> None:
    router = cellroute.Router(financial)
    first = router.route("cust-1", **RETAIL_EU, now_ns=NOW)
    for number in range(100):
        router.route(f"other-{number}", tier="hnw", region="us-east-1", now_ns=NOW)
    del router
    gc.collect()
    assert first.cell == "retail-eu-west-1"
    assert first.labels["schema"] == "customer_cust-1"


def test_decisions_that_are_kept_stay_as_they_were() -> None:
    router = cellroute.Router(two_cells())
    profile, keys = router.profile(), [f"customer-{number}" for number in range(100)]
    cells = [router.locate(key, profile, NOW).cell for key in keys]
    assert set(cells) == {"a", "b"}
    kept = [router.route(key, profile, NOW) for key in keys]
    assert [(decision.key.decode(), decision.cell) for decision in kept] == list(zip(keys, cells))


def test_the_memory_of_a_decision_that_nobody_kept_is_used_again() -> None:
    router = cellroute.Router(two_cells())
    profile = router.profile()
    first = router.route("a", profile, NOW)
    second = router.route("b", profile, NOW)
    forgotten = id(second)
    del second
    assert id(router.route("c", profile, NOW)) == forgotten != id(first)


def test_str_is_utf_8(bank: cellroute.Router) -> None:
    retail = bank.profile(tier="hnw", region="us-east-1")
    assert bank.explain("Zoë", retail)["steps"] == bank.explain("Zoë".encode(), retail)["steps"]


@pytest.mark.parametrize("key", [b"x", "x", b"\0", b"k" * 1024, "k" * 1024, b"\xff\xfe", b"a\0b"])
def test_keys_of_1_to_1024_bytes_of_any_kind_are_routed(key: str | bytes) -> None:
    assert cellroute.Router(two_cells()).route(key, now_ns=NOW).ok


@pytest.mark.parametrize(("key", "reason"), [
    ("", "KEY_EMPTY"), (b"", "KEY_EMPTY"), (b"k" * 1025, "KEY_TOO_LONG"), ("é" * 513, "KEY_TOO_LONG"),
    (b"k" * 100_000, "KEY_TOO_LONG"),
])
def test_other_keys_are_refused(key: str | bytes, reason: str) -> None:
    router = cellroute.Router(two_cells())
    decision = router.route(key, now_ns=NOW)
    assert (decision.status, decision.reason, decision.http_status) == ("INVALID_ARGUMENT", reason, 400)
    assert decision.cell is None
    assert decision.endpoint() is None
    assert decision.labels == {}
    assert router.route("next", now_ns=NOW).ok


def test_a_key_is_str_or_bytes() -> None:
    with pytest.raises(TypeError, match="str or bytes, not int"):
        cellroute.Router(two_cells()).route(7)  # type: ignore[arg-type]


def test_what_follows_a_nul_counts() -> None:
    router = cellroute.Router(two_cells())
    hashes = {router.explain(key)["steps"][0]["text"] for key in (b"a", b"a\0", b"a\0b", b"a\0c")}
    assert len(hashes) == 4


@pytest.mark.parametrize(("names", "reason"), [
    ({"tier": "gold", "region": "us-east-1"}, "TIER_UNKNOWN"),
    ({"tier": "retail", "region": "mars"}, "REGION_UNKNOWN"),
    ({"tier": "retail"}, "REGION_MISSING"),
    ({"region": "us-east-1"}, "TIER_MISSING"),
    ({}, "TIER_MISSING"),
    ({**RETAIL_EU, "flags": ["NONE_SUCH"]}, "FLAG_UNKNOWN"),
    ({**RETAIL_EU, "plan": "none such"}, "PLAN_UNKNOWN"),
])
def test_unknown_names_are_denied_and_never_guessed(
    bank: cellroute.Router, names: dict[str, str], reason: str
) -> None:
    for decide in (bank.route, bank.locate):
        decision = decide("cust-1", **names, now_ns=NOW)
        assert (decision.status, decision.reason) == ("INVALID_ARGUMENT", reason)


def test_profile_says_which_name_is_unknown(bank: cellroute.Router) -> None:
    with pytest.raises(cellroute.UnknownNameError) as raised:
        bank.profile(tier="gold")
    assert cellroute.REASONS[raised.value.reason].name == "TIER_UNKNOWN"
    assert raised.value.code == -105


def test_rules_filter_before_anything_chooses(bank: cellroute.Router) -> None:
    restricted = bank.route("c", tier="retail", region="us-east-1", flags=["PII_RESTRICTED"], now_ns=NOW)
    assert restricted.cell == "hnw-us-east-1"
    none = bank.route("c", tier="retail", region="ap-southeast-1", flags=["EU_RESIDENT"], now_ns=NOW)
    assert (none.status, none.reason, none.http_status) == ("NO_ELIGIBLE_CELL", "NO_CELL_PASSES", 503)


def test_a_sick_cells_writes_fail_fast_and_its_reads_go_to_the_replica(bank: cellroute.Router) -> None:
    bank.mark_health("retail-us-east-1", False)
    home = {"tier": "retail", "region": "us-east-1"}
    write = bank.route("c", **home, now_ns=NOW)
    assert (write.status, write.reason, write.cell) == ("UNAVAILABLE", "CELL_UNHEALTHY", "retail-us-east-1")
    read = bank.route("c", **home, access="READ", now_ns=NOW)
    assert (read.reason, read.cell, read.read_only) == ("REPLICA", "corporate-us-east-1", True)
    bank.mark_health("retail-us-east-1", True)
    assert bank.route("c", **home, now_ns=NOW).ok


def test_a_cell_that_was_tried_is_not_returned() -> None:
    router = cellroute.Router(two_cells())
    first = router.route("c", now_ns=NOW)
    again = router.route("c", tried=[first.cell_number], now_ns=NOW)
    assert (again.status, again.reason) == ("UNAVAILABLE", "ALREADY_TRIED")
    assert router.route("c", now_ns=NOW).ok  # and nothing of it is left for the next call


@pytest.mark.parametrize("risk", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_risk_out_of_range_is_denied(risk: float) -> None:
    decision = cellroute.Router(two_cells()).route("c", risk=risk, now_ns=NOW)
    assert decision.reason in ("RISK_OUT_OF_RANGE", "RISK_NOT_FINITE")


def test_too_many_tried_and_wrong_words() -> None:
    router = cellroute.Router(two_cells())
    assert router.route("c", tried=range(8), now_ns=NOW).reason == "TOO_MANY_TRIED"
    assert router.route("c", lane=99, now_ns=NOW).reason == "LANE_OUT_OF_RANGE"
    with pytest.raises(cellroute.InvalidArgumentError, match='READ or WRITE, not "write"'):
        router.route("c", access="write", now_ns=NOW)
    assert router.route("c", now_ns=NOW).ok


def test_endpoints_by_resource() -> None:
    router = cellroute.Router(two_cells())
    decision = next(d for d in (router.route(f"k{i}", now_ns=NOW) for i in range(64)) if d.cell == "b")
    assert decision.endpoint() == "http://b.example.com"
    assert decision.endpoint("orders") == "http://orders.b.example.com"
    assert decision.endpoint("other") == "http://b.example.com"


def test_labels_are_escaped() -> None:
    router = cellroute.Router(two_cells())
    decision = next(d for d in (router.route(f"'; --{i}", now_ns=NOW) for i in range(64)) if d.cell == "a")
    assert "'" not in decision.labels["schema"] and ";" not in decision.labels["schema"]


def test_nothing_published() -> None:
    router = cellroute.Router()
    for decision in (router.route("c", now_ns=NOW), router.route("c", tier="x", now_ns=NOW)):
        assert (decision.status, decision.reason) == ("UNAVAILABLE", "NO_SNAPSHOT")
    with pytest.raises(cellroute.NoSnapshotError):
        router.profile()
    with pytest.raises(cellroute.NoSnapshotError):
        router.cells()


def test_a_profile_is_renewed_when_the_generation_changes() -> None:
    router = cellroute.Router(two_cells(1))
    profile = router.profile()
    for generation in (2, 3):
        router.publish(two_cells(generation))
        assert router.route("c", profile, now_ns=NOW).generation == generation
        assert set(router.route_batch(["c", "d"], profile, now_ns=NOW).status_names) == {"OK"}


def test_a_profile_whose_tier_went_is_denied(financial: cellroute.Topology) -> None:
    router = cellroute.Router(financial)
    hnw = router.profile(tier="hnw", region="us-east-1")
    text = financial.to_bytes("json").decode()
    renamed = text.replace('"hnw"', '"private"').replace("high_net_worth", "other")
    renamed = renamed.replace('"generation":"1"', '"generation":"2"').replace('"generation": "1"', '"generation": "2"')
    router.publish(cellroute.Topology.from_bytes(renamed, "json"), max_moved_percent=100)
    decision = router.route("c", hnw, now_ns=NOW)
    assert (decision.status, decision.reason) == ("INVALID_ARGUMENT", "TIER_UNKNOWN")


def test_publishing_is_gated() -> None:
    router = cellroute.Router(two_cells(5))
    with pytest.raises(cellroute.RefusedError, match="generation"):
        router.publish(two_cells(4))
    other = b"generation: 6\nhash_seed: 1\ncells: [{id: a, endpoint: 'http://a.example.com'}]\n"
    with pytest.raises(cellroute.RefusedError) as raised:
        router.publish(cellroute.Topology.from_bytes(other))
    assert raised.value.code == -5
    assert router.generation == 5
    router.publish(cellroute.Topology.from_bytes(other), max_moved_percent=100, allow_seed_change=True)
    assert router.generation == 6


def test_a_wrong_topology_is_told_with_lines() -> None:
    with pytest.raises(cellroute.InvalidArgumentError, match="shop.yaml:2"):
        cellroute.Topology.from_bytes("generation: 1\nnonsense: 3\n", name="shop.yaml")
    with pytest.raises(cellroute.NotFoundError):
        cellroute.Topology.from_file("/nonexistent/topology.yaml")
    with pytest.raises(cellroute.InvalidArgumentError, match="format is one of yaml"):
        cellroute.Topology.from_bytes("", "toml")


@pytest.mark.parametrize("format", ["yaml", "json", "textproto", "binary"])
def test_a_topology_is_read_back_as_it_was_written(financial: cellroute.Topology, format: str) -> None:
    written = financial.to_bytes(format)
    again = cellroute.Topology.from_bytes(written, format)
    assert again.to_bytes("json") == financial.to_bytes("json")
    assert (again.generation, again.cell_count) == (1, 9)


def test_refresh_serves_a_newer_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "topology.json"
    router = cellroute.Router(two_cells(1))
    file.write_bytes(two_cells(2).to_bytes())
    assert router.refresh(file)
    assert not router.refresh(file)
    assert router.generation == 2


def test_a_cell_tells_how_it_is_secured(bank: cellroute.Router) -> None:
    cells = {cell.id: cell for cell in bank.cells()}
    hnw, retail = cells["hnw-us-east-1"], cells["retail-us-east-1"]
    assert (hnw.encryption, retail.encryption) == ("maximum", "standard")
    assert set(hnw.certifications) > set(retail.certifications) == {"SOC2", "PCI-DSS"}


def test_explain_changes_nothing(bank: cellroute.Router) -> None:
    explained = bank.explain("cust-1", **RETAIL_EU, now_ns=NOW)
    assert explained["cell"] == "retail-eu-west-1"
    assert [step["step"] for step in explained["steps"]][0] == "request"
    assert bank.cell_guards("retail-eu-west-1", now_ns=NOW).in_flight == 0


KEYS = st.one_of(st.binary(max_size=40), st.text(max_size=40), st.just(b"k" * 1024), st.just("k" * 1025))


@given(st.lists(KEYS, max_size=20))
def test_a_batch_decides_as_single_calls_do(keys: list[str | bytes]) -> None:
    router = cellroute.Router(two_cells())
    batch = router.locate_batch(keys, now_ns=NOW)
    single = [router.locate(key, now_ns=NOW) for key in keys]
    assert batch.cell_ids == [decision.cell for decision in single]
    assert [bytes(decision) for decision in batch] == [bytes(decision) for decision in single]
    assert batch.reason_names == [decision.reason for decision in single]
    assert [decision.status for decision in batch] == [decision.status for decision in single]
