#!/usr/bin/python3
"""What a decision costs in Python, beside what Python programs do by hand, in one run.

    PYTHONPATH=bindings/python CELLROUTE_LIBRARY=build/lib/libcellroute.so /usr/bin/python3 benchmarks/python_bench.py

Figures are nanoseconds a key, the least of interleaved rounds, so that a busy machine is unfair to
nobody. That batches decide as single calls do is checked first.
"""

from __future__ import annotations

import bisect
import ctypes
import hashlib
import io
import json
import os
import pathlib
import struct
import subprocess
import sys
import time
from typing import Any, Callable

import cellroute

SOURCE = pathlib.Path(__file__).resolve().parents[1]
sys.path += [str(SOURCE / "examples/ecommerce_lambda/python"), str(SOURCE / "examples/lambda_host")]

CELLS = [f"cell-{number:03d}" for number in range(100)]
KEYS = [f"customer-{number:09d}" for number in range(1000)]
ROUNDS = 60
TURNS = 4  # in a row: the first finds the caches full of another contestant
TOPOLOGY = json.dumps({
    "generation": 1, "hash_seed": 6840743513105534701,
    "cells": [{"id": cell, "endpoint": f"http://{cell}.example.com"} for cell in CELLS],
    # In-flight caps so wide that routing without reporting never meets them.
    "policy": {"breaker": {"consecutive_failures": 5}, "in_flight": {"per_cell": 1_000_000, "deadline": "1s"}},
})


class HandWritten:
    """What teams write: a dictionary of those who moved, else md5 modulo the cells."""

    def __init__(self) -> None:
        self.moved = {KEYS[number]: CELLS[number % 100] for number in range(0, 1000, 10)}
        self.open_until = dict.fromkeys(CELLS, 0.0)

    def route(self, key: str) -> str | None:
        cell = self.moved.get(key)
        if cell is None:
            cell = CELLS[int(hashlib.md5(key.encode()).hexdigest(), 16) % len(CELLS)]
        return cell if self.open_until[cell] <= time.time() else None


class Ketama:
    """A consistent hash ring of 160 points a cell, as libmemcached has it."""

    def __init__(self) -> None:
        points = []
        for cell in CELLS:
            for index in range(40):
                digest = hashlib.md5(f"{cell}-{index}".encode()).digest()
                points += [(point, cell) for point in struct.unpack("<4I", digest)]
        points.sort()
        self.points = [point for point, _ in points]
        self.cells = [cell for _, cell in points]

    def route(self, key: str) -> str:
        point = struct.unpack_from("<I", hashlib.md5(key.encode()).digest())[0]
        return self.cells[bisect.bisect_left(self.points, point) % len(self.cells)]


def each(route: Callable[[str], object]) -> Callable[[], object]:
    def run() -> None:
        for key in KEYS:
            route(key)

    return run


def bare_call() -> Callable[[], object]:
    """The least that ctypes lets a call of this shape cost: everything made beforehand."""
    from cellroute._abi import lib
    from cellroute.decision import SIZE, Decision
    from cellroute.requests import Slot

    router = cellroute.Router(cellroute.Topology.from_bytes(TOPOLOGY))
    slot, decision = Slot(router._handle.address or 0, 0), Decision(struct_size=SIZE)
    slot.answer_into(decision)
    router._renew(router._nameless)
    slot.request.profile = router._nameless._handle
    slot.buffer.value, slot.request.key_size = KEYS[0].encode(), len(KEYS[0])
    slot.call.now_ns = time.time_ns()
    return each(lambda _: lib.locate_call(slot.reference))


