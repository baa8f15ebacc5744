"""What stores in DynamoDB have beyond other stores: what they asked of their tables, and the tables'
streams of changes."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

from . import _abi, _net
from ._calls import as_bytes, bytes_of, check, view_of
from .errors import error_of
from .records import Record, record_from
from .store import Store


@dataclass(frozen=True)
class TableUsage:
    """What was asked of a table since the store was opened."""

    table: str
    calls: int
    """Requests sent, each attempt by itself."""
    throttles: int
    """Those refused because the table was asked too much."""
    failures: int
    """Those without a sound reply."""
    read_units: float
    """Capacity that DynamoDB says it took."""
    write_units: float


def table_usage(store: Store) -> list[TableUsage]:
    """Of each of the store's tables, by name; `store` may be a cached one over it. UnsupportedError:
    it is no store in DynamoDB."""
    usages: list[TableUsage] = []
    struct = _net.DynamodbUsage()
    while True:
        code = _net.function("dynamodb_usage")(store._handle.address, len(usages), struct)
        if code == _abi.E_NOT_FOUND:
            return usages
        check(code)
        usages.append(TableUsage(
            struct.table.decode(), struct.calls, struct.throttles, struct.failures, struct.read_units,
            struct.write_units))


@dataclass(frozen=True)
class StreamChange:
    """A change that a table's stream tells."""

    key: bytes
    record: Record | None
    """As it is now; what was removed is a tombstone, one revision above the last. None: the stream
    has no image of it, or the table of profiles has its profile, so the key must be read from the
    store (and CachedStore.invalidate() be told of it)."""
    expired: bool
    """DynamoDB removed it because its time to live was over."""


@dataclass(frozen=True)
class StreamResult:
    """How far an event was taken."""

    taken: int
    passed_over: int
    """Of other keys' items, without a mapping, or seen before in the event."""
    failed: str
    """The sequence number of the first change that was not taken; empty: all were."""
    error: Exception | None
    """Why it was not: what `take` raised, or what is wrong with the item."""
    response: dict[str, Any]
    """What the function returns, so that Lambda brings what failed and all behind it again (the
    event source mapping's ReportBatchItemFailures)."""


def read_stream(
    url: str, event: str | bytes | Mapping[str, Any], take: Callable[[StreamChange], object]
) -> StreamResult:
    """Hands the changes of the event that Lambda gives a function on the stream of the table that
    `url` names, "dynamodb://TABLE?...", to `take`, one after another, up to the first for which it
    raises. A stream brings some twice, and a batch that failed all again, so an older record must not
    replace a newer one (CachedStore.observe() keeps to that). Nobody is asked for anything.
    InvalidArgumentError: the URL or the event is none."""
    name = as_bytes(url)
    text = as_bytes(json.dumps(event) if isinstance(event, Mapping) else event)
    raised: list[BaseException] = []

    def take_change(_: object, struct: ctypes._Pointer[_net.StreamChangeStruct]) -> int:
        change = struct.contents
        try:
            record = record_from(change.record.contents) if change.record else None
            take(StreamChange(bytes_of(change.key), record, bool(change.expired)))
        except BaseException as error:  # the C side cannot carry it
            raised.append(error)
            return _abi.E_UNAVAILABLE
        return 0

    sink = _net.StreamSink(change=_net.TakeChange(take_change))
    result, told = _net.StreamResultStruct(), _abi.ErrorText()
    code = _net.function("dynamodb_stream")(view_of(name), view_of(text), sink, result, told)
    error = raised[0] if raised else None
    if error is not None and not isinstance(error, Exception):
        raise error  # KeyboardInterrupt and its like
    check(code, told, "dynamodb_stream")
    if result.failure and error is None:
        error = error_of(result.failure, told.text.decode(errors="replace"))
    return StreamResult(
        result.taken, result.passed_over, result.failed.decode(), error, json.loads(result.response))
