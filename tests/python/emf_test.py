"""Lines of CloudWatch's embedded metric format, held against its specification."""

from __future__ import annotations

import json
from typing import Any

import pytest

import cellroute
from cellroute import EmfLines, Router
from conftest import NOW, two_cells

UNITS = {"Seconds", "Microseconds", "Milliseconds", "Bytes", "Count", "Percent", "None"}  # those we might use


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(pairs) == len(dict(pairs)), f"a member is there twice: {pairs}"
    return dict(pairs)


def check_emf(line: str) -> dict[str, Any]:
    """Fails where the line is no document of the format; gives it back parsed."""
    assert "\n" not in line and len(line) <= 1 << 20
    root = json.loads(line, object_pairs_hook=once)
    meta = root["_aws"]
    assert set(meta) == {"Timestamp", "CloudWatchMetrics"}
    assert type(meta["Timestamp"]) is int and meta["Timestamp"] >= 0
    assert type(meta["CloudWatchMetrics"]) is list and meta["CloudWatchMetrics"]
    for directive in meta["CloudWatchMetrics"]:
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
        assert 1 <= len(directive["Namespace"]) <= 1024
        assert directive["Dimensions"] and 1 <= len(directive["Metrics"]) <= 100
        for dimensions in directive["Dimensions"]:
            assert len(dimensions) <= 30 and len(set(dimensions)) == len(dimensions)
            for name in dimensions:
                assert 1 <= len(name) <= 250
                assert type(root[name]) is str and 1 <= len(root[name]) <= 1024, name
                assert root[name].isascii() and root[name].strip()
        for metric in directive["Metrics"]:
            assert {"Name"} <= set(metric) <= {"Name", "Unit", "StorageResolution"}
            assert 1 <= len(metric["Name"]) <= 1024 and metric.get("Unit", "None") in UNITS
            assert type(root[metric["Name"]]) in (int, float), metric
    return root  # type: ignore[no-any-return]


@pytest.fixture
def router() -> Router:
    return Router(two_cells())


def test_a_request_is_counted_by_cell_and_by_status_code(router: Router) -> None:
    decision = router.route("k", now_ns=NOW)
    line = check_emf(EmfLines().line(decision, http_status=201, latency_ns=12_345_678, now_ns=NOW))
    assert line["_aws"]["Timestamp"] == NOW // 1_000_000
    by_cell, by_status = line["_aws"]["CloudWatchMetrics"]
    assert by_cell["Dimensions"] == [["CellId"]] and by_status["Dimensions"] == [["CellId", "StatusCode"]]
    assert [metric["Name"] for metric in by_cell["Metrics"]] == ["RequestCount", "Latency"]
    assert [metric["Name"] for metric in by_status["Metrics"]] == ["ResponseCode"]
    assert (line["CellId"], line["StatusCode"]) == (decision.cell, "201")
    assert (line["RequestCount"], line["ResponseCode"], line["Latency"]) == (1, 1, 12.345678)


def test_a_denied_request_has_no_latency(router: Router) -> None:
    line = check_emf(EmfLines().line(router.route(b""), now_ns=NOW))
    assert (line["CellId"], line["StatusCode"], line["Reason"]) == ("{none}", "400", "KEY_EMPTY")
    assert "Latency" not in line


def test_names_are_the_hosts(router: Router) -> None:
    lines = EmfLines(namespace='Shop "EU"', cell_id="Cell", status_code="Code", request_count="Requests",
                     response_code="Responses", latency="Took")
    line = check_emf(lines.line(router.route("k"), error="timeout", latency_ns=5, now_ns=NOW))
    assert {directive["Namespace"] for directive in line["_aws"]["CloudWatchMetrics"]} == {'Shop "EU"'}
    assert (line["Code"], line["Requests"], line["Responses"], line["Took"]) == ("504", 1, 1, 0.000005)


def test_names_that_cloudwatch_would_not_take_are_refused(router: Router) -> None:
    decision = router.route("k")
    for names in ({"latency": "CellId"}, {"cell_id": "_aws"}, {"namespace": ":x"}, {"namespace": "é"},
                  {"latency": "x" * 256}):
        with pytest.raises(cellroute.InvalidArgumentError, match="cannot name a metric"):
            EmfLines(**names).line(decision)


@pytest.mark.parametrize("harm", [
    lambda root: root["_aws"].pop("Timestamp"),
    lambda root: root["_aws"].update(Extra=1),
    lambda root: root.pop("CellId"),
    lambda root: root.update(CellId=7),
    lambda root: root.update(RequestCount="1"),
    lambda root: root["_aws"]["CloudWatchMetrics"][0].pop("Namespace"),
    lambda root: root["_aws"]["CloudWatchMetrics"][0]["Metrics"][0].update(Unit="Counts"),
    lambda root: root["_aws"]["CloudWatchMetrics"][0].update(Metrics=[{"Name": "RequestCount"}] * 101),
])
def test_the_checker_itself_refuses_what_is_no_document(router: Router, harm: Any) -> None:
    root = json.loads(EmfLines().line(router.route("k"), http_status=200))
    check_emf(json.dumps(root))
    harm(root)
    with pytest.raises((AssertionError, KeyError)):
        check_emf(json.dumps(root))
