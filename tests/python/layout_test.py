"""The structs of _abi.py lie in memory as capi/cellroute.h says, asked of a C compiler."""

from __future__ import annotations

import ctypes
import subprocess

import pytest

from cellroute import _abi, _net
from conftest import SOURCE

# Python's name, C's, and how flattened or renamed members are called in C.
STRUCTS = [
    (_abi.View, "view", {}),
    (_abi.ErrorText, "error", {}),
    (_abi.StatusInfo, "status_info", {}),
    (_abi.ReasonInfo, "reason_info", {}),
    (_abi.LoadOptions, "load_options", {}),
    (_abi.Past, "past", {}),
    (_abi.Record, "record", {}),
    (_abi.Sink, "sink", {}),
    (_abi.StoreCalls, "store_calls", {}),
    (_abi.StoreOptions, "store_options", {}),
    (_abi.CacheOptions, "cache_options", {}),
    (_abi.CacheCounts, "cache_counts", {}),
    (_abi.RouterOptions, "router_options", {}),
    (_abi.PublishOptions, "publish_options", {}),
    (_abi.Cell, "cell", {}),
    (_abi.ProfileHandle, "profile", {}),
    (_abi.ProfileNames, "profile_names", {}),
    (_abi.Field, "field", {}),
    (_abi.HttpRequest, "http_request", {}),
    (_abi.TenantStruct, "tenant", {}),
    (_abi.ClientStruct, "client", {}),
    (_abi.Mapping, "mapping", {}),
    (_abi.Request, "request", {"key": "key.data", "key_size": "key.size"}),
    (_abi.Ticket, "ticket", {}),
    (_abi.DecisionStruct, "decision",
     {"status_number": "status", "reason_number": "reason", "cell_number": "cell"}),
    (_abi.Call, "call", {}),
    (_abi.Keys, "keys", {}),
    (_abi.Answers, "answers", {}),
    (_abi.Outcome, "outcome", {}),
    (_abi.Count, "count", {}),
    (_abi.CellMetrics, "cell_metrics", {}),
    (_abi.Readiness, "readiness", {}),
    (_abi.EmfOptions, "emf_options", {}),
    (_net.ProberOptions, "net_prober_options", {}),
    (_net.Probe, "net_probe", {}),
]


def members(struct: type[ctypes.Structure]) -> list[str]:
    return [name for kind in reversed(struct.__mro__) for name, *_ in kind.__dict__.get("_fields_", ())]


@pytest.fixture(scope="module")
def layout_in_c(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    lines = []
    for struct, name, called in STRUCTS:
        lines.append(f'printf("{name} %zu\\n", sizeof(cellroute_{name}));')
        for member in members(struct):
            inside = called.get(member, member)
            lines.append(f'printf("{name}.{member} %zu\\n", offsetof(cellroute_{name}, {inside}));')
    room = tmp_path_factory.mktemp("layout")
    source = room / "layout.c"
    source.write_text('#include <stdio.h>\n#include "cellroute_net.h"\nint main(void) {\n'
                      + "\n".join(lines) + "\nreturn 0; }\n")
    program = room / "layout"
    subprocess.run(["cc", "-std=c99", f"-I{SOURCE}/capi", source, "-o", program], check=True)
    printed = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return {name: int(number) for name, number in map(str.split, printed.splitlines())}


@pytest.mark.parametrize(("struct", "name", "called"), STRUCTS, ids=lambda value: str(value)[:40])
def test_struct_lies_as_in_c(
    struct: type[ctypes.Structure], name: str, called: dict[str, str], layout_in_c: dict[str, int]
) -> None:
    assert ctypes.sizeof(struct) == layout_in_c[name]
    for member in members(struct):
        assert getattr(struct, member).offset == layout_in_c[f"{name}.{member}"], member


def test_every_function_of_the_header_that_is_bound_is_in_the_library() -> None:
    header = (SOURCE / "capi/cellroute.h").read_text()
    for name in (*_abi.PROTOTYPES, *_abi.QUICK):
        assert f"cellroute_{name}(" in header
        assert callable(getattr(_abi.lib, name))
