"""capi/cellroute.h in ctypes: its structs, constants and functions, one for one."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_char, c_char_p, c_double, c_int32, c_int64, c_size_t
from ctypes import c_uint8, c_uint16, c_uint32, c_uint64, c_void_p
from typing import Any, ClassVar, Sequence

from . import _library

UNCHANGED, ABSENT = 1, 2
E_UNAVAILABLE, E_FORKED, E_BUFFER, E_UNKNOWN_NAME = -4, -9, -104, -105
FORMATS = {"yaml": 1, "json": 2, "textproto": 3, "binary": 4}
RECORD_EPHEMERAL, RECORD_DELETED, RECORD_HAS_PROFILE = 1, 2, 4
STORE_DURABLE, STORE_LOSES_ACKNOWLEDGED, STORE_SHARED = 1, 2, 4
NO_LIMITER = ALL_LANES = NO_CELL = NO_SOURCE = 0xFFFFFFFF
MAX_KEY = 1024
READ_ONLY = 1
PROFILE_STALE = 110


class View(Structure):
    """Bytes by pointer and size: c_void_p, since c_char_p would stop at a NUL."""

    _fields_ = [("data", c_void_p), ("size", c_size_t)]


class Sized(Structure):
    """A struct that begins with its size, which is filled in."""

    _fields_: ClassVar[Sequence[Any]] = [("struct_size", c_uint32)]

    def __init__(self, **values: Any) -> None:
        super().__init__(struct_size=ctypes.sizeof(self), **values)


class ErrorText(Sized):
    _fields_ = [("code", c_int32), ("reason", c_uint32), ("text_size", c_uint32), ("text", c_char * 1008)]


class StatusInfo(Sized):
    _fields_ = [("status", c_uint32), ("http_status", c_uint32), ("reserved", c_uint32), ("name", View)]


class ReasonInfo(Sized):
    _fields_ = [("reason", c_uint32), ("status", c_uint32), ("reserved", c_uint32), ("name", View),
                ("sentence", View)]


class LoadOptions(Sized):
    _fields_ = [("format", c_uint32), ("threads", c_uint32), ("reserved", c_uint32), ("name", View)]


class Past(Structure):
    _fields_ = [("cell", View), ("first_epoch", c_uint64), ("last_epoch", c_uint64)]


class Record(Sized):
    _fields_ = [
        ("marks", c_uint32), ("state", c_uint32), ("flag_count", c_uint32),
        ("history_count", c_uint32), ("reserved", c_uint32),
        ("key", View), ("cell", View), ("target", View),
        ("tier", View), ("region", View), ("plan", View),
        ("flags", POINTER(View)), ("history", POINTER(Past)), ("unknown_fields", View),
        ("epoch", c_uint64), ("revision", c_uint64),
        ("created_ns", c_int64), ("updated_ns", c_int64), ("expires_ns", c_int64),
        ("op_id", c_uint8 * 16),
    ]


TakeRecord = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(Record))
TakePage = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(View), c_uint32)


class Sink(Sized):
    _fields_ = [("reserved", c_uint32), ("self", c_void_p), ("record", TakeRecord), ("page", TakePage)]


StoreGet = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(View), c_int64, POINTER(Sink), POINTER(ErrorText))
StorePutIf = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(Record), c_uint64, POINTER(ErrorText))
StoreScan = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(View), c_uint64, c_int64, POINTER(Sink),
                             POINTER(ErrorText))
StoreRelease = ctypes.CFUNCTYPE(None, c_void_p)


class StoreCalls(Sized):
    _fields_ = [("capabilities", c_uint32), ("get", StoreGet), ("put_if", StorePutIf),
                ("scan", StoreScan), ("release", StoreRelease)]


class StoreOptions(Sized):
    _fields_ = [("open_existing", c_uint32), ("timeout_ns", c_int64), ("map_bytes", c_uint64),
                ("max_map_bytes", c_uint64), ("readers", c_uint32), ("reserved", c_uint32)]


class CacheOptions(Sized):
    _fields_ = [("reserved", c_uint32), ("max_entries", c_uint64), ("max_bytes", c_uint64),
                ("ttl_ns", c_int64), ("negative_ttl_ns", c_int64), ("max_stale_ns", c_int64),
                ("wait_ns", c_int64)]


class CacheCounts(Sized):
    _fields_ = [("reserved", c_uint32), ("hits", c_uint64), ("misses", c_uint64),
                ("shared", c_uint64), ("stale", c_uint64), ("errors", c_uint64),
                ("evictions", c_uint64), ("entries", c_uint64), ("bytes", c_uint64),
                ("waiting", c_uint64)]


class RouterOptions(Sized):
    _fields_ = [("cells", c_uint32), ("lanes", c_uint32), ("limiter_entries", c_uint32),
                ("guard_seed", c_uint64), ("memory", c_void_p), ("memory_size", c_uint64)]


class PublishOptions(Sized):
    _fields_ = [("max_moved_percent", c_uint32), ("max_cells_lost", c_uint32),
                ("allow_seed_change", c_uint32), ("mappings", c_void_p), ("records", POINTER(Record)),
                ("record_count", c_uint64), ("now_ns", c_int64), ("max_keys_lost_percent", c_uint32),
                ("reserved", c_uint32)]


class Cell(Sized):
    _fields_ = [("number", c_uint32), ("state", c_uint32), ("weight", c_uint32),
                ("capacity", c_uint64), ("label_count", c_uint32), ("reserved", c_uint32),
                ("id", View), ("tier", View), ("region", View), ("endpoint", View),
                ("encryption", View), ("certification_count", c_uint32), ("reserved2", c_uint32)]


class ProfileHandle(Structure):
    _fields_ = [("generation", c_uint64), ("tier", c_uint16), ("region", c_uint16),
                ("flags", c_uint16), ("plan", c_uint16)]


class ProfileNames(Sized):
    _fields_ = [("flag_count", c_uint32), ("tier", View), ("region", View), ("plan", View),
                ("flags", POINTER(View))]


class Field(Structure):
    _fields_ = [("name", View), ("value", View)]


class HttpRequest(Sized):
    _fields_ = [("header_count", c_uint32), ("authority", View), ("target", View), ("peer", View),
                ("headers", POINTER(Field)), ("claims", POINTER(Field)), ("claim_count", c_uint32),
                ("reserved", c_uint32)]


class TenantStruct(Sized):
    _fields_ = [("status", c_uint32), ("reason", c_uint32), ("source", c_uint32), ("kind", c_uint32),
                ("reserved", c_uint32), ("key", View)]


class ClientStruct(Sized):
    _fields_ = [("status", c_uint32), ("reason", c_uint32), ("hops", c_uint32), ("address", View)]


class Mapping(Sized):
    _fields_ = [("answer", c_uint32), ("generation", c_uint64), ("epoch", c_uint64),
                ("state", c_uint32), ("stale", c_uint32), ("cell", c_uint32), ("marks", c_uint32),
                ("profile", ProfileHandle)]


class Request(Sized):
    """The key's view is flattened, to be filled quickly."""

    _fields_ = [
        ("lane", c_uint32), ("key", c_void_p), ("key_size", c_size_t), ("resource", View),
        ("profile", ProfileHandle), ("risk", c_double),
        ("access", c_uint32), ("tried_count", c_uint32), ("tried", c_void_p),
        ("mapping", c_void_p),
    ]


