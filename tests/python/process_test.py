"""Threads, forks, other libraries in the process, and the interpreter's exit."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import threading
from typing import Callable

import pytest

import cellroute
from conftest import NOW, run_python, two_cells

KEYS = [f"cust-{number:05d}" for number in range(200)]


def resident_kib() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 1024


def route_until(stop: threading.Event, router: cellroute.Router, expected: dict[str, str]) -> list[str]:
    """What went wrong."""
    wrong, profile = [], router.profile()
    while not stop.is_set():
        for key, cell in expected.items():
            decision = router.route(key, profile, now_ns=NOW)
            if decision.cell != cell or not decision.ok or decision.endpoint() is None:
                wrong.append(f"{key}: {decision!r}")
            router.report(decision, http_status=200, now_ns=NOW)
        if router.route_batch(KEYS, profile, now_ns=NOW).cell_ids != list(expected.values()):
            wrong.append("a batch")
    return wrong


def test_8_threads_route_while_the_topology_is_replaced_a_thousand_times() -> None:
    router = cellroute.Router(two_cells(1), lanes=16, limiter_entries=0)
    expected = {key: router.locate(key, now_ns=NOW).cell or "" for key in KEYS}
    stop, wrong = threading.Event(), []
    threads = [
        threading.Thread(target=lambda: wrong.extend(route_until(stop, router, expected)))
        for _ in range(8)
    ]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)  # else the publisher waits for eight turns of 5 ms, a thousand times
    try:
        for thread in threads:
            thread.start()
        for generation in range(2, 1002):
            router.publish(two_cells(generation))
            if generation == 300:
                before = resident_kib()
        after = resident_kib()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert not wrong, wrong[:3]
    assert router.generation == 1001
    assert after - before < 8192, f"{before} KiB, then {after} KiB"


def _route_in_a_worker(generation: int) -> list[str | None]:
    router = cellroute.Router(two_cells(generation), limiter_entries=0)
    return [router.route(key, now_ns=NOW).cell for key in KEYS]


def test_a_forked_pool_routes_with_routers_of_its_own() -> None:
    parent = cellroute.Router(two_cells(1), limiter_entries=0)
    expected = [parent.locate(key, now_ns=NOW).cell for key in KEYS]
    with multiprocessing.get_context("fork").Pool(4) as pool:
        for generation, cells in enumerate(pool.imap(_route_in_a_worker, range(1, 1001), 25), 1):
            assert cells == expected, generation


def in_a_child(check: Callable[[], bool]) -> bool:
    """Whether `check` holds in a child of fork()."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if check() else 1)
        except BaseException:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_parents_router_refuses_in_the_child_with_what_to_do() -> None:
    router, store = cellroute.Router(two_cells()), cellroute.Store.open("memory:")
    held = router.route("c", now_ns=NOW)
    calls = [
        lambda: router.route("c", now_ns=NOW), lambda: router.locate("c", now_ns=NOW),
        lambda: router.route_batch(["c"], now_ns=NOW), lambda: router.report(held, http_status=200),
        lambda: router.publish(two_cells(2)), lambda: router.profile(), lambda: router.explain("c"),
        lambda: router.cells(), lambda: router.mark_health("a", True), lambda: store.get("c"),
        lambda: router.assign(store, "c"),
    ]
    for call in calls:
        def refused() -> bool:
            with pytest.raises(cellroute.ForkedError, match="process"):
                call()
            return True

        assert in_a_child(refused)
    assert router.route("c", now_ns=NOW).ok


def test_a_topology_and_what_was_decided_serve_in_the_child() -> None:
    topology = two_cells()
    router = cellroute.Router(topology)
    decision = router.route("c", now_ns=NOW)
    cell = decision.cell
    assert in_a_child(lambda: cellroute.Router(topology).route("c", now_ns=NOW).cell == cell)
    assert in_a_child(lambda: decision.cell == cell)


@pytest.mark.parametrize("order", [
    "import cellroute, google.protobuf.descriptor_pb2",
    "import google.protobuf.descriptor_pb2, cellroute",
])
@pytest.mark.parametrize("implementation", ["cpp", "python"])
def test_a_process_that_loads_protobuf_too(order: str, implementation: str) -> None:
    ran = run_python(
        order + """
from google.protobuf import descriptor_pb2
described = descriptor_pb2.FileDescriptorProto(name="cellroute.proto")
assert descriptor_pb2.FileDescriptorProto.FromString(described.SerializeToString()).name == "cellroute.proto"
topology = cellroute.Topology.from_bytes("generation: 1\\ncells: [{id: a, endpoint: 'http://a'}]\\n")
again = cellroute.Topology.from_bytes(topology.to_bytes("binary"), "binary")
print(cellroute.Router(again).route("c").cell)
""", PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=implementation)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("a\n", "", 0)


def test_the_interpreter_may_exit_while_threads_route() -> None:
    ran = run_python("""
import threading, cellroute
topology = cellroute.Topology.from_bytes("generation: 1\\ncells: [{id: a, endpoint: 'http://a'}]\\n")
router = cellroute.Router(topology, lanes=4)
store = cellroute.Store.open("memory:")
started = threading.Barrier(4)
def route():
    started.wait()
    while True:
        router.route("c")
        router.route_batch(["a", "b"])
for _ in range(3):
    threading.Thread(target=route, daemon=True).start()
started.wait()
""")
    assert (ran.stderr, ran.returncode) == ("", 0)


def test_a_signal_handler_may_route_in_the_midst_of_a_call() -> None:
    ran = run_python("""
import signal, cellroute
topology = cellroute.Topology.from_bytes(
    "generation: 1\\ncells: [{id: a, endpoint: 'http://a'}, {id: b, endpoint: 'http://b'}]\\n")
router = cellroute.Router(topology)
cells = {key: router.locate(key).cell for key in map(str, range(64))}
handled = []
signal.signal(signal.SIGALRM, lambda *_: handled.append(router.locate("7").cell))
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
while len(handled) < 200:
    for key, cell in cells.items():
        assert router.locate(key).cell == cell
assert set(handled) == {cells["7"]}
print("done")
""")
    assert (ran.stdout, ran.stderr) == ("done\n", "")
