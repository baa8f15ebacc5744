"""The authorizer: whom a policy lets in, also from the gateway's cache, and what is put on record."""

from __future__ import annotations

import json
import time

import jwt
import pytest

import cellroute
from authorizer.app import Failure, Unauthorized
from authorizer.token_rules import Rules
from authorizer_room import ENVIRONMENT, LISTED, RULES, Desk, claims, opens, token, with_token
from conftest import SOURCE
from lambda_room import changed, event
from run_function import function

EVENTS = ["token", "request", "http_1", "http_2"]
STAGE = "arn:aws:execute-api:us-east-1:123456789012:a1b2c3d4e5/prod"
ELSEWHERE = {"type": "TOKEN", "methodArn": f"{STAGE}/GET/customers/cust-000001/accounts"}


def asked(name: str, given: str | None = None, **members: object) -> dict[str, object]:
    return changed(with_token(event("financial_authorizer", name), given or token()), **members)


def at(path: str, method: str = "GET") -> dict[str, object]:
    return asked("token", methodArn=f"{STAGE}/{method}/{path}")


@pytest.mark.parametrize("name", EVENTS)
def test_every_kind_of_event_is_answered_with_cell_and_epoch(name: str) -> None:
    desk = Desk()
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
def test_tiers_lead_to_their_cells(tier: str, region: str, flags: list[str], cell: str) -> None:
    answer = Desk()(asked("token", token(tier=tier, region=region, flags=flags)))
    assert answer["context"]["cell"] == cell


def test_a_kept_policy_opens_the_customers_own_paths_alone() -> None:
    answer = Desk()(at("customers/cust-000042/accounts"))
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


def test_the_policy_does_not_hang_on_the_path_asked_for_first() -> None:
    first, second = Desk()(at("customers/cust-000042/accounts")), Desk()(at("me", "DELETE"))
    assert first == second


@pytest.mark.parametrize("given", [
    at("customers/cust-000001/accounts"), at("customers/*/accounts"), at("customers/cust-00004?"),
    at("customers/"), at("admin"), at(""), at("customers/cust-000001/me"), at("me", "TRACE"), at("customers/cust-000042%20/x"), at("customers/cust-000042/../cust-000001"),
    asked("request", pathParameters={"customerId": "cust-000001"}),
    asked("http_2", pathParameters={"customerId": "cust-000001"}),
])
def test_a_claim_and_a_path_that_name_different_customers(given: dict[str, object]) -> None:
    desk = Desk()
    answer = desk(given)
    arn = str(given.get("methodArn") or given.get("routeArn"))
    assert not opens(answer, arn)
    assert desk.of("audit")[-1]["outcome"] == "DENY"
    assert desk.of("security")[-1]["event"] in ("other_customer", "path_tricky", "path_closed")


def test_a_policy_is_within_api_gateways_8_kib() -> None:
    answer = Desk()(asked("request", token(sub="c" * 64), methodArn=f"{STAGE}/GET/customers/{'c' * 64}",
                          pathParameters=None))
    assert opens(answer, f"{STAGE}/GET/customers/{'c' * 64}")
    assert len(json.dumps(answer["policyDocument"])) < 8192


def test_a_wrong_path_does_not_shut_the_customer_out() -> None:
    answer = Desk()(at("customers/cust-000001/accounts"))
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
def test_without_a_good_token_it_is_401(given: dict[str, object]) -> None:
    desk = Desk()
    with pytest.raises(Unauthorized) as raised:
        desk(given)
    assert str(raised.value) == "Unauthorized"
    assert len(desk.of("security")) == 1
    assert desk.of("audit")[0]["outcome"] == "UNAUTHORIZED"


def test_a_refused_customer_is_403_on_every_path() -> None:
    desk = Desk()
    for changes in ({"region": "ap-southeast-1", "flags": ["EU_RESIDENT"]}, {"tier": "gold"}, {"flags": ["NONE"]}):
        answer = desk(asked("request", token(**changes)))
        assert not opens(answer, f"{STAGE}/GET/customers/cust-000042")
        assert not opens(answer, f"{STAGE}/GET/me")
        assert answer["context"] == {}
        assert desk.of("security")[-1]["event"] == "customer_refused"


def test_what_cannot_be_decided_is_a_failure_and_not_kept() -> None:
    desk = Desk()
    desk.router.mark_health("retail-eu-west-1", False)
    with pytest.raises(Failure):
        desk(asked("request"))
    assert desk.of("audit")[-1]["outcome"] == "FAILURE"
    unpublished = Desk(cellroute.Router())
    with pytest.raises(Failure):
        unpublished(asked("request"))


