"""Tenants on PostgreSQL, kept apart in three ways, told step by step; each step checks what it says."""

from __future__ import annotations

import os
import pathlib
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from typing import Any

import psycopg2  # type: ignore[import]
from cellroute import Router, Store, Topology
from connections import Connections
from place import Place, PlaceRefused
from postgres import PostgresServer, make_empty, own_directory
from provision import Provisioner, bill
from secret import Secret
from telling import expect, tell, title
from tenancy import CellFailed, Refused, Tenancy

HERE = pathlib.Path(__file__).parent
CELLS: dict[str, list[str]] = {"pool-1": ["saas"], "pool-2": ["saas"], "bridge-1": ["saas"], "silo-1": []}
TENANTS = {  # tier and plan are apart: cider pays for much, and keeps little
    "acme": ("pool", "starter"), "bolt": ("pool", "professional"), "cider": ("pool", "enterprise"),
    "dune": ("pool", "enterprise"), "echo": ("bridge", "professional"), "fjord": ("bridge", "enterprise"),
    "globex": ("silo", "enterprise"), "hooli": ("silo", "enterprise"),
}
HOSTILE = (
    'x"; DROP SCHEMA shop; --', 'echo"."Orders', "echo\0", "ECHO", "../echo", "echo%", "%65cho",
    "%s%(tenant)s", "x' OR '1'='1", "εχώ",
)
ADD = "INSERT INTO {orders} (order_id, item, cents) VALUES (%s, %s, %s)"
READ_ALL = "SELECT order_id, item, cents, tenant_id FROM {orders} ORDER BY order_id"  # who forgot the WHERE
HAMMERING, TIMES = 6, 150  # threads, and transactions of each


class Clock:
    """The router's time, which the story moves on between chapters, so that limits begin anew."""

    ahead_ns = 0

    def __call__(self) -> int:
        return time.time_ns() + self.ahead_ns

    def pass_s(self, seconds: int) -> None:
        self.ahead_ns += seconds * 1_000_000_000


class Undo(Exception):
    """Rolls a transaction back, and carries what it saw."""


