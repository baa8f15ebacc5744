"""The decisions of a batch, as columns."""

from __future__ import annotations

import ctypes
from array import array
from typing import TYPE_CHECKING, Any, Iterator

from ._abi import NO_CELL, PROFILE_STALE, Answers, Ticket
from .decision import Decision
from . import optional
from .keys import Keys
from .reasons import REASONS, STATUSES

if TYPE_CHECKING:
    from .path import Path

# name: the element's type in array and in numpy
COLUMNS = {
    "cells": ("I", "uint32"),
    "statuses": ("B", "uint8"),
    "reasons": ("H", "uint16"),
    "epochs": ("Q", "uint64"),
    "retry_after_ns": ("q", "int64"),
    "marks": ("B", "uint8"),
}


def _column(code: str, dtype: str, count: int) -> tuple[Any, int]:
    """A column, and its address."""
    numpy = optional.numpy()
    if numpy is None:
        column = array(code, bytes(count * array(code).itemsize))
        return column, column.buffer_info()[0]
    values = numpy.zeros(count, dtype)
    return values, values.__array_interface__["data"][0]


class Decisions:
    """A decision a key, in order, as columns of numbers: numpy arrays, or without numpy array.array.

    `cells` (a cell's number, or NO_CELL), `statuses`, `reasons`, `epochs`, `retry_after_ns`,
    `marks`; and the `generation` that decided. An element, decisions[i], is a Decision, of which the
    library does not tell `timeout_ns`: it is 0.
    """

    cells: Any
    statuses: Any
    reasons: Any
    epochs: Any
    retry_after_ns: Any
    marks: Any

    def __init__(self, router: Path, keys: Keys) -> None:
        """For Router.route_batch()."""
        self._router, self._keys = router, keys
        self._tickets = (Ticket * len(keys))()
        addresses = {"tickets": ctypes.addressof(self._tickets)}
        for name, (code, dtype) in COLUMNS.items():
            column, addresses[name] = _column(code, dtype, len(keys))
            setattr(self, name, column)
        self._answers = Answers(**addresses)
        self.generation = 0

    @property
    def stale(self) -> bool:
        """The profile is of another generation, which all keys share but those that are no keys."""
        if optional.numpy() is None:
            return PROFILE_STALE in self.reasons
        return bool((self.reasons == PROFILE_STALE).any())

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: int) -> Decision:
        if not -len(self) <= index < len(self):
            raise IndexError(f"there are {len(self)} decisions, none has the index {index}")
        index %= len(self)
        decision = Decision(
            ctypes.sizeof(Decision), int(self.statuses[index]), int(self.reasons[index]),
            int(self.cells[index]), int(self.marks[index]), 0, int(self.epochs[index]),
            self.generation, int(self.retry_after_ns[index]), 0, self._tickets[index],
        )
        decision._router, decision.key = self._router, self._keys[index]
        return decision

    def __iter__(self) -> Iterator[Decision]:
        return (self[index] for index in range(len(self)))

    @property
    def cell_ids(self) -> list[str | None]:
        """The cells' ids, None where there is no cell."""
        numbers = self.cells.tolist()
        names = {n: self._router._cell_id(n, self.generation) for n in set(numbers) if n != NO_CELL}
        return [names.get(number) for number in numbers]

    @property
    def status_names(self) -> list[str]:
        return [STATUSES[number].name for number in self.statuses.tolist()]

    @property
    def reason_names(self) -> list[str]:
        return [REASONS[number].name for number in self.reasons.tolist()]
