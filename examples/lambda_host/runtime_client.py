"""A Lambda runtime in Python: takes events from the Runtime API and answers them with a handler.

AWS's managed Python runtimes bring their own; this one serves images and custom runtimes, and
runs a function on a desk, against runtime_api.py. Usage: runtime_client.py MODULE.HANDLER
"""

from __future__ import annotations

import http.client
import importlib
import json
import os
import sys
import time
from dataclasses import dataclass
from typing import Any, Callable

VERSION = "/2018-06-01/runtime"
Handler = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Context:
    """What a handler is told besides the event; the names are AWS's."""

    aws_request_id: str
    invoked_function_arn: str
    deadline_ms: int

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self.deadline_ms - time.time_ns() // 1_000_000)


class RuntimeClient:
    """One connection to the Runtime API at `address` (host:port). For one thread."""

    def __init__(self, address: str) -> None:
        # Without a timeout: Lambda freezes the process while it waits for the next event.
        self._connection = http.client.HTTPConnection(address, timeout=None)

    def next(self) -> tuple[bytes, Context]:
        self._connection.request("GET", f"{VERSION}/invocation/next")
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"the Runtime API answered {response.status} to /invocation/next")
        os.environ["_X_AMZN_TRACE_ID"] = response.getheader("Lambda-Runtime-Trace-Id", "")
        return body, Context(
            response.getheader("Lambda-Runtime-Aws-Request-Id", ""),
            response.getheader("Lambda-Runtime-Invoked-Function-Arn", ""),
            int(response.getheader("Lambda-Runtime-Deadline-Ms", "0")),
        )

    def post(self, path: str, body: bytes) -> None:
        self._connection.request("POST", VERSION + path, body)
        self._connection.getresponse().read()


def error_body(error: Exception) -> bytes:
    """Type and text. No stack: what API Gateway and callers see of it must tell nothing internal."""
    named = {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": []}
    return json.dumps(named).encode()


def answer_one(client: RuntimeClient, handler: Handler) -> None:
    body, context = client.next()
    path = f"/invocation/{context.aws_request_id}"
    try:
        answer = json.dumps(handler(json.loads(body), context)).encode()
    except Exception as error:  # whatever a handler raises ends its own invocation alone
        client.post(f"{path}/error", error_body(error))
    else:
        client.post(f"{path}/response", answer)


def load_handler(name: str) -> Handler:
    module, _, attribute = name.rpartition(".")
    handler: Handler = getattr(importlib.import_module(module), attribute)
    return handler


def main(name: str) -> None:
    client = RuntimeClient(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        handler = load_handler(name)
    except Exception as error:
        client.post("/init/error", error_body(error))
        raise
    while True:
        answer_one(client, handler)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.environ["_HANDLER"])
