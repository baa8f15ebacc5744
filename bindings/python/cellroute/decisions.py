"""The decisions of a batch, as columns."""

from __future__ import annotations

import ctypes
from typing import Any, Iterator

from ._abi import NO_CELL, PROFILE_STALE, Answers, Ticket
from . import optional
from .cell_names import CellNames
from .decision import SIZE, Decision
from .keys import Keys
from .reasons import REASONS, STATUSES

# The columns of one block, widest first, so that each is aligned: name, bytes, format, numpy's type.
COLUMNS = (
    ("tickets", ctypes.sizeof(Ticket), "", ""),
    ("epochs", 8, "Q", "uint64"),
    ("retry_after_ns", 8, "q", "int64"),
    ("timeout_ns", 8, "q", "int64"),
    ("cells", 4, "I", "uint32"),
    ("reasons", 2, "H", "uint16"),
    ("statuses", 1, "B", "uint8"),
    ("marks", 1, "B", "uint8"),
)
WIDTH = sum(width for _, width, _, _ in COLUMNS)


class Decisions:
    """A decision a key, in order, as columns of numbers: numpy arrays, memoryviews without it.

    `cells` (a cell's number, or NO_CELL), `statuses`, `reasons`, `epochs`, `retry_after_ns`,
    `timeout_ns`, `marks`; and the `generation` that decided. An element, decisions[i], is a Decision.
    """

    cells: Any
    statuses: Any
    reasons: Any
    epochs: Any
    retry_after_ns: Any
    timeout_ns: Any
    marks: Any

    def __init__(self, names: CellNames, keys: Keys) -> None:
        """For Router.route_batch()."""
        self._names, self._keys = names, keys
        count, numpy, offset = len(keys), optional.numpy(), 0
        block = bytearray(count * WIDTH + 1)  # never empty, so that it has an address
        self._tickets = (Ticket * count).from_buffer(block)
        base = ctypes.addressof(ctypes.c_char.from_buffer(block))
        self._answers = answers = Answers()
        for name, width, format, dtype in COLUMNS:
            setattr(answers, name, base + offset)
            if numpy is not None and dtype:
                setattr(self, name, numpy.frombuffer(block, dtype, count, offset))
            elif format:
                setattr(self, name, memoryview(block)[offset : offset + count * width].cast(format))
            offset += count * width
        self._generation = ctypes.c_uint64()
        answers.generation = ctypes.addressof(self._generation)

    @property
    def generation(self) -> int:
        """0 where there is no key."""
        return self._generation.value

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
            SIZE, int(self.statuses[index]), int(self.reasons[index]),
            int(self.cells[index]), int(self.marks[index]), 0, int(self.epochs[index]),
            self.generation, int(self.retry_after_ns[index]), int(self.timeout_ns[index]),
            self._tickets[index],
        )
        decision._names, decision.key = self._names, self._keys[index]
        return decision

    def __iter__(self) -> Iterator[Decision]:
        return (self[index] for index in range(len(self)))

    @property
    def cell_ids(self) -> list[str | None]:
        """The cells' ids, None where there is no cell."""
        numbers = self.cells.tolist()
        names = {n: self._names.id(n, self.generation) for n in set(numbers) if n != NO_CELL}
        return [names.get(number) for number in numbers]

    @property
    def status_names(self) -> list[str]:
        return [STATUSES[number].name for number in self.statuses.tolist()]

    @property
    def reason_names(self) -> list[str]:
        return [REASONS[number].name for number in self.reasons.tolist()]
