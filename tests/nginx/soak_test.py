"""A short turn of the soak, whose program runs for as long as one likes."""

from __future__ import annotations

import subprocess
import sys

from room import HERE


# The allocator still settles in so short a time: what leaks by the request is seen all the same.
def test_nginx_at_load_with_faults_answers_everybody_and_does_not_grow() -> None:
    told = subprocess.run([sys.executable, HERE / "soak.py", "--warm-up", "5", "--seconds", "20", "--growth", "15"],
                          capture_output=True, text=True, timeout=300)
    assert told.returncode == 0, told.stdout + told.stderr
