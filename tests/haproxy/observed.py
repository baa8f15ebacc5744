"""What tests look at besides answers: homes of keys, what cells hold, what the metrics counted."""

from __future__ import annotations

import re
from collections import Counter

import cellroute
from room import Cell, Proxy, fetch


def tenants_of(proxy: Proxy, cell: str, count: int) -> list[str]:
    router = cellroute.Router(cellroute.Topology.from_file(proxy.topology))
    found = [key for key in (f"tenant-{i}" for i in range(2000)) if router.locate(key).cell == cell]
    return found[:count]


def busy(cell: Cell) -> int:
    """Requests that it holds, without the one that asks."""
    return fetch(cell.port).told().busy - 1


def calls(proxy: Proxy) -> Counter[str]:
    """What was reported, by result."""
    text = fetch(proxy.port, "/metrics").body.decode()
    found = re.findall(r'^cellroute_cell_calls_total\{[^}]*result="(\w+)"[^}]*\} (\d+)', text, re.MULTILINE)
    counted: Counter[str] = Counter()
    for result, count in found:
        counted[result] += int(count)
    return +counted


def in_flight(proxy: Proxy) -> int:
    """Calls that count against their cells' caps now."""
    text = fetch(proxy.port, "/metrics").body.decode()
    return sum(int(count) for count in re.findall(r"^cellroute_cell_in_flight\{.*\} (\d+)$", text, re.MULTILINE))
