"""A tenant's transaction: cellroute says where and whether, PostgreSQL keeps it there.

Who the tenant is holds for one transaction and ends with it (set_config(…, true), which is SET LOCAL), so a
connection goes from tenant to tenant with nothing of the last one. Outside of a transaction it has no rights.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import Any, Callable, Iterator

import psycopg2  # type: ignore[import]
from cellroute import Decision, Router, Store
from connections import Connections
from place import Place
from provision import Provisioner
from psycopg2 import sql
from secret import Secret

# All of it anew each time: what an earlier transaction left behind without LOCAL means nothing. pg_temp comes
# last, or a temporary table would stand before a tenant's own.
SCOPE = """SELECT set_config('role', %(role)s, true), set_config('app.tenant', %(tenant)s, true),
    set_config('app.token', %(token)s, true),
    set_config('search_path', quote_ident(%(schema)s) || ', pg_temp', true),
    set_config('statement_timeout', %(timeout)s, true)"""
USAGE = """INSERT INTO {usage} AS u (month, requests, rows) VALUES (date_trunc('month', now() AT TIME ZONE 'UTC'), 1, %s)
    ON CONFLICT (tenant_id, month) DO UPDATE SET requests = u.requests + 1, rows = u.rows + excluded.rows"""


class Refused(Exception):
    """The router's answer: `decision` has the HTTP status, the reason and when to come back."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(f"{decision.status} {decision.reason}")
        self.decision = decision


class CellFailed(Exception):
    """The cell did not answer, or not in time. Whether it committed is not known."""


def lost(error: psycopg2.Error) -> bool:
    """The server is not there, goes, or takes no connection. Of one that breaks off psycopg2 makes either of two
    kinds, without a code."""
    if error.pgcode is None:
        return isinstance(error, psycopg2.OperationalError) or type(error) is psycopg2.DatabaseError
    return bool(error.pgcode.startswith(("57P", "53", "08")))  # PostgreSQL, appendix A


class TenantTransaction:
    """What the application's code is given. {orders} in a statement is the tenant's table."""

    def __init__(self, cursor: Any, place: Place) -> None:
        self._cursor = cursor
        self._place = place
        self.row_count = 0
        """Rows read and written, for the bill."""

    def run(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Parameters stand as %s, always: text from outside is never part of a statement. A '%' by itself is %%."""
        self._cursor.execute(sql.SQL(statement).format(orders=self._place.orders), parameters)
        self.row_count += max(0, self._cursor.rowcount)
        rows: list[tuple[Any, ...]] = self._cursor.fetchall() if self._cursor.description else []
        return rows


class Tenancy:
    """Any number of threads may use one."""

    def __init__(self, router: Router, store: Store, connections: Connections, secret: Secret,
                 clock: Callable[[], int] = time.time_ns) -> None:
        self._router = router
        self._store = store
        self._connections = connections
        self._secret = secret
        self._clock = clock

    def take_on(self, tenant: str | bytes, tier: str, plan: str, cells: dict[str, Provisioner]) -> Place:
        """A new tenant: his place is made before anybody is sent there, and his record keeps tier and plan.
        PlaceRefused: his name is too long."""
        proposed = self._router.locate(tenant, tier=tier, plan=plan, now_ns=self._clock())
        while True:
            if proposed.status not in ("OK", "UNASSIGNED"):
                raise Refused(proposed)
            place = Place.of(proposed)
            cells[place.cell].make_place(place)
            assigned = self._router.assign(self._store, tenant, tier=tier, plan=plan, pin=True, now_ns=self._clock())
            if assigned.decision.cell == place.cell:
                return place
            proposed = assigned.decision  # another one was first

    @contextmanager
    def transaction(self, tenant: str | bytes, access: str = "WRITE") -> Iterator[TenantTransaction]:
        """Commits at the block's end, with what the tenant used; an exception rolls back. Raises Refused,
        CellFailed, PlaceRefused, or what PostgreSQL says to the application's own statements."""
        mapping = self._router.resolve(self._store, tenant, now_ns=self._clock())
        # The record's tier wins; with this one a tenant without a record is told that, and not to name a tier.
        decision = self._router.route(tenant, tier="pool", access=access, mapping=mapping, now_ns=self._clock())
        if not decision.ok:
            raise Refused(decision)
        outcome: dict[str, Any] = {"error": "abort"}
        try:
            place = Place.of(decision)
            with self._scoped(place, decision.timeout_ns) as connection:
                with connection.cursor() as cursor:
                    work = TenantTransaction(cursor, place)
                    yield work
                    cursor.execute(sql.SQL(USAGE).format(usage=place.usage), (work.row_count,))
                connection.commit()
            outcome = {"http_status": 200}
        except psycopg2.errors.QueryCanceled as late:
            outcome = {"error": "timeout"}
            raise CellFailed("timeout") from late
        except psycopg2.Error as error:
            if lost(error):
                outcome = {"error": "connect"}
                raise CellFailed("connect") from error
            outcome = {"http_status": 200}  # the cell answered: it refused a statement
            raise
        finally:
            self._router.report(decision, now_ns=self._clock(), **outcome)

    @contextmanager
    def _scoped(self, place: Place, timeout_ns: int) -> Iterator[Any]:
        """A connection in a transaction that is the tenant's; what was not committed is rolled back."""
        connection = self._begun(place, timeout_ns)
        try:
            yield connection
        finally:
            self._connections.keep(place, connection)

    def _begun(self, place: Place, timeout_ns: int) -> Any:
        token = self._secret.token(place.tenant, self._clock())
        scope = {"role": place.role, "tenant": place.tenant, "token": token, "schema": place.schema,
                 "timeout": str(max(1, timeout_ns // 1_000_000))}
        while (kept := self._connections.idle(place)) is not None:
            try:
                kept.cursor().execute(SCOPE, scope)
                return kept
            except psycopg2.Error:
                kept.close()  # it died while it was idle, and nothing has been done with it
        connection = self._connections.new(place)
        try:
            connection.cursor().execute(SCOPE, scope)
        except psycopg2.Error:
            connection.close()
            raise
        return connection
