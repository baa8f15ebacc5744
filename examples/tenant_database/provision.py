"""The owner's side: makes a cell, and a tenant's place in it. Requests never come here."""

from __future__ import annotations

from typing import Any, Sequence

import psycopg2  # type: ignore[import]
from place import Name, Place
from postgres import PostgresServer
from psycopg2 import sql
from secret import TOKENS, Secret

# Who the tenant is, a session says in app.tenant, and statements that somebody smuggled in could say it anew. So
# the row policies believe it only with a token that the router's side signed. A session without one gets an
# error rather than no rows. The function runs with its owner's rights, who alone can read the secret.
TRUST = """
    CREATE SCHEMA IF NOT EXISTS trust AUTHORIZATION shop_owner;
    CREATE EXTENSION IF NOT EXISTS pgcrypto SCHEMA trust;
    SET LOCAL ROLE shop_owner;
    CREATE TABLE IF NOT EXISTS trust.secret (one boolean PRIMARY KEY DEFAULT true CHECK (one), value bytea NOT NULL);
    INSERT INTO trust.secret (value) VALUES (convert_to({secret}, 'UTF8')) ON CONFLICT DO NOTHING;
    CREATE OR REPLACE FUNCTION trust.tenant() RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = trust, pg_temp AS $$
    DECLARE
        tenant text := current_setting('app.tenant', true);
        expires text := split_part(current_setting('app.token', true), '.', 1);
        mac text := split_part(current_setting('app.token', true), '.', 2);
    BEGIN
        IF mac = encode(hmac(convert_to(expires || '.' || tenant, 'UTF8'), (SELECT value FROM secret), 'sha256'), 'hex') THEN
            IF now() < to_timestamp(expires::bigint) THEN
                RETURN tenant;
            END IF;
        END IF;
        RAISE insufficient_privilege USING MESSAGE = 'no token for this tenant';
    END $$"""
# One definition for all tiers, so moving a tenant to another tier is a copy of rows. The owner is bound by the
# policy too (FORCE), and the key begins with the tenant: else a duplicate would tell that another one has that order.
TABLES = """
    CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION shop_owner;
    GRANT USAGE ON SCHEMA {schema} TO {role}, biller;
    GRANT USAGE ON SCHEMA trust TO {role};
    SET LOCAL ROLE shop_owner;
    SET LOCAL search_path = {schema};
    CREATE TABLE IF NOT EXISTS {orders} (
        tenant_id text NOT NULL DEFAULT trust.tenant(),
        order_id bigint NOT NULL, item text NOT NULL, cents bigint NOT NULL CHECK (cents >= 0),
        PRIMARY KEY (tenant_id, order_id));
    CREATE TABLE IF NOT EXISTS usage (
        tenant_id text NOT NULL DEFAULT trust.tenant(),
        month date NOT NULL, requests bigint NOT NULL CHECK (requests >= 0), rows bigint NOT NULL CHECK (rows >= 0),
        PRIMARY KEY (tenant_id, month));
    CREATE OR REPLACE FUNCTION only_grows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.requests < OLD.requests OR NEW.rows < OLD.rows OR NEW.month <> OLD.month THEN
            RAISE EXCEPTION 'usage only grows';
        END IF;
        RETURN NEW;
    END $$;
    CREATE OR REPLACE TRIGGER only_grows BEFORE UPDATE ON usage FOR EACH ROW EXECUTE FUNCTION only_grows();
    GRANT SELECT, INSERT, UPDATE, DELETE ON {orders} TO {role};
    GRANT SELECT, INSERT, UPDATE ON usage TO {role};
    GRANT SELECT ON usage TO biller;
    DROP POLICY IF EXISTS the_bill ON usage;
    CREATE POLICY the_bill ON usage FOR SELECT TO biller USING (true)"""
ROW_POLICY = """
    ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
    ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
    DROP POLICY IF EXISTS own_rows ON {table};
    CREATE POLICY own_rows ON {table} TO {role} USING (tenant_id = (SELECT trust.tenant()))"""


class Provisioner:
    """Of one cell. Everything may be done again, and by two at a time."""

    def __init__(self, server: PostgresServer, secret: Secret) -> None:
        self._server = server
        self._secret = secret

    def make_cell(self, databases: Sequence[str]) -> None:
        """Roles and databases that all of its tenants share. PUBLIC, everybody, may connect by default."""
        self._role("shop_owner")
        self._role("pool_tenants")
        self._role("app", login=True)
        self._role("biller", login=True)
        self._as_owner("postgres", "GRANT pool_tenants TO app")
        for database in ("postgres", "template1"):
            self._as_owner("postgres", "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC", database=Name(database))
        for database in databases:
            self._database(database, "app")

    def make_place(self, place: Place) -> None:
        """A tenant's role, database, schema and tables, as far as they are his own."""
        if place.role != "pool_tenants":
            self._role(place.role, login=place.login == place.role)
        if place.login != place.role:
            self._as_owner("postgres", "GRANT {role} TO {login}", role=Name(place.role), login=Name(place.login))
        self._database(place.database, place.login)
        names = {"schema": Name(place.schema), "role": Name(place.role), "orders": Name(place.orders_table)}
        policies = [ROW_POLICY.replace("{table}", table) for table in ("{orders}", "usage")]
        self._as_owner(place.database, ";".join([TABLES, *policies]), **names)

    def _role(self, role: str, login: bool = False) -> None:
        """NOINHERIT: a connection has no rights but those that a transaction takes on."""
        try:
            self._as_owner("postgres", "CREATE ROLE {role} NOINHERIT", role=Name(role))
        except psycopg2.errors.DuplicateObject:
            pass
        if login:  # what its sessions run has tokens in it, and other sessions of it could look
            self._as_owner("postgres", "ALTER ROLE {role} LOGIN PASSWORD {password};"
                                       "ALTER ROLE {role} SET track_activities = off",
                           role=Name(role), password=sql.Literal(self._secret(role)))

    def _database(self, database: str, login: str) -> None:
        name = Name(database)
        connection = self._server.connect("postgres")
        connection.autocommit = True  # a database is made outside of transactions
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL("CREATE DATABASE {} OWNER shop_owner").format(name), ())
        except psycopg2.errors.DuplicateDatabase:
            pass
        finally:
            connection.close()
        self._as_owner("postgres", "REVOKE ALL ON DATABASE {database} FROM PUBLIC;"
                                   "GRANT CONNECT ON DATABASE {database} TO {login}, biller",
                       database=name, login=Name(login))
        self._as_owner(database, TRUST, secret=sql.Literal(self._secret(TOKENS)))

    def _as_owner(self, database: str, statements: str, /, **names: sql.Composable) -> None:
        """In one transaction, one at a time in a database."""
        connection = self._server.connect(database)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(1)")
                cursor.execute(sql.SQL(statements).format(**names), ())
        finally:
            connection.close()


def bill(directory: str, database: str, secret: Secret) -> list[tuple[Any, ...]]:
    """What each tenant of a database used, by month: read by a role that can read nothing else."""
    connection = psycopg2.connect(host=directory, dbname=database, user="biller", password=secret("biller"),
                                  connect_timeout=5)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT table_schema FROM information_schema.tables WHERE table_name = 'usage'")
            lines: list[tuple[Any, ...]] = []
            for (schema,) in cursor.fetchall():
                usage = sql.SQL("SELECT tenant_id, month, requests, rows FROM {}").format(Name(schema, "usage"))
                cursor.execute(usage, ())
                lines += cursor.fetchall()
    finally:
        connection.close()
    return sorted(lines)
