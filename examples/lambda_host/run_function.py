"""Runs a function in a process of its own against a Runtime API on loopback."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from typing import IO, Any, Callable, Iterator, Sequence

from runtime_api import Answer, RuntimeApi

RUNTIME = pathlib.Path(__file__).resolve().with_name("runtime_client.py")


def python_function(handler: str) -> list[str]:
    """The command that runs `handler`, MODULE.NAME, by runtime_client.py."""
    return [sys.executable, str(RUNTIME), handler]


class Function:
    """One that runs. Thread safety: that of RuntimeApi.invoke()."""

    def __init__(self, api: RuntimeApi, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self.process = process
        self._api = api
        self._log = log

    def invoke(self, event: Any, *, remaining_ms: int = 60_000) -> Answer:
        """Hands it `event`, with that much time by its clock, and waits for what it answers."""
        return self._api.invoke(event, remaining_ms=remaining_ms)

    def wait_until_ready(self) -> None:
        """Until it has asked for its first event."""
        self._api.wait_until_ready()

    def printed(self) -> list[str]:
        """The lines of its log up to its last answer."""
        self._log.seek(0)
        return self._log.read().decode().splitlines()


@contextmanager
def function(
    command: Sequence[str], *, clock: Callable[[], int] = time.time_ns, log: str | None = None,
    **environment: str,
) -> Iterator[Function]:
    """`command` is a runtime: a custom one's bootstrap, or python_function()'s. `clock`, in ns, is the
    one that it sees; `log`, a file that its output goes to, by default one of its own."""
    with RuntimeApi(clock) as api, tempfile.TemporaryFile() as own:
        output = own if log is None else open(log, "wb")
        process = subprocess.Popen(
            command, env=os.environ | environment | {"AWS_LAMBDA_RUNTIME_API": api.address},
            stdout=output, stderr=subprocess.DEVNULL)
        try:
            yield Function(api, process, own)
        finally:
            process.terminate()
            process.wait(timeout=60)
            if output is not own:
                output.close()
