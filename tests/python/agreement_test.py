"""A million random requests over a hundred random topologies: Python decides as C++ and C do."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

import cellroute


@pytest.mark.parametrize("number", range(100))
def test_decisions_are_those_of_c_and_cxx(number: int) -> None:
    ran = subprocess.run(
        [os.environ["CELLROUTE_AGREEMENT"], str(number)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    topology, mappings, *lines = ran.stdout.splitlines()
    router = cellroute.Router(cells=64, limiter_entries=1024, guard_seed=7)
    router.publish(cellroute.Topology.from_bytes(json.loads(topology)), mappings=[
        cellroute.Record(key=key.encode(), cell=cell, epoch=epoch, revision=1)
        for key, cell, epoch in json.loads(mappings)])
    assert len(lines) == 10_000
    for line in lines:
        key, tier, region, flags, risk, access, resource, now, http_status, *expected, endpoint = json.loads(line)
        decision = router.route(
            key, tier=tier, region=region, flags=flags, risk=risk, access=access, resource=resource, now_ns=now)
        assert [
            decision.status_number, decision.reason_number, decision.cell_number, decision.epoch,
            decision.generation, decision.retry_after_ns, decision.timeout_ns, decision.read_only,
        ] == expected, line
        assert (decision.endpoint(resource) or "") == endpoint, line
        if http_status:
            router.report(decision, http_status=http_status, now_ns=now)
