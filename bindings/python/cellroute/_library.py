"""Finds and loads libcellroute.so, and checks that it is the one this package was written for."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from .errors import LibraryError

# The interface that _abi.py describes: capi/cellroute.h, CELLROUTE_ABI_VERSION.
ABI_VERSION = 4
NAME = "libcellroute.so"
SONAME = "libcellroute.so.0"

HELP = """
  Install the wheel that bindings/python/build_wheel makes, which carries the library, or name the
  library's file in the environment variable CELLROUTE_LIBRARY."""


def candidates() -> list[str]:
    """Where the library may be, in order. A name without a slash is left to the system's loader."""
    named = os.environ.get("CELLROUTE_LIBRARY")
    if named:
        return [os.path.abspath(named)]  # never another one than the one that was asked for
    return [str(Path(__file__).parent / NAME), SONAME, NAME]


def load() -> tuple[ctypes.CDLL, ctypes.PyDLL, str]:
    """The library twice: CDLL lets other threads run during a call, PyDLL is quicker to enter."""
    failures: list[str] = []
    for path in candidates():
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            failures.append(f"  {path}: {_why(path, error)}")
            continue
        _check_version(library, path)
        return library, ctypes.PyDLL(path, handle=library._handle), path
    raise LibraryError("cellroute: the library cannot be loaded. Looked at:\n" + "\n".join(failures) + HELP)


def _why(path: str, error: OSError) -> str:
    if "/" in path and not os.path.exists(path):
        return "no such file"
    return str(error).removeprefix(path).lstrip(": ")


def _check_version(library: ctypes.CDLL, path: str) -> None:
    try:
        check, version = library.cellroute_abi_check, library.cellroute_abi_version
    except AttributeError:
        raise LibraryError(f"cellroute: {path} is another library: it has no cellroute_abi_check.{HELP}") from None
    check.argtypes, check.restype = [ctypes.c_uint32], ctypes.c_int32
    version.argtypes, version.restype = [], ctypes.c_uint32
    if check(ABI_VERSION) != 0:
        raise LibraryError(
            f"cellroute: {path} has interface {_number(version())}, this package needs "
            f"{_number(ABI_VERSION)}: install a library and a package of one release.{HELP}"
        )


def _number(version: int) -> str:
    return f"{version >> 16}.{version & 0xFFFF}"
