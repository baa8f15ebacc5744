"""Which headers go on to the cell, and which come back."""

from __future__ import annotations

import re

from .event import BadEvent, Headers

# A cell believes these, so they are ours alone: whatever a client sends under such a name is dropped.
TRUSTED = frozenset({
    "x-cell-id", "x-cell-epoch", "x-tenant-id", "x-encryption-level", "x-request-signature",
})
# Of one connection, RFC 9110 section 7.6.1, or made anew for the next one.
OF_A_CONNECTION = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
    "trailer", "transfer-encoding", "upgrade", "host", "content-length", "expect",
})
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
UNSENDABLE = re.compile(r"[\0\r\n]")


def folded(name: str) -> str:
    """As servers may fold names: in any case, and CGI's kind takes '_' for '-'."""
    return name.lower().replace("_", "-")


def of_this_connection(headers: Headers) -> frozenset[str]:
    named = [value for name, value in headers if name.lower() == "connection"]
    return OF_A_CONNECTION | {word.strip().lower() for value in named for word in value.split(",")}


def onward(headers: Headers, ours: Headers) -> Headers:
    """A client's headers for the cell, without those of a connection, and the trusted ones as ours."""
    dropped = of_this_connection(headers)
    kept = []
    for name, value in headers:
        if not TOKEN.match(name) or UNSENDABLE.search(value):
            raise BadEvent("a header cannot be sent on")
        if folded(name) not in TRUSTED and name.lower() not in dropped:
            kept.append((name, value))
    return kept + ours


def back(headers: Headers) -> Headers:
    """A cell's headers for the client; what cells tell the router alone stays here."""
    dropped = of_this_connection(headers)
    return [(n, v) for n, v in headers if n.lower() not in dropped and folded(n) not in TRUSTED]
