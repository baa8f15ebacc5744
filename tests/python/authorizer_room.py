"""What tests of the authorizer share: keys, tokens good and bad, and how API Gateway reads a policy."""

from __future__ import annotations

import base64
import fnmatch
import json
import pathlib
import re
from contextlib import ExitStack
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authorizer.token_rules import Rules
from conftest import NOW, SOURCE
from lambda_room import Running, changed, event

SECRET = bytes(range(32))
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RULES = Rules(issuer="https://login.example.com", audience="bank-api")
NOW_S = NOW // 1_000_000_000


def pem(key: Any) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


LISTED = [
    {"kid": "hs-1", "alg": "HS256", "secret_variable": "HS_1"},
    {"kid": "rs-1", "alg": "RS256", "pem": pem(RSA_KEY)},
    {"kid": "es-1", "alg": "ES256", "pem": pem(EC_KEY)},
]
ENVIRONMENT = {"HS_1": SECRET.hex()}
SIGNERS = {"hs-1": ("HS256", SECRET), "rs-1": ("RS256", RSA_KEY), "es-1": ("ES256", EC_KEY)}


def claims(**changes: Any) -> dict[str, Any]:
    """Good ones; a change to None leaves a claim out."""
    given = {
        "sub": "cust-000042", "tier": "retail", "region": "eu-west-1", "iss": RULES.issuer,
        "aud": RULES.audience, "exp": NOW_S + 900, "nbf": NOW_S - 1, "iat": NOW_S - 1,
    } | changes
    return {name: value for name, value in given.items() if value is not None}


def token(kid: str = "es-1", header: dict[str, Any] | None = None, **changes: Any) -> str:
    alg, key = SIGNERS[kid]
    return jwt.encode(claims(**changes), key, alg, headers={"kid": kid} | (header or {}))


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: str | bytes, payload: str | bytes, kid: str = "hs-1") -> str:
    """A token of any header and payload text, its signature right for the key."""
    parts = [part.encode() if isinstance(part, str) else part for part in (header, payload)]
    signing = ".".join(map(base64url, parts))
    alg, key = SIGNERS[kid]
    algorithm = jwt.get_algorithm_by_name(alg) if hasattr(jwt, "get_algorithm_by_name") else (
        jwt.algorithms.get_default_algorithms()[alg])
    return f"{signing}.{base64url(algorithm.sign(signing.encode(), algorithm.prepare_key(key)))}"


def with_token(event: Any, given: str) -> Any:
    return json.loads(json.dumps(event).replace("Bearer TOKEN", f"Bearer {given}"))


class Desk(Running):
    """An authorizer that runs, with this room's keys."""

    def __init__(
        self, stack: ExitStack, language: str, room: pathlib.Path, log: str | None = None,
        topology: pathlib.Path = SOURCE / "examples/financial/topology.yaml", **environment: str,
    ) -> None:
        keyring = room / "keyring.json"
        keyring.write_text(json.dumps(LISTED))
        configured = ENVIRONMENT | {
            "CELLROUTE_TOPOLOGY": str(topology), "KEYRING": str(keyring), "ISSUER": RULES.issuer,
            "AUDIENCE": RULES.audience} | environment
        super().__init__(stack, "financial_authorizer", language, room, log, **configured)

    def failure(self, event: Any) -> dict[str, Any]:
        """As what it fails."""
        answer = self.answer(event)
        assert answer.kind == "error", answer
        failure: dict[str, Any] = answer.value
        return failure

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["type"] == kind]


def token_event(given: str) -> dict[str, Any]:
    return changed(event("financial_authorizer", "token"), authorizationToken=f"Bearer {given}")


def outcome(desk: Desk, given: str) -> str:
    """ALLOW, or the word that a token or its customer is refused by."""
    answer = desk.answer(token_event(given))
    *_, last_but_one, last = ["{}", *desk.function.printed()]
    if answer.kind == "error":
        assert answer.value == {"errorMessage": "Unauthorized", "errorType": "Unauthorized", "stackTrace": []}
    word: str = json.loads(last)["outcome"]
    return word if word == "ALLOW" else str(json.loads(last_but_one)["event"])


def refusal(desk: Desk, given: str) -> str:
    """The word that a token is refused by."""
    word = outcome(desk, given)
    assert json.loads(desk.function.printed()[-1])["outcome"] == "UNAUTHORIZED"
    return word


def opens(answer: dict[str, Any], arn: str) -> bool:
    """How API Gateway evaluates a policy that it kept, for another path: Deny wins, else Allow, else no.
    '*' and '?' in a policy are wild, also over slashes."""
    effects = {
        statement["Effect"]
        for statement in answer["policyDocument"]["Statement"]
        for pattern in statement["Resource"]
        if re.fullmatch(fnmatch.translate(pattern.replace("[", "[[]")), arn, re.DOTALL)
    }
    return effects == {"Allow"}
