"""What the tests share. CTest sets PYTHONPATH and the CELLROUTE_… variables."""

from __future__ import annotations

import pathlib
import tempfile
from collections.abc import Callable, Iterator

import pytest

from room import CELLS, Cell, Proxy, proxy

TOPOLOGY = """
generation: {generation}
hash_seed: 6840743513105534701
cells:
  - {{id: cell-1, endpoint: 'http://127.0.0.1:{ports[0]}', labels: {{schema: 'tenant_{{key}}'}}}}
  - {{id: cell-2, endpoint: 'http://127.0.0.1:{ports[1]}'}}
  - {{id: cell-3, endpoint: 'http://127.0.0.1:{ports[2]}'}}
tenant:
  sources: [{{header: X-Tenant-ID}}]
  trusted_headers: [X-Encryption-Level]
policy: {{affinity: STATEFUL, unassigned: PLACE, slots: {slots}{policy}}}
"""


def topology_of(cells: dict[str, Cell], policy: str = "", generation: int = 1, slots: int = 1024) -> str:
    return TOPOLOGY.format(generation=generation, slots=slots, ports=[cell.port for cell in cells.values()],
                           policy=policy and ", " + policy)


@pytest.fixture(scope="session")
def cells() -> Iterator[dict[str, Cell]]:
    started = {name: Cell(name) for name in CELLS}
    yield started
    for cell in started.values():
        cell.kill()


@pytest.fixture(scope="session")
def plain(cells: dict[str, Cell], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The README's configuration, without limits."""
    with proxy(tmp_path_factory.mktemp("plain"), cells, topology_of(cells)) as started:
        yield started


@pytest.fixture
def open_folder() -> Iterator[pathlib.Path]:
    """Not in pytest's folder: each session of it closes that to other users."""
    with tempfile.TemporaryDirectory(prefix="cellroute-haproxy-", ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def with_policy(cells: dict[str, Cell], tmp_path: pathlib.Path) -> Iterator[Callable[..., Proxy]]:
    """Starts the README's configuration with a policy of its own."""
    running = []

    def start(policy: str, **options: object) -> Proxy:
        manager = proxy(tmp_path, cells, topology_of(cells, policy), **options)  # type: ignore[arg-type]
        running.append(manager)
        return manager.__enter__()

    yield start
    for manager in running:
        manager.__exit__(None, None, None)
