"""Tokens that must not be believed, in either language, each refused for its own reason, and none for a
stack trace."""

from __future__ import annotations

import hashlib
import hmac
import json
import pathlib
from contextlib import ExitStack
from typing import Iterator

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from authorizer_room import (
    EC_KEY, LISTED, NOW_S, RSA_KEY, RULES, Desk, base64url, claims, outcome, pem, refusal, signed, token, token_event,
)
from conftest import NOW, SECOND
from lambda_room import LANGUAGES, language, stack


@pytest.fixture(scope="module", params=LANGUAGES)
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One for all of them: what it is asked leaves nothing behind."""
    with ExitStack() as stack:
        yield Desk(stack, request.param, tmp_path_factory.mktemp("desk"))


@pytest.mark.parametrize("kid", ["hs-1", "rs-1", "es-1"])
def test_a_good_token_is_believed(desk: Desk, kid: str) -> None:
    answer = desk(token_event(token(kid, flags=["EU_RESIDENT"])))
    assert (answer["principalId"], answer["context"]["cell"]) == ("cust-000042", "retail-eu-west-1")
    assert desk.of("audit")[-1]["kid"] == kid


def test_an_audience_may_be_one_of_several(desk: Desk) -> None:
    assert outcome(desk, token(aud=["other", "bank-api"])) == "ALLOW"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
def test_alg_none(desk: Desk, alg: str) -> None:
    header = json.dumps({"alg": alg, "kid": "hs-1"}).encode()
    body = json.dumps(claims()).encode()
    unsigned = f"{base64url(header)}.{base64url(body)}."
    assert refusal(desk, unsigned) == "token_malformed"
    assert refusal(desk, unsigned + "AAAA") == "alg_mismatch"


def test_a_public_key_is_no_secret(desk: Desk) -> None:
    """HS/RS confusion: signed by HMAC with the public key's text, which everybody has."""
    for kid, key in (("rs-1", RSA_KEY), ("es-1", EC_KEY)):
        signing = ".".join(base64url(json.dumps(part).encode()) for part in (
            {"alg": "HS256", "kid": kid}, claims()))
        mac = hmac.new(pem(key).encode(), signing.encode(), hashlib.sha256).digest()
        assert refusal(desk, f"{signing}.{base64url(mac)}") == "alg_mismatch"


@pytest.mark.parametrize(("kid", "alg"), [
    ("hs-1", "HS512"), ("hs-1", "RS256"), ("rs-1", "PS256"), ("rs-1", "ES256"), ("es-1", "ES384"),
    ("rs-1", "rs256"),
])
def test_the_key_fixes_the_algorithm(desk: Desk, kid: str, alg: str) -> None:
    signature = token(kid).rsplit(".", 1)[1]
    header = base64url(json.dumps({"alg": alg, "kid": kid}).encode())
    assert refusal(desk, f"{header}.{base64url(json.dumps(claims()).encode())}.{signature}") == "alg_mismatch"


@pytest.mark.parametrize("kid", [
    "", "HS-1", "hs-1 ", "../../dev/null", "/dev/null", "hs-1\0", "' UNION SELECT 'x", "https://evil.example.com/k",
    "rs-1/../hs-1", "k" * 700,
])
def test_a_kid_is_only_ever_a_name_of_the_list(desk: Desk, kid: str) -> None:
    assert refusal(desk, signed(json.dumps({"alg": "HS256", "kid": kid}), json.dumps(claims()))) == "kid_unknown"


@pytest.mark.parametrize("kid", [None, 7, ["hs-1"], {"kid": "hs-1"}, True])
def test_a_kid_is_text(desk: Desk, kid: object) -> None:
    header = json.dumps({"alg": "HS256", "kid": kid})
    assert refusal(desk, signed(header, json.dumps(claims()))) == "header_malformed"


