"""What a router answers: a status, always a reason, and what the host needs to act on it."""

from __future__ import annotations

from ctypes import byref, sizeof

from ._abi import NO_CELL, READ_ONLY, DecisionStruct
from .cell_names import CellNames
from .reasons import REASONS, STATUSES


class Decision(DecisionStruct):
    """The library writes into it, which saves a copy a call. Report it once, when it is `ok`.

    Numbers, as the library gave them: `epoch` (0 placed by the strategy, else the mapping's),
    `generation` of the topology that decided, `retry_after_ns` (0: trying later does not help, or
    not known), `timeout_ns` for the call to the cell, `cell_number`, `status_number`,
    `reason_number`.
    """

    __slots__ = ("_names", "key")
    _names: CellNames
    key: bytes
    epoch: int
    generation: int
    retry_after_ns: int
    timeout_ns: int
    cell_number: int
    status_number: int
    reason_number: int

    @property
    def ok(self) -> bool:
        """The cell may be called now."""
        return self.status_number == 0

    @property
    def status(self) -> str:
        """OK, INVALID_ARGUMENT, COMPLIANCE, UNASSIGNED, RATE_LIMITED, UNAVAILABLE …"""
        return STATUSES[self.status_number].name

    @property
    def reason(self) -> str:
        """PLACED, MAPPED, KEY_LIMIT, BREAKER_OPEN …"""
        return REASONS[self.reason_number].name

    @property
    def reason_text(self) -> str:
        """The reason as a sentence for people."""
        return REASONS[self.reason_number].sentence

    @property
    def http_status(self) -> int:
        """What an HTTP host answers."""
        return STATUSES[self.status_number].http_status

    @property
    def read_only(self) -> bool:
        """The cell may serve reads, not writes."""
        return bool(self.marks & READ_ONLY)

    @property
    def cell(self) -> str | None:
        """The cell's id; with UNASSIGNED the proposed one; set too where the key's own cell is
        known but may not serve."""
        if self.cell_number == NO_CELL:
            return None
        return self._names.id(self.cell_number, self.generation)

    @property
    def retry_after_s(self) -> int:
        """Whole seconds, rounded up, as in a Retry-After header; 0: none."""
        return -(-self.retry_after_ns // 1_000_000_000)

    def endpoint(self, resource: str = "") -> str | None:
        """Where to call the cell for `resource`, its general endpoint where it has none of its own."""
        if self.cell_number == NO_CELL:
            return None
        return self._names.snapshot(self.generation).endpoint(self.cell_number, resource)

    @property
    def labels(self) -> dict[str, str]:
        """The cell's labels with {cell} and {key} expanded, escaped and bounded."""
        if self.cell_number == NO_CELL:
            return {}
        return self._names.snapshot(self.generation).labels(self.cell_number, self.key)

    def _ticket_reference(self) -> object:
        return byref(self, DecisionStruct.ticket.offset)

    def __repr__(self) -> str:
        cell = f" {self.cell}" if self.cell_number != NO_CELL else ""
        return f"<cellroute.Decision {self.status} {self.reason}{cell} epoch {self.epoch}>"


SIZE = sizeof(Decision)
