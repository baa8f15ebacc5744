"""A cell on loopback: a real HTTP server that keeps what it was asked, for running without AWS."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Callable

from loopback_server import LoopbackServer


@dataclass(frozen=True)
class Asked:
    """A request as it came over the wire; headers in order, repeated ones repeated."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        return [value for given, value in self.headers if given.lower() == name.lower()]


@dataclass(frozen=True)
class Answered:
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    body: bytes = b"{}"


class LoopbackCell:
    """Answers every request with `answer(asked)`, which may take its time or raise to hang up."""

    def __init__(self, answer: Callable[[Asked], Answered] = lambda _: Answered(), port: int = 0) -> None:
        self.asked: list[Asked] = []
        self.answer = answer
        self._server = LoopbackServer(("127.0.0.1", port), self._endpoint())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> "LoopbackCell":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return "http://127.0.0.1:%d" % self._server.server_address[1]

    def wrap(self, context: ssl.SSLContext) -> None:
        """Answers by https from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def _endpoint(self) -> type[BaseHTTPRequestHandler]:
        cell = self

        class Endpoint(BaseHTTPRequestHandler):
            disable_nagle_algorithm = True  # headers and body go out apart

            def log_message(self, *_: object) -> None:
                pass

            def __getattr__(self, name: str) -> Callable[[], None]:
                if name.startswith("do_"):  # every method alike
                    return self._any
                raise AttributeError(name)

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                asked = Asked(self.command, self.path, self.headers.items(), body)
                cell.asked.append(asked)
                try:
                    answered = cell.answer(asked)
                except ConnectionError:
                    self.connection.close()
                    return
                self.send_response(answered.status)
                for header, value in answered.headers:
                    self.send_header(header, value)
                self.send_header("Content-Length", str(len(answered.body)))
                self.end_headers()
                self.wfile.write(answered.body)

        return Endpoint
