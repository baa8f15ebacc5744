"""The statuses and reasons that the library knows. Their numbers never change meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Iterator

from ._abi import ReasonInfo, StatusInfo, lib
from ._calls import text_of


@dataclass(frozen=True)
class Status:
    """What a request is told: OK, RATE_LIMITED … and what an HTTP host answers for it."""

    number: int
    name: str
    http_status: int


@dataclass(frozen=True)
class Reason:
    """Why a decision is what it is: "KEY_LIMIT", and a sentence for people."""

    number: int
    name: str
    sentence: str
    status: Status


def _listed(at: Callable[[int, Any], int], info: type) -> Iterator[Any]:
    index = 0
    while at(index, item := info()) >= 0:
        yield item
        index += 1


STATUSES: dict[int, Status] = {
    info.status: Status(info.status, text_of(info.name), info.http_status)
    for info in _listed(lib.status_at, StatusInfo)
}
REASONS: dict[int, Reason] = {
    info.reason: Reason(info.reason, text_of(info.name), text_of(info.sentence), STATUSES[info.status])
    for info in _listed(lib.reason_at, ReasonInfo)
}
