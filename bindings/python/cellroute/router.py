"""The router: publish a topology, route requests, report how they went."""

from __future__ import annotations

import ctypes
import json
import os
import time
from typing import Any, Iterable, Sequence

from . import _abi
from ._abi import CellMetrics, Count, ErrorText, LoadOptions, PublishOptions, Readiness as ReadinessStruct, lib
from ._calls import as_bytes, call, check, made, sized_text, view_of
from .assignment import Assignment, Mapping
from .errors import CellrouteError
from .guards import CellGuards, Readiness, cell_guards, lend, readiness_of, router_options
from .path import Path
from .profile import Names, Profile
from .reasons import REASONS
from .records import Record, RecordStruct
from .requests import Slot
from .snapshot import Cell, Snapshot
from .store import Store
from .tenant import Client, Fields, HttpRequestIn, Tenant
from .topology import Topology, format_number


class Router(Path):
    """Any number of threads may use one, also while one of them publishes.

    Fork: make it in the process that uses it; in a child of fork() the parent's raises ForkedError.
    Processes share guards through `memory`.
    """

    def __init__(
        self, topology: Topology | None = None, *, cells: int = 0, lanes: int = 0,
        limiter_entries: int | None = None, guard_seed: int = 0, memory: Any = None,
    ) -> None:
        """`cells` that ever get a number (default 1,024); `lanes`, as many as threads that route at
        once (1); `limiter_entries`, keys with limits at 16 bytes each (1,048,576; 0: none);
        `memory`, a writable buffer for the guards of at least memory_size() bytes, aligned to 64,
        zero at first, which processes may share. Publishes `topology`."""
        options = router_options(cells, lanes, limiter_entries, guard_seed)
        lent = None if memory is None else lend(options, memory)
        handle = made(lib.router_create, lib.router_destroy, options)
        handle.kept = lent
        super().__init__(handle, lanes or 1)
        if topology is not None:
            self.publish(topology)

    def publish(
        self, topology: Topology, *, mappings: Store | Iterable[Record] | None = None,
        max_moved_percent: int | None = None, max_cells_lost: int | None = None,
        allow_seed_change: bool = False, max_keys_lost_percent: int | None = None,
        now_ns: int | None = None,
    ) -> None:
        """Checks `topology` against what serves, and serves it with `mappings` from now on.
        RefusedError: it is older, or moves or loses more than allowed (10 %, 1 cell, 10 % of the
        keys of a mapping file)."""
        options = _Publishing(mappings, max_moved_percent, max_cells_lost, allow_seed_change,
                              max_keys_lost_percent, now_ns)
        call(lib.router_publish, self._handle.address, topology._handle.address, options.struct)
        self._renew(self._nameless)

    def refresh(
        self, path: str | os.PathLike[str], *, format: str = "", threads: int = 1,
        mappings: Store | Iterable[Record] | None = None, max_moved_percent: int | None = None,
        max_cells_lost: int | None = None, allow_seed_change: bool = False,
        max_keys_lost_percent: int | None = None, now_ns: int | None = None,
    ) -> bool:
        """Loads a file and publishes it if it is newer; False: it holds what serves."""
        options = _Publishing(mappings, max_moved_percent, max_cells_lost, allow_seed_change,
                              max_keys_lost_percent, now_ns)
        load = LoadOptions(format=format_number(format) if format else 0, threads=threads)
        name = os.fsencode(path)
        code = call(lib.router_refresh, self._handle.address, view_of(name), load, options.struct)
        self._renew(self._nameless)
        return code != _abi.UNCHANGED

    @property
    def generation(self) -> int:
        """Of the topology that serves. NoSnapshotError before the first."""
        return self._serving().generation

    def cells(self) -> list[Cell]:
        """The serving topology's cells, in byte order of id."""
        return self._serving().cells()

    def tenant(
        self, target: str | bytes, headers: Fields, *, authority: str | bytes = b"",
        claims: Fields = (),
    ) -> Tenant:
        """Whose an HTTP request is, by the topology's section `tenant`. `target`, `authority`
        (HTTP/2's) and `headers`, with Host and duplicates, are as the host received them; `claims`
        are of a token that was verified. NotFoundError: the topology has no such section."""
        return self._serving().tenant(HttpRequestIn(target, headers, authority, claims, b""))

    def client(self, peer: str | bytes, headers: Fields) -> Client:
        """Where a request came from: X-Forwarded-For counts as far as the topology's trusted
        proxies wrote it. `peer` is the connection's other end."""
        return self._serving().client(HttpRequestIn(b"", headers, b"", (), peer))

    def is_trusted_header(self, name: str | bytes) -> bool:
        """Whether cells believe the header, so that the host takes it out of every request, then
        sets it anew."""
        return self._serving().is_trusted_header(name)

    def profile(
        self, tier: str = "", region: str = "", flags: Sequence[str] = (), plan: str = ""
    ) -> Profile:
        """A key's attributes, resolved once: keep it and hand it to route(). UnknownNameError: the
        topology has no such name; its `reason` is that of the decision."""
        profile = Profile(tier, region, tuple(flags), plan)
        self._renew(profile)
        return profile

    def explain(
        self, key: str | bytes, profile: Profile | None = None, *, tier: str = "", region: str = "",
        flags: Sequence[str] = (), plan: str = "", risk: float = 0.0, access: str = "WRITE",
        resource: str = "", tried: Sequence[int] = (), mapping: Mapping | None = None,
        now_ns: int | None = None,
    ) -> dict[str, Any]:
        """How the request would be located, step by step."""
        profile = profile or self.profile(tier, region, flags, plan)
        slot = self._filled(profile, as_bytes(key), risk, access, resource, tried, mapping)
        error = ErrorText()
        text = sized_text(
            lib.explain, self._handle.address, slot.request, _now(now_ns), after=(error,))
        explained: dict[str, Any] = json.loads(text)
        return explained

    def resolve(self, store: Store, key: str | bytes, *, now_ns: int | None = None) -> Mapping:
        """Looks the key up, which may block, for route(mapping=…). Where the store fails, the answer
        is UNKNOWN and `mapping.error` says why; such a key is answered UNAVAILABLE."""
        data, mapping, error = as_bytes(key), Mapping(), ErrorText()
        code = lib.resolve(self._handle.address, store._handle.address, view_of(data), _now(now_ns),
                           mapping, error)
        return _settled(mapping, code, error)

    def assign(
        self, store: Store, key: str | bytes, profile: Profile | None = None, *, tier: str = "",
        region: str = "", flags: Sequence[str] = (), plan: str = "", risk: float = 0.0,
        pin: bool = False, now_ns: int | None = None,
    ) -> Assignment:
        """Gives a key without a record the cell that the router proposes, and writes it down; of all
        who want that the first writer wins, and all get its answer. `pin`: the record keeps tier,
        region, flags and plan. Where the store fails, the decision is UNAVAILABLE. May block."""
        profile, data = profile or self.profile(tier, region, flags, plan), as_bytes(key)
        slot = self._filled(profile, data, risk, "WRITE", "", (), None)
        names = Names(profile.tier, profile.region, profile.flags, profile.plan)
        mapping, decision, error = Mapping(), self._empty_decision(data), ErrorText()
        code = lib.assign(
            self._handle.address, store._handle.address, slot.request, names.struct if pin else None,
            _now(now_ns), mapping, decision, error)
        return Assignment(decision, _settled(mapping, code, error))

    def mark_health(self, cell: str, healthy: bool) -> None:
        """Whether a cell may be routed to, for every process that shares the guards."""
        number = self._serving().number_of(cell)
        check(lib.mark_health(self._handle.address, number, healthy), what=f'cell "{cell}"')

    def mark_load(self, cell: str, load: int) -> None:
        """A cell's load, in the unit of its capacity."""
        number = self._serving().number_of(cell)
        check(lib.mark_load(self._handle.address, number, load), what=f'cell "{cell}"')

    def cell_guards(self, cell: str, *, now_ns: int | None = None) -> CellGuards:
        """A cell's health, breaker, requests in flight and load."""
        metrics, number = CellMetrics(), self._serving().number_of(cell)
        code = lib.router_cell_metrics(self._handle.address, number, _now(now_ns), metrics)
        check(code, what=f'cell "{cell}"')
        return cell_guards(metrics)

    def readiness(self, *, max_age_ns: int = 0, now_ns: int | None = None) -> Readiness:
        """Whether requests may be sent here: a topology serves, and was published, or found
        unchanged by refresh(), no longer than `max_age_ns` ago (0: whenever)."""
        struct = ReadinessStruct()
        code = lib.router_readiness(self._handle.address, max_age_ns, _now(now_ns), struct)
        check(code, what="readiness")
        return readiness_of(struct)

    def counts(self) -> dict[str, int]:
        """Decisions of route() and route_batch() by reason. Exact where no two calls shared a lane."""
        count, counts = Count(), {}
        for index in range(len(REASONS)):
            code = lib.router_count(self._handle.address, _abi.ALL_LANES, index, count)
            check(code, what="counts")
            counts[REASONS[count.reason].name] = count.decisions
        return counts

    def _serving(self) -> Snapshot:
        return Snapshot(self._handle.address or 0)

    def _filled(
        self, profile: Profile, key: bytes, risk: float, access: str, resource: str,
        tried: Sequence[int], mapping: Mapping | None,
    ) -> Slot:
        self._renew(profile)
        slot = Slot(0, 0)
        slot.fill(key, risk, access, resource, tried, mapping)
        slot.request.profile = profile._handle
        return slot


