"""Mapping stores: an authority on which cell serves which key, changed by compare-and-set alone."""

from __future__ import annotations

import ctypes
import time
from typing import Callable, Iterator

from . import _abi, _net
from ._abi import ABSENT, Sink, StoreOptions, TakePage, TakeRecord, View, lib
from ._calls import Handle, as_bytes, bytes_of, call, check, made, raised, view_of
from .custom_store import Vtable
from .mapping_store import MappingStore
from .records import Page, Record, RecordStruct, record_from


class Store:
    """An open store. Any number of threads may use one; a child of fork() opens its own."""

    def __init__(self, handle: Handle, custom: Vtable | None = None) -> None:
        """For open() and of()."""
        self._handle = handle
        self._custom = custom  # the functions that the handle calls

    @classmethod
    def open(
        cls, url: str, *, create: bool = True, timeout_ns: int = 0, map_bytes: int = 0,
        max_map_bytes: int = 0, readers: int = 0,
    ) -> Store:
        """Opens "memory:" (gone with the object), "lmdb:PATH" (a directory on a local disk, shared
        by the processes of a host), "file:PATH" (a mapping file, which is read alone), or one
        behind a network: "redis://…", "redis+unix://…", "redis+cluster://…", "dynamodb://…", whose
        URLs capi/cellroute_net.h explains. A 0 takes the library's default."""
        name = as_bytes(url)
        if _net.is_net(url):
            return cls(_net.open_store(name, not create, timeout_ns))
        options = StoreOptions(
            open_existing=not create, timeout_ns=timeout_ns, map_bytes=map_bytes,
            max_map_bytes=max_map_bytes, readers=readers)
        return cls(made(lib.store_open, lib.store_destroy, view_of(name), options))

    @classmethod
    def of(cls, store: MappingStore) -> Store:
        """A store of your own. It must be bounded in time; what it raises leaves keys UNKNOWN."""
        vtable = Vtable(store)
        return cls(made(lib.store_create, lib.store_destroy, vtable.calls, None), vtable)

    def refresh(self) -> bool:
        """Takes what lies at the path of a "file:" store now, if it is newer; publish with it again
        to serve by it. RefusedError: it is older; CorruptError: it is damaged."""
        return call(lib.store_refresh, self._handle.address) != _abi.UNCHANGED

    @property
    def durable(self) -> bool:
        """An acknowledged write survives the processes."""
        return bool(self._capabilities() & _abi.STORE_DURABLE)

    @property
    def loses_acknowledged(self) -> bool:
        """A failover may forget an acknowledged write."""
        return bool(self._capabilities() & _abi.STORE_LOSES_ACKNOWLEDGED)

    @property
    def shared(self) -> bool:
        """Other processes see the same records."""
        return bool(self._capabilities() & _abi.STORE_SHARED)

    def get(self, key: str | bytes, *, now_ns: int | None = None) -> Record | None:
        """The key's record; None where none is in force. An error leaves the key UNKNOWN."""
        return self.find(key, now_ns=now_ns)[0]

    def find(self, key: str | bytes, *, now_ns: int | None = None) -> tuple[Record | None, int]:
        """As get(), with the stored revision that a put expects, which tombstones have too."""
        data = as_bytes(key)
        records: list[Record] = []
        sink = _sink(records.append)
        code = call(lib.store_get, self._handle.address, view_of(data), _now(now_ns), sink)
        revision = records[0].revision if records else 0
        return (records[0] if records and code != ABSENT else None), revision

    def put(self, record: Record, *, expected: int, now_ns: int | None = None) -> int:
        """Writes `record` if the key's stored revision is `expected` (0: it has none), and returns
        the new one. ConflictError: another is stored; RefusedError: the epoch falls, or stays
        while the cell changes; UnavailableError: it is not known whether it was written."""
        struct, revision = RecordStruct(record), ctypes.c_uint64()
        call(lib.store_put_if, self._handle.address, struct.struct, expected, _now(now_ns), revision)
        return revision.value

    def page(self, cursor: bytes = b"", *, limit: int = 1000, now_ns: int | None = None) -> Page:
        """At most `limit` records in the store's order, tombstones left out."""
        records: list[Record] = []
        ends: list[tuple[bytes, bool]] = []
        sink = _sink(records.append, lambda behind, done: ends.append((behind, done)))
        call(lib.store_scan, self._handle.address, view_of(cursor), limit, _now(now_ns), sink)
        return Page(records, *ends[0])

    def scan(self, *, now_ns: int | None = None) -> Iterator[Record]:
        """All records, a page at a time."""
        page = Page([], b"", False)
        while not page.done:
            page = self.page(page.cursor, now_ns=now_ns)
            yield from page.records

    def _capabilities(self) -> int:
        bits = ctypes.c_uint32()
        check(lib.store_capabilities(self._handle.address, bits))
        return bits.value


def _now(now_ns: int | None) -> int:
    return time.time_ns() if now_ns is None else now_ns


def _sink(
    record: Callable[[Record], object], page: Callable[[bytes, bool], object] | None = None
) -> Sink:
    """A sink that copies what it is given, which lives for the call alone."""

    def take_record(_: object, struct: ctypes._Pointer[_abi.Record]) -> int:
        try:
            record(record_from(struct.contents))
        except BaseException as error:  # the C side cannot carry it
            raised.error = error
            return _abi.E_UNAVAILABLE
        return 0

    def take_page(_: object, cursor: ctypes._Pointer[View], done: int) -> int:
        if page is not None:
            page(bytes_of(cursor.contents), bool(done))
        return 0

    return Sink(record=TakeRecord(take_record), page=TakePage(take_page))
