"""A topology: cells, tiers, regions and rules, read, checked whole and compiled."""

from __future__ import annotations

import ctypes
import os

from ._abi import FORMATS, ErrorText, LoadOptions, lib
from ._calls import Handle, as_bytes, check, made, sized_text, view_of
from .errors import InvalidArgumentError


def format_number(name: str) -> int:
    try:
        return FORMATS[name]
    except KeyError:
        known = ", ".join(FORMATS)
        raise InvalidArgumentError(f'a topology\'s format is one of {known}, not "{name}"') from None


class Topology:
    """Immutable: any number of threads may use one, and a child of fork() too."""

    def __init__(self, handle: Handle) -> None:
        """For from_file() and from_bytes()."""
        self._handle = handle

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, format: str = "", threads: int = 1) -> Topology:
        """Reads a file; its ending names the format (.yaml .json .textproto .pb) unless `format`
        does. `threads` build its tables. InvalidArgumentError names each problem with its line."""
        options = LoadOptions(format=format_number(format) if format else 0, threads=threads)
        name = os.fsencode(path)
        return cls(made(lib.topology_load_file, lib.topology_destroy, view_of(name), options))

    @classmethod
    def from_bytes(
        cls, data: bytes | str, format: str = "yaml", *, name: str = "topology", threads: int = 1
    ) -> Topology:
        """Reads yaml (which JSON is too), json, textproto or binary. Errors call it `name`."""
        data, called = as_bytes(data), as_bytes(name)
        options = LoadOptions(format=format_number(format), threads=threads, name=view_of(called))
        return cls(made(lib.topology_load, lib.topology_destroy, view_of(data), options))

    @property
    def generation(self) -> int:
        number = ctypes.c_uint64()
        check(lib.topology_generation(self._handle.address, number))
        return number.value

    @property
    def cell_count(self) -> int:
        number = ctypes.c_uint32()
        check(lib.topology_cell_count(self._handle.address, number))
        return number.value

    def to_bytes(self, format: str = "json") -> bytes:
        """The topology as from_bytes() reads it back; equal topologies give equal bytes."""
        number = format_number(format)
        return sized_text(lib.topology_write, self._handle.address, number, after=(ErrorText(),))

    def __repr__(self) -> str:
        return f"<cellroute.Topology generation {self.generation}, {self.cell_count} cells>"
