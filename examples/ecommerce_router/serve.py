"""The router as a process: reads its environment, prints the ports it listens on, serves until it is stopped.

    TOPOLOGY        file of the topology
    MAPPINGS        URL of the mapping store, such as dynamodb://CustomerCellMapping?region=…
    CACHE_SECONDS   how long a mapping is good without asking again (300); then, while the store fails, one hour more
    STORE_SECONDS   how long the store may take to answer (1)
    PROBE_SECONDS   between two questions for a cell's health (5)
    KEYRING         file of the keys that tokens are signed with
    ISSUER AUDIENCE what tokens must say
    PORT            to listen on, on loopback (0: any free one); OPERATOR_PORT for /metrics, /health and /cells
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

import cellroute
from authorizer.keyring import read_keyring
from authorizer.token_rules import Rules
from front import BoundedServer, client_endpoint
from gateway import Gateway
from operator_side import Operator, operator_endpoint


def named(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        sys.exit(f"{variable} is not set")
    return value


def seconds(variable: str, otherwise: str) -> int:
    """In nanoseconds."""
    return int(float(os.environ.get(variable, otherwise)) * 1_000_000_000)


def main() -> None:
    router = cellroute.Router(cellroute.Topology.from_file(named("TOPOLOGY")), lanes=8)
    store = cellroute.Store.open(named("MAPPINGS"), timeout_ns=seconds("STORE_SECONDS", "1"))
    near = store.cached(ttl_ns=seconds("CACHE_SECONDS", "300"))
    # No answer of ours is kept for a token, so it is good until it expires.
    rules = Rules(named("ISSUER"), named("AUDIENCE"), cached_s=0)
    metrics, prober = cellroute.Metrics(router), cellroute.Prober(router, interval_ns=seconds("PROBE_SECONDS", "5"))
    gateway = Gateway(router, metrics, near, read_keyring(named("KEYRING")), rules)
    clients = BoundedServer(("127.0.0.1", int(os.environ.get("PORT", "0"))), client_endpoint(gateway))
    operators = BoundedServer(("127.0.0.1", int(os.environ.get("OPERATOR_PORT", "0"))),
                              operator_endpoint(Operator(router, metrics, prober, near)))
    prober.start()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    for server in (clients, operators):
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    print(json.dumps({"port": clients.server_address[1], "operator_port": operators.server_address[1]}), flush=True)
    stop.wait()
    for server in (clients, operators):
        server.shutdown()
    prober.stop()


if __name__ == "__main__":
    main()
