"""The authorizer, in either language: whom a policy lets in, also from the gateway's cache, and what is
put on record."""

from __future__ import annotations

import json
import pathlib
from contextlib import ExitStack
from typing import Any, Callable

import jwt
import pytest

from authorizer_room import LISTED, NOW_S, Desk, claims, opens, token, with_token
from conftest import SECOND, SOURCE
from lambda_room import changed, event, language, stack

EVENTS = ["token", "request", "http_1", "http_2"]
STAGE = "arn:aws:execute-api:us-east-1:123456789012:a1b2c3d4e5/prod"
ELSEWHERE = {"type": "TOKEN", "methodArn": f"{STAGE}/GET/customers/cust-000001/accounts"}


@pytest.fixture
def start(stack: ExitStack, language: str, tmp_path: pathlib.Path) -> Callable[..., Desk]:
    """Starts an authorizer: start(environment)."""
    return lambda **given: Desk(stack, language, tmp_path, **given)


@pytest.fixture
def desk(start: Callable[..., Desk]) -> Desk:
    return start()


def asked(name: str, given: str | None = None, **members: object) -> dict[str, object]:
    return changed(with_token(event("financial_authorizer", name), given or token()), **members)


def at(path: str, method: str = "GET") -> dict[str, object]:
    return asked("token", methodArn=f"{STAGE}/{method}/{path}")


@pytest.mark.parametrize("name", EVENTS)
def test_every_kind_of_event_is_answered_with_cell_and_epoch(desk: Desk, name: str) -> None:
    given = asked(name)
    answer = desk(given)
    arn = str(given.get("methodArn") or given.get("routeArn"))
    assert opens(answer, arn)
    assert answer["principalId"] == "cust-000042"
    assert answer["context"] == {
        "customer": "cust-000042", "tier": "retail", "cell": "retail-eu-west-1", "epoch": 0, "generation": 1}
    assert json.loads(json.dumps(answer)) == answer


@pytest.mark.parametrize(("tier", "region", "flags", "cell"), [
    ("retail", "us-east-1", [], "retail-us-east-1"), ("corporate", "us-east-1", [], "corporate-us-east-1"),
    ("hnw", "ap-southeast-1", [], "hnw-ap-southeast-1"), ("high_net_worth", "us-east-1", [], "hnw-us-east-1"),
    ("retail", "us-east-1", ["PII_RESTRICTED"], "hnw-us-east-1"),
])
def test_tiers_lead_to_their_cells(
    desk: Desk, tier: str, region: str, flags: list[str], cell: str
) -> None:
    answer = desk(asked("token", token(tier=tier, region=region, flags=flags)))
    assert answer["context"]["cell"] == cell


def test_a_kept_policy_opens_the_customers_own_paths_alone(desk: Desk) -> None:
    answer = desk(at("customers/cust-000042/accounts"))
    for path in ("customers/cust-000042", "customers/cust-000042/transfers/7", "me", "me/limits"):
        for method in ("GET", "POST", "DELETE"):
            assert opens(answer, f"{STAGE}/{method}/{path}"), path
    for path in (
        "customers/cust-000001", "customers/cust-0000420", "customers/cust-000042x/accounts", "customers",
        "customers/*", "admin", "", "customers/cust-000042/../cust-000001", "customers/cust-000042/..",
        "customers/cust-000042/%2e%2e/cust-000001", "customers/cust-000042/%2E%2e/x",
        "customers/cust-000042/..%2fcust-000001", "customers/cust-000042/a%5Cb", "customers/cust-000042//x",
        "customers/cust-000042/a\\b", "meme", "x/me", "customers/cust-000001/me", "x/customers/cust-000042",
        "customers/cust-000001/customers/cust-000042/x", "POST/me",
    ):
        assert not opens(answer, f"{STAGE}/GET/{path}"), path
    for other in (STAGE.replace("prod", "test"), STAGE.replace("a1b2c3d4e5", "ffffffffff")):
        assert not opens(answer, f"{other}/GET/customers/cust-000042")


def test_the_policy_does_not_hang_on_the_path_asked_for_first(desk: Desk) -> None:
    first, second = desk(at("customers/cust-000042/accounts")), desk(at("me", "DELETE"))
    assert first == second


