"""numpy, where there is one: arrays are taken then, and columns are arrays."""

from __future__ import annotations

from typing import Any

numpy: Any
try:
    import numpy
except ImportError:
    numpy = None

__all__ = ["numpy"]
