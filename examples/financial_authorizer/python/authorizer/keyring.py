"""The allow-list of keys. Each fixes its algorithm; a token only ever chooses one of these by name."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Mapping

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

SHORTEST_SECRET = 32  # bytes; RFC 7518 section 3.2
SHORTEST_RSA = 2048  # bits; RFC 7518 section 3.3


class KeyringError(Exception):
    """The configuration is wrong; the function does not start."""


@dataclass(frozen=True)
class Key:
    kid: str
    alg: str
    material: Any


class Keyring:
    """Immutable."""

    def __init__(self, keys: list[Key]) -> None:
        self._keys = {key.kid: key for key in keys}
        if len(self._keys) != len(keys) or not keys:
            raise KeyringError("a keyring has at least one key, and no kid twice")

    def find(self, kid: str) -> Key | None:
        """By equality alone: a kid is no path, query or address."""
        return self._keys.get(kid)


def read_keyring(path: str, environment: Mapping[str, str] = os.environ) -> Keyring:
    """From a JSON list of {"kid", "alg", "pem"}, or for HS256 {"kid", "alg", "secret_variable"}, which
    names the environment variable that holds the secret in hexadecimal digits."""
    with open(path, encoding="utf-8") as file:
        listed = json.load(file)
    return Keyring([read_key(item, environment) for item in listed])


def read_key(item: dict[str, str], environment: Mapping[str, str]) -> Key:
    kid, alg = item["kid"], item["alg"]
    try:
        if alg == "HS256":
            return Key(kid, alg, _secret(environment[item["secret_variable"]]))
        public = load_pem_public_key(item["pem"].encode())
    except (KeyError, ValueError) as error:
        raise KeyringError(f'key "{kid}": {type(error).__name__}: {error}') from None
    if alg == "RS256" and isinstance(public, RSAPublicKey) and public.key_size >= SHORTEST_RSA:
        return Key(kid, alg, public)
    if alg == "ES256" and isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1):
        return Key(kid, alg, public)
    raise KeyringError(f'key "{kid}": an algorithm is HS256 with a secret, RS256 with RSA of at least '
                       f"{SHORTEST_RSA} bits, or ES256 with P-256")


def _secret(digits: str) -> bytes:
    secret = bytes.fromhex(digits)
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(f"an HS256 secret has at least {SHORTEST_SECRET} bytes")
    return secret
