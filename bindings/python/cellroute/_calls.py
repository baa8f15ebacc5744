"""Calling the library: views of bytes, codes to exceptions, handles that free themselves."""

from __future__ import annotations

import ctypes
import threading
from typing import Any, Callable, Sequence

from ._abi import ErrorText, View, lib
from .errors import error_of

# What a code means where no text came with it.
TEXTS = {
    -9: "this router or store was made before fork(): make one in the process that uses it",
    -106: "no topology has been published: call publish() first",
}

# What a custom store raised inside a call of this thread, until the call is back in Python.
raised = threading.local()


def as_bytes(text: str | bytes) -> bytes:
    """Keys and names as the library takes them: str is UTF-8."""
    if type(text) is str:
        return text.encode()
    if isinstance(text, bytes):
        return text
    if isinstance(text, str):
        return text.encode()
    raise TypeError(f"a key or name is str or bytes, not {type(text).__name__}")


def view_of(data: bytes) -> View:
    """`data` must outlive the view; ctypes does not keep it."""
    return View(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data))


def views_of(items: Sequence[bytes]) -> ctypes.Array[View]:
    return (View * len(items))(*map(view_of, items))


def bytes_of(view: View) -> bytes:
    return ctypes.string_at(view.data, view.size) if view.size else b""


def text_of(view: View) -> str:
    return bytes_of(view).decode()


def check(code: int, error: ErrorText | None = None, what: str = "") -> int:
    """Raises for a negative code. What a custom store raised meanwhile becomes the cause."""
    cause = raised.__dict__.pop("error", None)
    if cause is not None and not isinstance(cause, Exception):
        raise cause  # KeyboardInterrupt and its like pass through a store
    if code >= 0:
        return code
    if error is not None and error.code == code and error.text_size > 0:
        raise error_of(code, error.text.decode(errors="replace"), error.reason) from cause
    text = TEXTS.get(code) or f"{what}: {lib.code_name(code).decode()}".removeprefix(": ")
    raise error_of(code, text) from cause


def call(function: Callable[..., int], *arguments: Any) -> int:
    """Calls a function whose last argument is a cellroute_error."""
    error = ErrorText()
    return check(function(*arguments, error), error, function.__name__)


def sized_text(function: Callable[..., int], *before: Any, after: tuple[Any, ...] = ()) -> bytes:
    """What a function writes that takes (…, buffer, capacity, *size, …): size first, then text."""
    size = ctypes.c_size_t()
    code = function(*before, None, 0, size, *after)
    while code >= 0:
        buffer = ctypes.create_string_buffer(size.value + 1)
        code = function(*before, buffer, len(buffer), size, *after)
        if code >= 0:
            return buffer.raw[: size.value]
        if code == -104:  # it grew meanwhile: CELLROUTE_E_BUFFER
            code = 0
    error = after[-1] if after and isinstance(after[-1], ErrorText) else None
    check(code, error, function.__name__)
    raise AssertionError("unreachable")


class Handle:
    """Owns a handle of the library. Freed with its last reference, so by no thread too early."""

    kept: object = None  # what must live as long as the handle

    def __init__(self, address: int | None, destroy: Callable[[int], None]) -> None:
        self.address = address
        self._destroy = destroy

    def __del__(self) -> None:
        address, self.address = getattr(self, "address", None), None
        if address:
            self._destroy(address)


def made(function: Callable[..., int], destroy: Callable[[int], None], *arguments: Any) -> Handle:
    """Calls a function that takes (…, **handle, error)."""
    address = ctypes.c_void_p()
    call(function, *arguments, address)
    return Handle(address.value, destroy)
