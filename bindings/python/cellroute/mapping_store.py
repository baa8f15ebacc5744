"""The interface of a mapping store in Python; cellroute.Store.of() opens one."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .errors import UnsupportedError
from .records import Page, Record


class MappingStore(ABC):
    """What a store of your own does. Calls come from any thread, and must be bounded in time.

    Raise a CellrouteError to tell what failed; any other exception counts as UnavailableError.
    None of these may use the Store that was made of it.
    """

    durable = False
    """An acknowledged write survives the processes."""
    loses_acknowledged = False
    """A failover may forget an acknowledged write: no migrations."""
    shared = False
    """Other processes see the same records."""

    @abstractmethod
    def get(self, key: bytes, now_ns: int) -> Record | None:
        """The key's record, also a tombstone or an expired one; None where there is none. An error
        means that it is not known."""

    @abstractmethod
    def put_if(self, record: Record, expected: int) -> None:
        """Writes `record` as revision expected + 1 if the stored revision is `expected` (0: there
        is none). ConflictError: it is another; RefusedError: the epoch falls, or stays while the
        cell changes; UnavailableError: not known whether it was written."""

    def scan(self, cursor: bytes, limit: int, now_ns: int) -> Page:
        """At most `limit` records in a fixed order from `cursor` (empty: the beginning), without
        tombstones and expired ones."""
        raise UnsupportedError(f"{type(self).__name__} has no scan()")
