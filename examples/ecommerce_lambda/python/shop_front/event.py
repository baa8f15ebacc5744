"""API Gateway's proxy events, of REST APIs and of HTTP APIs (payload 1.0 and 2.0), as one kind of request.

HTTP APIs hand over paths and path parameters decoded, in either payload; REST APIs, whose events have no
`version`, as the client sent them.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlencode

Headers = list[tuple[str, str]]

METHOD = re.compile(r"[A-Z]{1,16}\Z")
# What a cell's server might take for another path than the one that was routed by.
TRICKY_PATH = re.compile(r"(^|/)\.{1,2}(/|\Z)|%(2e|2f|5c|00)|[\\\0]", re.IGNORECASE)
STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
PATH_SAFE = "/:@!$&'()*+,;=~-._"


class BadEvent(Exception):
    """The client's fault: 400. The text is for the log."""


@dataclass(frozen=True)
class ApiRequest:
    customer: bytes | None
    method: str
    target: str
    """Path and query as they go over the wire."""
    headers: Headers
    body: bytes
    request_id: str
    version_2: bool
    """Payload 2.0, whose answers have another shape."""


def parse_event(event: dict[str, Any], parameter: str = "customerId") -> ApiRequest:
    version_2 = event.get("version") == "2.0"
    around = event.get("requestContext") or {}
    http = around.get("http") or {}
    method = (http.get("method") if version_2 else event.get("httpMethod")) or ""
    if not METHOD.match(method):
        raise BadEvent("the method is no word of capital letters")
    encoded = event.get("version") is None
    path = wire_path(_path_2(event, around) if version_2 else event.get("path") or "/", encoded)
    query = event.get("rawQueryString") or "" if version_2 else query_of_1(event)
    return ApiRequest(
        customer=_customer((event.get("pathParameters") or {}).get(parameter), encoded),
        method=method,
        target=wire_query(path, query),
        headers=_headers_2(event) if version_2 else _headers_1(event),
        body=_body(event),
        request_id=around.get("requestId") or "",
        version_2=version_2,
    )


def wire_path(path: str, encoded: bool) -> str:
    """The path percent-encoded once: what is `encoded` already stays as it is."""
    if not path.startswith("/") or TRICKY_PATH.search(path):
        raise BadEvent("the path could be read as another one")
    if not encoded:
        return quote(path, safe=PATH_SAFE)
    return quote(STRAY_PERCENT.sub("%25", path), safe=PATH_SAFE + "%")


def wire_query(path: str, query: str) -> str:
    if not query:
        return path
    return f"{path}?{quote(STRAY_PERCENT.sub('%25', query), safe=PATH_SAFE + '%?[]')}"


def query_of_1(event: dict[str, Any]) -> str:
    """Payload 1.0 has the query decoded: it is encoded anew, repeated values in order."""
    repeated = event.get("multiValueQueryStringParameters")
    return urlencode(repeated or event.get("queryStringParameters") or {}, doseq=bool(repeated))


def _customer(given: Any, encoded: bool) -> bytes | None:
    """Decoded once, by the gateway or here: two spellings of a customer would live in two cells."""
    if not isinstance(given, str) or not given:
        return None
    customer = unquote_to_bytes(given) if encoded else given.encode()
    if b"/" in customer or (encoded and STRAY_PERCENT.search(given)):
        raise BadEvent("the customer's id is no segment of a path")
    return customer


def _path_2(event: dict[str, Any], around: dict[str, Any]) -> str:
    """rawPath begins with the stage's name, which is the gateway's and not the API's."""
    path, stage = event.get("rawPath") or "/", around.get("stage") or "$default"
    prefix = f"/{stage}"
    if stage != "$default" and (path == prefix or path.startswith(prefix + "/")):
        path = path[len(prefix):] or "/"
    return path


def _headers_1(event: dict[str, Any]) -> Headers:
    repeated = event.get("multiValueHeaders")
    if repeated:
        return [(name, value) for name, values in repeated.items() for value in values]
    return list((event.get("headers") or {}).items())


def _headers_2(event: dict[str, Any]) -> Headers:
    """Repeated headers come joined by commas, cookies by themselves."""
    headers = list((event.get("headers") or {}).items())
    cookies = event.get("cookies")
    return headers + [("cookie", "; ".join(cookies))] if cookies else headers


def _body(event: dict[str, Any]) -> bytes:
    body: str = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise BadEvent("the body is not the base64 that it is said to be") from None
