"""Authorizer events of API Gateway: TOKEN and REQUEST (payload 1.0), and HTTP API's (2.0)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

ARN = re.compile(
    r"(?P<api>arn:[a-z-]+:execute-api:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9]+)/(?P<stage>[A-Za-z0-9_$-]+)/"
    r"(?P<method>[A-Z]+)(?:/(?P<path>.*))?\Z", re.DOTALL)
BEARER = re.compile(r"bearer +([^\s,]+)\Z", re.IGNORECASE | re.ASCII)
OF_CUSTOMER = re.compile(r"customers/([^/]*)(?:/|\Z)")
TRICKY_PATH = re.compile(r"(^|/)\.{1,2}(/|\Z)|%|[\\\0*?]|//")


class BadEvent(Exception):
    """Not an event that API Gateway sends: a failure, neither 401 nor 403."""


@dataclass(frozen=True)
class AuthEvent:
    token: str | None
    """None: no bearer token, or more than one."""
    arn: str
    stage_arn: str
    method: str
    path: str
    """Without the slash it begins with."""
    named: tuple[str, ...]
    """The customers that path and path parameters name."""
    tricky: bool
    """A server might read the path as another one."""
    source: str | None
    agent: str | None
    request_id: str | None


def parse_event(event: dict[str, Any]) -> AuthEvent:
    kind = event.get("type")
    arn = event.get("routeArn") if event.get("version") == "2.0" else event.get("methodArn")
    parts = ARN.match(arn) if isinstance(arn, str) else None
    if parts is None or kind not in ("TOKEN", "REQUEST"):
        raise BadEvent("type is TOKEN or REQUEST, methodArn or routeArn is the ARN of a method")
    path = parts["path"] or ""
    around = event.get("requestContext") or {}
    caller = around.get("http") or around.get("identity") or {}
    return AuthEvent(
        token=_token(event, kind), arn=parts[0], stage_arn=f"{parts['api']}/{parts['stage']}",
        method=parts["method"], path=path, named=_named(event, path),
        tricky=bool(TRICKY_PATH.search(path)), source=caller.get("sourceIp"),
        agent=caller.get("userAgent"), request_id=around.get("requestId"),
    )


def _token(event: dict[str, Any], kind: str) -> str | None:
    if kind == "TOKEN":
        given = [event.get("authorizationToken")]
    else:
        repeated = event.get("multiValueHeaders") or {}
        single = event.get("headers") or {}
        lists = [values for name, values in repeated.items() if name.lower() == "authorization"]
        if not all(isinstance(values, list) for values in lists):
            raise BadEvent("a member of multiValueHeaders is no list")
        given = [value for values in lists for value in values]
        given = given or [v for name, v in single.items() if name.lower() == "authorization"]
    if len(given) != 1 or not isinstance(given[0], str):
        return None
    bearer = BEARER.match(given[0])
    return bearer[1] if bearer else None


def _named(event: dict[str, Any], path: str) -> tuple[str, ...]:
    parameter = (event.get("pathParameters") or {}).get("customerId")
    in_path = OF_CUSTOMER.match(path)
    found = [in_path[1] if in_path else None, parameter]
    return tuple(name for name in found if name is not None)
