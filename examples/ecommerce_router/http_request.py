"""A client's request as it came over the wire, or why it is refused: what one server reads differently from the
next would be a request smuggled past the router (RFC 9112, section 11.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from shop_front.event import STRAY_PERCENT, TRICKY_PATH, Headers

LARGEST_BODY = 1 << 20
LARGEST_TRAILER = 4096
REQUEST_LINE = re.compile(r"([A-Z]{1,16}) (/[\x21\x22\x24-\x7e]*) HTTP/1\.[01]\Z")  # no fragment
DIGITS = re.compile(r"[0-9]{1,10}\Z")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n\Z")
OF_CUSTOMER = re.compile(r"/customers/([^/]*)(?:/|\Z)")
NOBODY = (b"", b"null", b"undefined")  # what clients send who have no id, and do not know it
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")


class BadRequest(Exception):
    """The client's fault; the connection is closed, since what follows is not known."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


@dataclass(frozen=True)
class HttpRequest:
    method: str
    target: str
    """Path and query, as the client spelled them."""
    customer: bytes
    headers: Headers
    body: bytes

    def only(self, name: str) -> str | None:
        """A header's value; None where there is none or more than one."""
        values = [value for given, value in self.headers if given.lower() == name]
        return values[0] if len(values) == 1 else None


def read_request(handler: BaseHTTPRequestHandler) -> HttpRequest:
    line = REQUEST_LINE.match(handler.requestline)
    if line is None:
        raise BadRequest("REQUEST_LINE_MALFORMED")
    if handler.headers.defects or handler.headers.get_payload():
        raise BadRequest("HEADERS_MALFORMED")  # the parser has stopped at a line that is no header
    if len(handler.headers.get_all("Host", [])) != 1 and handler.request_version == "HTTP/1.1":
        raise BadRequest("HEADERS_MALFORMED")  # RFC 9112, section 3.2
    method, target = line.groups()
    return HttpRequest(method, target, customer_of(target), handler.headers.items(), read_body(handler))


def customer_of(target: str) -> bytes:
    """From the path, decoded once: two spellings of a customer would live in two cells."""
    path = target.partition("?")[0]
    named = OF_CUSTOMER.match(path)
    if named is None:
        raise BadRequest("NO_SUCH_PATH", 404)
    if TRICKY_PATH.search(path) or STRAY_PERCENT.search(path):
        raise BadRequest("PATH_MALFORMED")
    customer = unquote_to_bytes(named[1])
    if customer in NOBODY:
        raise BadRequest("CUSTOMER_MISSING")
    return customer


def read_body(handler: BaseHTTPRequestHandler) -> bytes:
    lengths: list[str] = handler.headers.get_all("Content-Length", [])
    encodings: list[str] = handler.headers.get_all("Transfer-Encoding", [])
    if encodings:
        if lengths or [name.strip().lower() for name in encodings] != ["chunked"]:
            raise BadRequest("LENGTH_AMBIGUOUS")
        return read_chunks(handler.rfile)
    if not lengths:
        return b""
    if len(lengths) > 1 or not DIGITS.match(lengths[0]):
        raise BadRequest("LENGTH_AMBIGUOUS")
    size = int(lengths[0])
    if size > LARGEST_BODY:
        raise BadRequest("BODY_TOO_LARGE", 413)
    return exactly(handler.rfile, size)


def read_chunks(file: BinaryIO) -> bytes:
    body = b""
    while True:
        line = CHUNK_SIZE.match(file.readline(128))
        if line is None:
            raise BadRequest("BODY_MALFORMED")
        size = int(line[1], 16)
        if size == 0:
            break
        if len(body) + size > LARGEST_BODY:
            raise BadRequest("BODY_TOO_LARGE", 413)
        body += exactly(file, size)
        if exactly(file, 2) != b"\r\n":
            raise BadRequest("BODY_MALFORMED")
    left = LARGEST_TRAILER
    while (line_ := file.readline(left)) not in (b"\r\n", b"\n"):  # trailers are of this connection
        left -= len(line_)
        if not line_.endswith(b"\n") or left <= 0:
            raise BadRequest("BODY_MALFORMED")
    return body


def exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise BadRequest("BODY_MALFORMED")
    return data
