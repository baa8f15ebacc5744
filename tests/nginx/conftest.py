"""What the tests share. CTest sets PYTHONPATH and the CELLROUTE_… variables."""

from __future__ import annotations

import pathlib
from typing import Iterator

import pytest

from room import Room


@pytest.fixture
def room(tmp_path: pathlib.Path) -> Iterator[Room]:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o055)  # nginx's workers are another user
    made = Room(tmp_path)
    yield made
    made.stop()
