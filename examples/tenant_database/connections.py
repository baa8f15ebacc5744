"""Connections to cells' databases, kept between transactions and shared by tenants."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import psycopg2  # type: ignore[import]
from place import Place
from secret import Secret


class Connections:
    """Any number of threads may use one. How many are in use is bounded by the router's in_flight; at most
    `most_idle` are kept beside, the least recently used go first."""

    def __init__(self, secret: Secret, most_idle: int = 24) -> None:
        self._secret = secret
        self._most_idle = most_idle
        self._idle: OrderedDict[Any, tuple[str, str, str]] = OrderedDict()
        self._lock = threading.Lock()
        self.made = 0

    def idle(self, place: Place) -> Any | None:
        """One that was kept, if there is any. It may have died since."""
        wanted = (place.directory, place.database, place.login)
        with self._lock:
            for connection in reversed(self._idle):
                if self._idle[connection] == wanted:
                    del self._idle[connection]
                    return connection
        return None

    def new(self, place: Place) -> Any:
        with self._lock:
            self.made += 1
        return psycopg2.connect(
            host=place.directory, dbname=place.database, user=place.login, password=self._secret(place.login),
            connect_timeout=2, options="-c idle_in_transaction_session_timeout=10000 -c lock_timeout=2000")

    def keep(self, place: Place, connection: Any) -> None:
        """Takes one back. What was not committed is rolled back; one that breaks at it is closed."""
        try:
            connection.rollback()
        except psycopg2.Error:
            connection.close()
            return
        with self._lock:
            self._idle[connection] = (place.directory, place.database, place.login)
            surplus = [self._idle.popitem(last=False)[0] for _ in range(len(self._idle) - self._most_idle)]
        for old in surplus:
            old.close()

    def count(self) -> int:
        """Of those kept."""
        with self._lock:
            return len(self._idle)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = list(self._idle), OrderedDict()
        for connection in idle:
            connection.close()
