"""The example that routes by tables of DynamoDB: it checks what it tells."""

from __future__ import annotations

import os
import subprocess
import sys

from conftest import SOURCE


def test_the_tale_is_told_to_its_end() -> None:
    program = SOURCE / "examples/dynamodb_routing/routing.py"
    ran = subprocess.run([sys.executable, str(program)], env=os.environ, text=True, capture_output=True, timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith("all as expected\n")
