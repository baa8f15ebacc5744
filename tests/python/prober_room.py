"""Cells for the prober's tests: real HTTP servers, sound and otherwise, on ports of their own."""

from __future__ import annotations

import http.server
import json
import socket
import socketserver
import ssl
import threading
from typing import Any, Callable

import cellroute


class Cell(http.server.ThreadingHTTPServer):
    """Answers GET with `status`, `headers` and `body`, which tests change as they go."""

    daemon_threads = True

    def __init__(self, name: str, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status, self.headers = 200, dict[str, str]()
        self.say(name)
        self.paths: list[str] = []
        self.now, self.most, self.lock = 0, 0, threading.Lock()
        self.gate: threading.Event | None = None  # answers wait for it
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.scheme = "http" if context is None else "https"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def say(self, name: str, **checks: Any) -> None:
        self.body = json.dumps({"cell_id": name, "status": "ok", "checks": checks}).encode()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what some tests are about."""

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class Answer(http.server.BaseHTTPRequestHandler):
    server: Cell

    def do_GET(self) -> None:
        cell = self.server
        with cell.lock:
            cell.paths.append(self.path)
            cell.now += 1
            cell.most = max(cell.most, cell.now)
        if cell.gate is not None:
            cell.gate.wait(30)
        with cell.lock:
            cell.now -= 1
        self.send_response(cell.status)
        for name, text in cell.headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(cell.body)))
        self.end_headers()
        self.wfile.write(cell.body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


class Raw:
    """Speaks to each connection with `speak`, which gets the socket after the request's first bytes."""

    def __init__(self, speak: Callable[[socket.socket], None]) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                try:
                    self.request.recv(4096)
                    speak(self.request)
                except OSError:
                    pass

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def topology(endpoints: dict[str, str], generation: int = 1) -> cellroute.Topology:
    """A cell for each name; capacity 100."""
    cells = "".join(
        f"  - {{id: {name}, capacity: 100{f', endpoint: {endpoint!r}' if endpoint else ''}}}\n"
        for name, endpoint in endpoints.items())
    return cellroute.Topology.from_bytes(
        f"generation: {generation}\nhash_seed: 1\ncells:\n{cells}policy: {{slots: 1024}}\n")
