"""What a look-up in a store found, and what a first assignment did."""

from __future__ import annotations

from dataclasses import dataclass

from . import _abi
from .decision import Decision
from .errors import CellrouteError

ANSWERS = ("FOUND", "ABSENT", "UNKNOWN")


class Mapping(_abi.Mapping):
    """A key's record in the numbers of one generation, for route(mapping=…) while that serves.

    `epoch` and `generation` are numbers. `stale` is 1 where this is the last good answer of a store
    that does not answer now: as a cached store says, or as you do who keep answers yourself.
    """

    error: CellrouteError | None = None
    """Why the answer is UNKNOWN."""

    @property
    def found(self) -> str:
        """FOUND, ABSENT or UNKNOWN."""
        return ANSWERS[self.answer]

    def __repr__(self) -> str:
        return f"<cellroute.Mapping {self.found} epoch {self.epoch}>"


@dataclass(frozen=True)
class Assignment:
    """`decision` is what locate() says with the `mapping` that the store has now."""

    decision: Decision
    mapping: Mapping
