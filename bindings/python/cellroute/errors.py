"""What goes wrong off the path of a request. A denied request is no error: its decision says why."""

from __future__ import annotations


class LibraryError(ImportError):
    """libcellroute.so is missing, or of another interface; the text says where was looked."""


class CellrouteError(Exception):
    """An operation failed. `code` is the C interface's number, `text` is for people."""

    code = 0

    def __init__(self, text: str, *, code: int | None = None, reason: int = 0) -> None:
        super().__init__(text)
        self.text = text
        self.reason = reason
        """The number of a decision's reason, where one is meant; else 0."""
        if code is not None:
            self.code = code


class InvalidArgumentError(CellrouteError, ValueError):
    """Input breaks a rule; the text says which and where."""

    code = -1


class NotFoundError(CellrouteError, LookupError):
    """The thing named does not exist."""

    code = -2


class ConflictError(CellrouteError):
    """A compare-and-set lost: another revision is stored."""

    code = -3


class UnavailableError(CellrouteError):
    """No answer now; trying again may help. After a write: it is not known whether it took place."""

    code = -4


class RefusedError(CellrouteError):
    """Sound, but against a bound or a gate: an older generation, too many keys that move."""

    code = -5


class ExhaustedError(CellrouteError):
    """A table, a map or memory is full."""

    code = -6


class CorruptError(CellrouteError):
    """Stored bytes fail their check."""

    code = -7


class UnsupportedError(CellrouteError):
    """This store or build cannot do it."""

    code = -8


class ForkedError(CellrouteError):
    """The router or store was made before fork(): make one in the process that uses it."""

    code = -9


class NoMemoryError(CellrouteError, MemoryError):
    """The library found no memory."""

    code = -100


class UnknownNameError(CellrouteError, LookupError):
    """The topology has no such tier, region, flag or plan; `reason` tells which."""

    code = -105


class NoSnapshotError(CellrouteError):
    """No topology has been published."""

    code = -106


class BrokenStoreError(CellrouteError):
    """A custom store broke its contract."""

    code = -107


class ReenteredError(CellrouteError):
    """A custom store called itself."""

    code = -108


def _kinds(kind: type[CellrouteError]) -> list[type[CellrouteError]]:
    return [kind] + [below for child in kind.__subclasses__() for below in _kinds(child)]


KIND_OF_CODE = {kind.code: kind for kind in _kinds(CellrouteError) if kind.code}


def error_of(code: int, text: str, reason: int = 0) -> CellrouteError:
    """The exception that stands for a code of the C interface."""
    return KIND_OF_CODE.get(code, CellrouteError)(text, code=code, reason=reason)
