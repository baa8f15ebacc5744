"""What tests of the Lambda examples share: events from files, cells on loopback, functions that run."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Any

import cellroute
from conftest import NOW, SOURCE


@dataclass(frozen=True)
class Invocation:
    """A context as Lambda gives it."""

    aws_request_id: str = "invocation-1"
    remaining_ms: int = 30_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


class Clock:
    """Time that tests move."""

    def __init__(self) -> None:
        self.now_ns = NOW

    def __call__(self) -> int:
        return self.now_ns


def event(example: str, name: str) -> Any:
    with open(SOURCE / f"examples/{example}/events/{name}.json", encoding="utf-8") as file:
        return json.load(file)


def changed(value: dict[str, Any], **members: Any) -> dict[str, Any]:
    return copy.deepcopy(value) | members


def shop(cells: dict[str, str], policy: str = "timeout: 2s", generation: int = 1) -> bytes:
    """A topology of cells by id and endpoint."""
    listed = [{"id": id, "endpoint": endpoint} for id, endpoint in cells.items()]
    return (f"generation: {generation}\nhash_seed: 3906369333256140342\n"
            f"cells: {json.dumps(listed)}\npolicy: {{{policy}}}\n").encode()


def shop_router(cells: dict[str, str], policy: str = "timeout: 2s") -> cellroute.Router:
    return cellroute.Router(cellroute.Topology.from_bytes(shop(cells, policy)), limiter_entries=0)