@pytest.mark.parametrize("given", [
    at("customers/cust-000001/accounts"), at("customers/*/accounts"), at("customers/cust-00004?"),
    at("customers/"), at("admin"), at(""), at("customers/cust-000001/me"), at("me", "TRACE"),
    at("customers/cust-000042%20/x"), at("customers/cust-000042/../cust-000001"),
    asked("request", pathParameters={"customerId": "cust-000001"}),
    asked("http_2", pathParameters={"customerId": "cust-000001"}),
])
def test_a_claim_and_a_path_that_name_different_customers(desk: Desk, given: dict[str, object]) -> None:
    answer = desk(given)
    arn = str(given.get("methodArn") or given.get("routeArn"))
    assert not opens(answer, arn)
    assert desk.of("audit")[-1]["outcome"] == "DENY"
    assert desk.of("security")[-1]["event"] in ("other_customer", "path_tricky", "path_closed")


def test_a_policy_is_within_8_kib(desk: Desk) -> None:
    """What WebSocket APIs take at most; no quota is known of the others."""
    answer = desk(asked("request", token(sub="c" * 64), methodArn=f"{STAGE}/GET/customers/{'c' * 64}",
                          pathParameters=None))
    assert opens(answer, f"{STAGE}/GET/customers/{'c' * 64}")
    assert len(json.dumps(answer["policyDocument"])) < 8192


def test_a_wrong_path_does_not_shut_the_customer_out(desk: Desk) -> None:
    answer = desk(at("customers/cust-000001/accounts"))
    assert opens(answer, f"{STAGE}/GET/customers/cust-000042/accounts")
    assert not opens(answer, f"{STAGE}/GET/customers/cust-000001/accounts")


@pytest.mark.parametrize("given", [
    changed(ELSEWHERE), changed(ELSEWHERE, authorizationToken=None), changed(ELSEWHERE, authorizationToken=""),
    changed(ELSEWHERE, authorizationToken="Basic dXNlcjpwYXNz"), changed(ELSEWHERE, authorizationToken="Bearer"),
    changed(ELSEWHERE, authorizationToken="Bearer a b"), changed(ELSEWHERE, authorizationToken=["Bearer a.b.c"]),
    asked("request", headers=None, multiValueHeaders=None),
    asked("request", multiValueHeaders={"Authorization": [f"Bearer {token()}", f"Bearer {token()}"]}),
    asked("request", multiValueHeaders={"Authorization": [f"Bearer {token()}"], "authorization": ["Bearer x"]}),
    asked("http_2", headers={"authorization": f"Bearer {token()},Bearer {token()}"}),
    asked("token", token(exp=1)),
])
def test_without_a_good_token_it_is_401(desk: Desk, given: dict[str, object]) -> None:
    assert desk.failure(given)["errorMessage"] == "Unauthorized"
    assert len(desk.of("security")) == 1
    assert desk.of("audit")[0]["outcome"] == "UNAUTHORIZED"


def test_a_refused_customer_is_403_on_every_path(desk: Desk) -> None:
    for changes in ({"region": "ap-southeast-1", "flags": ["EU_RESIDENT"]}, {"tier": "gold"}, {"flags": ["NONE"]}):
        answer = desk(asked("request", token(**changes)))
        assert not opens(answer, f"{STAGE}/GET/customers/cust-000042")
        assert not opens(answer, f"{STAGE}/GET/me")
        assert answer["context"] == {}
        assert answer["principalId"] == "cust-000042"
        assert desk.of("security")[-1]["event"] == "customer_refused"


def test_what_cannot_be_decided_is_a_failure_and_not_kept(
    start: Callable[..., Desk], tmp_path: pathlib.Path
) -> None:
    topology = tmp_path / "topology.yaml"
    text = (SOURCE / "examples/financial/topology.yaml").read_text()
    topology.write_text(text.replace("id: retail-eu-west-1\n", "id: retail-eu-west-1\n    health: UNHEALTHY\n"))
    desk = start(topology=topology)
    assert desk.failure(asked("request"))["errorType"] == "Failure"
    assert desk.of("security")[-1]["event"] == "cell_unavailable"
    assert desk.of("audit")[-1]["outcome"] == "FAILURE"