def routing() -> dict[str, Callable[[], object]]:
    router = cellroute.Router(cellroute.Topology.from_bytes(TOPOLOGY))
    profile, encoded, packed = router.profile(), [key.encode() for key in KEYS], cellroute.pack_keys(KEYS)
    single = [router.locate(key, profile).cell for key in KEYS]
    if router.route_batch(packed, profile).cell_ids != single or None in single:
        sys.exit("python_bench: a batch decides otherwise than single calls")

    def route() -> None:
        for key in KEYS:
            router.route(key, profile)

    def route_now(now: int = time.time_ns()) -> None:
        for key in KEYS:
            router.route(key, profile, now)

    def locate() -> None:
        for key in KEYS:
            router.locate(key, profile)

    contestants: dict[str, Callable[[], object]] = {
        "dictionary and md5, in Python": each(HandWritten().route),
        "ketama, 160 points, in Python": each(Ketama().route),
        "ctypes alone, all prepared": bare_call(),
        "cellroute route": route,
        "cellroute route, now_ns given": route_now,
        "cellroute locate": locate,
        "cellroute route_batch, list of str": lambda: router.route_batch(KEYS, profile),
        "cellroute route_batch, list of bytes": lambda: router.route_batch(encoded, profile),
        "cellroute route_batch, packed": lambda: router.route_batch(packed, profile),
        "cellroute locate_batch, packed": lambda: router.locate_batch(packed, profile),
    }
    return contestants | _with_numpy(router, profile)


def _with_numpy(router: cellroute.Router, profile: cellroute.Profile) -> dict[str, Callable[[], object]]:
    try:
        import numpy
    except ImportError:
        return {}
    array, padded = numpy.array(KEYS, dtype="S"), numpy.array(KEYS, dtype="S24")
    return {
        "cellroute route_batch, numpy S": lambda: router.route_batch(array, profile),
        "cellroute route_batch, numpy S, padded": lambda: router.route_batch(padded, profile),
    }


def handlers() -> dict[str, Callable[[], object]]:
    """The Lambda front with a cell that answers at once, beside a handler that does nothing."""
    from runtime_client import Context
    from shop_front import app
    from shop_front.forward import CellAnswer

    event = json.loads((SOURCE / "examples/ecommerce_lambda/events/rest_get.json").read_text())
    text, context = json.dumps(event), Context("invocation-1", "arn", 1 << 60)
    topology = cellroute.Topology.from_file(SOURCE / "examples/ecommerce_lambda/topology.yaml")
    log = io.StringIO()
    front = app.Front(cellroute.Router(topology, limiter_entries=0), log=log.write)
    answer = CellAnswer(200, [("Content-Type", "application/json")], b"{}")
    app.call_cell = lambda *_: answer  # type: ignore[assignment]

    def empty(_: Any, __: Any) -> dict[str, Any]:
        return {"statusCode": 200, "body": "{}"}

    if front(event, context)["statusCode"] != 200:
        sys.exit("python_bench: the front did not serve its example event")
    return {
        "empty handler": lambda: json.dumps(empty(json.loads(text), context)),
        "shop front, without the call to the cell": lambda: json.dumps(front(json.loads(text), context)),
    }


def cold_starts() -> dict[str, Callable[[], object]]:
    """A process each: nothing, the front without cellroute's router, and the front ready to serve."""
    room = SOURCE / "examples/ecommerce_lambda"
    environment = os.environ | {
        "CELLROUTE_TOPOLOGY": str(room / "topology.yaml"),
        "PYTHONPATH": os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(room / "python")])}

    def start(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], env=environment, check=True)

    return {
        "python3 alone": start("pass"),
        "import cellroute": start("import cellroute"),
        "shop front, ready to serve": start("import shop_front.app as app; app.handler"),
    }


def measured(
    contestants: dict[str, Callable[[], object]], units: int, rounds: int = ROUNDS
) -> dict[str, float]:
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(rounds):
        for name, run in contestants.items():
            for _ in range(TURNS):
                start = time.perf_counter_ns()
                run()
                best[name] = min(best[name], (time.perf_counter_ns() - start) / units)
    return best


def table(title: str, rows: dict[str, float], against: str) -> None:
    print(f"\n{title:44}{'ns':>12}{'against ' + against:>40}")
    for name, nanoseconds in rows.items():
        print(f"{name:44}{nanoseconds:>12.1f}{rows[against] / nanoseconds:>38.2f} x")


if __name__ == "__main__":
    print(f"Python {sys.version.split()[0]}, cellroute {cellroute.__version__}, {len(CELLS)} cells, {ROUNDS} rounds")
    table("a key", measured(routing(), len(KEYS)), "dictionary and md5, in Python")
    many = {name: (lambda run=run: [run() for _ in range(200)]) for name, run in handlers().items()}
    table("a process, cold start", measured(cold_starts(), 1, 10), "python3 alone")
    table("an invocation, its JSON included", measured(many, 200), "empty handler")
