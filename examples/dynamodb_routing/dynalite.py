"""A server with DynamoDB's interface, on loopback: npm's dynalite, all in memory."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from types import TracebackType


class Dynalite:
    """Serves from start to kill(). Its endpoint is a URL."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.endpoint = f"http://127.0.0.1:{self.port}"
        program = os.environ["CELLROUTE_DYNALITE"] + "/node_modules/dynalite/cli.js"
        self._process = subprocess.Popen(
            ["node", program, "--host", "127.0.0.1", "--port", str(self.port), "--createTableMs", "0"],
            stdout=subprocess.DEVNULL)
        self._wait()

    def __enter__(self) -> Dynalite:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError("dynalite does not start")
