"""The example of tenants on PostgreSQL: its tale, and what keeps one tenant's rows from another."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Iterator

import hypothesis
import psycopg2
import pytest
from hypothesis import strategies
from psycopg2 import sql

from cellroute import Decision, Router, Store, Topology
from connections import Connections
from conftest import SECOND, SOURCE
from place import Name, Place, PlaceRefused
from postgres import PostgresServer, make_empty, own_directory
from provision import Provisioner, bill
from secret import Secret
from tenancy import CellFailed, Refused, Tenancy

EXAMPLE = SOURCE / "examples/tenant_database"
TENANTS = {"ann": ("pool", "enterprise"), "bob": ("pool", "enterprise"), "cyd": ("bridge", "enterprise"),
           "dan": ("bridge", "enterprise"), "eve": ("silo", "enterprise"), "nil": ("pool", "")}


class Room:
    """All cells on one server, which is enough for what is tested here."""

    def __init__(self, directory: pathlib.Path) -> None:
        own_directory(directory)
        self.secret = Secret(b"of this test")
        password = self.secret("postgres")
        self.server = PostgresServer(directory / "server", password, make_empty(directory / "empty", password))
        self.server.start()
        provisioner = Provisioner(self.server, self.secret)
        provisioner.make_cell(["saas"])
        topology = (EXAMPLE / "topology.yaml").read_text()
        for cell in ("pool-1", "pool-2", "bridge-1", "silo-1"):
            topology = topology.replace(f"unix:/run/{cell}", self.server.endpoint)
        self.router = Router(Topology.from_bytes(topology))
        self.store = Store.open("memory:")
        self.connections = Connections(self.secret)
        self.tenancy = Tenancy(self.router, self.store, self.connections, self.secret)
        cells = {cell: provisioner for cell in ("pool-1", "pool-2", "bridge-1", "silo-1")}
        self.places = {name: self.tenancy.take_on(name, tier, plan, cells) for name, (tier, plan) in TENANTS.items()}

    def run(self, tenant: str, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        with self.tenancy.transaction(tenant) as transaction:
            return transaction.run(statement, *parameters)

    def in_flight(self) -> int:
        return sum(self.router.cell_guards(cell.id).in_flight for cell in self.router.cells())

    def requests(self, tenant: str) -> int:
        place = self.places[tenant]
        lines = bill(place.directory, place.database, self.secret)
        return sum(line[2] for line in lines if line[0] == place.tenant)


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    with tempfile.TemporaryDirectory() as directory:  # pytest's own lets no other user through
        room = Room(pathlib.Path(directory))
        try:
            yield room
        finally:
            room.connections.close()
            room.server.__exit__(None, None, None)


def test_the_tale_is_told_to_its_end() -> None:
    ran = subprocess.run([sys.executable, str(EXAMPLE / "story.py")], env=os.environ, text=True, capture_output=True,
                         timeout=300)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith("all as expected\n")


@hypothesis.settings(max_examples=200)
@hypothesis.given(strategies.text(strategies.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=63))
def test_a_name_reaches_postgresql_as_it_is(room: Room, name: str) -> None:
    connection = room.connections.idle(room.places["ann"]) or room.connections.new(room.places["ann"])
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("SELECT %s AS {}").format(Name(name)), (1,))
            assert cursor.description[0].name == name
    finally:
        connection.rollback()
        room.connections.keep(room.places["ann"], connection)


def test_a_name_that_postgresql_would_cut_off_is_refused(room: Room) -> None:
    longest = 63 - len("tenant_")
    assert Place.of(located(room, "x" * longest)).schema == "tenant_" + "x" * longest
    for name in ("x" * (longest + 1), '"' * (longest // 3 + 1)):  # escapes count
        with pytest.raises(PlaceRefused, match="PostgreSQL takes 1 to 63"):
            Place.of(located(room, name))


def located(room: Room, tenant: str) -> Decision:
    return room.router.locate(tenant, tier="bridge", plan="enterprise")


@pytest.mark.parametrize("tenant", ["ann", "cyd"])
def test_a_connection_keeps_nothing_of_its_last_tenant(room: Room, tenant: str) -> None:
    room.connections.close()  # those that other tests left
    with room.tenancy.transaction(tenant) as transaction:
        transaction.run("INSERT INTO {orders} (order_id, item, cents) VALUES (1, 'chair', 1) ON CONFLICT DO NOTHING")
    place = room.places[tenant]
    connection = room.connections.idle(place)
    assert connection is not None
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_setting('app.tenant'), current_setting('app.token')")
        assert cursor.fetchone() == ("app", "", "")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(sql.SQL("SELECT * FROM {}").format(place.orders), ())
    connection.close()


def test_what_a_session_was_left_with_is_not_the_next_ones(room: Room) -> None:
    room.connections.close()
    room.run("bob", "INSERT INTO {orders} (order_id, item, cents) VALUES (1, 'of bob', 1) ON CONFLICT DO NOTHING")
    made = room.connections.made
    for setting in ("app.tenant", "app.token"):  # for the session, as careless code would
        room.run("bob", "SELECT set_config(%s, current_setting(%s), false)", setting, setting)
    assert room.places["ann"].login == room.places["bob"].login
    assert "of bob" not in [item for (item,) in room.run("ann", "SELECT item FROM {orders}")]
    assert room.connections.made == made  # it was this connection
    room.connections.close()


@pytest.mark.parametrize("tenant", ["ann", "cyd", "eve"])
def test_a_token_is_good_for_its_own_tenant_and_for_a_minute(room: Room, tenant: str) -> None:
    own, now = room.places[tenant].tenant, time.time_ns()
    other = room.secret.token("bob", now)
    expired = room.secret.token(own, now - 61 * SECOND)
    longer = str(int(expired.split(".")[0]) + 3600) + "." + expired.split(".")[1]
    for token in ("", ".", "x.y", "9999999999.", other, expired, longer, Secret(b"guessed").token(own, now)):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="no token for this tenant"):
            with room.tenancy.transaction(tenant) as transaction:
                transaction.run("SELECT set_config('app.token', %s, true)", token)
                transaction.run("SELECT * FROM {orders}")
    assert room.run(tenant, "SELECT * FROM {orders} WHERE false") == []


@pytest.mark.parametrize("tenant", ["ann", "cyd"])
def test_other_sessions_tokens_are_not_to_be_seen(room: Room, tenant: str) -> None:
    """Whoever smuggles statements in can drop the role, and is then who the other sessions are, too."""
    look = "SELECT query FROM pg_stat_activity WHERE usename = 'app' AND pid <> pg_backend_pid()"
    with room.tenancy.transaction("bob"), room.tenancy.transaction("dan"), room.tenancy.transaction(tenant) as transaction:
        transaction.run("RESET ROLE")
        seen = [str(query) for (query,) in transaction.run(look)]
        transaction.run("SELECT set_config('role', %s, true)", room.places[tenant].role)
    assert len(seen) >= 1
    assert not [query for query in seen if "token" in query]


def test_the_owner_of_the_tables_reads_no_rows_either(room: Room) -> None:
    place = room.places["ann"]
    room.run("ann", "INSERT INTO {orders} (order_id, item, cents) VALUES (1, 'chair', 1) ON CONFLICT DO NOTHING")
    connection = room.server.connect(place.database)
    with connection, connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE shop_owner")
        cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(place.orders), ())
        assert cursor.fetchone() == (0,)
    connection.close()


def test_only_what_was_committed_is_billed(room: Room) -> None:
    before = room.requests("ann")
    room.run("ann", "SELECT 1")
    for bad in ("SELECT 1 / 0", "SELECT nothing", "DELETE FROM usage"):
        with pytest.raises(psycopg2.Error):
            room.run("ann", bad)
    with pytest.raises(ZeroDivisionError):
        with room.tenancy.transaction("ann"):
            raise ZeroDivisionError
    assert room.requests("ann") == before + 1
    assert room.in_flight() == 0


def test_a_bill_is_not_lowered(room: Room) -> None:
    room.run("ann", "SELECT 1")
    for statement in ("UPDATE usage SET requests = 0", "UPDATE usage SET month = '2000-01-01'", "UPDATE usage SET rows = -1"):
        with pytest.raises(psycopg2.Error):
            room.run("ann", statement)


def test_a_connection_that_died_idle_is_replaced(room: Room) -> None:
    room.run("ann", "SELECT 1")
    connection = room.server.connect("postgres")
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'app'")
        assert cursor.fetchone()[0] >= 1
    connection.close()
    assert room.run("ann", "SELECT 2") == [(2,)]
    assert room.in_flight() == 0


def test_a_statement_that_takes_too_long_is_a_failure_of_the_cell(room: Room) -> None:
    with pytest.raises(CellFailed, match="timeout"):
        with room.tenancy.transaction("ann") as transaction:
            transaction.run("SET LOCAL statement_timeout = 1")
            transaction.run("SELECT pg_sleep(10)")
    assert room.in_flight() == 0
    assert room.run("ann", "SELECT 1") == [(1,)]


def test_a_row_that_is_locked_is_no_failure_of_the_cell(room: Room) -> None:
    room.run("ann", "INSERT INTO {orders} (order_id, item, cents) VALUES (7, 'chair', 1) ON CONFLICT DO NOTHING")
    room.run("ann", "SELECT 1")
    with room.tenancy.transaction("ann") as first:
        first.run("UPDATE {orders} SET cents = 2 WHERE order_id = 7")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            with room.tenancy.transaction("ann") as second:
                second.run("SET LOCAL lock_timeout = 1")
                second.run("UPDATE {orders} SET cents = 3 WHERE order_id = 7")
    assert room.in_flight() == 0


def test_who_has_no_plan_is_not_unlimited(room: Room) -> None:
    room.run("nil", "SELECT 1")
    with pytest.raises(Refused, match="RATE_LIMITED"):
        room.run("nil", "SELECT 1")
    with pytest.raises(Refused, match="UNASSIGNED"):
        room.run("nobody", "SELECT 1")
