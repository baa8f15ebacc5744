"""The bytes of a request, cut into what hosts hand to cellroute."""

from __future__ import annotations

import re
from dataclasses import dataclass

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True)
class Parsed:
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]


def parse(request: bytes) -> Parsed | None:
    """By the letter of RFC 9112; None where it is no request by that, as its readers may differ."""
    head, end, _ = request.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    words = lines[0].split(b" ")
    if not end or len(words) != 3 or not TOKEN.fullmatch(words[0]) or not words[1]:
        return None
    if not re.fullmatch(rb"HTTP/1\.[01]", words[2]):
        return None
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.fullmatch(name) or re.search(rb"[\r\n\0]", value):
            return None
        headers.append((name, value.strip(b" \t")))
    return Parsed(words[1], tuple(headers))
