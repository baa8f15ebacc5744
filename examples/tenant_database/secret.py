"""Passwords of logins and tokens of tenants, all out of one secret. A real one lives in a secrets' store."""

from __future__ import annotations

import hashlib
import hmac

TOKENS = "tokens"
TOKEN_LIVES_S = 60


class Secret:
    """Immutable."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, purpose: str) -> str:
        """The secret for one purpose, such as a login's password."""
        return hmac.digest(self._key, purpose.encode(), "sha256").hex()

    def token(self, tenant: str, now_ns: int) -> str:
        """What lets a transaction be this tenant's for a minute; trust.tenant() in provision.py checks it."""
        text = f"{now_ns // 1_000_000_000 + TOKEN_LIVES_S}.{tenant}"
        mac = hmac.new(self(TOKENS).encode(), text.encode(), hashlib.sha256).hexdigest()
        return f"{text.split('.')[0]}.{mac}"
