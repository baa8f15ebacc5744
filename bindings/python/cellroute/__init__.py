"""cellroute: which cell serves this key, may it be served now, and why.

    topology = cellroute.Topology.from_file("topology.yaml")
    router = cellroute.Router(topology)
    gold = router.profile(tier="retail", region="eu-west-1")

    decision = router.route("cust-000042", gold)
    if decision.ok:
        status = call(decision.endpoint(), timeout=decision.timeout_ns / 1e9)
        router.report(decision, http_status=status)

Keys are str (UTF-8) or bytes of 1 to 1,024 bytes. Times are integer nanoseconds.
"""

from ._abi import NO_CELL, lib as _lib
from .assignment import Assignment, Mapping
from .decision import Decision
from .decisions import Decisions
from .dynamodb import StreamChange, StreamResult, TableUsage, read_stream, table_usage
from .errors import (
    BrokenStoreError, CellrouteError, ConflictError, CorruptError, ExhaustedError, ForkedError,
    InvalidArgumentError, LibraryError, NoMemoryError, NoSnapshotError, NotFoundError,
    ReenteredError, RefusedError, UnavailableError, UnknownNameError, UnsupportedError,
)
from .fleet import FleetKeeper, LeaseStore, Usage, UsagePage
from .guards import CellGuards, Readiness, memory_size
from .keys import Keys, pack_keys
from .mapping_store import MappingStore
from .metrics import EmfLines, Metrics, metrics_memory_size
from .prober import Probe, Prober
from .profile import Profile
from .reasons import REASONS, STATUSES, Reason, Status
from .records import Page, Past, PinnedProfile, Record
from .router import Router
from .snapshot import Cell
from .store import CacheCounts, CachedStore, Store
from .tenant import Client, Tenant
from .topology import Topology

__version__: str = _lib.version_string().decode()
library_path: str = _lib.path
"""The file, or the name for the system's loader, of the library that serves."""

__all__ = [
    "Assignment", "BrokenStoreError", "CacheCounts", "CachedStore", "Cell", "CellGuards",
    "CellrouteError", "Client", "ConflictError", "CorruptError", "Decision", "Decisions",
    "EmfLines", "ExhaustedError", "FleetKeeper", "ForkedError", "InvalidArgumentError", "Keys",
    "LeaseStore", "LibraryError", "Mapping", "MappingStore", "Metrics", "NO_CELL", "NoMemoryError",
    "NoSnapshotError", "NotFoundError", "Page", "Past", "PinnedProfile", "Probe", "Prober",
    "Profile", "REASONS", "Readiness", "Reason", "Record", "ReenteredError", "RefusedError",
    "Router", "STATUSES", "Status", "Store", "StreamChange", "StreamResult", "TableUsage", "Tenant",
    "Topology", "UnavailableError", "UnknownNameError", "UnsupportedError", "Usage", "UsagePage",
    "library_path", "memory_size", "metrics_memory_size", "pack_keys", "read_stream", "table_usage",
]
