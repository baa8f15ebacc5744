"""What tests of the Lambda examples share: events from files, cells on loopback, functions that run."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Iterator

import cellroute
from conftest import NOW, SOURCE
from loopback_cell import LoopbackCell
from runtime_api import RuntimeApi


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


@contextmanager
def function(handler: str, **environment: str) -> Iterator[RuntimeApi]:
    """Runs a handler in a process of its own, by the runtime of examples/lambda_host."""
    with RuntimeApi() as api:
        runtime = subprocess.Popen(
            [sys.executable, SOURCE / "examples/lambda_host/runtime_client.py", handler],
            env=os.environ | environment | {"AWS_LAMBDA_RUNTIME_API": api.address},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            yield api
        finally:
            runtime.terminate()
            api.printed = runtime.communicate(timeout=60)  # type: ignore[attr-defined]


__all__ = ["Clock", "Invocation", "LoopbackCell", "changed", "event", "function", "shop", "shop_router"]
