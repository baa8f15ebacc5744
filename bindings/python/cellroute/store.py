"""Mapping stores: an authority on which cell serves which key, changed by compare-and-set alone."""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from typing import Callable, Iterator

from . import _abi, _net
from ._abi import ABSENT, CacheOptions, Sink, StoreOptions, TakePage, TakeRecord, View, lib
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

    def cached(
        self, *, max_entries: int = 0, max_bytes: int = 0, ttl_ns: int = 0, negative_ttl_ns: int = 0,
        max_stale_ns: int = 0, wait_ns: int = 0,
    ) -> CachedStore:
        """This store, answered for from memory: for Router.resolve() where it is far. A record is
        served for `ttl_ns` (5 min), ABSENT for `negative_ttl_ns` (5 s), and the last good record
        for `max_stale_ns` (1 h) more while the store fails. At most `max_entries` (100,000) keys of
        `max_bytes` (64 MiB) are held. A call waits for another one's question to the store for
        `wait_ns` (5 s). A 0 takes the library's default; 1 is as good as not at all. This store
        stays usable by itself."""
        options = CacheOptions(
            max_entries=max_entries, max_bytes=max_bytes, ttl_ns=ttl_ns,
            negative_ttl_ns=negative_ttl_ns, max_stale_ns=max_stale_ns, wait_ns=wait_ns)
        handle = made(lib.store_cached, lib.store_destroy, self._handle.address, options)
        return CachedStore(handle, self._custom)

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
        """The key's record; None where none is in force. An error leaves the key UNKNOWN. A cached
        store that fails gives the last good record; Router.resolve() tells it from others."""
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


@dataclass(frozen=True)
class CacheCounts:
    """What a cached store did since it was made."""

    hits: int
    misses: int
    """The store was asked, or another call's question waited for."""
    shared: int
    """Misses that waited."""
    stale: int
    """Answers that were the last good one."""
    errors: int
    """Questions that the store failed to answer."""
    evictions: int
    """Keys given up for room."""
    entries: int
    """Keys held now."""
    bytes: int
    """Held now."""
    waiting: int
    """Calls that wait for another one's question now."""


class CachedStore(Store):
    """What Store.cached() makes. A call that begins when another one has returned is never answered
    by an older record than that one gave, wrote or observed; what other routers write is seen when
    the time is over, or when it is observed."""

    def observe(self, record: Record) -> None:
        """What a feed of changes brings, with its revision: it takes the place of an older record
        of its key. A key that is not held stays so."""
        call(lib.store_observe, self._handle.address, RecordStruct(record).struct)

    def invalidate(self, key: str | bytes) -> None:
        """What is held of the key is not served again: the next call asks the store."""
        data = as_bytes(key)
        call(lib.store_invalidate, self._handle.address, view_of(data))

    @property
    def counts(self) -> CacheCounts:
        struct = _abi.CacheCounts()
        check(lib.store_cache_counts(self._handle.address, struct))
        return CacheCounts(
            struct.hits, struct.misses, struct.shared, struct.stale, struct.errors, struct.evictions,
            struct.entries, struct.bytes, struct.waiting)


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