@pytest.mark.parametrize("member", [
    {"jwk": {"kty": "oct", "k": "AAAA"}}, {"jku": "https://evil.example.com/jwks"}, {"x5c": ["MIIB"]},
    {"x5u": "https://evil.example.com"}, {"crit": ["exp"]}, {"b64": False}, {"zip": "DEF"}, {"enc": "A128GCM"},
])
def test_a_token_brings_no_key_of_its_own(desk: Desk, member: dict[str, object]) -> None:
    header = json.dumps({"alg": "HS256", "kid": "hs-1"} | member)
    assert refusal(desk, signed(header, json.dumps(claims()))) == "header_members"


def test_signed_by_somebody_else(desk: Desk) -> None:
    others = {
        "hs-1": ("HS256", b"x" * 32), "es-1": ("ES256", ec.generate_private_key(ec.SECP256R1())),
        "rs-1": ("RS256", rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    }
    for kid, (alg, key) in others.items():
        assert refusal(desk, jwt.encode(claims(), key, alg, headers={"kid": kid})) == "signature_wrong"


@pytest.mark.parametrize("kid", ["hs-1", "rs-1", "es-1"])
def test_a_payload_under_another_ones_signature(desk: Desk, kid: str) -> None:
    header, _, signature = token(kid).split(".")
    other = base64url(json.dumps(claims(sub="cust-000001", tier="hnw")).encode())
    assert refusal(desk, f"{header}.{other}.{signature}") == "signature_wrong"


def test_an_es256_signature_of_zeros(desk: Desk) -> None:
    header, payload, _ = token("es-1").split(".")
    assert refusal(desk, f"{header}.{payload}.{base64url(bytes(64))}") == "signature_wrong"


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
def test_claims_that_do_not_hold(desk: Desk, changes: dict[str, object], word: str) -> None:
    payload = json.dumps(claims(**changes))
    assert refusal(desk, signed('{"alg":"HS256","kid":"hs-1"}', payload)) == word


def test_iss_as_a_list_is_not_the_issuer(desk: Desk) -> None:
    payload = json.dumps(claims(iss=[RULES.issuer]))
    assert refusal(desk, signed('{"alg":"HS256","kid":"hs-1"}', payload)) == "issuer_wrong"


@pytest.mark.parametrize(("after_s", "word"), [
    (500, "ALLOW"), (599, "ALLOW"), (600, "expires_while_cached"), (900, "expired"), (-5, "ALLOW"),
    (-7, "nbf_in_future"), (-3000, "exp_too_far"),
])
def test_times_are_compared_to_the_clock(desk: Desk, after_s: int, word: str) -> None:
    given_token = token()
    desk.clock.now_ns = NOW + after_s * SECOND
    try:
        assert outcome(desk, given_token) == word
    finally:
        desk.clock.now_ns = NOW


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
    ('"HS256"', "{}", "json_malformed"), (HEADER, "\ufeff{}", "json_malformed"),
    ('{"alg":"HS256"}', "{}", "header_malformed"),
    (HEADER.replace("}", ',"typ":"JWE"}'), "{}", "header_malformed"),
    (HEADER, '{"exp":' + "9" * 3000 + "}", "json_malformed"), (HEADER, '{"x":1e999}', "json_malformed"),
    (HEADER, '{"exp":' + "9" * 300 + "}", "exp_malformed"), (HEADER, '{"exp":-1e-9}', "exp_malformed"),
])
def test_json_that_reads_two_ways_or_costs_much(desk: Desk, header: str, payload: str | bytes, word: str) -> None:
    assert refusal(desk, signed(header, payload)) == word


@pytest.mark.parametrize(("given_token", "word"), [
    ("", "token_missing"), (".", "token_malformed"), ("..", "token_malformed"), ("a.b", "token_malformed"),
    ("a.b.c.d.e", "token_malformed"), ("a.b.c\n", "token_missing"), ("é.b.c", "token_malformed"),
    ("a.b.c=", "token_malformed"), ("A" * 8193, "token_too_long"),
    ("A" * 2000 + ".AA.AA", "header_too_long"),
])
def test_what_is_no_token(desk: Desk, given_token: str, word: str) -> None:
    assert refusal(desk, given_token) == word


def test_claims_are_measured_before_they_are_decoded(desk: Desk) -> None:
    assert refusal(desk, signed(HEADER, json.dumps(claims(pad="x" * 5000)))) == "claims_too_long"


