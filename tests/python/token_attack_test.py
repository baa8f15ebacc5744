"""Tokens that must not be believed, each refused for its own reason, and none for a stack trace."""

from __future__ import annotations

import hashlib
import hmac
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from authorizer.keyring import Keyring, KeyringError, read_key
from authorizer.token_rules import TokenRefused, verify
from authorizer_room import (
    EC_KEY, ENVIRONMENT, KEYRING, LISTED, NOW_S, RSA_KEY, RULES, base64url, claims, pem, signed,
    token,
)
from conftest import NOW, SECOND


def refusal(given_token: str, now_ns: int = NOW) -> str:
    with pytest.raises(TokenRefused) as raised:
        verify(given_token, KEYRING, RULES, now_ns)
    return raised.value.word


@pytest.mark.parametrize("kid", ["hs-1", "rs-1", "es-1"])
def test_a_good_token_is_believed(kid: str) -> None:
    believed = verify(token(kid, flags=["EU_RESIDENT"]), KEYRING, RULES, NOW)
    assert (believed.customer, believed.tier, believed.region) == ("cust-000042", "retail", "eu-west-1")
    assert (believed.flags, believed.kid) == (("EU_RESIDENT",), kid)


def test_an_audience_may_be_one_of_several() -> None:
    assert verify(token(aud=["other", "bank-api"]), KEYRING, RULES, NOW).customer == "cust-000042"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
def test_alg_none(alg: str) -> None:
    header = json.dumps({"alg": alg, "kid": "hs-1"}).encode()
    body = json.dumps(claims()).encode()
    unsigned = f"{base64url(header)}.{base64url(body)}."
    assert refusal(unsigned) == "token_malformed"
    assert refusal(unsigned + "AAAA") == "alg_mismatch"


def test_a_public_key_is_no_secret() -> None:
    """HS/RS confusion: signed by HMAC with the public key's text, which everybody has."""
    for kid, key in (("rs-1", RSA_KEY), ("es-1", EC_KEY)):
        signing = ".".join(base64url(json.dumps(part).encode()) for part in (
            {"alg": "HS256", "kid": kid}, claims()))
        mac = hmac.new(pem(key).encode(), signing.encode(), hashlib.sha256).digest()
        assert refusal(f"{signing}.{base64url(mac)}") == "alg_mismatch"


@pytest.mark.parametrize(("kid", "alg"), [
    ("hs-1", "HS512"), ("hs-1", "RS256"), ("rs-1", "PS256"), ("rs-1", "ES256"), ("es-1", "ES384"),
    ("rs-1", "rs256"),
])
def test_the_key_fixes_the_algorithm(kid: str, alg: str) -> None:
    signature = token(kid).rsplit(".", 1)[1]
    header = base64url(json.dumps({"alg": alg, "kid": kid}).encode())
    assert refusal(f"{header}.{base64url(json.dumps(claims()).encode())}.{signature}") == "alg_mismatch"


@pytest.mark.parametrize("kid", [
    "", "HS-1", "hs-1 ", "../../dev/null", "/dev/null", "hs-1\0", "' UNION SELECT 'x", "https://evil.example.com/k",
    "rs-1/../hs-1", "k" * 700,
])
def test_a_kid_is_only_ever_a_name_of_the_list(kid: str) -> None:
    assert refusal(signed(json.dumps({"alg": "HS256", "kid": kid}), json.dumps(claims()))) == "kid_unknown"


@pytest.mark.parametrize("kid", [None, 7, ["hs-1"], {"kid": "hs-1"}, True])
def test_a_kid_is_text(kid: object) -> None:
    header = json.dumps({"alg": "HS256", "kid": kid})
    assert refusal(signed(header, json.dumps(claims()))) == "header_malformed"


@pytest.mark.parametrize("member", [
    {"jwk": {"kty": "oct", "k": "AAAA"}}, {"jku": "https://evil.example.com/jwks"}, {"x5c": ["MIIB"]},
    {"x5u": "https://evil.example.com"}, {"crit": ["exp"]}, {"b64": False}, {"zip": "DEF"}, {"enc": "A128GCM"},
])
def test_a_token_brings_no_key_of_its_own(member: dict[str, object]) -> None:
    header = json.dumps({"alg": "HS256", "kid": "hs-1"} | member)
    assert refusal(signed(header, json.dumps(claims()))) == "header_members"


