"""What happens to a request: its token, its customer's cell, the call to it, and what the client is told."""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import Callable
from urllib.parse import quote

import cellroute
from authorizer.keyring import Keyring
from authorizer.token_rules import Rules, TokenRefused, verify
from http_request import REQUEST_ID, BadRequest, HttpRequest
from shop_front.event import BadEvent, Headers
from shop_front.forward import CallFailed, CellAnswer, call_cell
from shop_front.headers import back, onward

BEARER = re.compile(r"bearer +([^\s,]+)\Z", re.IGNORECASE | re.ASCII)
LARGEST_STATUS = 599
READS = ("GET", "HEAD", "OPTIONS")


class OtherCustomer(Exception):
    """The token is good, and another customer's than the path's."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Headers
    body: bytes


def refusal(status: int, code: str, reason: str, request_id: str, more: Headers | None = None) -> Answer:
    """What a client is told, and nothing internal."""
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("X-Request-ID", request_id)]
    body = json.dumps({"code": code, "reason": reason, "request_id": request_id}).encode()
    return Answer(status, headers + (more or []), body)


def request_id_of(headers: Headers) -> str:
    """The client's where it is one and well-formed, else a new one."""
    given = [value for name, value in headers if name.lower() == "x-request-id"]
    return given[0] if len(given) == 1 and REQUEST_ID.match(given[0]) else secrets.token_hex(16)


class Gateway:
    """Any number of threads may use one."""

    def __init__(
        self, router: cellroute.Router, metrics: cellroute.Metrics, store: cellroute.Store, keyring: Keyring,
        rules: Rules, clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._router = router
        self._metrics = metrics
        self._store = store
        self._keyring = keyring
        self._rules = rules
        self._clock = clock

    def answer(self, request: HttpRequest, request_id: str) -> Answer:
        try:
            self._check_token(request)
        except TokenRefused:
            return refusal(401, "UNAUTHENTICATED", "TOKEN_REFUSED", request_id, [("WWW-Authenticate", "Bearer")])
        except OtherCustomer:
            return refusal(403, "FORBIDDEN", "OTHER_CUSTOMER", request_id)
        decision = self._decide(request)
        if not decision.ok:
            self._metrics.observe(decision)
            retry = [("Retry-After", str(decision.retry_after_s))] if decision.retry_after_s else []
            return refusal(decision.http_status, decision.status, decision.reason, request_id, retry)
        try:
            return self._forward(request, decision, request_id)
        except BaseException:  # nothing that ends this may keep what the decision holds
            self._end(decision, 0, error="abort")
            raise

    def _check_token(self, request: HttpRequest) -> None:
        bearer = BEARER.match(request.only("authorization") or "")
        if bearer is None:
            raise TokenRefused("token_missing")
        claims = verify(bearer[1], self._keyring, self._rules, self._clock())
        if claims.customer.encode() != request.customer:
            raise OtherCustomer

    def _decide(self, request: HttpRequest) -> cellroute.Decision:
        """The table says FOUND, ABSENT, or nothing that can be relied on: then its last good answer counts, or
        none. Only who is known to be absent is placed by hash."""
        mapping = self._router.resolve(self._store, request.customer, now_ns=self._clock())
        self._metrics.observe_lookup(mapping)
        return self._router.route(
            request.customer, access="READ" if request.method in READS else "WRITE", mapping=mapping,
            now_ns=self._clock())

    def _forward(self, request: HttpRequest, decision: cellroute.Decision, request_id: str) -> Answer:
        ours = [
            ("X-Cell-ID", decision.cell or ""), ("X-Cell-Epoch", str(decision.epoch)),
            ("X-Tenant-ID", quote(request.customer, safe="")), ("X-Request-ID", request_id),
        ]
        theirs = [(name, value) for name, value in request.headers if name.lower() != "x-request-id"]
        try:
            headers = onward(theirs, ours)
        except BadEvent:
            raise BadRequest("HEADERS_MALFORMED") from None
        began = time.monotonic_ns()
        try:
            cell = call_cell(decision.endpoint() or "", request.method, request.target, headers, request.body,
                             decision.timeout_ns / 1e9)
            if cell.status > LARGEST_STATUS:
                raise CallFailed("connect", f"{cell.status} is no status of HTTP")
        except CallFailed as failure:
            return self._failed(decision, failure, time.monotonic_ns() - began, request_id)
        self._end(decision, time.monotonic_ns() - began, http_status=cell.status)
        return Answer(cell.status, passed_back(request, cell) + [("X-Request-ID", request_id)], cell.body)

    def _failed(
        self, decision: cellroute.Decision, failure: CallFailed, took_ns: int, request_id: str
    ) -> Answer:
        if failure.error is None:  # it answered, if too much
            self._end(decision, took_ns, http_status=200)
        else:
            self._end(decision, took_ns, error=failure.error)
        if failure.error == "timeout":
            return refusal(504, "UNAVAILABLE", "CELL_TIMEOUT", request_id)
        return refusal(502, "UNAVAILABLE", "CELL_FAILED", request_id)

    def _end(
        self, decision: cellroute.Decision, took_ns: int, *, http_status: int = 0, error: str | None = None
    ) -> None:
        """Once a decision that let a request through."""
        self._router.report(decision, http_status=http_status, error=error, now_ns=self._clock())
        self._metrics.observe(decision, latency_ns=took_ns, http_status=http_status, error=error)


def passed_back(request: HttpRequest, cell: CellAnswer) -> Headers:
    headers = [(name, value) for name, value in back(cell.headers) if name.lower() != "x-request-id"]
    if request.method == "HEAD":  # how long the body would be
        headers += [(name, value) for name, value in cell.headers if name.lower() == "content-length"]
    return headers
