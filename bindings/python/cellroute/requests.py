"""Requests and outcomes as the library takes them, kept and filled anew, which makes a call cheap."""

from __future__ import annotations

import ctypes
from array import array
from typing import Any, Sequence

from ._abi import Call, Outcome, Request, View
from ._abi import Mapping as MappingStruct
from ._calls import as_bytes, view_of
from .errors import InvalidArgumentError

ACCESSES = {"WRITE": 0, "READ": 1}
ENDS = {None: 0, "connect": 1, "timeout": 2, "abort": 3}
LONGEST_KEY = 1024


def access_number(access: str) -> int:
    try:
        return ACCESSES[access]
    except KeyError:
        raise InvalidArgumentError(f'access is READ or WRITE, not "{access}"') from None


# Where a slot's words hold what changes with every call.
NOW = Call.now_ns.offset // 8
KEY_SIZE = (ctypes.sizeof(Call) + Request.key_size.offset) // 8


class Slot:
    """A call and its request, which one call at a time fills. Both lie in one array, whose items are
    quicker to set than a struct's fields."""

    __slots__ = ("words", "call", "request", "reference", "buffer", "handle", "lane", "_long", "_resource",
                 "_tried", "_kept")

    def __init__(self, router: int, lane: int) -> None:
        self.words = array("q", bytes(ctypes.sizeof(Call) + ctypes.sizeof(Request)))
        self.buffer = ctypes.create_string_buffer(LONGEST_KEY)
        self.request = Request.from_buffer(self.words, ctypes.sizeof(Call))
        self.request.struct_size = ctypes.sizeof(Request)
        self.request.lane = lane
        self.request.key = ctypes.addressof(self.buffer)
        self.call = Call.from_buffer(self.words)
        self.call.struct_size = ctypes.sizeof(Call)
        self.call.router = router
        self.call.request = ctypes.addressof(self.request)
        self.reference = ctypes.byref(self.call)
        self.handle: object = None  # the profile that request.profile is a copy of
        self.lane = lane
        self._long = b""
        self._resource = b""
        self._tried: Sequence[int] = ()
        self._kept: tuple[object, ...] = ()

    def answer_into(self, decision: ctypes.Structure) -> None:
        """The caller keeps it."""
        self.call.decision = ctypes.addressof(decision)

    def fill(
        self, key: bytes, risk: float, access: str, resource: str, tried: Sequence[int],
        mapping: MappingStruct | None,
    ) -> None:
        """All of a request but its profile and lane. Keys may be too long: the library says so."""
        request = self.request
        request.access = access_number(access)
        request.risk = risk
        request.key_size = len(key)
        if len(key) > LONGEST_KEY or self._long:
            self._point_to(key)
        if not self._long:
            self.buffer.value = key
        request.mapping = None if mapping is None else ctypes.addressof(mapping)
        if resource or tried or self._resource or self._tried:
            self._fill_rare(as_bytes(resource), tried)

    def _point_to(self, key: bytes) -> None:
        """A key that the buffer has no room for stays where it is."""
        self._long = key if len(key) > LONGEST_KEY else b""
        self.request.key = view_of(self._long).data if self._long else ctypes.addressof(self.buffer)

    def _fill_rare(self, resource: bytes, tried: Sequence[int]) -> None:
        request, numbers = self.request, (ctypes.c_uint32 * len(tried))(*tried)
        self._resource, self._tried, self._kept = resource, tried, (resource, numbers)
        request.resource = view_of(resource) if resource else View()
        request.tried_count = len(tried)
        request.tried = ctypes.addressof(numbers) if tried else None


_ANSWERED = ctypes.byref(Outcome(http_status=200))


def outcome_of(http_status: int, error: str | None, slow: bool) -> object:
    """A reference to a cellroute_outcome."""
    if http_status == 200 and error is None and not slow:
        return _ANSWERED
    if error not in ENDS:
        raise InvalidArgumentError(f'error is timeout, connect or abort, not "{error}"')
    if error is None and not 100 <= http_status <= 599:
        raise InvalidArgumentError(
            f"report the http_status of the cell's answer, 100 to 599, or an error; not {http_status}")
    return ctypes.byref(Outcome(end=ENDS[error], http_status=0 if error else http_status, slow=slow))
