"""Many keys as the library takes them: their bytes one behind the other, and where each begins."""

from __future__ import annotations

import ctypes
from array import array
from itertools import accumulate
from typing import Any, Iterable, Sequence

from . import optional
from ._calls import as_bytes

KeyList = Sequence[str | bytes]


class Keys:
    """Keys packed once, for any number of batches. Immutable: any number of threads may use one."""

    def __init__(self, data: Any, offsets: Any = None, *, width: int = 0) -> None:
        """`data` is a buffer of bytes. `offsets` is one of count + 1 rising 64-bit integers, as Arrow's
        large_binary has them: key i is data[offsets[i]:offsets[i + 1]]. Or all keys are `width` bytes,
        padded with NULs, as numpy's dtype S has them."""
        self._data = memoryview(data).cast("B")
        self.byte_count = self._data.nbytes
        self._data_kept, self.data_address = _address(self._data)
        self.width = width
        self._offsets = memoryview(b"" if width else offsets)
        self._offsets_kept, self.offsets_address = _address(self._offsets)
        if width:
            self.count = self.byte_count // width
            return
        if self._offsets.format not in ("q", "l") or self._offsets.ndim != 1 or len(self._offsets) < 1:
            raise TypeError("offsets are a buffer of count + 1 signed 64-bit integers (numpy int64)")
        self.count = len(self._offsets) - 1

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> bytes:
        if not 0 <= index < self.count:
            raise IndexError(f"there are {self.count} keys, none has the index {index}")
        if self.width:
            return bytes(self._data[index * self.width : (index + 1) * self.width]).rstrip(b"\0")
        return bytes(self._data[self._offsets[index] : self._offsets[index + 1]])


def pack_keys(keys: KeyList | Any) -> Keys:
    """Packs a list of str (UTF-8) or bytes, or a numpy array of dtype S or U.

    numpy does not tell NULs at the end of an element from its padding: keys in such arrays have
    none there.
    """
    if isinstance(keys, Keys):
        return keys
    if type(keys).__module__ == "numpy":
        return _pack_array(keys)
    try:
        joined = "".join(keys)  # type: ignore[arg-type]
    except TypeError:
        return _pack_bytes(_all_bytes(keys))
    if not joined.isascii():
        return _pack_bytes([key.encode() for key in keys])  # type: ignore[union-attr]
    return Keys(joined.encode("ascii"), _offsets(map(len, keys), len(keys)))


def _all_bytes(keys: KeyList) -> list[bytes]:
    return [key if type(key) is bytes else as_bytes(key) for key in keys]


def _pack_bytes(keys: Sequence[bytes]) -> Keys:
    return Keys(b"".join(keys), _offsets(map(len, keys), len(keys)))


def _offsets(lengths: Iterable[int], count: int) -> Any:
    numpy = optional.numpy()
    if numpy is None:
        return array("q", accumulate(lengths, initial=0))
    offsets = numpy.zeros(count + 1, dtype=numpy.int64)
    numpy.cumsum(numpy.fromiter(lengths, dtype=numpy.int64, count=count), out=offsets[1:])
    return offsets


def _pack_array(keys: Any) -> Keys:
    numpy = optional.numpy()
    if keys.ndim != 1 or keys.dtype.kind not in "SU":
        raise TypeError(f"an array of keys has one dimension and dtype S or U, not {keys.dtype}")
    if keys.dtype.kind == "U":
        return pack_keys(keys.tolist())
    return Keys(numpy.ascontiguousarray(keys).view(numpy.uint8), width=keys.dtype.itemsize)


def _address(buffer: memoryview) -> tuple[object, int]:
    """What keeps the buffer, and where it is; a read-only one cannot be given to ctypes directly."""
    if buffer.nbytes == 0:
        return buffer, 0
    numpy = optional.numpy()
    if numpy is not None:
        array_ = numpy.frombuffer(buffer, dtype=numpy.uint8)
        return array_, array_.__array_interface__["data"][0]
    if isinstance(buffer.obj, bytes) and buffer.nbytes == len(buffer.obj):
        pointer = ctypes.c_char_p(buffer.obj)
        return pointer, ctypes.cast(pointer, ctypes.c_void_p).value or 0
    copy = (ctypes.c_char * buffer.nbytes).from_buffer_copy(buffer)
    return copy, ctypes.addressof(copy)
