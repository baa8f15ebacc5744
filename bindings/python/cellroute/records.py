"""Mapping records: which cell serves a key explicitly, and since which epoch."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass, field

from . import _abi
from ._calls import as_bytes, bytes_of, text_of, view_of, views_of

STATES = ("STABLE", "COPYING", "FREEZING", "FROZEN")


@dataclass(frozen=True)
class Past:
    """`cell` served the key from `first_epoch` to `last_epoch`, both included."""

    cell: str
    first_epoch: int
    last_epoch: int


@dataclass(frozen=True)
class PinnedProfile:
    """Attributes of the key that its record keeps. They win over a request's; flags are united."""

    tier: str = ""
    region: str = ""
    plan: str = ""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """A key's record. Times are Unix nanoseconds. `op_id` is unique to the write that made it."""

    key: bytes
    cell: str
    epoch: int = 1
    revision: int = 0
    """Set by the store."""
    op_id: bytes = field(default_factory=lambda: os.urandom(16))
    state: str = "STABLE"
    target: str = ""
    """Where a migration goes."""
    created_ns: int = 0
    updated_ns: int = 0
    expires_ns: int = 0
    """0: never. Only ephemeral keys and tombstones expire."""
    ephemeral: bool = False
    deleted: bool = False
    """A tombstone: the key is absent, its revision goes on."""
    profile: PinnedProfile | None = None
    history: tuple[Past, ...] = ()
    """Oldest first, at most 16, without the present."""
    unknown_fields: bytes = b""
    """Of a later version: hand it back as it came."""


@dataclass(frozen=True)
class Page:
    """A part of a scan: where to go on, and whether nothing is behind it."""

    records: list[Record]
    cursor: bytes
    done: bool


def record_from(struct: _abi.Record) -> Record:
    profile = None
    if struct.marks & _abi.RECORD_HAS_PROFILE:
        flags = tuple(text_of(struct.flags[i]) for i in range(struct.flag_count))
        profile = PinnedProfile(text_of(struct.tier), text_of(struct.region), text_of(struct.plan), flags)
    past = [struct.history[i] for i in range(struct.history_count)]
    return Record(
        key=bytes_of(struct.key), cell=text_of(struct.cell), epoch=struct.epoch,
        revision=struct.revision, op_id=bytes(struct.op_id), state=STATES[struct.state],
        target=text_of(struct.target), created_ns=struct.created_ns, updated_ns=struct.updated_ns,
        expires_ns=struct.expires_ns, ephemeral=bool(struct.marks & _abi.RECORD_EPHEMERAL),
        deleted=bool(struct.marks & _abi.RECORD_DELETED), profile=profile,
        history=tuple(Past(text_of(p.cell), p.first_epoch, p.last_epoch) for p in past),
        unknown_fields=bytes_of(struct.unknown_fields),
    )


class RecordStruct:
    """The C struct of a record, with all that it points to."""

    def __init__(self, record: Record) -> None:
        self._kept: list[object] = []
        profile = record.profile or PinnedProfile()
        flags = [self._bytes(flag) for flag in profile.flags]
        flag_views = views_of(flags)
        past = (_abi.Past * len(record.history))(
            *(_abi.Past(self._view(p.cell), p.first_epoch, p.last_epoch) for p in record.history))
        self._kept += [flag_views, past]
        self.struct = _abi.Record(
            marks=_marks(record), state=STATES.index(record.state), flag_count=len(flags),
            history_count=len(record.history), key=self._view(record.key),
            cell=self._view(record.cell), target=self._view(record.target),
            tier=self._view(profile.tier), region=self._view(profile.region),
            plan=self._view(profile.plan), flags=ctypes.cast(flag_views, ctypes.POINTER(_abi.View)),
            history=ctypes.cast(past, ctypes.POINTER(_abi.Past)),
            unknown_fields=self._view(record.unknown_fields), epoch=record.epoch,
            revision=record.revision, created_ns=record.created_ns, updated_ns=record.updated_ns,
            expires_ns=record.expires_ns, op_id=(ctypes.c_uint8 * 16)(*record.op_id),
        )

    def _bytes(self, text: str | bytes) -> bytes:
        data = as_bytes(text)
        self._kept.append(data)
        return data

    def _view(self, text: str | bytes) -> _abi.View:
        return view_of(self._bytes(text))


def _marks(record: Record) -> int:
    return (
        _abi.RECORD_EPHEMERAL * record.ephemeral
        | _abi.RECORD_DELETED * record.deleted
        | _abi.RECORD_HAS_PROFILE * (record.profile is not None)
    )