@pytest.mark.parametrize("given", [
    {}, {"type": "TOKEN"}, {"type": "OTHER", "methodArn": f"{STAGE}/GET/x"}, asked("token", methodArn="*"),
    asked("token", methodArn=f"{STAGE}/get/x"), asked("http_2", routeArn=None),
    asked("request", headers=7, multiValueHeaders=None), asked("request", requestContext="x"),
    asked("request", pathParameters=["cust-000042"]), asked("token", methodArn=7),
])
def test_what_api_gateway_does_not_send_is_a_failure(desk: Desk, given: dict[str, object]) -> None:
    failure = desk.failure(given)
    assert (failure["errorType"], failure["stackTrace"]) == ("Failure", [])
    assert desk.of("security")[0]["event"] == "event_malformed"
    assert desk.of("audit")[0]["outcome"] == "FAILURE"
    assert opens(desk(asked("token")), f"{STAGE}/GET/me")  # and it goes on


def test_an_unverified_claim_never_chooses_a_tenant(desk: Desk) -> None:
    forged = jwt.encode(claims(sub="cust-000001"), b"x" * 32, "HS256", headers={"kid": "hs-1"})
    assert desk.failure(asked("request", forged))["errorMessage"] == "Unauthorized"
    assert "cust-000001" not in json.dumps(desk.lines)


def test_every_decision_is_on_record_with_who_asked(desk: Desk) -> None:
    desk(asked("request"))
    (line,) = desk.of("audit")
    assert {name: line[name] for name in ("source", "agent", "request_id", "invocation_id", "method", "path")} == {
        "source": "203.0.113.7", "agent": "bank-app/3.1", "request_id": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        "invocation_id": "invocation-000001", "method": "POST", "path": "/customers/cust-000042/transfers"}
    assert (line["outcome"], line["customer"], line["cell"], line["epoch"]) == (
        "ALLOW", "cust-000042", "retail-eu-west-1", 0)
    assert desk.of("security") == []


def test_no_token_is_on_record_and_no_line_can_be_forged(desk: Desk) -> None:
    given_token = token()
    given = asked("request", given_token)
    given["requestContext"]["identity"]["userAgent"] = 'x"}\n{"type":"audit"' + "y" * 5000  # type: ignore[index]
    desk(given)
    text = json.dumps(desk.lines)
    assert given_token not in text and given_token.rsplit(".", 1)[1] not in text
    assert len(desk.lines) == 1 and len(desk.lines[0]["agent"]) == 256


def test_what_cannot_be_recorded_is_not_granted(start: Callable[..., Desk]) -> None:
    desk = start(log="/dev/full")
    for _ in range(2):
        assert desk.failure(asked("request"))["errorMessage"] != "Unauthorized"


def test_an_answer_is_never_kept_longer_than_its_token_lives(start: Callable[..., Desk]) -> None:
    short = token(exp=claims()["nbf"] + 120)
    assert start().failure(asked("request", short))["errorMessage"] == "Unauthorized"
    assert start(CACHED_SECONDS="0")(asked("request", short))


def test_limits_are_not_charged(desk: Desk) -> None:
    given = asked("request")
    for _ in range(300):  # the topology allows 100 a minute
        assert desk(given)["context"]["cell"] == "retail-eu-west-1"


def test_a_token_expires_over_a_freeze(desk: Desk) -> None:
    given = asked("request")
    assert desk(given)
    desk.clock.now_ns += 3600 * SECOND
    assert desk.failure(given)["errorMessage"] == "Unauthorized"
    desk.clock.now_ns -= 5400 * SECOND  # before nbf
    assert desk.failure(given)["errorMessage"] == "Unauthorized"
    desk.clock.now_ns += 1800 * SECOND
    assert desk(given)
    assert [line["outcome"] for line in desk.of("audit")] == ["ALLOW", "UNAUTHORIZED", "UNAUTHORIZED", "ALLOW"]
    assert [line["event"] for line in desk.of("security")] == ["expired", "nbf_in_future"]


@pytest.mark.parametrize("environment", [
    {"CACHED_SECONDS": "soon"}, {"ISSUER": ""}, {"AUDIENCE": ""}, {"KEYRING": "/nowhere"},
    {"CELLROUTE_TOPOLOGY": "/nowhere"},
])
def test_a_wrong_configuration_does_not_start(start: Callable[..., Desk], environment: dict[str, str]) -> None:
    assert start(**environment).answer(asked("token")).kind == "init_error"
