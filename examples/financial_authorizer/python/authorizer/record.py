"""Audit lines and security events, a JSON object a line.

Writing them may fail, and then the decision fails: what is not on record is not granted.
"""

from __future__ import annotations

import json
from typing import Any, Callable

from .event import AuthEvent

LONGEST = 256


class Recorder:
    """Thread safety: that of `write`."""

    def __init__(self, write: Callable[[str], object], clock: Callable[[], int]) -> None:
        self._write = write
        self._clock = clock

    def audit(self, event: AuthEvent | None, request_id: str, outcome: str, **facts: Any) -> None:
        """A decision: ALLOW, DENY, UNAUTHORIZED or FAILURE."""
        self._line("audit", event, request_id, outcome=outcome, **facts)

    def security(self, event: AuthEvent | None, request_id: str, word: str, **facts: Any) -> None:
        """A refusal, by the word that alarms count."""
        self._line("security", event, request_id, event=word, **facts)

    def _line(self, kind: str, about: AuthEvent | None, request_id: str, **facts: Any) -> None:
        line = {"type": kind, "at_ns": self._clock(), "invocation_id": request_id}
        if about is not None:
            line |= {
                "request_id": about.request_id, "source": about.source, "agent": about.agent,
                "method": about.method, "path": "/" + about.path,
            }
        self._write(json.dumps({name: _short(value) for name, value in (line | facts).items()}))


def _short(value: Any) -> Any:
    return value[:LONGEST] if isinstance(value, str) else value
