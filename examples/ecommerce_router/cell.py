"""A cell: a shop with orders of its own, as a server on loopback. Usage: cell.py ID PORT (0: any free one).

Prints its port, and serves until it is killed. Orders are in memory, so a cell that comes back has none.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable
from urllib.parse import unquote

orders: defaultdict[str, list[Any]] = defaultdict(list)
lock = threading.Lock()


class Shop(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class Endpoint(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):  # every method alike
            return self.serve
        raise AttributeError(name)

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/health":  # its load is in customers, as its capacity
            return self.tell(200, {"cell_id": sys.argv[1], "status": "healthy", "checks": {"load": len(orders)}})
        customer = unquote(self.headers.get("X-Tenant-ID", ""))
        if self.headers.get("X-Cell-ID") != sys.argv[1]:
            return self.tell(421, {"error": "this is another cell"})
        if self.path.endswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "https://elsewhere.example.com/")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        with lock:
            if self.command == "POST" and body:
                orders[customer].append(body.decode(errors="replace"))
            count = len(orders[customer])
        self.tell(200, {"cell": sys.argv[1], "customer": customer, "method": self.command, "target": self.path,
                        "orders": count, "headers": self.headers.items()})

    def tell(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


if __name__ == "__main__":
    server = Shop(("127.0.0.1", int(sys.argv[2])), Endpoint)
    print(server.server_address[1], flush=True)
    server.serve_forever(0.05)