class Saas:
    """Four cells, each a PostgreSQL server, and an application that serves by them."""

    def __init__(self, stack: ExitStack) -> None:
        self.secret, self.clock, self.used = Secret(os.urandom(32)), Clock(), Counter[str]()
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        own_directory(directory)  # the server's account must get through
        topology = (HERE / "topology.yaml").read_text()
        password = self.secret("postgres")
        empty = make_empty(directory / "empty", password)
        self.servers: dict[str, PostgresServer] = {}
        self.cells: dict[str, Provisioner] = {}
        for cell, databases in CELLS.items():
            server = stack.enter_context(PostgresServer(directory / cell, password, empty))
            self.servers[cell], self.cells[cell] = server, Provisioner(server, self.secret)
            self.cells[cell].make_cell(databases)
            topology = topology.replace(f"unix:/run/{cell}", server.endpoint)
        self.connections = Connections(self.secret)
        stack.callback(self.connections.close)
        self.store = Store.open(f"lmdb:{directory / 'mappings'}")
        self.router = Router(Topology.from_bytes(topology), lanes=8)
        self.tenancy = Tenancy(self.router, self.store, self.connections, self.secret, self.clock)

    def run(self, tenant: str | bytes, *work: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Statements in one transaction; the rows of the last."""
        rows: list[tuple[Any, ...]] = []
        with self.tenancy.transaction(tenant) as transaction:
            for statement, *parameters in work:
                rows = transaction.run(statement, *parameters)
        return rows

    def place(self, tenant: str) -> Place:
        mapping = self.router.resolve(self.store, tenant)
        return Place.of(self.router.locate(tenant, mapping=mapping))

    def take_on_tenants(self) -> None:
        title("Tenants are taken on: the tier chooses among cells, a cell's labels say where in it a tenant lives")
        form = "{:8} {:8} {:13} {:10} {:14} {:14} {}"
        print(form.format("tenant", "tier", "plan", "cell", "database", "schema", "table"))
        for tenant, (tier, plan) in TENANTS.items():
            at = self.tenancy.take_on(tenant, tier, plan, self.cells)
            print(form.format(tenant, tier, plan, at.cell, at.database, at.schema, at.orders_table))
            expect(self.place(tenant), at)
        expect(self.place("acme").orders_table, "Orders-pool-1")
        expect(self.place("cider").cell, "pool-1")

    def serve(self) -> None:
        title("One code path for all of them: none of its statements names a tenant, and none has a WHERE")
        print(f"    {ADD}\n    {READ_ALL}")
        for tenant in TENANTS:
            self.run(tenant, (ADD, 1, f"{tenant}'s chair", 4900), (ADD, 2, f"{tenant}'s desk", 19900))
            self.used[tenant] += 1
        self.all_have_their_own()
        print(f"{len(TENANTS)} tenants wrote two orders each, with the same numbers, and read these two and no other")

    def all_have_their_own(self) -> None:
        for tenant in TENANTS:
            rows = self.run(tenant, (READ_ALL,))
            self.used[tenant] += 1
            expect([(item, owner) for _, item, _, owner in rows[:2]],
                   [(f"{tenant}'s chair", tenant), (f"{tenant}'s desk", tenant)])
            expect({owner for *_, owner in rows}, {tenant})

    def reach_for_others(self) -> None:
        title("Every tenant reaches for his neighbour's rows")
        for tenant, other in (("acme", "cider"), ("echo", "fjord"), ("globex", "hooli")):
            print(f"{tenant}, in {self.place(tenant).cell}, for those of {other}:")
            for what, statements, answer in attempts(self.place(other)):
                told = self.attempt(tenant, statements, other)
                print(f"    {what:46} {told}")
                if not any(part in told for part in answer):
                    sys.exit(f"expected one of {answer}")
            self.clock.pass_s(60)
        own, foreign = self.place("globex"), self.place("hooli")
        try:
            psycopg2.connect(host=own.directory, dbname=foreign.database, user=own.login, password=self.secret(own.login))
            sys.exit("a tenant reached another one's database")
        except psycopg2.OperationalError as error:
            print(f"    {'connects to the other database':46} {first_line(error)}")
            expect("permission denied for database" in str(error), True)
        self.all_have_their_own()
        print("and nobody's rows have changed")

    def attempt(self, tenant: str, statements: tuple[tuple[Any, ...], ...], other: str) -> str:
        """What comes of it, undone."""
        try:
            with self.tenancy.transaction(tenant) as transaction:
                for statement in statements:
                    before = transaction.row_count
                    rows = transaction.run(*statement)
                if any(other in map(str, row) for row in rows):
                    sys.exit(f"{tenant} has read {rows}")
                raise Undo(f"{transaction.row_count - before} rows" + (", his own" if rows else ""))
        except Undo as seen:
            return str(seen)
        except psycopg2.Error as error:
            return first_line(error)

    def hostile_names(self) -> None:
        title("Tenants with hostile names: each gets a schema of his own, which says his name escaped and quoted")
        schemas = {self.place("echo").schema}
        for name in HOSTILE:
            at = self.tenancy.take_on(name, "bridge", "enterprise", self.cells)
            self.run(name, (ADD, 1, "'); DROP TABLE usage; --", 100))
            self.used[at.tenant] += 1
            expect(self.run(name, ("SELECT item, tenant_id FROM {orders}",)), [("'); DROP TABLE usage; --", at.tenant)])
            self.used[at.tenant] += 1
            print(f"    {name!r:46} {at.schema}")
            schemas.add(at.schema)
        expect(len(schemas), 1 + len(HOSTILE))
        for end in ("-one", "-two"):
            try:
                self.tenancy.take_on("alike" * 12 + end, "bridge", "enterprise", self.cells)
                sys.exit("a name was taken on that PostgreSQL cuts off")
            except PlaceRefused as refused:
                print(f"    {refused}")
        self.all_have_their_own()

    def share_connections(self) -> None:
        title(f"{HAMMERING} threads, tenants in turn, connections shared; every fifth transaction fails on its way")
        self.clock.pass_s(60)
        foreign, failures = Counter[str](), []
        before = self.connections.made - self.connections.count()

        def hammer(seed: int) -> None:
            chance, tenants = random.Random(seed), ["cider", "dune", "fjord", "globex"]
            try:
                for turn in range(TIMES):
                    tenant = chance.choice(tenants)
                    self.one_of_many(tenant, 1000 + seed * TIMES + turn, turn % 5 == 0, foreign)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=hammer, args=(seed,)) for seed in range(HAMMERING)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect(failures, [])
        expect(foreign["rows of others"], 0)
        print(f"{HAMMERING * TIMES} transactions over {self.connections.made - before} connections "
              f"read {foreign['rows']:,} rows: of other tenants {foreign['rows of others']}")

    def one_of_many(self, tenant: str, order: int, fails: bool, seen: Counter[str]) -> None:
        try:
            with self.tenancy.transaction(tenant) as transaction:
                transaction.run(ADD, order, "one of many", 1)
                # what careless code leaves behind on a connection, for whoever is next
                transaction.run("SELECT set_config('app.tenant', %s, false)", tenant)
                rows = transaction.run(READ_ALL)
                seen["rows"] += len(rows)
                seen["rows of others"] += sum(owner != tenant for *_, owner in rows)
                if fails:
                    transaction.run("SELECT 1 / 0")
            self.used[tenant] += 1
        except psycopg2.errors.DivisionByZero:
            pass

    def limits_by_plan(self) -> None:
        title("A hundred requests at once: limits are the plan's, whatever the tier")
        for tenant, allowed in (("acme", 20), ("bolt", 50), ("echo", 50), ("cider", 100), ("globex", 100)):
            self.clock.pass_s(61)
            told, now = Counter[str](), self.clock()
            frozen = Tenancy(self.router, self.store, self.connections, self.secret, lambda: now)
            retry_s = 0
            for _ in range(100):
                try:
                    with frozen.transaction(tenant, "READ") as transaction:
                        transaction.run("SELECT count(*) FROM {orders}")
                    told["OK"] += 1
                    self.used[tenant] += 1
                except Refused as refused:
                    told[str(refused)] += 1
                    retry_s = refused.decision.retry_after_s
            later = f", retry after {retry_s} s" if retry_s else ""
            print(f"    {tenant:8} {TENANTS[tenant][1]:13} {dict(told)}{later}")
            expect(told["OK"], allowed)

    def lose_a_cell(self) -> None:
        title("The server of pool-2 dies: its tenants fail fast, nobody else notices")
        self.clock.pass_s(61)
        self.servers["pool-2"].kill()
        for _ in range(3):
            for tenant in TENANTS:
                told = self.once(tenant)
                if self.place(tenant).cell == "pool-2":
                    print(f"    {tenant:8} {told}")
                else:
                    expect(told, "served")
        expect(self.once("dune").startswith("UNAVAILABLE BREAKER_OPEN"), True)
        print("    all others were served each time")
        self.servers["pool-2"].start()
        self.clock.pass_s(20)
        print(f"    and when it is back, dune is {self.once('dune')}")
        expect(self.once("dune"), "served")
        title("A stranger, whom nobody took on")
        print(f"    stranger {self.once('stranger')}")
        expect(self.once("stranger").startswith("UNASSIGNED"), True)

    def once(self, tenant: str) -> str:
        try:
            self.run(tenant, (READ_ALL,))
            self.used[tenant] += 1
            return "served"
        except CellFailed as failed:
            return f"the cell failed: {failed}"
        except Refused as refused:
            retry_s = refused.decision.retry_after_s
            return f"{refused}, HTTP {refused.decision.http_status}" + (f", retry after {retry_s} s" if retry_s else "")

    def send_the_bill(self) -> None:
        title("The bill: counted in each transaction, so what was rolled back or refused is not in it")
        lines: dict[str, list[Any]] = {}
        for at in {(p.cell, p.directory, p.database) for p in map(self.place, TENANTS)}:
            for tenant, month, requests, rows in bill(*at[1:], self.secret):
                lines[tenant] = [month, requests, rows]
        for tenant in TENANTS:
            month, requests, rows = lines[tenant]
            print(f"    {tenant:8} {month:%Y-%m} {requests:6,} requests {rows:9,} rows")
        expect({tenant: requests for tenant, (_, requests, _) in lines.items()}, dict(self.used))


def attempts(other: Place) -> list[tuple[str, tuple[tuple[Any, ...], ...], tuple[str, ...]]]:
    """What is tried, how, and what may come of it."""
    table = f'"{other.schema}"."{other.orders_table}"'
    denied = ("permission denied", "does not exist")
    become = ("SELECT set_config('role', %s, true), set_config('app.tenant', %s, true)", other.role, other.tenant)
    return [
        ("reads without a WHERE", ((READ_ALL,),), ("2 rows",)),
        ("asks for the other's rows", (("SELECT * FROM {orders} WHERE tenant_id = %s", other.tenant),), ("0 rows",)),
        ("deletes without a WHERE", (("DELETE FROM {orders} RETURNING *",),), ("2 rows",)),
        ("writes in the other's name",
         (("INSERT INTO {orders} VALUES (%s, 9, 'planted', 1)", other.tenant),), ("row-level security",)),
        ("moves his own rows to the other",
         (("UPDATE {orders} SET tenant_id = %s", other.tenant),), ("row-level security",)),
        ("names the other's table", ((f"SELECT * FROM {table}",),), ("2 rows", *denied)),
        ("says that he is the other", (become, ("SELECT * FROM {orders}",)),
         ("no token for this tenant", "permission denied", "does not exist")),
        ("as the other, names his table", (become, (f"SELECT * FROM {table}",)),
         ("no token for this tenant", *denied)),
        ("drops his role", (("RESET ROLE",), ("SELECT * FROM {orders}",)), denied + ("2 rows",)),
        ("switches the row policy off", (("ALTER TABLE {orders} DISABLE ROW LEVEL SECURITY",),), ("must be owner",)),
        ("reads what tokens are signed with", (("SELECT * FROM trust.secret",),), ("permission denied",)),
        ("looks at what other sessions run",
         (("RESET ROLE",), ("SELECT query FROM pg_stat_activity WHERE query LIKE '%%token%%'",)), ("0 rows",)),
        ("lowers his bill", (("UPDATE usage SET requests = 0",),), ("usage only grows",)),
    ]


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rpartition("FATAL:  ")[2]


def story(stack: ExitStack) -> None:
    saas = Saas(stack)
    saas.take_on_tenants()
    saas.serve()
    saas.reach_for_others()
    saas.hostile_names()
    saas.share_connections()
    saas.limits_by_plan()
    saas.lose_a_cell()
    saas.send_the_bill()


if __name__ == "__main__":
    tell(story)
