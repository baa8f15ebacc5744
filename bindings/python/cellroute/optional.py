"""numpy, where there is one: arrays are taken then, and columns are arrays."""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def numpy() -> Any:
    """The module, or None. Loaded by the first batch, since it would be most of a cold start."""
    try:
        import numpy
    except ImportError:
        return None
    return numpy