def test_a_second_spelling_of_a_signature_is_refused(desk: Desk) -> None:
    """The last character of base64 has bits that count for nothing: a cache key must have one spelling."""
    good = token("hs-1")
    last = good[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = alphabet[alphabet.index(last) ^ 1]
    assert refusal(desk, good[:-1] + twin) == "token_malformed"


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Desk]]:
    with ExitStack() as stack:
        yield [Desk(stack, language, tmp_path_factory.mktemp("desk")) for language in LANGUAGES]


def agreed(desks: list[Desk], given_token: str) -> str:
    """What both languages say of it."""
    words = {outcome(desk, given_token) for desk in desks}
    assert len(words) == 1, words
    return words.pop()


@given(st.text(max_size=200))
def test_any_text_is_refused_by_name(desks: list[Desk], text: str) -> None:
    assert agreed(desks, text) in ("token_missing", "token_malformed")


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_signed_bytes_are_refused_by_name(desks: list[Desk], header: bytes, payload: bytes) -> None:
    assert agreed(desks, signed(header, payload)) != "ALLOW"
    assert agreed(desks, signed(HEADER, payload)) != "ALLOW"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(
        [NOW_S + 700, NOW_S + 700.5, -0.0, 1e308, 2**63, 2**64, 10**400, "bank-api", RULES.issuer, "retail"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=6)


@settings(max_examples=300)
@given(st.sampled_from([*claims(), "flags", "other"]), JSON)
def test_both_languages_agree_on_any_claim(desks: list[Desk], name: str, value: object) -> None:
    agreed(desks, signed(HEADER, json.dumps(claims() | {name: value})))


@given(st.sampled_from(["alg", "kid", "typ", "crit", "x"]), JSON)
def test_both_languages_agree_on_any_header(desks: list[Desk], name: str, value: object) -> None:
    header = json.dumps({"alg": "HS256", "kid": "hs-1"} | {name: value})
    agreed(desks, signed(header, json.dumps(claims())))


def starts_with(stack: ExitStack, language: str, room: pathlib.Path, listed: list[dict[str, str]]) -> bool:
    keyring = room / "other.json"
    keyring.write_text(json.dumps(listed))
    started = Desk(stack, language, room, KEYRING=str(keyring), SHORT="00" * 31, LONG="00" * 32, ODD="0" * 65)
    return started.answer(token_event("a.b.c")).kind == "error"


@pytest.mark.parametrize("item", [
    {"kid": "k", "alg": "none", "pem": pem(RSA_KEY)}, {"kid": "k", "alg": "RS256", "pem": pem(EC_KEY)},
    {"kid": "k", "alg": "ES256", "pem": pem(RSA_KEY)}, {"kid": "k", "alg": "HS256", "pem": pem(RSA_KEY)},
    {"kid": "k", "alg": "HS256", "secret_variable": "NONE_SUCH"}, {"kid": "k", "alg": "HS256", "secret_variable": "ODD"},
    {"kid": "k", "alg": "HS256", "secret_variable": "SHORT"}, {"kid": "k"}, {"alg": "HS256", "secret_variable": "LONG"},
    {"kid": "k", "alg": "ES256", "pem": pem(ec.generate_private_key(ec.SECP384R1()))},
    {"kid": "k", "alg": "RS256", "pem": pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))},
    {"kid": "k", "alg": "RS256", "pem": "nonsense"},
])
def test_a_wrong_key_does_not_start(
    stack: ExitStack, language: str, tmp_path: pathlib.Path, item: dict[str, str]
) -> None:
    assert not starts_with(stack, language, tmp_path, [LISTED[1], item])


def test_a_keyring_has_a_key_and_no_kid_twice(stack: ExitStack, language: str, tmp_path: pathlib.Path) -> None:
    long = {"kid": "k", "alg": "HS256", "secret_variable": "LONG"}
    assert starts_with(stack, language, tmp_path, [LISTED[1], long])
    assert not starts_with(stack, language, tmp_path, [long, long])
    assert not starts_with(stack, language, tmp_path, [])
