"""Bearer tokens (RFC 7519, RFC 8725): what is read before a signature holds, and what only after.

The key fixes the algorithm: a token's `kid` chooses a key of the allow-list, and must then name
the algorithm that the list gives to this key. Signatures are checked by PyJWT. Time is an argument.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from dataclasses import dataclass
from typing import Any, Callable

import jwt
from jwt.api_jws import PyJWS

from .keyring import Key, Keyring

LARGEST_TOKEN = 8192
LARGEST_HEADER = 1024
LARGEST_CLAIMS = 4096
DEEPEST = 8
SEGMENTS = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\Z")
# Other members would name keys of the token's own (jwk, jku, x5u), or change how it is read (crit, b64).
HEADER_MEMBERS = frozenset({"alg", "kid", "typ"})
TYPES = (None, "JWT", "jwt", "at+jwt")
CUSTOMER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")


class TokenRefused(Exception):
    """Why a token is not believed: a word for the security log. Callers are told nothing of it."""

    def __init__(self, word: str, kid: str | None = None) -> None:
        super().__init__(word)
        self.word = word
        self.kid = kid  # of the allow-list, so it may be logged


@dataclass(frozen=True)
class UnverifiedHeader:
    """Good for choosing a key, and for nothing else."""

    alg: str
    kid: str


@dataclass(frozen=True)
class Claims:
    """What a verified token says. Only verify() makes it."""

    customer: str
    tier: str
    region: str
    flags: tuple[str, ...]
    expires_s: float
    kid: str


@dataclass(frozen=True)
class Rules:
    issuer: str
    audience: str
    leeway_s: int = 5
    """Clocks may differ by this for nbf and iat; exp has no leeway."""
    longest_life_s: int = 3600
    cached_s: int = 300
    """The authorizer's TTL at API Gateway. It serves answers that long, so a token must live on for it."""


def verify(token: str, keyring: Keyring, rules: Rules, now_ns: int) -> Claims:
    """The claims of a token whose signature and claims hold; else TokenRefused."""
    if len(token) > LARGEST_TOKEN:
        raise TokenRefused("token_too_long")
    segments = SEGMENTS.match(token)
    if segments is None:
        raise TokenRefused("token_malformed")
    header = _header(segments[1])
    key = keyring.find(header.kid)
    if key is None:
        raise TokenRefused("kid_unknown")
    if header.alg != key.alg:
        raise TokenRefused("alg_mismatch", key.kid)
    if len(segments[2]) > LARGEST_CLAIMS * 4 // 3 + 4:
        raise TokenRefused("claims_too_long", key.kid)
    _base64(segments[2])
    _base64(segments[3])
    try:
        verified = PyJWS().decode_complete(token, key.material, algorithms=[key.alg])["payload"]
    except (jwt.PyJWTError, ValueError, TypeError):
        raise TokenRefused("signature_wrong", key.kid) from None
    return _claims(_strict_json(verified, key.kid), key, rules, now_ns)


def _header(segment: str) -> UnverifiedHeader:
    if len(segment) > LARGEST_HEADER:
        raise TokenRefused("header_too_long")
    members = _strict_json(_base64(segment))
    alg, kid = members.get("alg"), members.get("kid")
    if not isinstance(alg, str) or not isinstance(kid, str) or members.get("typ") not in TYPES:
        raise TokenRefused("header_malformed")
    if not HEADER_MEMBERS.issuperset(members):
        raise TokenRefused("header_members")
    return UnverifiedHeader(alg, kid)


def _base64(segment: str) -> bytes:
    """base64url as RFC 7515 has it: one spelling for each value, so no second token with one meaning."""
    try:
        data = base64.b64decode(segment + "=" * (-len(segment) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise TokenRefused("token_malformed") from None
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != segment:
        raise TokenRefused("token_malformed")
    return data


def _strict_json(data: bytes, kid: str | None = None) -> dict[str, Any]:
    """A JSON object without a member twice, of bounded depth and with finite numbers."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise TokenRefused("member_twice", kid)
        return members

    def never(_: str) -> float:
        raise TokenRefused("json_malformed", kid)

    def finite(number: type[int] | type[float]) -> Callable[[str], float]:
        return lambda text: number(text) if math.isfinite(float(text)) else never(text)

    try:
        text = data.decode()
        if _depth(text) > DEEPEST:
            raise TokenRefused("json_too_deep", kid)
        value = json.loads(text, object_pairs_hook=once, parse_constant=never,
                           parse_int=finite(int), parse_float=finite(float))
    except (ValueError, RecursionError):
        raise TokenRefused("json_malformed", kid) from None
    if not isinstance(value, dict):
        raise TokenRefused("json_malformed", kid)
    return value


def _depth(text: str) -> int:
    """At least the nesting: brackets in strings count too, which refuses nothing that we issue."""
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _claims(members: dict[str, Any], key: Key, rules: Rules, now_ns: int) -> Claims:
    def refuse(word: str) -> TokenRefused:
        return TokenRefused(word, key.kid)

    now_s = now_ns / 1e9
    expires = _time(members, "exp", key)
    if expires is None:
        raise refuse("exp_missing")
    if now_s >= expires:
        raise refuse("expired")
    if now_s + rules.cached_s >= expires:
        raise refuse("expires_while_cached")
    if expires > now_s + rules.longest_life_s + rules.leeway_s:
        raise refuse("exp_too_far")
    for name in ("nbf", "iat"):
        begins = _time(members, name, key)
        if begins is not None and begins > now_s + rules.leeway_s:
            raise refuse(f"{name}_in_future")
    if members.get("iss") != rules.issuer:
        raise refuse("issuer_wrong")
    audience = members.get("aud")
    if rules.audience not in (audience if isinstance(audience, list) else [audience]):
        raise refuse("audience_wrong")
    customer, flags = members.get("sub"), members.get("flags", [])
    if not isinstance(customer, str) or not CUSTOMER.match(customer):
        raise refuse("customer_malformed")
    tier, region = members.get("tier"), members.get("region")
    names = [tier, region, *flags] if isinstance(flags, list) else [None]
    if len(names) > 18 or not all(isinstance(name, str) and 0 < len(name) <= 128 for name in names):
        raise refuse("profile_malformed")
    return Claims(customer, tier, region, tuple(flags), expires, key.kid)  # type: ignore[arg-type]


def _time(members: dict[str, Any], name: str, key: Key) -> float | None:
    """Seconds, RFC 7519 section 2; bool is no number here."""
    value = members.get(name)
    if value is None and name not in members:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1 << 40:
        raise TokenRefused(f"{name}_malformed", key.kid)
    return float(value)
