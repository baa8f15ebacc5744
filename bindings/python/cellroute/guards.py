"""What a router's guards hold: options of their memory, and a cell as they see it."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from ._abi import NO_LIMITER, CellMetrics, Readiness as ReadinessStruct, RouterOptions, lib
from ._calls import check, text_of
from .reasons import REASONS


@dataclass(frozen=True)
class CellGuards:
    """A cell as its guards see it."""

    healthy: bool
    refusal: str | None
    """Why it may not be routed to now: CELL_UNHEALTHY, BREAKER_OPEN …"""
    in_flight: int
    load: int
    retry_after_ns: int
    """Until the breaker lets probes through."""


@dataclass(frozen=True)
class Readiness:
    """Whether a router may be sent requests."""

    ready: bool
    reason: str
    """READY, NO_SNAPSHOT, TOO_OLD or AGE_UNKNOWN."""
    sentence: str
    generation: int
    """Of what serves; 0: nothing does."""
    age_ns: int | None
    """Since what serves was published, or a refresh found nothing newer."""


REASONS_OF_READINESS = ("READY", "NO_SNAPSHOT", "TOO_OLD", "AGE_UNKNOWN")


def readiness_of(struct: ReadinessStruct) -> Readiness:
    return Readiness(
        bool(struct.ready), REASONS_OF_READINESS[struct.reason], text_of(struct.sentence),
        struct.generation, struct.age_ns if struct.age_ns >= 0 else None)


def cell_guards(metrics: CellMetrics) -> CellGuards:
    refusal = REASONS[metrics.refusal].name if metrics.refusal else None
    return CellGuards(bool(metrics.healthy), refusal, metrics.in_flight, metrics.load, metrics.retry_after_ns)


def router_options(
    cells: int = 0, lanes: int = 0, limiter_entries: int | None = None, guard_seed: int = 0
) -> RouterOptions:
    """`limiter_entries` None takes the default, 0 none at all."""
    if limiter_entries is None:
        limiter_entries = 0
    elif limiter_entries == 0:
        limiter_entries = NO_LIMITER
    return RouterOptions(cells=cells, lanes=lanes, limiter_entries=limiter_entries, guard_seed=guard_seed)


def memory_size(*, cells: int = 0, lanes: int = 0, limiter_entries: int | None = None) -> int:
    """The bytes of memory that a router with these options takes."""
    size = ctypes.c_uint64()
    check(lib.router_memory_size(router_options(cells, lanes, limiter_entries), size), what="router memory")
    return size.value


def lend(options: RouterOptions, memory: Any) -> object:
    """Gives the guards a writable buffer, such as an mmap; returns what keeps it alive."""
    view = memoryview(memory).cast("B")
    buffer = (ctypes.c_char * view.nbytes).from_buffer(view)
    options.memory, options.memory_size = ctypes.addressof(buffer), view.nbytes
    return buffer
