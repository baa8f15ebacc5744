"""What whoever operates the router may ask, on a port that clients do not reach."""

from __future__ import annotations

import json
from dataclasses import asdict

import cellroute
from front import Endpoint
from gateway import Answer


class Operator:
    """Any number of threads may use one."""

    def __init__(self, router: cellroute.Router, metrics: cellroute.Metrics, prober: cellroute.Prober,
                 store: cellroute.CachedStore) -> None:
        self._router = router
        self._metrics = metrics
        self._prober = prober
        self._store = store

    def answer(self, path: str) -> Answer:
        if path == "/metrics":
            text = self._metrics.text(self._store).encode()
            return Answer(200, [("Content-Type", cellroute.Metrics.CONTENT_TYPE)], text)
        if path == "/health":
            ready = self._router.readiness()
            return told(asdict(ready), 200 if ready.ready else 503)
        if path == "/cells":
            return told({cell.id: self._cell(cell) for cell in self._router.cells()})
        return Answer(404, [], b"")

    def _cell(self, cell: cellroute.Cell) -> dict[str, object]:
        """What its guards hold, and how the last probe of it ended."""
        try:
            probe = self._prober.cell(cell.id).last
        except cellroute.NotFoundError:
            probe = "NONE"  # there has been none yet
        return {"capacity": cell.capacity, **asdict(self._router.cell_guards(cell.id)), "probe": probe}


def told(value: object, status: int = 200) -> Answer:
    return Answer(status, [("Content-Type", "application/json")], json.dumps(value).encode())


def operator_endpoint(operator: Operator) -> type[Endpoint]:
    class OperatorEndpoint(Endpoint):
        def serve(self) -> None:
            self.send_answer(operator.answer(self.path), close=True)

    return OperatorEndpoint
