#!/usr/bin/python3
"""What a Lambda function costs in Python and in C++, beside one that does nothing, in one run.

    /usr/bin/python3 benchmarks/lambda_bench.py build/bin

Cold start: from the process's beginning until it asks the Runtime API for its first event, the least and the
middle of interleaved starts. An invocation: from handing an event to the Runtime API until the answer is there,
both on loopback, which in itself costs what the empty ones do; the middle of a round's events, and of interleaved
rounds the least, so that a busy machine is unfair to nobody. The front calls a cell on loopback each time; the
authorizer verifies an ES256 token.
"""

from __future__ import annotations

import json
import os
import pathlib
import socket
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SOURCE = pathlib.Path(__file__).resolve().parents[1]
EXAMPLES = SOURCE / "examples"
sys.path += [str(EXAMPLES / room) for room in ("lambda_host", "ecommerce_lambda/python", "financial_authorizer/python")]
sys.path.append(str(SOURCE / "bindings/python"))

from run_function import Function, function, python_function  # noqa: E402

STARTS, ROUNDS, EVENTS = 30, 20, 50
EMPTY = "def handler(event, context):\n    return {}\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Cell:
    """A cell that answers at once, and costs little beside what is measured."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(ANSWER)


def event(example: str, name: str) -> Any:
    return json.loads((EXAMPLES / example / "events" / f"{name}.json").read_text())


def prepared(programs: pathlib.Path, room: pathlib.Path, cell: str) -> tuple[dict[str, str], Any, Any]:
    """The environment of all functions, and an event for each example."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    (room / "keyring.json").write_text(json.dumps([{"kid": "k", "alg": "ES256", "pem": pem}]))
    (room / "shop.yaml").write_text(f"generation: 1\ncells: [{{id: shop-1, endpoint: '{cell}'}}]\n")
    (room / "empty_function.py").write_text(EMPTY)
    claims = {"iss": "i", "aud": "a", "sub": "cust-000042", "tier": "retail", "region": "eu-west-1",
              "exp": int(time.time()) + 3000}
    token = jwt.encode(claims, key, "ES256", headers={"kid": "k"})  # type: ignore[arg-type]
    asked = event("financial_authorizer", "request")
    asked["multiValueHeaders"] = {"Authorization": [f"Bearer {token}"]}
    environment = {
        "CELLROUTE_LIBRARY": str(programs.resolve().parent / "lib/libcellroute.so"),
        "KEYRING": str(room / "keyring.json"), "ISSUER": "i", "AUDIENCE": "a",
        "PYTHONPATH": os.pathsep.join([*sys.path, str(room)])}
    return environment, event("ecommerce_lambda", "rest_get"), asked


def contestants(
    programs: pathlib.Path, room: pathlib.Path, cell: str
) -> dict[str, tuple[list[str], dict[str, str], Any]]:
    """Command, environment and event by name."""
    environment, shop_event, asked = prepared(programs, room, cell)
    shop = environment | {"CELLROUTE_TOPOLOGY": str(room / "shop.yaml")}
    bank = environment | {"CELLROUTE_TOPOLOGY": str(EXAMPLES / "financial/topology.yaml")}
    return {
        "empty, Python": (python_function("empty_function.handler"), environment, {}),
        "empty, C++": ([str(programs / "empty_function")], environment, {}),
        "shop front, Python": (python_function("shop_front.app.handler"), shop, shop_event),
        "shop front, C++": ([str(programs / "shop_front")], shop, shop_event),
        "authorizer, Python": (python_function("authorizer.app.handler"), bank, asked),
        "authorizer, C++": ([str(programs / "authorizer")], bank, asked),
    }


def cold_start(command: list[str], environment: dict[str, str]) -> float:
    """Milliseconds until the function asks for its first event."""
    start = time.perf_counter_ns()
    with function(command, **environment) as started:
        started.wait_until_ready()
        return (time.perf_counter_ns() - start) / 1e6


def invocation(running: Function, given: Any) -> float:
    """Microseconds, of a round's events in the middle."""
    taken = []
    for _ in range(EVENTS):
        start = time.perf_counter_ns()
        answer = running.invoke(given)
        taken.append((time.perf_counter_ns() - start) / 1e3)
        if answer.kind != "response" or answer.value.get("statusCode", 200) != 200:
            sys.exit(f"lambda_bench: a function failed: {answer}")
    return statistics.median(taken)


def main(programs: pathlib.Path) -> None:
    with ExitStack() as stack:
        room = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        named = contestants(programs, room, Cell().url)
        starts: dict[str, list[float]] = {name: [] for name in named}
        for _ in range(STARTS):
            for name, (command, environment, _given) in named.items():
                starts[name].append(cold_start(command, environment))
        running = {name: stack.enter_context(function(command, **environment))
                   for name, (command, environment, _given) in named.items()}
        rounds: dict[str, list[float]] = {name: [] for name in named}
        for _ in range(ROUNDS):
            for name, (_command, _environment, given) in named.items():
                rounds[name].append(invocation(running[name], given))
    print(f"{'':22}{'cold start, ms':>22}{'an invocation, µs':>20}{'a second':>10}")
    for name in named:
        took = min(rounds[name])
        least, middle = min(starts[name]), statistics.median(starts[name])
        print(f"{name:22}{least:>14.1f} {middle:>7.1f}{took:>20.0f}{1e6 / took:>10.0f}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/bin"))
