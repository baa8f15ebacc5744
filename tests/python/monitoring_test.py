"""The alert rules and the dashboard of examples/monitoring use what the library writes, and no more."""

from __future__ import annotations

import json
import re
from typing import Any, Iterator

import yaml

from conftest import SOURCE
from metrics_test import everything, parsed

ROOM = SOURCE / "examples/monitoring"
OF_PROMETHEUS = {"le", "job", "instance", "severity"}


def samples() -> dict[str, set[str]]:
    """Every sample's name that the library writes, with its labels."""
    found: dict[str, set[str]] = {}
    for family in parsed(everything()).values():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def alerts() -> list[dict[str, Any]]:
    document = yaml.safe_load((ROOM / "alerts.yaml").read_text())
    assert set(document) == {"groups"}
    for group in document["groups"]:
        assert set(group) == {"name", "rules"}
    return [rule for group in document["groups"] for rule in group["rules"]]


def targets() -> Iterator[tuple[dict[str, Any], str]]:
    for panel in json.loads((ROOM / "dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield panel, target["expr"]


def check_expression(expression: str) -> set[str]:
    """Its metrics exist, with the labels that it matches or groups by; its brackets close."""
    known = samples()
    names = set(re.findall(r"\bcellroute_\w+", expression))
    assert names and names <= set(known), names - set(known)
    labels = set().union(*(known[name] for name in names)) | OF_PROMETHEUS
    for matchers in re.findall(r"\{([^}]*)\}", expression):
        used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        assert used <= labels, used - labels
    for grouped in re.findall(r"\b(?:by|on|without)\s*\(([^)]*)\)", expression):
        used = set(re.split(r",\s*", grouped))
        assert used <= labels, used - labels
    bare = re.sub(r'"[^"]*"', "", expression)
    for opening, closing in ("()", "{}", "[]"):
        assert bare.count(opening) == bare.count(closing)
    for counter in (name for name in names if name.endswith(("_total", "_bucket", "_sum", "_count"))):
        for use in re.finditer(rf"{counter}\b(?:\{{[^}}]*\}})?(\[[^\]]+\])?", expression):
            assert use[1], f"{counter} is used without rate() or increase()"
    return names


def test_alerts_ask_for_what_is_written() -> None:
    rules = alerts()
    assert len({rule["alert"] for rule in rules}) == len(rules) > 5
    for rule in rules:
        assert {"alert", "expr", "labels", "annotations"} <= set(rule) <= {"alert", "expr", "labels", "annotations", "for"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        names = check_expression(rule["expr"])
        said = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert said <= set().union(*(samples()[name] for name in names)) | OF_PROMETHEUS


def test_panels_ask_for_what_is_written() -> None:
    used: set[str] = set()
    places = []
    for panel, expression in targets():
        used |= check_expression(expression)
        places.append((panel["gridPos"]["x"], panel["gridPos"]["y"]))
        assert panel["title"] and panel["description"] and panel["datasource"]["type"] == "prometheus"
    for wanted in ("decisions_total", "breaker_state", "cell_in_flight", "cell_load", "snapshot_generation",
                   "snapshot_age_seconds", "overlay_mappings", "lookups_total", "cell_latency_seconds_bucket"):
        assert f"cellroute_{wanted}" in used


def test_values_that_expressions_match_are_values_that_are_written() -> None:
    """A status, result or answer that nobody writes would never alert."""
    source = "".join(rule["expr"] for rule in alerts()) + "".join(expression for _, expression in targets())
    header = (SOURCE / "capi/metrics.md").read_text() + (SOURCE / "capi/cellroute.h").read_text()
    for label, pattern in re.findall(r'\b(status|result|answer)(?:=~|!=|=)"([^"]+)"', source):
        for text in pattern.split("|"):
            known = {"status": f"CELLROUTE_STATUS_{text} ", "result": f"{text}", "answer": f"`{text}`"}[label]
            assert known in header, (label, text)
