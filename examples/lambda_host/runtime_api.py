"""Lambda's Runtime API on loopback, for running a function without AWS.

    with RuntimeApi() as api:      # api.address goes into AWS_LAMBDA_RUNTIME_API
        answer = api.invoke({"path": "/"})
"""

from __future__ import annotations

import itertools
import json
import queue
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Callable

from loopback_server import LoopbackServer

ARN = "arn:aws:lambda:us-east-1:123456789012:function:local"
PREFIX = "/2018-06-01/runtime"
LONGEST_WAIT_S = 60
RESULT = re.compile(PREFIX + r"/invocation/([^/]+)/(response|error)")


@dataclass(frozen=True)
class Answer:
    """How an invocation ended: `kind` is response, error or init_error."""

    kind: str
    value: Any


@dataclass
class Invocation:
    request_id: str
    event: Any
    deadline_ms: int
    answers: "queue.Queue[Answer]" = field(default_factory=queue.Queue)


class RuntimeApi:
    """Serves one function's runtime. Thread safety: invoke() may run on any number of threads."""

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        """`clock`, in nanoseconds, is the one that deadlines are given by."""
        self._clock = clock
        self._numbers = itertools.count(1)
        self._waiting: "queue.Queue[Invocation | None]" = queue.Queue()
        self._running: dict[str, Invocation] = {}
        self._init_error: Answer | None = None
        self._ready = threading.Event()
        self._server = LoopbackServer(("127.0.0.1", 0), self._endpoint())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> "RuntimeApi":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def address(self) -> str:
        return "127.0.0.1:%d" % self._server.server_address[1]

    def invoke(self, event: Any, *, remaining_ms: int = 60_000) -> Answer:
        """Hands `event` to the function, with that much time, and waits for what it answers."""
        number = next(self._numbers)
        deadline_ms = self._clock() // 1_000_000 + remaining_ms
        invocation = Invocation(f"invocation-{number:06d}", event, deadline_ms)
        self._running[invocation.request_id] = invocation
        self._waiting.put(invocation)
        if self._init_error is not None:
            return self._init_error
        try:
            return invocation.answers.get(timeout=LONGEST_WAIT_S)
        except queue.Empty:
            raise TimeoutError(f"the function gave no answer within {LONGEST_WAIT_S} s") from None

    def wait_until_ready(self) -> None:
        """Until the function has asked for its first event."""
        if not self._ready.wait(timeout=LONGEST_WAIT_S):
            raise TimeoutError(f"the function was not ready within {LONGEST_WAIT_S} s")

    def take(self) -> Invocation | None:
        """The next event, once there is one; None when this API ends."""
        self._ready.set()
        return self._waiting.get()

    def settle(self, request_id: str, answer: Answer) -> bool:
        invocation = self._running.pop(request_id, None)
        if invocation is None:
            return False
        invocation.answers.put(answer)
        return True

    def fail_start(self, answer: Answer) -> None:
        self._init_error = answer
        for request_id in list(self._running):
            self.settle(request_id, answer)

    def _endpoint(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Endpoint(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # headers and body go out apart

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                invocation = api.take() if self.path == PREFIX + "/invocation/next" else None
                if invocation is None:
                    return self._end(410)
                self._end(200, json.dumps(invocation.event).encode(), {
                    "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                    "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
                    "Lambda-Runtime-Invoked-Function-Arn": ARN,
                    "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000001",
                })

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                value = json.loads(body)
                if self.path == PREFIX + "/init/error":
                    api.fail_start(Answer("init_error", value))
                    return self._end(202)
                result = RESULT.fullmatch(self.path)
                settled = result is not None and api.settle(result[1], Answer(result[2], value))
                self._end(202 if settled else 404)

            def _end(self, status: int, body: bytes = b"", headers: dict[str, str] = {}) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")  # AWS's C++ library relies on one
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Endpoint
