"""Decisions and calls counted by cell, for Prometheus, and told to CloudWatch line by line."""

from __future__ import annotations

import ctypes
import time
from typing import Any

from ._abi import EmfOptions, ErrorText, lib
from ._calls import as_bytes, check, made, sized_text, view_of
from .assignment import Mapping
from .decision import Decision
from .guards import router_options
from .requests import outcome_of
from .router import Router
from .store import CachedStore


class Metrics:
    """Counts in fixed memory, for a page that Prometheus scrapes. Any number of threads may use one.

    What each metric is, capi/metrics.md says. Processes that share a router's guards share
    `memory`: a writable buffer of at least metrics_memory_size() bytes, aligned to 64, zero at first.
    """

    CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
    """Of an HTTP answer with text()."""

    def __init__(self, router: Router, *, memory: Any = None) -> None:
        address, size, lent = None, 0, None
        if memory is not None:
            view = memoryview(memory).cast("B")
            lent = (ctypes.c_char * view.nbytes).from_buffer(view)
            address, size = ctypes.addressof(lent), view.nbytes
        self._router = router
        self._handle = made(
            lib.metrics_create, lib.metrics_destroy, router._handle.address, address, size)
        self._handle.kept = lent

    def observe(
        self, decision: Decision, *, latency_ns: int = 0, http_status: int = 0,
        error: str | None = None, lane: int = 0,
    ) -> None:
        """Counts a decision and, with `http_status` or `error` as report() has them, the call to its
        cell and what that took. Once a decision, before or after report()."""
        outcome = _outcome(http_status, error)
        code = lib.metrics_observe(self._handle.address, lane, decision, outcome, latency_ns)
        check(code, what="observing a decision")

    def observe_lookup(self, mapping: Mapping, *, lane: int = 0) -> None:
        """Counts what resolve() found."""
        check(lib.metrics_lookup(self._handle.address, lane, mapping), what="observing a look-up")

    def text(self, cached: CachedStore | None = None, *, now_ns: int | None = None) -> str:
        """All that was counted, the router's state and, where given, the cached store's counts, as
        Prometheus text."""
        now = time.time_ns() if now_ns is None else now_ns
        store = None if cached is None else cached._handle.address
        return sized_text(
            lib.metrics_write, self._handle.address, self._router._handle.address, store, now,
            after=(ErrorText(),)).decode()


class EmfLines:
    """Requests as lines of CloudWatch's embedded metric format: print each in a Lambda function, or
    write it to a log group otherwise. Immutable: any number of threads may use one."""

    def __init__(
        self, *, namespace: str = "", cell_id: str = "", status_code: str = "",
        request_count: str = "", response_code: str = "", latency: str = "",
    ) -> None:
        """Names of the metrics RequestCount and Latency by CellId, and ResponseCode by CellId and
        StatusCode, in the namespace CellRouter, where they are to be others."""
        names = dict(name_space=namespace, cell_id=cell_id, status_code=status_code,
                     request_count=request_count, response_code=response_code, latency=latency)
        self._texts = {name: as_bytes(text) for name, text in names.items()}
        self._options = EmfOptions()
        for name, text in self._texts.items():
            setattr(self._options, name, view_of(text))

    def line(
        self, decision: Decision, *, latency_ns: int = 0, http_status: int = 0,
        error: str | None = None, now_ns: int | None = None,
    ) -> str:
        """A decision and, with `http_status` or `error`, the call to its cell, as one line without
        its end. InvalidArgumentError: a name breaks CloudWatch's rules or is there twice."""
        snapshot = decision._names.snapshot(decision.generation)
        now = time.time_ns() if now_ns is None else now_ns
        return sized_text(
            lib.emf_write, snapshot._handle.address, self._options, decision,
            _outcome(http_status, error), latency_ns, now, after=(ErrorText(),)).decode()


def metrics_memory_size(*, cells: int = 0, lanes: int = 0) -> int:
    """The bytes of memory that metrics of a router with these options take."""
    size = ctypes.c_uint64()
    check(lib.metrics_memory_size(router_options(cells, lanes), size), what="memory of metrics")
    return size.value


def _outcome(http_status: int, error: str | None) -> Any:
    """None: there was no call."""
    return None if http_status == 0 and error is None else outcome_of(http_status, error, False)
