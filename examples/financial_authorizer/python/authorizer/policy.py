"""Policy documents for API Gateway, made to be cached.

API Gateway keeps an answer for the token, not for the path, and checks every request of the next
minutes against it. So a policy says which paths the token opens, whatever path was asked for first:
this customer's own, and those that name no customer. It must never open "*".
"""

from __future__ import annotations

from typing import Any

from .event import AuthEvent

# Below these the token alone says who is meant.
WITHOUT_CUSTOMER = ("me", "me/*")
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


def allow_own(event: AuthEvent, customer: str, context: dict[str, Any]) -> dict[str, Any]:
    """Opens the customer's paths by any method. `customer` has no '*' or '?': CUSTOMER sees to it."""
    any_method = f"{event.stage_arn}/*"
    own = (f"customers/{customer}", f"customers/{customer}/*", *WITHOUT_CUSTOMER)
    opened = statement("Allow", [f"{any_method}/{path}" for path in own])
    closed = statement("Deny", [any_method + trick for trick in TRICKS])
    return document(customer, [opened, closed], context)


def deny_path(event: AuthEvent, customer: str, context: dict[str, Any]) -> dict[str, Any]:
    """Refuses the path that was asked for, and leaves open what the token opens: a wrong path must
    not shut a customer out for as long as the answer is kept."""
    answer = allow_own(event, customer, context)
    answer["policyDocument"]["Statement"].append(statement("Deny", [event.arn]))
    return answer


def deny_all(event: AuthEvent, customer: str) -> dict[str, Any]:
    return document(customer, [statement("Deny", [f"{event.stage_arn}/*"])], {})
