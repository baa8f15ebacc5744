"""What the tests share. CTest sets PYTHONPATH and the CELLROUTE_… variables."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import hypothesis
import pytest

import cellroute

SOURCE = pathlib.Path(__file__).resolve().parents[2]
NOW = 1_800_000_000_000_000_000  # a moment in 2027, from which tests move forward and back
SECOND = 1_000_000_000

# The same cases each time: a test that fails now and then is none.
hypothesis.settings.register_profile("fixed", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("fixed")

TWO_CELLS = """
generation: {generation}
hash_seed: 6840743513105534701
cells:
  - {{id: a, endpoint: 'http://a.example.com', labels: {{schema: 'tenant_{{key}}'}}}}
  - {{id: b, endpoint: 'http://b.example.com', endpoints: {{orders: 'http://orders.b.example.com'}}}}
policy: {{affinity: STATEFUL, unassigned: {unassigned}, timeout: 5s{policy}}}
"""


def two_cells(generation: int = 1, policy: str = "", unassigned: str = "PLACE") -> cellroute.Topology:
    text = TWO_CELLS.format(generation=generation, unassigned=unassigned, policy=policy and ", " + policy)
    return cellroute.Topology.from_bytes(text)


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `code` in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, text=True, capture_output=True,
        timeout=300)


@pytest.fixture(scope="session")
def financial() -> cellroute.Topology:
    return cellroute.Topology.from_file(SOURCE / "examples/financial/topology.yaml")


@pytest.fixture
def bank(financial: cellroute.Topology) -> cellroute.Router:
    return cellroute.Router(financial, lanes=8)