class Ticket(Structure):
    _fields_ = [("words", c_uint64 * 5)]


class DecisionStruct(Structure):
    """Written by the library as a whole; its Python side is Decision."""

    _fields_ = [("struct_size", c_uint32), ("status_number", c_uint32), ("reason_number", c_uint32),
                ("cell_number", c_uint32), ("marks", c_uint32), ("reserved", c_uint32),
                ("epoch", c_uint64), ("generation", c_uint64), ("retry_after_ns", c_int64),
                ("timeout_ns", c_int64), ("ticket", Ticket)]


class Call(Sized):
    _fields_ = [("reserved", c_uint32), ("router", c_void_p), ("request", c_void_p),
                ("now_ns", c_int64), ("decision", c_void_p)]


class Keys(Sized):
    _fields_ = [("lane", c_uint32), ("count", c_uint64), ("bytes", c_void_p),
                ("byte_count", c_uint64), ("offsets", c_void_p), ("profile", ProfileHandle),
                ("profiles", c_void_p), ("mappings", c_void_p), ("resource", View),
                ("risk", c_double), ("access", c_uint32), ("width", c_uint32)]


class Answers(Sized):
    _fields_ = [("reserved", c_uint32), ("cells", c_void_p), ("statuses", c_void_p),
                ("reasons", c_void_p), ("epochs", c_void_p), ("retry_after_ns", c_void_p),
                ("marks", c_void_p), ("tickets", c_void_p), ("timeout_ns", c_void_p),
                ("generation", c_void_p)]


