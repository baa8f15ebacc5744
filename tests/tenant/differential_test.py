"""What cellroute takes for the tenant of a request is what it takes for the tenant of what the real
nginx and HAProxy forward, or one of them refuses the request.

corpus.jsonl holds requests byte for byte (in base64), each with what it is about; a thousand more
are made of them by chance, always the same ones.
"""

from __future__ import annotations

import base64
import collections
import json
import pathlib
import random
from typing import Iterator

import pytest

import cellroute
from proxies import FRONTS, Proxies
from wire import parse

CORPUS = pathlib.Path(__file__).with_name("corpus.jsonl")
MUTATIONS = 1_000

HOSTS = "{hosts: {shop.acme.org: acme, app.example.net: globex}}"
SUBDOMAIN = "{subdomain: {domains: [example.com, eu.example.com], reserved: [www, api]}}"
PATH = "{path: '/tenant/{tenant}', version_prefix: true}"
FIELDS = ["{header: X-Tenant-ID}", "{query: tenant}", "{cookie: tenant}"]
RULES = {
    "all": [HOSTS, SUBDOMAIN, PATH, *FIELDS],
    "host": [HOSTS, SUBDOMAIN],
    "path": [PATH],
    "path in small letters": ["{path: '/tenant/{tenant}', case: LOWER}"],
    "path first": [PATH, SUBDOMAIN, *FIELDS],
    "host first": [SUBDOMAIN, PATH, *FIELDS],
    "header first": [*FIELDS, PATH, SUBDOMAIN],
    "header": FIELDS[:1],
    "query": FIELDS[1:2],
    "cookie": FIELDS[2:],
}

# What stands between names where requests are read in more than one way.
PIECES = [bytes([byte]) for byte in b"\t !\"#%&'*+,-./0:;<=>?@AZ[\\]^_`az{|}~\x01\x7f\x80\xff"] + [
    b"%2e", b"%2f", b"%5c", b"%00", b"%25", b"%61", b"%3b", b"%3f", b"%23", b"..", b"/../", b"/./",
    b"//", b"..;/", b"%2e%2e/", b"tenant", b"/tenant/", b"other", b"acme", b"v1/", b".example.com",
    b"example.com", b"other.example.com", b":80", b"&tenant=other", b";tenant=other", b"@", b"[::1]",
]


def router_of(name: str) -> cellroute.Router:
    first = "FIRST" if name.endswith("first") else "REFUSE"
    return cellroute.Router(cellroute.Topology.from_bytes(
        "generation: 1\ncells: [{id: a}]\n"
        f"tenant:\n  on_disagreement: {first}\n  sources:\n"
        + "".join(f"    - {source}\n" for source in RULES[name])))


def corpus() -> list[tuple[str, bytes]]:
    entries = [json.loads(line) for line in CORPUS.read_text().splitlines()]
    return [(entry["comment"], base64.b64decode(entry["request"])) for entry in entries]


def mutated(requests: list[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Requests with pieces put in, taken out or changed, but for their ends of lines."""
    chance = random.Random(20_260_729)
    small = [(comment, request) for comment, request in requests if len(request) < 300]
    for number in range(MUTATIONS):
        comment, request = chance.choice(small)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(request.index(b" ") + 1, len(request) - 3)
            gone = chance.choice([0, 0, 0, 1])
            if b"\r" in request[at:at + gone] or b"\n" in request[at:at + gone]:
                gone = 0
            if request[at - 1:at] != b"\r":
                request = request[:at] + chance.choice(PIECES) + request[at + gone:]
        yield f"mutation {number} of: {comment}", request


@pytest.fixture(scope="module")
def proxies() -> Iterator[Proxies]:
    with Proxies() as running:
        yield running


@pytest.fixture(scope="module")
def routers() -> dict[str, cellroute.Router]:
    return {name: router_of(name) for name in RULES}


def tenant(router: cellroute.Router, request: bytes) -> bytes | None:
    """The key, or None where the request is refused."""
    parsed = parse(request)
    if parsed is None:
        return None
    found = router.tenant(parsed.target, parsed.headers)
    return found.key if found.ok else None


@pytest.mark.parametrize("front", FRONTS)
def test_the_tenant_is_that_of_what_is_forwarded(
    front: str, proxies: Proxies, routers: dict[str, cellroute.Router]
) -> None:
    requests = corpus()
    requests += mutated(requests)
    seen: collections.Counter[str] = collections.Counter()
    wrong = []
    for comment, request in requests:
        forwarded = proxies.forwarded(front, request)
        seen["forwarded" if forwarded is not None else "refused by the proxy"] += 1
        if forwarded is None:
            continue
        for name, router in routers.items():
            key = tenant(router, request)
            if key is None:
                continue
            seen["with a tenant"] += 1
            if tenant(router, forwarded) != key:
                wrong.append((comment, name, key, request, forwarded))
    assert not wrong, "\n".join(map(repr, wrong[:10]))
    # The test would say nothing if little came through.
    assert seen["forwarded"] > 300
    assert seen["with a tenant"] > 500


@pytest.mark.parametrize("front", FRONTS)
def test_sound_requests_come_through_with_their_tenant(
    front: str, proxies: Proxies, routers: dict[str, cellroute.Router]
) -> None:
    sound = {comment: request for comment, request in corpus()}
    for comment in ("a sub-domain", "a custom host", "a path", "a path behind a version", "a header",
                    "a query", "a cookie", "all sources alike", "a POST"):
        forwarded = proxies.forwarded(front, sound[comment])
        assert forwarded is not None, comment
        assert tenant(routers["all"], sound[comment]) == b"acme", comment
        assert tenant(routers["all"], forwarded) == b"acme", comment


def test_the_reader_of_the_test_reads_most_requests() -> None:
    requests = corpus()
    assert sum(parse(request) is not None for _, request in requests) > 0.8 * len(requests)
