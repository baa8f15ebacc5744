"""What the tests share. CTest sets PYTHONPATH and the CELLROUTE_… variables."""

from __future__ import annotations

import pathlib
import tempfile
from typing import Iterator

import pytest

from room import Room


@pytest.fixture
def room() -> Iterator[Room]:
    """Not in pytest's folder: each session of it closes that to other users, as nginx's workers are."""
    with tempfile.TemporaryDirectory(prefix="cellroute-nginx-", ignore_cleanup_errors=True) as folder:
        made = Room(pathlib.Path(folder))
        yield made
        made.stop()
