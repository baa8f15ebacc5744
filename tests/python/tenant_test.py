"""Whose an HTTP request is, and who asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cellroute

TOPOLOGY = """
generation: 1
cells: [{id: a}]
tenant:
  sources:
    - {subdomain: {domains: [example.com], reserved: [www]}}
    - {path: '/tenant/{tenant}', version_prefix: true}
    - {header: X-Tenant-ID}
    - {query: tenant}
    - {cookie: tenant}
    - {claim: tenant_id}
  trusted_headers: [X-Tenant-ID]
  trusted_proxies: [10.0.0.0/8]
"""
ROUTER = cellroute.Router(cellroute.Topology.from_bytes(TOPOLOGY))

label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True).filter(lambda name: name != "www")
name = st.from_regex(r"[A-Za-z0-9_~@:-][A-Za-z0-9._~@:-]{0,60}", fullmatch=True)


def test_a_tenant_tells_all() -> None:
    found = ROUTER.tenant("/v1/tenant/acme?x=1", [("Host", "ACME.example.com:80")], claims=[("tenant_id", b"acme")])
    assert found == cellroute.Tenant(b"acme", "OK", "NONE", 0, "subdomain", 200)
    assert found.ok


def test_a_refusal_tells_why_and_where() -> None:
    found = ROUTER.tenant("/tenant/acme", [("Host", "example.com"), ("X-Tenant-ID", "other")])
    assert found == cellroute.Tenant(b"", "INVALID_ARGUMENT", "TENANT_SOURCES_DISAGREE", 2, "header", 400)
    assert not found.ok
    assert ROUTER.tenant("/", []) == cellroute.Tenant(b"", "INVALID_ARGUMENT", "TENANT_MISSING", None, "", 400)


def test_a_topology_without_rules_says_so() -> None:
    router = cellroute.Router(cellroute.Topology.from_bytes("generation: 1\ncells: [{id: a}]"))
    with pytest.raises(cellroute.NotFoundError, match="no section `tenant`"):
        router.tenant("/", [])
    assert router.client("10.0.0.1", [("X-Forwarded-For", "192.0.2.1")]).address == "10.0.0.1"
    assert not router.is_trusted_header("X-Tenant-ID")


def test_new_rules_count_with_the_topology_that_brings_them() -> None:
    router = cellroute.Router(cellroute.Topology.from_bytes(TOPOLOGY))
    router.publish(cellroute.Topology.from_bytes(
        "generation: 2\ncells: [{id: a}]\ntenant: {sources: [{header: X-Account}]}"))
    assert router.tenant("/", [("Host", "acme.example.com"), ("X-Account", "b")]).key == b"b"


def test_a_client_is_told_through_trusted_proxies() -> None:
    headers = [("X-Forwarded-For", "203.0.113.9, 192.0.2.1, 10.0.0.2")]
    assert ROUTER.client("10.0.0.1", headers) == cellroute.Client("192.0.2.1", 2, "OK", "NONE")
    assert ROUTER.client("192.0.2.7", headers).address == "192.0.2.7"
    malformed = ROUTER.client("10.0.0.1", [("x-forwarded-for", "unknown")])
    assert malformed == cellroute.Client("10.0.0.1", 0, "INVALID_ARGUMENT", "ADDRESS_MALFORMED")


def test_trusted_headers_are_known_however_they_are_spelt() -> None:
    assert ROUTER.is_trusted_header("x_tenant-id")
    assert not ROUTER.is_trusted_header(b"X-Tenant")


@given(label, st.sampled_from(["", ".", ":80", ".:443"]), st.booleans())
def test_every_spelling_of_a_host_is_one_tenant(tenant: str, end: str, capitals: bool) -> None:
    host = f"{tenant}.example.com"
    host = (host.upper() if capitals else host) + end
    assert ROUTER.tenant("/", [("Host", host)]).key == tenant.encode()


@given(name, st.data())
def test_a_path_is_decoded_once(tenant: str, data: st.DataObject) -> None:
    encoded = "".join(
        f"%{ord(sign):02{data.draw(st.sampled_from('xX'))}}" if data.draw(st.booleans()) else sign for sign in tenant)
    assert ROUTER.tenant(f"/tenant/{encoded}/x", []).key == tenant.encode()
    assert ROUTER.tenant(f"/x?tenant={encoded}", []).key == tenant.encode()


@given(name, name)
def test_two_names_are_never_one_tenant(first: str, second: str) -> None:
    found = ROUTER.tenant(f"/tenant/{first}", [("X-Tenant-ID", second)])
    assert found.ok == (first == second)


@given(st.binary(max_size=80), st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=40)), max_size=6))
def test_no_request_does_harm(target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    found = ROUTER.tenant(target, [*headers, (b"Host", target)])
    assert found.ok == (found.key != b"")
    assert len(found.key) <= 1024
