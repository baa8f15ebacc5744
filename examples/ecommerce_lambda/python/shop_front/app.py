"""The e-commerce API's front: customer id from the path, cell by cellroute, request to the cell.

Environment: CELLROUTE_TOPOLOGY, the topology's file (by default beside the function);
CUSTOMER_PARAMETER, the path parameter's name (customerId).
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, Callable
from urllib.parse import quote

import cellroute
from .answer import answer_of_cell, refusal
from .event import ApiRequest, BadEvent, parse_event
from .forward import CallFailed, call_cell
from .headers import onward

# What is left of the invocation's time for answering.
MARGIN_S = 0.25
READS = ("GET", "HEAD", "OPTIONS")


class Front:
    """Serves one event at a time, as Lambda sends them."""

    def __init__(
        self, router: cellroute.Router, parameter: str = "customerId",
        clock: Callable[[], int] = time.time_ns, log: Callable[[str], object] = print,
    ) -> None:
        self._router = router
        self._parameter = parameter
        self._clock = clock
        self._log = log

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        version_2, request_id = event.get("version") == "2.0", context.aws_request_id
        try:
            request = parse_event(event, self._parameter)
            if request.customer is None:
                raise BadEvent(f"the path names no {self._parameter}")
            return self._serve(request, request.customer, context)
        except BadEvent as error:
            self._line(request_id, "INVALID_ARGUMENT", "MALFORMED_INPUT", detail=str(error))
            return refusal(400, "INVALID_ARGUMENT", "MALFORMED_INPUT", request_id, version_2)

    def _serve(self, request: ApiRequest, customer: bytes, context: Any) -> dict[str, Any]:
        access = "READ" if request.method in READS else "WRITE"
        decision = self._router.route(customer, access=access, now_ns=self._clock())
        if not decision.ok:
            self._line(context.aws_request_id, decision.status, decision.reason, decision.cell)
            return refusal(decision.http_status, decision.status, decision.reason,
                           context.aws_request_id, request.version_2, decision.retry_after_s)
        try:
            return self._forward(request, customer, decision, context)
        except BaseException:  # nothing that ends this may keep what the decision holds
            self._router.report(decision, error="abort", now_ns=self._clock())
            raise

    def _forward(
        self, request: ApiRequest, customer: bytes, decision: cellroute.Decision, context: Any
    ) -> dict[str, Any]:
        ours = [
            ("X-Cell-ID", decision.cell or ""), ("X-Cell-Epoch", str(decision.epoch)),
            ("X-Tenant-ID", quote(customer, safe="")),
        ]
        headers = onward(request.headers, ours)
        left_s = context.get_remaining_time_in_millis() / 1000 - MARGIN_S
        timeout_s = max(0.001, min(decision.timeout_ns / 1e9, left_s))
        try:
            cell = call_cell(decision.endpoint() or "", request.method, request.target, headers,
                             request.body, timeout_s)
        except CallFailed as failure:
            return self._failed(request, decision, failure, context)
        self._router.report(decision, http_status=cell.status, now_ns=self._clock())
        self._line(context.aws_request_id, "OK", decision.reason, decision.cell, http=cell.status)
        return answer_of_cell(cell, request.version_2)

    def _failed(
        self, request: ApiRequest, decision: cellroute.Decision, failure: CallFailed, context: Any
    ) -> dict[str, Any]:
        if failure.error is None:
            self._router.report(decision, http_status=200, now_ns=self._clock())
        else:
            self._router.report(decision, error=failure.error, now_ns=self._clock())
        late = failure.error == "timeout"
        reason = "CELL_TIMEOUT" if late else "CELL_FAILED"
        self._line(context.aws_request_id, "UNAVAILABLE", reason, decision.cell, detail=str(failure))
        return refusal(504 if late else 502, "UNAVAILABLE", reason, context.aws_request_id, request.version_2)

    def _line(
        self, request_id: str, status: str, reason: str, cell: str | None = None, **more: Any
    ) -> None:
        line = {"request_id": request_id, "status": status, "reason": reason, "cell": cell, **more}
        self._log(json.dumps(line))


def front_from_environment() -> Front:
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "topology.yaml")
    topology = cellroute.Topology.from_file(os.environ.get("CELLROUTE_TOPOLOGY") or beside)
    # One event at a time, and no limits by key in the topology: one lane and no limiter do.
    router = cellroute.Router(topology, lanes=1, limiter_entries=0)
    return Front(router, os.environ.get("CUSTOMER_PARAMETER") or "customerId",
                 log=lambda line: print(line, file=sys.stdout, flush=True))


def __getattr__(name: str) -> Any:
    """`handler` is made when the runtime asks for it, so that tests can take Front alone."""
    if name == "handler":
        globals()[name] = front_from_environment()
        return globals()[name]
    raise AttributeError(name)
