"""A cell: a shop with orders of its own, as a server on loopback. Usage: cell.py ID PORT (0: any free one).

Prints its port, and serves until it is killed. Orders are in memory, so a cell that comes back has none.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections import defaultdict
from urllib.parse import unquote, urlsplit

from loopback_cell import Answered, Asked, LoopbackCell


class Shop:
    """Any number of threads may use one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._orders: defaultdict[str, list[bytes]] = defaultdict(list)
        self._lock = threading.Lock()

    def answer(self, asked: Asked) -> Answered:
        if asked.target == "/health":  # its load is in customers, as its capacity
            return told({"cell_id": self._name, "status": "healthy", "checks": {"load": len(self._orders)}})
        if asked.header("X-Cell-ID") != [self._name]:
            return told({"error": "this is another cell"}, 421)
        if asked.target.endswith("/moved"):
            return Answered(302, (("Location", "https://elsewhere.example.com/"),), b"")
        (customer,) = map(unquote, asked.header("X-Tenant-ID"))
        with self._lock:
            orders = self._orders[customer]
            if asked.method == "POST":
                orders.append(asked.body)
        return told({"cell": self._name, "customer": customer, "method": asked.method, "target": asked.target,
                     "orders": len(orders), "headers": asked.headers})


def told(value: object, status: int = 200) -> Answered:
    return Answered(status, body=json.dumps(value).encode())


if __name__ == "__main__":
    with LoopbackCell(Shop(sys.argv[1]).answer, int(sys.argv[2])) as cell:
        print(urlsplit(cell.url).port, flush=True)
        signal.pause()
