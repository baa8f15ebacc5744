"""Whose an HTTP request is, and who asked: by the topology's section `tenant`."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Iterable, Union

from ._abi import MAX_KEY, NO_SOURCE, ClientStruct, Field, HttpRequest, TenantStruct, View, lib
from ._calls import as_bytes, bytes_of, check, view_of
from .reasons import REASONS, STATUSES

KINDS = ("hosts", "subdomain", "path", "header", "query", "cookie", "claim")

Text = Union[str, bytes]
Fields = Iterable[tuple[Text, Text]]


@dataclass(frozen=True)
class Tenant:
    """The key of a request, or why it has none: `key` is empty unless `status` is OK. `source` is
    the first of the topology's sources that named the key, or the one at fault, by its place;
    None: none. `kind` is its field in the topology."""

    key: bytes
    status: str
    reason: str
    source: int | None
    kind: str
    http_status: int

    @property
    def ok(self) -> bool:
        return self.status == "OK"


@dataclass(frozen=True)
class Client:
    """Where a request came from. Where the status is not OK, a trusted proxy, whose `address` it
    is, forwarded for something that is no address."""

    address: str
    hops: int
    status: str
    reason: str

    @property
    def ok(self) -> bool:
        return self.status == "OK"


class HttpRequestIn:
    """A request with all that its views point to."""

    def __init__(self, target: Text, headers: Fields, authority: Text, claims: Fields,
                 peer: Text) -> None:
        self._kept: list[bytes] = []
        self.struct = HttpRequest(
            authority=self._view(authority), target=self._view(target), peer=self._view(peer))
        self.struct.headers, self.struct.header_count = self._fields(headers)
        self.struct.claims, self.struct.claim_count = self._fields(claims)

    def _view(self, text: Text) -> View:
        self._kept.append(as_bytes(text))
        return view_of(self._kept[-1])

    def _fields(self, fields: Fields) -> tuple[ctypes.Array[Field], int]:
        made = [Field(self._view(name), self._view(value)) for name, value in fields]
        return (Field * len(made))(*made), len(made)


def tenant_of(snapshot: int | None, request: HttpRequestIn) -> Tenant:
    room, tenant = ctypes.create_string_buffer(MAX_KEY), TenantStruct()
    code = lib.extract(snapshot, request.struct, room, MAX_KEY, tenant)
    check(code, what="the topology has no section `tenant`")
    status, named = STATUSES[tenant.status], tenant.source != NO_SOURCE
    return Tenant(
        bytes_of(tenant.key), status.name, REASONS[tenant.reason].name,
        tenant.source if named else None, KINDS[tenant.kind] if named else "", status.http_status)


def client_of(snapshot: int | None, request: HttpRequestIn) -> Client:
    client = ClientStruct()
    check(lib.client_address(snapshot, request.struct, client))
    return Client(bytes_of(client.address).decode("latin-1"), client.hops,
                  STATUSES[client.status].name, REASONS[client.reason].name)
