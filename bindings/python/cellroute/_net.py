"""capi/cellroute_net.h in ctypes: what lies behind a network, in a library of its own.

It is loaded when it is first needed, and needs the system's client libraries.
"""

from __future__ import annotations

import ctypes
import functools
import os
from ctypes import POINTER, c_int32, c_int64, c_uint32, c_uint64, c_void_p
from typing import Any

from ._abi import ErrorText, Sized, View, lib
from ._calls import Handle, made, view_of
from .errors import LibraryError

NAME = "libcellroute-net.so.0"
SCHEMES = ("redis", "redis+unix", "redis+cluster", "dynamodb")


class NetOptions(Sized):
    _fields_ = [("open_existing", c_uint32), ("timeout_ns", c_int64)]


def is_net(url: str) -> bool:
    return url.partition(":")[0] in SCHEMES


def open_store(url: bytes, open_existing: bool, timeout_ns: int) -> Handle:
    options = NetOptions(open_existing=open_existing, timeout_ns=timeout_ns)
    return made(function("store_open"), lib.store_destroy, view_of(url), options)


class ProberOptions(Sized):
    _fields_ = [("rise", c_uint32), ("fall", c_uint32), ("concurrency", c_uint32),
                ("interval_ns", c_int64), ("timeout_ns", c_int64), ("path", View), ("ca_file", View),
                ("seed", c_uint64)]


class Probe(Sized):
    _fields_ = [("state", c_uint32), ("last", c_uint32), ("http_status", c_uint32),
                ("successes", c_uint32), ("failures", c_uint32), ("probes", c_uint64),
                ("ended_ns", c_int64), ("took_ns", c_int64)]


P, E = c_void_p, POINTER(ErrorText)
PROTOTYPES: dict[str, tuple[list[Any], Any]] = {
    "store_open": ([View, POINTER(NetOptions), POINTER(P), E], c_int32),
    "prober_create": ([P, POINTER(ProberOptions), POINTER(P), E], c_int32),
    "prober_destroy": ([P], None),
    "prober_poll": ([P, c_int64, POINTER(c_int64), E], c_int32),
    "prober_start": ([P, E], c_int32),
    "prober_stop": ([P], c_int32),
    "prober_cell": ([P, c_uint32, POINTER(Probe)], c_int32),
}


@functools.cache
def function(name: str) -> Any:
    """A function by its name without "cellroute_net_"."""
    try:
        found = getattr(_library(), f"cellroute_net_{name}")
    except AttributeError as error:
        raise LibraryError(f"cellroute: {NAME} and this package are not of one release: {error}") from None
    found.argtypes, found.restype = PROTOTYPES[name]
    return found


@functools.cache
def _library() -> ctypes.CDLL:
    """Beside libcellroute.so, unless it is named: the two are of one release."""
    beside = os.path.join(os.path.dirname(lib.path), NAME)
    path = os.environ.get("CELLROUTE_NET_LIBRARY") or (beside if os.path.exists(beside) else NAME)
    try:
        return ctypes.CDLL(path)
    except OSError as error:
        raise LibraryError(
            f"cellroute: the library for what lies behind a network cannot be loaded: {error}. Install "
            f"{NAME}, or name its file in the environment variable CELLROUTE_NET_LIBRARY.") from None
