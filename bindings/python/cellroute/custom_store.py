"""A MappingStore's methods as the functions that the library calls."""

from __future__ import annotations

from typing import Any, Callable

from . import _abi
from ._abi import E_UNAVAILABLE, ErrorText, StoreCalls, StoreGet, StorePutIf, StoreScan
from ._calls import bytes_of, raised, view_of
from .errors import CellrouteError
from .mapping_store import MappingStore
from .records import Record, RecordStruct, record_from


class Vtable:
    """Must live as long as the library's handle of the store."""

    def __init__(self, store: MappingStore) -> None:
        self._store = store
        self.calls = StoreCalls(
            capabilities=_capabilities(store), get=StoreGet(self._get),
            put_if=StorePutIf(self._put_if), scan=StoreScan(self._scan),
        )

    def _get(self, _: Any, key: Any, now_ns: int, sink: Any, error: Any) -> int:
        def answer() -> int:
            record = self._store.get(bytes_of(key.contents), now_ns)
            return 0 if record is None else _give(sink.contents, record)

        return _guarded(answer, error)

    def _put_if(self, _: Any, record: Any, expected: int, error: Any) -> int:
        def answer() -> int:
            self._store.put_if(record_from(record.contents), expected)
            return 0

        return _guarded(answer, error)

    def _scan(self, _: Any, cursor: Any, limit: int, now_ns: int, sink: Any, error: Any) -> int:
        def answer() -> int:
            page = self._store.scan(bytes_of(cursor.contents), limit, now_ns)
            for record in page.records:
                code = _give(sink.contents, record)
                if code != 0:
                    return code
            end: int = sink.contents.page(sink.contents.self, view_of(page.cursor), page.done)
            return end

        return _guarded(answer, error)


def _give(sink: _abi.Sink, record: Record) -> int:
    code: int = sink.record(sink.self, RecordStruct(record).struct)
    return code


def _guarded(answer: Callable[[], int], error: Any) -> int:
    """No exception crosses into C: it becomes a code and a text, and is kept as the cause."""
    try:
        return answer()
    except BaseException as problem:
        raised.error = problem
        code = problem.code if isinstance(problem, CellrouteError) else E_UNAVAILABLE
        if not _abi.E_FORKED <= code < 0:
            code = E_UNAVAILABLE
        _tell(error, code, f"{type(problem).__name__}: {problem}")
        return code


def _tell(error: Any, code: int, text: str) -> None:
    if not error:
        return
    data = text.encode(errors="replace")
    room = ErrorText.text.size - 1
    error.contents.code = code
    error.contents.text_size = len(data)
    error.contents.text = data[:room].replace(b"\0", b"?")


def _capabilities(store: MappingStore) -> int:
    return (
        _abi.STORE_DURABLE * bool(store.durable)
        | _abi.STORE_LOSES_ACKNOWLEDGED * bool(store.loses_acknowledged)
        | _abi.STORE_SHARED * bool(store.shared)
    )