class Outcome(Sized):
    _fields_ = [("end", c_uint32), ("http_status", c_uint32), ("slow", c_uint32)]


class Count(Sized):
    _fields_ = [("reason", c_uint32), ("status", c_uint32), ("reserved", c_uint32), ("decisions", c_uint64)]


class CellMetrics(Sized):
    _fields_ = [("healthy", c_uint32), ("refusal", c_uint32), ("reserved", c_uint32),
                ("in_flight", c_uint64), ("load", c_uint64), ("retry_after_ns", c_int64)]


class Readiness(Sized):
    _fields_ = [("ready", c_uint32), ("reason", c_uint32), ("reserved", c_uint32),
                ("generation", c_uint64), ("age_ns", c_int64), ("sentence", View)]


class EmfOptions(Sized):
    _fields_ = [("reserved", c_uint32), ("name_space", View), ("cell_id", View), ("status_code", View),
                ("request_count", View), ("response_code", View), ("latency", View)]


# Handles and what is written to are passed as addresses, structs by reference.
P, E = c_void_p, POINTER(ErrorText)
PROTOTYPES: dict[str, tuple[list[Any], Any]] = {
    "version_string": ([], c_char_p),
    "code_name": ([c_int32], c_char_p),
    "status_at": ([c_uint32, POINTER(StatusInfo)], c_int32),
    "reason_at": ([c_uint32, POINTER(ReasonInfo)], c_int32),
    "topology_load": ([View, POINTER(LoadOptions), POINTER(P), E], c_int32),
    "topology_load_file": ([View, POINTER(LoadOptions), POINTER(P), E], c_int32),
    "topology_destroy": ([P], None),
    "topology_generation": ([P, POINTER(c_uint64)], c_int32),
    "topology_cell_count": ([P, POINTER(c_uint32)], c_int32),
    "topology_write": ([P, c_uint32, P, c_size_t, POINTER(c_size_t), E], c_int32),
    "store_open": ([View, POINTER(StoreOptions), POINTER(P), E], c_int32),
    "store_create": ([POINTER(StoreCalls), P, POINTER(P), E], c_int32),
    "store_refresh": ([P, E], c_int32),
    "store_destroy": ([P], None),
    "store_capabilities": ([P, POINTER(c_uint32)], c_int32),
    "store_get": ([P, View, c_int64, POINTER(Sink), E], c_int32),
    "store_put_if": ([P, POINTER(Record), c_uint64, c_int64, POINTER(c_uint64), E], c_int32),
    "store_scan": ([P, View, c_uint64, c_int64, POINTER(Sink), E], c_int32),
    "store_cached": ([P, POINTER(CacheOptions), POINTER(P), E], c_int32),
    "store_observe": ([P, POINTER(Record), E], c_int32),
    "store_invalidate": ([P, View, E], c_int32),
    "store_cache_counts": ([P, POINTER(CacheCounts)], c_int32),
    "router_memory_size": ([POINTER(RouterOptions), POINTER(c_uint64)], c_int32),
    "router_create": ([POINTER(RouterOptions), POINTER(P), E], c_int32),
    "router_destroy": ([P], None),
    "publish_options_default": ([POINTER(PublishOptions), c_uint32], c_int32),
    "router_publish": ([P, P, POINTER(PublishOptions), E], c_int32),
    "router_refresh": ([P, View, POINTER(LoadOptions), POINTER(PublishOptions), E], c_int32),
    "mark_health": ([P, c_uint32, c_uint32], c_int32),
    "mark_load": ([P, c_uint32, c_uint64], c_int32),
    "snapshot_hold": ([P, POINTER(P), E], c_int32),
    "snapshot_destroy": ([P], None),
    "snapshot_generation": ([P, POINTER(c_uint64)], c_int32),
    "snapshot_cell_count": ([P, POINTER(c_uint32)], c_int32),
    "snapshot_cell_at": ([P, c_uint32, POINTER(c_uint32)], c_int32),
    "snapshot_find_cell": ([P, View, POINTER(c_uint32)], c_int32),
    "snapshot_cell": ([P, c_uint32, POINTER(Cell)], c_int32),
    "snapshot_endpoint": ([P, c_uint32, View, POINTER(View)], c_int32),
    "snapshot_certification_at": ([P, c_uint32, c_uint32, POINTER(View)], c_int32),
    "snapshot_label_at": ([P, c_uint32, c_uint32, POINTER(View)], c_int32),
    "snapshot_label": ([P, c_uint32, View, View, P, c_size_t, POINTER(c_size_t)], c_int32),
    "extract": ([P, POINTER(HttpRequest), P, c_size_t, POINTER(TenantStruct)], c_int32),
    "is_trusted_header": ([P, View, POINTER(c_uint32)], c_int32),
    "client_address": ([P, POINTER(HttpRequest), POINTER(ClientStruct)], c_int32),
    "router_profile": ([P, POINTER(ProfileNames), POINTER(ProfileHandle), E], c_int32),
    "route_keys": ([P, POINTER(Keys), c_int64, POINTER(Answers)], c_int32),
    "locate_keys": ([P, POINTER(Keys), c_int64, POINTER(Answers)], c_int32),
    "explain": ([P, POINTER(Request), c_int64, P, c_size_t, POINTER(c_size_t), E], c_int32),
    "resolve": ([P, P, View, c_int64, POINTER(Mapping), E], c_int32),
    "assign": ([P, P, POINTER(Request), POINTER(ProfileNames), c_int64, POINTER(Mapping),
                POINTER(DecisionStruct), E], c_int32),
    "router_count": ([P, c_uint32, c_uint32, POINTER(Count)], c_int32),
    "router_cell_metrics": ([P, c_uint32, c_int64, POINTER(CellMetrics)], c_int32),
    "router_readiness": ([P, c_int64, c_int64, POINTER(Readiness)], c_int32),
    "metrics_memory_size": ([POINTER(RouterOptions), POINTER(c_uint64)], c_int32),
    "metrics_create": ([P, P, c_uint64, POINTER(P), E], c_int32),
    "metrics_destroy": ([P], None),
    "metrics_observe": ([P, c_uint32, POINTER(DecisionStruct), P, c_int64], c_int32),
    "metrics_lookup": ([P, c_uint32, POINTER(Mapping)], c_int32),
    "metrics_write": ([P, P, P, c_int64, P, c_size_t, POINTER(c_size_t), E], c_int32),
    "emf_write": ([P, POINTER(EmfOptions), POINTER(DecisionStruct), P, c_int64, c_int64, P,
                   c_size_t, POINTER(c_size_t), E], c_int32),
}
# These take less time than letting other threads run would, and neither block nor call back. Without
# argument types: converting arguments would cost more than the call. They are given what byref()
# makes, and c_int64, alone.
QUICK = ("route_call", "locate_call", "report")


class Functions:
    """The library's functions by their names without "cellroute_"."""

    def __init__(self) -> None:
        library, quick, self.path = _library.load()
        for name, (arguments, result) in PROTOTYPES.items():
            function = getattr(library, f"cellroute_{name}")
            function.argtypes, function.restype = arguments, result
            setattr(self, name, function)
        for name in QUICK:
            setattr(self, name, getattr(quick, f"cellroute_{name}"))

    def __getattr__(self, name: str) -> Any:  # for type checkers: attributes are set above
        raise AttributeError(f"capi/cellroute.h has no cellroute_{name}")


lib = Functions()
