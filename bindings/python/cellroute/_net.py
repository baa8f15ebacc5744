"""capi/cellroute_net.h in ctypes: mapping and lease stores behind a network, in a library of its own.

It is loaded with the first such store, and needs the system's client libraries.
"""

from __future__ import annotations

import ctypes
import functools
import os
from ctypes import POINTER, c_int32, c_int64, c_uint32, c_void_p
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
    return made(_function("store_open"), lib.store_destroy, view_of(url), options)


def open_leases(url: bytes, timeout_ns: int) -> Handle:
    options = NetOptions(timeout_ns=timeout_ns)
    return made(_function("lease_store_open"), lib.lease_store_destroy, view_of(url), options)


@functools.cache
def _function(name: str) -> Any:
    """Beside libcellroute.so, unless it is named: the two are of one release."""
    beside = os.path.join(os.path.dirname(lib.path), NAME)
    path = os.environ.get("CELLROUTE_NET_LIBRARY") or (beside if os.path.exists(beside) else NAME)
    try:
        function = getattr(ctypes.CDLL(path), f"cellroute_net_{name}")
    except (OSError, AttributeError) as error:
        raise LibraryError(
            f"cellroute: the library for stores behind a network cannot be loaded: {error}. Install "
            f"{NAME}, or name its file in the environment variable CELLROUTE_NET_LIBRARY.") from None
    function.argtypes = [View, POINTER(NetOptions), POINTER(c_void_p), POINTER(ErrorText)]
    function.restype = c_int32
    return function
