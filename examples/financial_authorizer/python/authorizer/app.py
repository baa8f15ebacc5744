"""The financial platform's authorizer: token verified, customer's cell by tier, policy for the gateway.

Environment: CELLROUTE_TOPOLOGY and KEYRING, files; ISSUER and AUDIENCE of tokens; CACHED_SECONDS,
the authorizer's TTL at API Gateway (300). For an HTTP API leave simple responses off: they cannot
say which paths a token opens, and are cached for the token all the same.
"""

from __future__ import annotations

import os
import time
from typing import Any, Callable

import cellroute
from .event import AuthEvent, BadEvent, parse_event
from .keyring import Keyring, read_keyring
from .policy import allow_own, deny_all, deny_path, opened
from .record import Recorder
from .token_rules import Claims, Rules, TokenRefused, verify

READS = ("GET", "HEAD", "OPTIONS")
# Denials that are about the customer, which go into the policy. All others are failures.
REFUSALS = ("INVALID_ARGUMENT", "COMPLIANCE", "FORBIDDEN", "NO_ELIGIBLE_CELL", "UNASSIGNED")


class Unauthorized(Exception):
    """REST APIs answer 401 where the text is exactly this; of HTTP APIs we found no document that says."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


class Failure(Exception):
    """API Gateway answers 500 and keeps nothing."""


class Authorizer:
    """Serves one event at a time, as Lambda sends them."""

    def __init__(
        self, router: cellroute.Router, keyring: Keyring, rules: Rules,
        clock: Callable[[], int] = time.time_ns, write: Callable[[str], object] = print,
    ) -> None:
        self._router = router
        self._keyring = keyring
        self._rules = rules
        self._clock = clock
        self._record = Recorder(write, clock)

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        request_id, about = context.aws_request_id, None
        try:
            about = _read(event)
            claims = self._verified(about)
            return self._decide(about, claims, request_id)
        except TokenRefused as refused:
            self._record.security(about, request_id, refused.word, kid=refused.kid)
            self._record.audit(about, request_id, "UNAUTHORIZED", reason=refused.word, kid=refused.kid)
            raise Unauthorized from None
        except BadEvent as error:
            self._record.security(about, request_id, "event_malformed")
            self._record.audit(about, request_id, "FAILURE", reason="event_malformed")
            raise Failure(str(error)) from None

    def _verified(self, about: AuthEvent) -> Claims:
        if about.token is None:
            raise TokenRefused("token_missing")
        return verify(about.token, self._keyring, self._rules, self._clock())

    def _decide(self, about: AuthEvent, claims: Claims, request_id: str) -> dict[str, Any]:
        """Located, not routed: an answer that is cached for minutes must not be charged to limits."""
        decision = self._router.locate(
            claims.customer, tier=claims.tier, region=claims.region, flags=claims.flags,
            access="READ" if about.method in READS else "WRITE", now_ns=self._clock())
        facts = {
            "customer": claims.customer, "tier": claims.tier, "region": claims.region, "kid": claims.kid,
            "status": decision.status, "reason": decision.reason, "cell": decision.cell,
            "epoch": decision.epoch, "generation": decision.generation,
        }
        if not decision.ok and decision.status not in REFUSALS:
            self._record.security(about, request_id, "cell_unavailable", **facts)
            self._record.audit(about, request_id, "FAILURE", **facts)
            raise Failure("no decision can be made now")
        if not decision.ok:
            self._record.security(about, request_id, "customer_refused", **facts)
            self._record.audit(about, request_id, "DENY", **facts)
            return deny_all(about, claims.customer)
        return self._for_path(about, claims, request_id, facts)

    def _for_path(
        self, about: AuthEvent, claims: Claims, request_id: str, facts: dict[str, Any]
    ) -> dict[str, Any]:
        # Strings, numbers and booleans are all that API Gateway takes here.
        context = {
            "customer": claims.customer, "tier": claims.tier, "cell": facts["cell"],
            "epoch": facts["epoch"], "generation": facts["generation"],
        }
        word = None
        if any(name != claims.customer for name in about.named):
            word = "other_customer"
        elif about.tricky:
            word = "path_tricky"
        elif not opened(about, claims.customer):
            word = "path_closed"
        if word is None:
            self._record.audit(about, request_id, "ALLOW", **facts)
            return allow_own(about, claims.customer, context)
        self._record.security(about, request_id, word, **facts)
        self._record.audit(about, request_id, "DENY", **(facts | {"reason": word}))
        return deny_path(about, claims.customer, context)


def _read(event: dict[str, Any]) -> AuthEvent:
    try:
        return parse_event(event)
    except (AttributeError, TypeError):
        raise BadEvent("a member has another type than API Gateway gives it") from None


def _named(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise ValueError(f"{variable} is not set")
    return value


def authorizer_from_environment() -> Authorizer:
    topology = cellroute.Topology.from_file(_named("CELLROUTE_TOPOLOGY"))
    # One event at a time, and nothing charged: one lane and no limiter do.
    router = cellroute.Router(topology, lanes=1, limiter_entries=0)
    rules = Rules(_named("ISSUER"), _named("AUDIENCE"),
                  cached_s=int(os.environ.get("CACHED_SECONDS") or 300))
    return Authorizer(router, read_keyring(_named("KEYRING")), rules,
                      write=lambda line: print(line, flush=True))


def __getattr__(name: str) -> Any:
    """`handler` is made when the runtime asks for it, so that tests can take Authorizer alone."""
    if name == "handler":
        globals()[name] = authorizer_from_environment()
        return globals()[name]
    raise AttributeError(name)
