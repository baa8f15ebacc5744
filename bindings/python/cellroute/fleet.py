"""Limits of the fleet: stores of leases, what was used of a month, and the keeper of a router's leases."""

from __future__ import annotations

import ctypes
import re
import time
from dataclasses import dataclass
from typing import Iterator

from . import _net
from ._abi import TakePage, TakeUsage, UsageSink, View, lib
from ._calls import as_bytes, bytes_of, call, made, view_of
from .errors import InvalidArgumentError, UnavailableError
from .router import Router


@dataclass(frozen=True)
class Usage:
    """What a key used of a month."""

    key: bytes
    used: int


@dataclass(frozen=True)
class UsagePage:
    usages: list[Usage]
    cursor: bytes
    """Where the next page begins."""
    done: bool
    """Nothing is behind it."""


class LeaseStore:
    """Who knows how much is used of the limits of scope FLEET, which all routers keep together. Any
    number of threads may use one; a child of fork() opens its own."""

    def __init__(self, url: str, *, timeout_ns: int = 0) -> None:
        """Opens "memory:", which the routers of this process share, or one in Redis by a URL as
        Store.open() takes: "redis://…", "redis+unix://…", "redis+cluster://…". No server is asked
        yet. A call takes `timeout_ns` at most (0: 5 s)."""
        name = as_bytes(url)
        if _net.is_net(url):
            self._handle = _net.open_leases(name, timeout_ns)
        else:
            self._handle = made(lib.lease_store_open, lib.lease_store_destroy, view_of(name))

    def usage(self, key: str | bytes, month: str, *, limit: str = "requests") -> int:
        """What `key` used of a MONTHLY limit in a calendar month of UTC, as "2026-11"."""
        name, data, used = as_bytes(limit), as_bytes(key), ctypes.c_uint64()
        call(lib.usage, self._handle.address, view_of(name), view_of(data), _number(month), used)
        return used.value

    def usage_page(
        self, month: str, cursor: bytes = b"", *, limit: str = "requests", most: int = 1000
    ) -> UsagePage:
        """At most `most` keys that used any, in the store's order."""
        name = as_bytes(limit)
        usages: list[Usage] = []
        ends: list[tuple[bytes, bool]] = []

        def take_usage(_: object, key: ctypes._Pointer[View], used: int) -> int:
            usages.append(Usage(bytes_of(key.contents), used))
            return 0

        def take_page(_: object, behind: ctypes._Pointer[View], done: int) -> int:
            ends.append((bytes_of(behind.contents), bool(done)))
            return 0

        sink = UsageSink(usage=TakeUsage(take_usage), page=TakePage(take_page))
        call(lib.usages, self._handle.address, view_of(name), _number(month), view_of(cursor), most, sink)
        return UsagePage(usages, *ends[0])

    def usages(self, month: str, *, limit: str = "requests") -> Iterator[Usage]:
        """All keys that used any, for the bill; a page at a time."""
        page = UsagePage([], b"", False)
        while not page.done:
            page = self.usage_page(month, page.cursor, limit=limit)
            yield from page.usages


class FleetKeeper:
    """Brings a router the leases of its topology's limits of scope FLEET. A router has one at most.
    Calls may come from any thread; they block on the store, and no route waits for them."""

    def __init__(self, router: Router, store: LeaseStore) -> None:
        """ConflictError: the router has a keeper already."""
        self.away = False
        """Whether the store did not answer when it was last asked."""
        self._handle = made(
            lib.fleet_keeper_create, lib.fleet_keeper_destroy, router._handle.address,
            store._handle.address)

    def renew(self, *, now_ns: int | None = None) -> int:
        """Settles and renews once around; returns when to call it again, in nanoseconds. Where the
        store does not answer, `away` becomes true, and keys have their share."""
        now, following = _now(now_ns), ctypes.c_int64()
        try:
            call(lib.fleet_keeper_renew, self._handle.address, now, following)
            self.away = False
        except UnavailableError:
            self.away = True
        return following.value

    def release(self, *, now_ns: int | None = None) -> bool:
        """Gives all leases back, before the process ends. False where the store did not answer:
        they count as spent."""
        try:
            call(lib.fleet_keeper_release, self._handle.address, _now(now_ns))
            return True
        except UnavailableError:
            return False


def _number(month: str) -> int:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}", month):
        raise InvalidArgumentError(f"month {month!r}: write it as 2026-11")
    return int(month.replace("-", ""))


def _now(now_ns: int | None) -> int:
    return time.time_ns() if now_ns is None else now_ns
