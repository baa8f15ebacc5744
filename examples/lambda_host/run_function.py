"""Runs a function in a process of its own, by runtime_client.py, against a Runtime API on loopback."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from contextlib import contextmanager
from typing import Iterator

from runtime_api import RuntimeApi

RUNTIME = pathlib.Path(__file__).resolve().with_name("runtime_client.py")


@contextmanager
def function(handler: str, printed: list[str], **environment: str) -> Iterator[RuntimeApi]:
    """`handler` is MODULE.NAME. What the function printed is appended to `printed` at its end."""
    with RuntimeApi() as api:
        runtime = subprocess.Popen(
            [sys.executable, RUNTIME, handler],
            env=os.environ | environment | {"AWS_LAMBDA_RUNTIME_API": api.address},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            yield api
        finally:
            runtime.terminate()
            printed += runtime.communicate(timeout=60)[0].splitlines()
