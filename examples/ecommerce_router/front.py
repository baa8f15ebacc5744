"""The HTTP side: a server with a bounded number of threads, and one for whoever operates it."""

from __future__ import annotations

import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable

from gateway import Answer, Gateway, refusal, request_id_of
from http_request import BadRequest, read_request

MOST_CONNECTIONS = 256
IDLE_S = 15.0
LINGER_S = 2.0  # without a byte, where an answer came before the request's end
MOST_DRAINED, DRAINED_AT_ONCE = 16 << 20, 64 << 10
BODYLESS = (204, 304)


class BoundedServer(ThreadingHTTPServer):
    """Takes so many connections and no more: the next ones wait to be accepted."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._free.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who hangs up is no error of ours."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class Endpoint(BaseHTTPRequestHandler):
    """What clients and operators have in common."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    disable_nagle_algorithm = True  # headers and body go out apart

    def log_message(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):  # every method alike
            return self.serve
        raise AttributeError(name)

    def serve(self) -> None:
        raise NotImplementedError

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class cannot read."""
        self.send_answer(refusal(code, "INVALID_ARGUMENT", "REQUEST_MALFORMED", request_id_of([])), close=True)

    def send_answer(self, answer: Answer, close: bool = False) -> None:
        self.request_version = self.protocol_version  # a line without a version gets a whole answer, too
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if close:
            self.send_header("Connection", "close")
        head = self.command == "HEAD"
        if not head and answer.status not in BODYLESS:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if not head and answer.status not in BODYLESS:
            self.wfile.write(answer.body)


def client_endpoint(gateway: Gateway) -> type[Endpoint]:
    class ClientEndpoint(Endpoint):
        def serve(self) -> None:
            request_id = request_id_of(self.headers.items())
            try:
                self.send_answer(gateway.answer(read_request(self), request_id))
            except BadRequest as bad:
                code = "NOT_FOUND" if bad.status == 404 else "INVALID_ARGUMENT"
                self.send_answer(refusal(bad.status, code, bad.reason, request_id), close=True)
                self.drain()

        def drain(self) -> None:
            """Reads on for a moment: closing on unread bytes resets, and the client may never see the answer."""
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER_S)
            for _ in range(MOST_DRAINED // DRAINED_AT_ONCE):
                if not self.connection.recv(DRAINED_AT_ONCE):
                    break

    return ClientEndpoint
