"""What the examples' stories have in common: chapters, checks, servers that end with the story."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Any, Callable, Mapping

PATIENCE_S = 30.0


def title(text: str) -> None:
    print(f"\n# {text}", flush=True)


def expect(what: object, expected: object) -> None:
    if what != expected:
        sys.exit(f"expected {expected!r}, not {what!r}")


def until(holds: Callable[[], object], what: str) -> None:
    """Waits for what takes moments."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain until {what}")
        time.sleep(0.02)


def tell(story: Callable[[ExitStack], None]) -> None:
    """Runs a story to its end. What it enters into the stack ends with it, also where somebody ends the process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        story(stack)
    print("\nall as expected")


class Process:
    """A server of ours in Python, which says in its first line where it listens."""

    def __init__(self, *command: object, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *map(str, command)], env=os.environ | environment, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.first_line = self._process.stdout.readline()
        if not self.first_line:
            sys.exit(f"{command[0]} does not start")

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """A second time does nothing."""
        self._process.send_signal(how)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Answer:
    """Of a server, read whole."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value

    def told(self) -> str:
        """What a person wants to see of it."""
        retry = self.headers["Retry-After"]
        if self.status == 200:
            return f"200 from {self.json['cell']}"
        ours = self.headers["Content-Type"] == "application/json"
        text = f"{self.status} {self.json['code']} {self.json['reason']}" if ours else str(self.status)
        return text + (f", retry after {retry} s" if retry else "")


def ask(port: int, target: str, method: str = "GET", headers: Mapping[str, str] = {},
        body: bytes | None = None) -> Answer:
    """A request to a server on loopback, over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request(method, target, body, dict(headers))
        return Answer(connection.getresponse())
    finally:
        connection.close()
