"""One call to a cell, with one deadline for all of it."""

from __future__ import annotations

import http.client
import io
import socket
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .event import Headers

# Lambda takes 6 MB of answer, of which base64 and JSON need their share.
LARGEST_BODY = 4 << 20


class CallFailed(Exception):
    """`error` is what report() is told: connect or timeout; None: the cell answered, but too much."""

    def __init__(self, error: str | None, text: str) -> None:
        super().__init__(text)
        self.error = error


@dataclass(frozen=True)
class CellAnswer:
    status: int
    headers: Headers
    body: bytes


class _DeadlineReader(io.RawIOBase):
    """Reads a socket until a deadline: its own timeout begins anew with each byte that trickles in."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._socket = sock
        self._file = sock.makefile("rb", buffering=0)  # keeps the socket open until it is closed
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(remaining(self._deadline))
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()

    def makefile(self, _: str) -> io.BufferedReader:
        """What http.client asks a socket for."""
        return io.BufferedReader(self)


def remaining(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left


def call_cell(
    endpoint: str, method: str, target: str, headers: Headers, body: bytes, timeout_s: float
) -> CellAnswer:
    """Redirects are the client's to follow. A connection a call: one kept may have died over a
    freeze, and a write cannot be safely tried twice. The body of a HEAD is not sent."""
    deadline = time.monotonic() + timeout_s
    url = urlsplit(endpoint)
    if url.scheme not in ("http", "https"):
        raise CallFailed("connect", "the cell's endpoint is no http or https address")
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=remaining(deadline))
    try:
        connection.response_class = lambda sock, **named: http.client.HTTPResponse(
            _DeadlineReader(sock, deadline), **named)  # type: ignore[arg-type]
        _send(connection, method, url.path.rstrip("/") + target, headers, body, deadline)
        response = connection.getresponse()
        content = response.read(LARGEST_BODY + 1)
    except TimeoutError as error:
        raise CallFailed("timeout", f"no whole answer within {timeout_s:.3f} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise CallFailed("connect", f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if len(content) > LARGEST_BODY:
        raise CallFailed(None, f"the cell's body has more than {LARGEST_BODY} bytes")
    if response.length:  # read(n) itself does not say that the cell broke off
        raise CallFailed("connect", f"{response.length} bytes of the cell's answer are missing")
    return CellAnswer(response.status, response.getheaders(), content)


def _send(
    connection: http.client.HTTPConnection, method: str, target: str, headers: Headers, body: bytes,
    deadline: float,
) -> None:
    connection.connect()
    connection.sock.settimeout(remaining(deadline))
    connection.putrequest(method, target, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value.encode())  # type: ignore[arg-type]
    if method == "HEAD":
        body = b""
    elif body or method not in ("GET", "OPTIONS", "DELETE"):
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body or None)
