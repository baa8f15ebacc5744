"""Policy documents for API Gateway, made to be cached.

API Gateway keeps an answer for the token, not for the path, and checks every request of the next
minutes against it. So a policy says which paths the token opens, whatever path was asked for first:
this customer's own, and those that name no customer. It must never open "*".

A '*' stands for slashes too: STAGE/*/me would open GET/customers/ANYBODY/me. So methods are spelled
out, and a '*' stands at the end alone.
"""

from __future__ import annotations

from typing import Any

from .event import AuthEvent

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
# Below this the token alone says who is meant.
WITHOUT_CUSTOMER = "me"
# Paths that a server might read as another customer's, whatever the beginning looks like.
TRICKS = ("*/../*", "*/..", "*/./*", "*//*", "*\\*", "*%2e*", "*%2E*", "*%2f*", "*%2F*", "*%5c*", "*%5C*")


def statement(effect: str, resources: list[str]) -> dict[str, Any]:
    return {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resources}


def document(principal: str, statements: list[dict[str, Any]], context: dict[str, Any]) -> dict[str, Any]:
    return {
        "principalId": principal,
        "policyDocument": {"Version": "2012-10-17", "Statement": statements},
        "context": context,
    }


def roots(customer: str) -> tuple[str, str]:
    """What a customer's token opens, each with all below it."""
    return f"customers/{customer}", WITHOUT_CUSTOMER


def opened(event: AuthEvent, customer: str) -> bool:
    """Whether allow_own() opens the path that was asked for."""
    below = any(event.path == root or event.path.startswith(root + "/") for root in roots(customer))
    return below and event.method in METHODS


def allow_own(event: AuthEvent, customer: str, context: dict[str, Any]) -> dict[str, Any]:
    """`customer` has no '*' or '?': CUSTOMER in token_rules.py sees to it."""
    allowed = [
        f"{event.stage_arn}/{method}/{root}{below}"
        for method in METHODS for root in roots(customer) for below in ("", "/*")
    ]
    closed = [f"{event.stage_arn}/*{trick}" for trick in TRICKS]
    return document(customer, [statement("Allow", allowed), statement("Deny", closed)], context)


def deny_path(event: AuthEvent, customer: str, context: dict[str, Any]) -> dict[str, Any]:
    """Refuses the path that was asked for, and leaves open what the token opens: a wrong path must
    not shut a customer out for as long as the answer is kept."""
    answer = allow_own(event, customer, context)
    answer["policyDocument"]["Statement"].append(statement("Deny", [event.arn]))
    return answer


def deny_all(event: AuthEvent, customer: str) -> dict[str, Any]:
    return document(customer, [statement("Deny", [f"{event.stage_arn}/*"])], {})
