"""The e-commerce front on its example events: a Runtime API, three cells and the function, all local.

Usage: local_run.py COMMAND ..., which is the function's runtime.
"""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile
from contextlib import ExitStack

from loopback_cell import Answered, Asked, LoopbackCell
from run_function import function

EXAMPLE = pathlib.Path(__file__).resolve().parent


def cell_called(name: str) -> LoopbackCell:
    def answer(asked: Asked) -> Answered:
        told = {"cell": name, "method": asked.method, "target": asked.target, "bytes": len(asked.body)}
        return Answered(body=json.dumps(told).encode())

    return LoopbackCell(answer)


def main(command: list[str]) -> None:
    with ExitStack() as stack:
        topology = (EXAMPLE / "topology.yaml").read_text()
        for name in ("shop-1", "shop-2", "shop-3"):
            cell = stack.enter_context(cell_called(name))
            topology = topology.replace(f"https://{name}.internal.example.com", cell.url)
        file = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".yaml"))
        file.write(topology)
        file.flush()
        front = stack.enter_context(function(command, CELLROUTE_TOPOLOGY=file.name))
        for event in sorted((EXAMPLE / "events").glob("*.json")):
            answer = front.invoke(json.loads(event.read_text())).value
            print(f"{event.stem:22} {answer['statusCode']} {answer['body']}")
        print("\nThe function's log:", *front.printed(), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
