"""Where a tenant lives, as the decision's labels say, and names that PostgreSQL takes as they are."""

from __future__ import annotations

from dataclasses import dataclass

from cellroute import Decision
from psycopg2 import sql  # type: ignore[import]

LONGEST_NAME = 63  # bytes, NAMEDATALEN - 1


class PlaceRefused(ValueError):
    """The tenant's name makes no name for PostgreSQL."""


class Name(sql.Identifier):  # type: ignore[misc]
    """A quoted identifier. psycopg2 takes a '%' in a query for the place of a parameter, in an identifier
    too, and labels write what is no letter or digit as %XX."""

    def as_string(self, context: object) -> str:
        quoted: str = super().as_string(context)
        return quoted.replace("%", "%%")


@dataclass(frozen=True)
class Place:
    cell: str
    directory: str
    """Of the server's socket."""
    database: str
    login: str
    """Who connects."""
    role: str
    """Whose rights hold in a transaction."""
    schema: str
    orders_table: str
    tenant: str
    """The key as text, escaped: what the row policies compare."""

    @classmethod
    def of(cls, decision: Decision) -> Place:
        """PostgreSQL cuts a longer name off and says so in a notice alone: two tenants that begin alike
        would share a schema. So it is refused here, before anything is made or read."""
        labels = decision.labels
        names = {name: labels[name] for name in ("database", "login", "role", "schema", "orders_table")}
        for what, name in names.items():
            if not 1 <= len(name.encode()) <= LONGEST_NAME:
                raise PlaceRefused(
                    f"{what} {name!r} has {len(name.encode())} bytes, PostgreSQL takes 1 to {LONGEST_NAME}")
        return cls(
            cell=decision.cell or "", directory=(decision.endpoint() or "").removeprefix("unix:"),
            tenant=labels["tenant"], **names)

    @property
    def orders(self) -> Name:
        return Name(self.schema, self.orders_table)

    @property
    def usage(self) -> Name:
        return Name(self.schema, "usage")