@pytest.mark.parametrize("given", [
    {}, {"type": "TOKEN"}, {"type": "OTHER", "methodArn": f"{STAGE}/GET/x"}, asked("token", methodArn="*"),
    asked("token", methodArn=f"{STAGE}/get/x"), asked("http_2", routeArn=None),
])
def test_what_api_gateway_does_not_send_is_a_failure(given: dict[str, object]) -> None:
    desk = Desk()
    with pytest.raises(Failure):
        desk(given)
    assert desk.of("security")[0]["event"] == "event_malformed"


def test_an_unverified_claim_never_chooses_a_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    monkeypatch.setattr(desk.router, "locate", lambda *_, **__: pytest.fail("a refused token was located"))
    forged = jwt.encode(claims(sub="cust-000001"), b"x" * 32, "HS256", headers={"kid": "hs-1"})
    with pytest.raises(Unauthorized):
        desk(asked("request", forged))
    assert "cust-000001" not in json.dumps(desk.lines)


def test_every_decision_is_on_record_with_who_asked() -> None:
    desk = Desk()
    desk(asked("request"))
    (line,) = desk.of("audit")
    assert {name: line[name] for name in ("source", "agent", "request_id", "invocation_id", "method", "path")} == {
        "source": "203.0.113.7", "agent": "bank-app/3.1", "request_id": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        "invocation_id": "invocation-1", "method": "POST", "path": "/customers/cust-000042/transfers"}
    assert (line["outcome"], line["customer"], line["cell"], line["epoch"]) == (
        "ALLOW", "cust-000042", "retail-eu-west-1", 0)
    assert desk.of("security") == []


def test_no_token_is_on_record_and_no_line_can_be_forged() -> None:
    desk = Desk()
    given_token = token()
    given = asked("request", given_token)
    given["requestContext"]["identity"]["userAgent"] = 'x"}\n{"type":"audit"' + "y" * 5000  # type: ignore[index]
    desk(given)
    text = json.dumps(desk.lines)
    assert given_token not in text and given_token.rsplit(".", 1)[1] not in text
    assert len(desk.lines) == 1 and len(desk.lines[0]["agent"]) == 256


def test_what_cannot_be_recorded_is_not_granted() -> None:
    desk = Desk()

    def full_disk(_: str) -> None:
        raise OSError("no space left")

    desk.authorize._record._write = full_disk
    with pytest.raises(OSError):
        desk(asked("request"))


def test_an_answer_is_never_kept_longer_than_its_token_lives() -> None:
    short = token(exp=claims()["nbf"] + 120)
    with pytest.raises(Unauthorized):
        Desk()(asked("request", short))
    assert Desk(rules=Rules(RULES.issuer, RULES.audience, cached_s=0))(asked("request", short))


def test_limits_are_not_charged() -> None:
    desk = Desk()
    for _ in range(300):  # the topology allows 100 a minute
        desk(asked("request"))
    assert desk.router.route("cust-000042", tier="retail", region="eu-west-1", now_ns=desk.clock()).ok


def test_the_function_runs_by_the_runtime_api(tmp_path) -> None:  # type: ignore[no-untyped-def]
    keyring = tmp_path / "keyring.json"
    keyring.write_text(json.dumps(LISTED))
    environment = ENVIRONMENT | {
        "CELLROUTE_TOPOLOGY": str(SOURCE / "examples/financial/topology.yaml"), "KEYRING": str(keyring),
        "ISSUER": RULES.issuer, "AUDIENCE": RULES.audience}
    fresh = token(exp=int(time.time()) + 900, nbf=int(time.time()) - 60, iat=None)
    printed: list[str] = []
    with function("authorizer.app.handler", printed, **environment) as api:
        for name in EVENTS:
            answer = api.invoke(with_token(event("financial_authorizer", name), fresh))
            assert (answer.kind, answer.value["context"]["cell"]) == ("response", "retail-eu-west-1")
        refused = api.invoke(with_token(event("financial_authorizer", "token"), "a.b.c"))
        assert (refused.kind, refused.value["errorMessage"]) == ("error", "Unauthorized")
        assert refused.value["stackTrace"] == []
        assert api.invoke({}).value["errorType"] == "Failure"
        again = api.invoke(with_token(event("financial_authorizer", "request"), fresh))
        assert again.kind == "response"
    lines = [json.loads(line) for line in printed]
    assert [line["outcome"] for line in lines if line["type"] == "audit"] == (
        ["ALLOW"] * 4 + ["UNAUTHORIZED", "FAILURE", "ALLOW"])
