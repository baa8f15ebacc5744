"""Answers in the two shapes that API Gateway takes."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from .event import Headers
from .forward import CellAnswer
from .headers import back

TEXTUAL = re.compile(r"text/|application/([\w.+-]*\+)?(json|xml|javascript|x-www-form-urlencoded)\b")


def answer_of_cell(cell: CellAnswer, version_2: bool) -> dict[str, Any]:
    headers = back(cell.headers)
    text = _text(cell)
    body = base64.b64encode(cell.body).decode() if text is None else text
    return _shaped(cell.status, headers, body, text is None, version_2)


def refusal(
    status: int, code: str, reason: str, request_id: str, version_2: bool, retry_after_s: int = 0
) -> dict[str, Any]:
    """What a client is told, and nothing internal."""
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
    if retry_after_s > 0:
        headers.append(("Retry-After", str(retry_after_s)))
    body = json.dumps({"code": code, "reason": reason, "request_id": request_id})
    return _shaped(status, headers, body, False, version_2)


def _text(cell: CellAnswer) -> str | None:
    """The body as text, or None: only what says that it is text, is, and is not compressed."""
    named = {name.lower(): value for name, value in cell.headers}
    if "content-encoding" in named or not TEXTUAL.match(named.get("content-type", "").lower()):
        return None if cell.body else ""
    try:
        return cell.body.decode()
    except UnicodeDecodeError:
        return None


def _shaped(
    status: int, headers: Headers, body: str, is_base64: bool, version_2: bool
) -> dict[str, Any]:
    shaped: dict[str, Any] = {"statusCode": status, "body": body, "isBase64Encoded": is_base64}
    if not version_2:
        repeated: dict[str, list[str]] = {}
        for name, value in headers:
            repeated.setdefault(name, []).append(value)
        return shaped | {"multiValueHeaders": repeated}
    joined: dict[str, str] = {}
    for name, value in headers:
        if name.lower() != "set-cookie":
            joined[name] = f"{joined[name]},{value}" if name in joined else value
    cookies = [value for name, value in headers if name.lower() == "set-cookie"]
    return shaped | {"headers": joined} | ({"cookies": cookies} if cookies else {})
