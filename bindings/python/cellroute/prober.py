"""Asks cells how they are, and marks their health and load in a router."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

from . import _net
from ._calls import as_bytes, call, check, made, view_of
from .router import Router

STATES = ("UNKNOWN", "HEALTHY", "UNHEALTHY")
RESULTS = (
    "NONE", "HEALTHY", "UNHEALTHY", "WRONG_CELL", "BAD_STATUS", "REDIRECT", "BAD_BODY", "TOO_LARGE",
    "TIMEOUT", "CONNECT_ERROR", "TLS_ERROR", "BROKEN", "NOT_PROBED",
)


@dataclass(frozen=True)
class Probe:
    """What a prober knows of a cell."""

    state: str
    """UNKNOWN, HEALTHY or UNHEALTHY, by rise and fall."""
    last: str
    """How the last probe ended: HEALTHY, UNHEALTHY (503), WRONG_CELL (another cell answers),
    BAD_STATUS, REDIRECT, BAD_BODY, TOO_LARGE, TIMEOUT, CONNECT_ERROR, TLS_ERROR, BROKEN; or NONE
    yet, or NOT_PROBED: the cell has no endpoint that HTTP reaches."""
    http_status: int
    successes: int
    """Good answers in a row."""
    failures: int
    """Bad ones."""
    probes: int
    ended_ns: int
    took_ns: int


class Prober:
    """GETs `path` of each cell that the router serves, and marks its health, and its load from
    `checks.load` of the answer; capi/cellroute_net.h has the whole of it.

    start() lends it a thread, until stop(); or call poll() from a timer. Any thread may use one.
    Fork: for the process that made it; where processes share guards, one prober serves all.
    """

    def __init__(
        self, router: Router, *, path: str = "", interval_ns: int = 0, timeout_ns: int = 0,
        rise: int = 0, fall: int = 0, concurrency: int = 0,
        ca_file: str | os.PathLike[str] = "", seed: int = 0,
    ) -> None:
        """`path` (/health); `interval_ns` between probes of a cell, give or take an eighth (5 s);
        `timeout_ns` (2 s); `rise` and `fall`, answers in a row that change a cell (2);
        `concurrency` (16); `ca_file`, authorities as PEM (the system's). A 0 takes the default."""
        texts = as_bytes(path), os.fsencode(ca_file)
        options = _net.ProberOptions(
            rise=rise, fall=fall, concurrency=concurrency, interval_ns=interval_ns,
            timeout_ns=timeout_ns, path=view_of(texts[0]), ca_file=view_of(texts[1]), seed=seed)
        self._router = router
        self._handle = made(
            _net.function("prober_create"), _net.function("prober_destroy"), router._handle.address,
            options)
        self._handle.kept = router  # which it marks as long as it lives

    def poll(self, now_ns: int) -> int:
        """Takes what has come, begins what is due, waits for nothing; returns when to call again.
        ConflictError: the prober has a thread."""
        then = ctypes.c_int64()
        call(_net.function("prober_poll"), self._handle.address, now_ns, then)
        return then.value

    def start(self) -> None:
        """Starts a thread that polls. ConflictError: there is one."""
        call(_net.function("prober_start"), self._handle.address)

    def stop(self) -> None:
        """Ends the thread, if there is one."""
        check(_net.function("prober_stop")(self._handle.address), what="stopping a prober")

    def cell(self, cell: str) -> Probe:
        """NotFoundError: no such cell is asked; none is before the first poll."""
        probe, number = _net.Probe(), self._router._serving().number_of(cell)
        check(_net.function("prober_cell")(self._handle.address, number, probe), what=f'cell "{cell}"')
        return Probe(
            STATES[probe.state], RESULTS[probe.last], probe.http_status, probe.successes,
            probe.failures, probe.probes, probe.ended_ns, probe.took_ns)
