"""The authorizer on its example events, with keys and tokens made for this run.

Usage: local_run.py COMMAND ..., which is the function's runtime.
"""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from run_function import function

EXAMPLE = pathlib.Path(__file__).resolve().parent
ISSUER, AUDIENCE = "https://login.example.com", "bank-api"


def token(key: object, customer: str, tier: str, lives_s: int = 900) -> str:
    claims = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": customer, "tier": tier, "region": "us-east-1",
        "exp": int(time.time()) + lives_s,
    }
    return jwt.encode(claims, key, "ES256", headers={"kid": "this-run"})  # type: ignore[arg-type]


def main(command: list[str]) -> None:
    key, stranger = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    tokens = {
        "the customer's own, retail": token(key, "cust-000042", "retail"),
        "the customer's own, hnw": token(key, "cust-000042", "hnw"),
        "of another customer": token(key, "cust-000001", "retail"),
        "signed by a stranger": token(stranger, "cust-000042", "retail"),
        "expired": token(key, "cust-000042", "retail", -1),
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as keyring:
        json.dump([{"kid": "this-run", "alg": "ES256", "pem": pem}], keyring)
        keyring.flush()
        topology = str(EXAMPLE.parent / "financial" / "topology.yaml")
        with function(command, CELLROUTE_TOPOLOGY=topology, KEYRING=keyring.name, ISSUER=ISSUER,
                      AUDIENCE=AUDIENCE) as authorizer:
            for event in sorted((EXAMPLE / "events").glob("*.json")):
                for what, given in tokens.items():
                    text = event.read_text().replace("Bearer TOKEN", f"Bearer {given}")
                    answer = authorizer.invoke(json.loads(text))
                    shown = answer.value.get("context") or answer.value["errorMessage"]
                    denied = "" if answer.kind == "error" else (
                        "denied here, " if len(answer.value["policyDocument"]["Statement"]) > 2 else "")
                    print(f"{event.stem:8} {what:28} {denied}{shown}")
            print("\nThe last lines of its record:", *authorizer.printed()[-4:], sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