class _Publishing:
    """Options of a publication, with the records that they point to."""

    def __init__(
        self, mappings: Store | Iterable[Record] | None, max_moved_percent: int | None,
        max_cells_lost: int | None, allow_seed_change: bool, max_keys_lost_percent: int | None,
        now_ns: int | None,
    ) -> None:
        self.struct = options = PublishOptions()
        check(lib.publish_options_default(options, ctypes.sizeof(options)))
        if max_moved_percent is not None:
            options.max_moved_percent = max_moved_percent
        if max_cells_lost is not None:
            options.max_cells_lost = max_cells_lost
        if max_keys_lost_percent is not None:
            options.max_keys_lost_percent = max_keys_lost_percent
        options.allow_seed_change = allow_seed_change
        options.now_ns = _now(now_ns)
        if isinstance(mappings, Store):
            options.mappings = mappings._handle.address
        elif mappings is not None:
            self._structs = [RecordStruct(record) for record in mappings]
            self._records = (_abi.Record * len(self._structs))(*(s.struct for s in self._structs))
            options.records = ctypes.cast(self._records, ctypes.POINTER(_abi.Record))
            options.record_count = len(self._structs)


def _now(now_ns: int | None) -> int:
    return time.time_ns() if now_ns is None else now_ns


def _settled(mapping: Mapping, code: int, error: ErrorText) -> Mapping:
    """An error of the store is in the answer; any other is raised."""
    try:
        check(code, error, "the store")
    except CellrouteError as problem:
        if mapping.found != "UNKNOWN":
            raise
        mapping.error = problem
    return mapping