def test_signed_by_somebody_else() -> None:
    others = {
        "hs-1": ("HS256", b"x" * 32), "es-1": ("ES256", ec.generate_private_key(ec.SECP256R1())),
        "rs-1": ("RS256", rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    }
    for kid, (alg, key) in others.items():
        assert refusal(jwt.encode(claims(), key, alg, headers={"kid": kid})) == "signature_wrong"


@pytest.mark.parametrize("kid", ["hs-1", "rs-1", "es-1"])
def test_a_payload_under_another_ones_signature(kid: str) -> None:
    header, _, signature = token(kid).split(".")
    other = base64url(json.dumps(claims(sub="cust-000001", tier="hnw")).encode())
    assert refusal(f"{header}.{other}.{signature}") == "signature_wrong"


def test_an_es256_signature_of_zeros() -> None:
    header, payload, _ = token("es-1").split(".")
    assert refusal(f"{header}.{payload}.{base64url(bytes(64))}") == "signature_wrong"


@pytest.mark.parametrize(("changes", "word"), [
    ({"exp": None}, "exp_missing"), ({"exp": "soon"}, "exp_malformed"), ({"exp": True}, "exp_malformed"),
    ({"exp": -1}, "exp_malformed"), ({"exp": 10**30}, "exp_malformed"), ({"exp": [NOW_S + 900]}, "exp_malformed"),
    ({"exp": NOW_S}, "expired"), ({"exp": NOW_S - 1}, "expired"),
    ({"exp": NOW_S + 299}, "expires_while_cached"), ({"exp": NOW_S + 86400}, "exp_too_far"),
    ({"nbf": NOW_S + 60}, "nbf_in_future"), ({"nbf": "now"}, "nbf_malformed"),
    ({"iat": NOW_S + 60}, "iat_in_future"), ({"iat": False}, "iat_malformed"),
    ({"iss": None}, "issuer_wrong"), ({"iss": "https://login.example.com/"}, "issuer_wrong"),
    ({"aud": None}, "audience_wrong"), ({"aud": "other"}, "audience_wrong"), ({"aud": []}, "audience_wrong"),
    ({"aud": "bank-api,other"}, "audience_wrong"), ({"aud": ["other"]}, "audience_wrong"),
    ({"sub": None}, "customer_malformed"), ({"sub": ""}, "customer_malformed"),
    ({"sub": "*"}, "customer_malformed"), ({"sub": "cust-?"}, "customer_malformed"),
    ({"sub": "a/../b"}, "customer_malformed"), ({"sub": "a/b"}, "customer_malformed"),
    ({"sub": "c\n"}, "customer_malformed"), ({"sub": "k" * 65}, "customer_malformed"),
    ({"sub": "${aws:username}"}, "customer_malformed"),
    ({"tier": None}, "profile_malformed"), ({"tier": 7}, "profile_malformed"),
    ({"region": ""}, "profile_malformed"), ({"flags": "EU_RESIDENT"}, "profile_malformed"),
    ({"flags": ["F"] * 17}, "profile_malformed"), ({"flags": [None]}, "profile_malformed"),
])
def test_claims_that_do_not_hold(changes: dict[str, object], word: str) -> None:
    payload = json.dumps(claims(**changes))
    assert refusal(signed('{"alg":"HS256","kid":"hs-1"}', payload)) == word


def test_iss_as_a_list_is_not_the_issuer() -> None:
    assert refusal(signed('{"alg":"HS256","kid":"hs-1"}', json.dumps(claims(iss=[RULES.issuer])))) == "issuer_wrong"


def test_time_is_an_argument() -> None:
    given_token = token()
    assert verify(given_token, KEYRING, RULES, NOW + 500 * SECOND).customer == "cust-000042"
    assert refusal(given_token, NOW + 900 * SECOND) == "expired"
    assert refusal(given_token, NOW - 60 * SECOND) == "nbf_in_future"


HEADER = '{"alg":"HS256","kid":"hs-1"}'


@pytest.mark.parametrize(("header", "payload", "word"), [
    ('{"alg":"HS256","kid":"hs-1","alg":"none"}', "{}", "member_twice"),
    ('{"alg":"HS256","kid":"rs-1","kid":"hs-1"}', "{}", "member_twice"),
    (HEADER, '{"sub":"cust-000042","sub":"cust-000001"}', "member_twice"),
    (HEADER, '{"a":{"b":1,"b":2}}', "member_twice"),
    (HEADER, '{"s\\u0075b":"a","sub":"b"}', "member_twice"),
    (HEADER, "[]", "json_malformed"), (HEADER, "null", "json_malformed"), (HEADER, "", "token_malformed"),
    (HEADER, '{"exp":NaN}', "json_malformed"), (HEADER, '{"exp":Infinity}', "json_malformed"),
    (HEADER, b"\xff\xfe", "json_malformed"), (HEADER, '{"a":1', "json_malformed"),
    (HEADER, "[" * 2000 + "]" * 2000, "json_too_deep"), ("[" * 400, "{}", "json_too_deep"),
    ('"HS256"', "{}", "json_malformed"), ('{"alg":"HS256"}', "{}", "header_malformed"),
    (HEADER.replace("}", ',"typ":"JWE"}'), "{}", "header_malformed"),
    (HEADER, '{"exp":' + "9" * 3000 + "}", "exp_malformed"),
])
def test_json_that_reads_two_ways_or_costs_much(header: str, payload: str | bytes, word: str) -> None:
    assert refusal(signed(header, payload)) == word


@pytest.mark.parametrize(("given_token", "word"), [
    ("", "token_malformed"), (".", "token_malformed"), ("..", "token_malformed"), ("a.b", "token_malformed"),
    ("a.b.c.d.e", "token_malformed"), ("a.b.c\n", "token_malformed"), ("é.b.c", "token_malformed"),
    ("a.b.c=", "token_malformed"), ("A" * 8193, "token_too_long"),
    ("A" * 2000 + ".AA.AA", "header_too_long"),
])
def test_what_is_no_token(given_token: str, word: str) -> None:
    assert refusal(given_token) == word


def test_claims_are_measured_before_they_are_decoded() -> None:
    assert refusal(signed(HEADER, json.dumps(claims(pad="x" * 5000)))) == "claims_too_long"


def test_a_second_spelling_of_a_signature_is_refused() -> None:
    """The last character of base64 has bits that count for nothing: a cache key must have one spelling."""
    good = token("hs-1")
    last = good[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = alphabet[alphabet.index(last) ^ 1]
    assert refusal(good[:-1] + twin) == "token_malformed"


@given(st.text(max_size=200))
def test_any_text_is_refused_by_name(text: str) -> None:
    assert refusal(text)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_signed_bytes_are_refused_by_name(header: bytes, payload: bytes) -> None:
    assert refusal(signed(header, payload))
    assert refusal(signed(HEADER, payload))


@pytest.mark.parametrize("item", [
    {"kid": "k", "alg": "none", "pem": pem(RSA_KEY)}, {"kid": "k", "alg": "RS256", "pem": pem(EC_KEY)},
    {"kid": "k", "alg": "ES256", "pem": pem(RSA_KEY)}, {"kid": "k", "alg": "HS256", "pem": pem(RSA_KEY)},
    {"kid": "k", "alg": "HS256", "secret_variable": "NONE_SUCH"},
    {"kid": "k", "alg": "HS256", "secret_variable": "SHORT"},
    {"kid": "k", "alg": "ES256", "pem": pem(ec.generate_private_key(ec.SECP384R1()))},
    {"kid": "k", "alg": "RS256", "pem": pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))},
    {"kid": "k", "alg": "RS256", "pem": "nonsense"},
])
def test_a_wrong_key_does_not_start(item: dict[str, str]) -> None:
    with pytest.raises(KeyringError):
        read_key(item, ENVIRONMENT | {"SHORT": "00" * 31})


def test_no_kid_twice() -> None:
    with pytest.raises(KeyringError):
        Keyring([read_key(LISTED[0], ENVIRONMENT)] * 2)
