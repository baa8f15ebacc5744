"""Names for the numbers of decisions, whichever generation made them."""

from __future__ import annotations

from ._calls import Handle
from .snapshot import Snapshot


class CellNames:
    """Of one router, whose handle it keeps: decisions outlive their router."""

    def __init__(self, router: Handle) -> None:
        self._router = router
        self._snapshots: tuple[Snapshot, ...] = ()
        self._ids: dict[int, str] = {}

    def snapshot(self, generation: int) -> Snapshot:
        """What served that generation; where it has gone, what serves now."""
        for snapshot in self._snapshots:
            if snapshot.generation == generation:
                return snapshot
        serving = Snapshot(self._router.address or 0)
        self._snapshots = (serving, *self._snapshots[:1])
        return serving

    def id(self, number: int, generation: int) -> str:
        """Numbers are never reused, so an id once known stays."""
        name = self._ids.get(number)
        if name is None:
            name = self._ids[number] = self.snapshot(generation).cell(number).id
        return name
